"""The recurrent network from scratch, and what every neural model gets from the shared loop and scorer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cycle import V, small, text

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import check_model
from lmbench.models.neural.dynamic import DynamicEvaluation, mean_squares
from lmbench.models.neural.network import held_out_bits, rounding, score
from lmbench.models.neural.scratch import ScratchNetwork, one_hot
from lmbench.text.tokens import Tokens


def network(hidden: int = 5, scale: float = 0.5, seed: int = 0) -> ScratchNetwork:
    """Weights large enough that states matter, in float64."""
    return ScratchNetwork(V, hidden, scale, scale, torch.Generator().manual_seed(seed)).double()


# The network ---------------------------------------------------------------------------------------


def test_the_lookup_is_the_one_hot_product():
    net, ids = network(), torch.randint(V, (6, 3), generator=torch.Generator().manual_seed(1))
    encoded = one_hot(ids, V, torch.float64)
    assert encoded.shape == (6, 3, V), "steps, batch, vocabulary"
    torch.testing.assert_close(encoded @ net.W_xh, net.W_xh[ids], rtol=0, atol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_equals_torch_nn_rnn_with_the_same_weights(dtype, tolerance):
    net = network(hidden=32, scale=0.2).to(dtype)
    theirs = torch.nn.RNN(V, 32, dtype=dtype)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(net.W_xh.T)
        theirs.weight_hh_l0.copy_(net.W_hh.T)
        theirs.bias_ih_l0.copy_(net.b_h)
        theirs.bias_hh_l0.zero_()
    ids = torch.randint(V, (35, 4), generator=torch.Generator().manual_seed(2))
    (first,) = net.start(4)
    first = first + 0.3
    logits, (last,) = net(ids, (first,))
    hidden, their_last = theirs(one_hot(ids, V, dtype), first[None])
    torch.testing.assert_close(logits, hidden @ net.W_hq + net.b_q, rtol=0, atol=tolerance)
    torch.testing.assert_close(last, their_last[0], rtol=0, atol=tolerance)
    logits.square().mean().backward()
    ours = [net.W_xh.grad.T.clone(), net.W_hh.grad.T.clone(), net.b_h.grad.clone()]
    (hidden @ net.W_hq.detach() + net.b_q.detach()).square().mean().backward()
    for mine, other in zip(
        ours, [theirs.weight_ih_l0.grad, theirs.weight_hh_l0.grad, theirs.bias_ih_l0.grad], strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=0, atol=tolerance)


# Scoring ---------------------------------------------------------------------------------------------


def slowly(net: ScratchNetwork, tokens: Tokens) -> np.ndarray:
    """ln p by the formulas, in numpy, a token at a time."""
    w = {name: p.detach().numpy() for name, p in net.named_parameters()}
    result = []
    for document in tokens.documents():
        h, previous = np.zeros(net.hidden), tokens.bos
        for token in document:
            h = np.tanh(np.eye(V)[previous] @ w["W_xh"] + h @ w["W_hh"] + w["b_h"])
            o = h @ w["W_hq"] + w["b_q"]
            result.append(o[token] - np.log(np.exp(o).sum()))
            previous = token
    return np.array(result)


@pytest.mark.parametrize("starts", [(0,), (0, 3, 10, 11, 80, 84)])
def test_scores_are_those_of_the_formulas_with_the_state_carried_through_each_document(starts):
    net, tokens = network(), text(100, starts=starts)
    np.testing.assert_allclose(score(net, tokens), slowly(net, tokens), atol=1e-12)


def test_long_texts_are_read_in_chunks_without_a_seam():
    net, tokens = network().float(), text(5000, starts=(0, 40, 100))
    whole = score(net, tokens)  # chunks of 1365 steps
    np.testing.assert_allclose(whole, slowly(net.double(), tokens), atol=1e-5)
    part = Tokens(tokens.ids[:3000], tokens.starts, 0)
    np.testing.assert_allclose(score(net.float(), part), whole[:3000], atol=1e-6)


def test_more_documents_than_are_read_at_once():
    net = network()
    tokens = text(900, starts=tuple(range(0, 900, 3)))
    np.testing.assert_allclose(score(net, tokens), slowly(net, tokens), atol=1e-12)


def test_quick_held_out_figure_counts_each_token_once():
    net, tokens = network(), text(1000, starts=(0, 10, 700))
    exact = -slowly(net, tokens).mean() / math.log(2)
    assert held_out_bits(net, tokens, warm=1000, width=100) == pytest.approx(exact, abs=1e-12)
    assert held_out_bits(net, tokens, warm=30, width=100) == pytest.approx(exact, abs=1e-3)


def test_next_distributions_agree_with_scores_and_sum_to_one():
    model = small().fit(text(300), vocab_size=V)
    document = text(30, seed=1)
    stepwise = [model.next_log_probs(document.ids[:t], bos=0) for t in range(30)]
    np.testing.assert_allclose(np.exp(stepwise).sum(axis=1), 1.0, atol=1e-12)
    chosen = np.array(stepwise)[np.arange(30), document.ids]
    np.testing.assert_allclose(chosen, model.log_probs(document), atol=1e-6)
    contexts = [document.ids[:t] for t in (5, 0, 12, 1)]
    together = model.next_log_probs(contexts, bos=0)
    np.testing.assert_allclose(together, [stepwise[t] for t in (5, 0, 12, 1)], atol=1e-6)
    np.testing.assert_allclose(model.next_log_probs(document.ids[:4], bos=0), stepwise[4], atol=1e-6)


def test_generation_reads_each_token_once(monkeypatch):
    model = small().fit(text(300), vocab_size=V)
    read = []
    forward = ScratchNetwork.forward
    monkeypatch.setattr(
        ScratchNetwork,
        "forward",
        lambda self, ids, state: (read.append(len(ids)), forward(self, ids, state))[1],
    )
    context = [1, 2, 3]
    for _ in range(20):
        context.append(int(model.next_log_probs(context).argmax()))
    assert sum(read) == 4 + 19  # bos and the prompt, then a token a step


# The model -------------------------------------------------------------------------------------------


def test_saved_and_restored_scores_are_the_same_bits():
    model = small().fit(text(300), vocab_size=V)
    again = small()
    again.restore(model.state(), V)
    np.testing.assert_array_equal(again.log_probs(text(50)), model.log_probs(text(50)))
    assert model.parameters == V * 16 + 16 * 16 + 16 + 16 * V + V
    with pytest.raises(InputError, match="shapes"):
        again.restore(model.state(), V + 1)


def test_a_network_that_amplifies_its_rounding_is_kept_in_double_precision():
    # Large recurrent weights make the states chaotic: what differs in the last digit soon differs in the first.
    wild = {"scale": 3.0, "lr": 1e-6, "epochs": 1}
    assert rounding(small().fit(text(300), vocab_size=V).network, text(300)) < 1e-6
    model = small(**wild).fit(text(300), vocab_size=V)
    assert {p.dtype for p in model.network.parameters()} == {torch.float64}
    contexts = [text(200).ids[:t] for t in (3, 60, 199)]
    chosen = model.next_log_probs(contexts, bos=0)[np.arange(3), text(200).ids[[3, 60, 199]]]
    np.testing.assert_allclose(chosen, model.log_probs(text(200))[[3, 60, 199]], atol=1e-9)
    again = small(**wild)
    again.restore(model.state(), V)
    np.testing.assert_array_equal(again.log_probs(text(200)), model.log_probs(text(200)))


@pytest.mark.parametrize(("key", "value"), [("hidden", "0"), ("lr", "-1"), ("epochs", "0"), ("clip", "0")])
def test_impossible_options_are_named(key, value):
    with pytest.raises(InputError, match=f"{key}={value} must be"):
        make_model("rnn-scratch", **{key: value})


def test_the_books_preset_trains_on_its_first_tokens_to_the_end():
    model = make_model("d2l-8.5", sampling="random")
    assert (model.hidden, model.lr, model.epochs, model.max_tokens, model.patience) == (
        512,
        1.0,
        500,
        10_000,
        None,
    )
    model.hidden, model.epochs, model.max_tokens = 8, 2, 3 * 40
    model.batch, model.steps = 2, 8
    model.fit(text(1000), vocab_size=V)
    assert model.history[-1]["tokens"] <= 2 * 120


# Contexts and learning while reading ------------------------------------------------------------------


def test_reset_context_begins_afresh_every_few_tokens():
    model = small(context="reset").fit(text(300), vocab_size=V)
    tokens = text(30, seed=1, starts=(0, 13))
    # Pieces of 8 steps in each document; a piece's first input is the token before it.
    begins, ends = np.array([0, 8, 13, 21, 29]), np.array([8, 13, 21, 29, 30])
    expected = []
    for begin, end in zip(begins, ends, strict=True):
        before = tokens.bos if begin in (0, 13) else int(tokens.ids[begin - 1])
        expected.append(slowly(model.network, Tokens(tokens.ids[begin:end], np.array([0]), before)))
    np.testing.assert_allclose(model.log_probs(tokens), np.concatenate(expected), atol=1e-5)


def test_fixed_context_is_the_tokens_before_alone():
    model = small(context="fixed:3").fit(text(300), vocab_size=V)
    tokens = text(20, seed=1)
    scores = model.log_probs(tokens)
    other = Tokens.of(tokens.ids.copy())
    other.ids[8] = tokens.ids[8] % (V - 1) + 1
    np.testing.assert_allclose(model.log_probs(other)[12:], scores[12:], atol=1e-6)  # sees 9, 10, 11
    assert not np.allclose(model.log_probs(other)[11], scores[11], atol=1e-6)  # sees 8, 9, 10
    expected = [slowly(model.network, Tokens(tokens.ids[9:12], np.array([0]), int(tokens.ids[8])))[-1]]
    np.testing.assert_allclose(scores[11:12], expected, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"context": "reset"}, {"context": "fixed:5"}, {"dynamic": 0.01}, {"sampling": "random"}]
)
def test_the_laws_of_the_contract(options):
    model = small(**options)
    assert check_model(model, length=80) == {}
    again = small(**options)
    again.restore(model.state(), model.vocab_size)
    np.testing.assert_array_equal(again.log_probs(text(50)), model.log_probs(text(50)))


def test_dynamic_evaluation_learns_a_new_text_and_forgets_it_afterwards():
    train, other = text(1000), Tokens.of(text(600, seed=1).ids[::-1].copy())
    still = small(epochs=10).fit(train, vocab_size=V)
    moving = small(epochs=10, dynamic=0.01).fit(train, vocab_size=V)
    assert moving.traits.adaptive
    assert not still.traits.adaptive
    assert moving.log_probs(other)[300:].mean() > still.log_probs(other)[300:].mean() + 0.5
    np.testing.assert_allclose(moving.log_probs(other)[:20], still.log_probs(other)[:20], atol=1e-5)
    np.testing.assert_array_equal(moving.log_probs(other), moving.log_probs(other))


def test_a_dynamic_step_is_the_rms_rule_of_krause_and_others():
    net, tokens = network(), text(11)
    first = [p.detach().clone() for p in net.parameters()]
    squares = [
        torch.rand(p.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) for p in first
    ]
    squares[2].zero_()  # what training never touched
    rate, pull, segment = 0.05, 0.4, 5
    dynamic = DynamicEvaluation(net, squares, rate, pull, segment)
    scores = dynamic.score(tokens)
    assert all(torch.equal(p, w) for p, w in zip(net.parameters(), first, strict=True))

    expected, state = [], net.start(1)
    inputs = np.append(tokens.bos, tokens.ids[:-1])
    roots = [m.sqrt() for m in squares]
    mean = sum(r.sum() for r in roots) / sum((r > 0).sum() for r in roots)
    for begin in (0, 5, 10):
        ids = torch.from_numpy(inputs[begin : begin + 5]).long()[:, None]
        targets = torch.from_numpy(tokens.ids[begin : begin + 5]).long()
        logits, state = net(ids, tuple(s.detach() for s in state))
        nats = logits[:, 0].log_softmax(-1)[torch.arange(len(targets)), targets]
        expected += nats.tolist()
        gradients = torch.autograd.grad(-nats.mean(), list(net.parameters()))
        with torch.no_grad():
            for p, g, r, w in zip(net.parameters(), gradients, roots, first, strict=True):
                p += (w - p) * (pull * r / mean).clamp(max=1.0) - rate * g / (r + 0.3 * mean)
    np.testing.assert_allclose(scores, expected, atol=1e-12)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "mingru", "transformer", "mlp"])
def test_every_network_goes_on_learning_as_it_scores(name):
    train, other = text(400), Tokens.of(text(300, seed=1).ids[::-1].copy())
    options = {"epochs": 2, "lr": 0.02} | ({"layers": 1} if name in ("mingru", "transformer") else {})
    still = small(name, **options).fit(train, vocab_size=V)
    moving = small(name, **options, dynamic=0.005, dynamic_steps=10).fit(train, vocab_size=V)
    assert moving.log_probs(other)[150:].mean() > still.log_probs(other)[150:].mean() + 0.1
    assert check_model(moving, length=25) == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", ["rnn-scratch", "rnn", "gru", "lstm", "mingru", "transformer", "mlp"])
def test_on_a_gpu_a_network_goes_on_learning_as_on_a_processor(name):
    options = {"epochs": 1, "dynamic": 0.005, "dynamic_steps": 10}
    model = small(name, device="cpu", **options).fit(text(400), vocab_size=V)
    again = small(name, device="cuda", **options)
    again.restore(model.state(), V)
    np.testing.assert_allclose(again.log_probs(text(300, 1)), model.log_probs(text(300, 1)), atol=0.01)
    found = [mean_squares(each.network, text(400), np.random.default_rng(0), 10) for each in (model, again)]
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(theirs.cpu(), mine, rtol=0.05, atol=1e-5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("context", "fixed:0"),
        ("context", "none"),
        ("dynamic", "-1"),
        ("dynamic_decay", "-1"),
        ("dynamic_steps", "0"),
        ("time_limit", "0"),
    ],
)
def test_impossible_ways_of_scoring_are_named(key, value):
    with pytest.raises(InputError, match=f"{key}={value} must be"):
        make_model("rnn-scratch", **{key: value})

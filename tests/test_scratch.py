"""The recurrent network from scratch, and what every neural model gets from the shared loop and scorer."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from lmbench.files import InputError
from lmbench.models import Monitor, make_model
from lmbench.models.laws import check_model
from lmbench.models.network import held_out_bits, score
from lmbench.models.scratch import RnnScratch, ScratchNetwork, one_hot
from lmbench.models.training import Recipe, clip_gradients, minibatches
from lmbench.text import Tokens

V = 7


def network(hidden: int = 5, scale: float = 0.5, seed: int = 0) -> ScratchNetwork:
    """Weights large enough that states matter, in float64."""
    return ScratchNetwork(V, hidden, scale, scale, torch.Generator().manual_seed(seed)).double()


def text(length: int, seed: int = 0, starts: tuple[int, ...] = (0,)) -> Tokens:
    """A noisy cycle: each token is mostly the one before plus one, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    ids = np.cumsum(rng.random(length) < 0.9) % (V - 1) + 1
    return Tokens(ids.astype(np.int32), np.array(starts, dtype=np.int64), bos=0)


def small(**options) -> RnnScratch:
    options = {
        "hidden": 16,
        "batch": 4,
        "steps": 8,
        "epochs": 3,
        "scale": 0.1,
        "clip": 1.0,
        "lr": 1.0,
    } | options
    return RnnScratch(**options)


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


def test_gradients_are_projected_onto_the_ball():
    a, b = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))
    a.grad, b.grad = torch.tensor([1.0, 2.0]), torch.tensor([2.0])
    assert clip_gradients([a, b], 10.0) == pytest.approx(3.0)  # sqrt(1 + 4 + 4); inside: untouched
    assert a.grad.tolist() == [1.0, 2.0]
    clip_gradients([a, b], 1.5)  # g * 1.5 / 3
    assert a.grad.tolist() == [0.5, 1.0]
    assert b.grad.tolist() == [1.0]


# Minibatches and state -------------------------------------------------------------------------------


def test_sequential_minibatches_carry_the_state_and_random_ones_do_not():
    tokens = text(200)
    for sampling, carried in [("sequential", True), ("random", False)]:
        recipe = Recipe(batch=3, steps=8, sampling=sampling)
        goes_on = [c for _, _, c in minibatches(tokens, recipe, np.random.default_rng(0))]
        assert goes_on == [False] + [carried] * (len(goes_on) - 1)


def test_training_on_one_lane_in_pieces_carries_values_but_no_gradient():
    # With lr -> 0 the weights stay, so that the loss in pieces of 5 steps is that of the whole lane.
    net, tokens = network(), text(41)
    from lmbench.models.training import Trainer

    trainer = Trainer(
        net,
        Recipe(lr=1e-12, steps=5, batch=1),
        tokens,
        None,
        np.random.default_rng(0),
        torch.Generator(),
        Monitor(),
    )
    total = 0.0
    for start in range(0, 40, 5):
        x, y = tokens.ids[None, start : start + 5], tokens.ids[None, start + 1 : start + 6]
        total += 5 * trainer._step(x, y, start > 0)
        assert not trainer.state[0].requires_grad
    logits, _ = net(torch.from_numpy(tokens.ids[:40, None]).long(), net.start(1))
    whole = torch.nn.functional.cross_entropy(logits[:, 0], torch.from_numpy(tokens.ids[1:]).long())
    assert total / 40 == pytest.approx(float(whole.detach()), abs=1e-9)


def test_short_documents_are_rows_that_begin_with_bos_and_every_token_is_predicted_once():
    starts = (0, 3, 10, 11, 20, 28, 33, 39)
    tokens = text(45, starts=starts)
    recipe = Recipe(batch=2, steps=8)
    seen = []
    for x, y, continues in minibatches(tokens, recipe, np.random.default_rng(0)):
        assert not continues
        assert (x[:, 0] == tokens.bos).all()
        for row, target in zip(x, y, strict=True):
            kept = target[target >= 0]
            np.testing.assert_array_equal(row[1 : len(kept)], kept[:-1])
            seen.append(kept.tolist())
    assert sorted(seen) == sorted(d.tolist() for d in tokens.documents())


@pytest.mark.parametrize("length", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("sampling", ["sequential", "random"])
def test_tiny_texts_train_with_smaller_minibatches(length, sampling):
    model = small(sampling=sampling, batch=32, steps=35).fit(text(length), vocab_size=V)
    assert np.isfinite(model.log_probs(text(20))).all()


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
    stepwise = [model.next_log_probs(document.ids[:t]) for t in range(30)]
    np.testing.assert_allclose(np.exp(stepwise).sum(axis=1), 1.0, atol=1e-12)
    chosen = np.array(stepwise)[np.arange(30), document.ids]
    np.testing.assert_allclose(chosen, model.log_probs(document), atol=1e-6)
    contexts = [document.ids[:t] for t in (5, 0, 12, 1)]
    together = model.next_log_probs(contexts, bos=0)
    np.testing.assert_allclose(together, [stepwise[t] for t in (5, 0, 12, 1)], atol=1e-6)
    np.testing.assert_allclose(model.next_log_probs(document.ids[:4]), stepwise[4], atol=1e-6)


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


# Training --------------------------------------------------------------------------------------------


def test_learns_the_cycle():
    # 90% "plus one", 10% "the same": 0.469 bits a token; the untrained network spends log2 7 = 2.8.
    model = small(epochs=20).fit(text(3000), text(500, seed=1), vocab_size=V)
    assert -model.log_probs(text(500, seed=2)).mean() / math.log(2) < 0.7
    assert [h["epoch"] for h in model.history] == list(range(1, len(model.history) + 1))
    assert set(model.history[0]) == {"epoch", "tokens", "seconds", "train_bits", "valid_bits"}


def test_a_seed_determines_the_fit_and_no_global_generator_is_touched():
    before = torch.get_rng_state()
    one, two = (small().fit(text(300), text(50), V, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.log_probs(text(40)), two.log_probs(text(40)))
    other = small().fit(text(300), text(50), V, np.random.default_rng(4))
    assert not np.array_equal(one.log_probs(text(40)), other.log_probs(text(40)))
    assert torch.equal(before, torch.get_rng_state())


def test_early_stopping_keeps_the_best_weights():
    # Held-out text runs the cycle backwards: the better the fit, the worse it is on it.
    train, valid = text(400), Tokens.of(text(400).ids[::-1].copy())
    model = small(epochs=30, patience=2).fit(train, valid, vocab_size=V)
    bits = [h["valid_bits"] for h in model.history]
    assert len(bits) < 30
    assert len(bits) - 1 - int(np.argmin(bits)) == 2
    kept = -model.log_probs(valid).mean() / math.log(2)
    assert kept == pytest.approx(min(bits), abs=2e-3)


def test_without_patience_all_epochs_are_trained_and_the_last_weights_kept():
    train, valid = text(400), Tokens.of(text(400).ids[::-1].copy())
    model = small(epochs=10, patience=None).fit(train, valid, vocab_size=V)
    bits = [h["valid_bits"] for h in model.history]
    assert len(bits) == 10
    assert -model.log_probs(valid).mean() / math.log(2) == pytest.approx(bits[-1], abs=2e-3)


@pytest.mark.parametrize("lr", [1e38, 1e4])
def test_divergence_stops_with_advice(lr):
    model = small(lr=lr, clip=1e6).fit(text(300), text(50), vocab_size=V)
    assert "training stopped in epoch 1" in model.notes[0]
    assert f"try lr={lr / 4:g}" in model.notes[0]
    assert np.isfinite(model.log_probs(text(40))).all()


def test_time_limit_ends_training():
    model = small(epochs=10**6, time_limit=0.3, patience=None).fit(text(2000), vocab_size=V)
    assert model.history[-1]["seconds"] < 5
    assert np.isfinite(model.log_probs(text(40))).all()


class Killed(Exception):
    pass


class Killer(Monitor):
    """Keeps a checkpoint after every minibatch, and kills the fit after a number of them."""

    def __init__(self, checkpoint: Path, after: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checkpoint, self.left = checkpoint, after
        monkeypatch.setattr("lmbench.models.training.CHECKPOINT_SECONDS", -1.0)
        monkeypatch.setattr("lmbench.models.training.REPORT_SECONDS", -1.0)

    def progress(self, done: float, total: float, note: str = "") -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rnn-scratch", {}),
        ("rnn-scratch", {"sampling": "random"}),
        ("lstm", {"direct": 2, "noise": 0.1, "weight_drop": 0.2}),
        ("transformer", {}),
    ],
)
def test_a_killed_fit_goes_on_bit_for_bit(name, options, tmp_path, monkeypatch):
    # Weights, moments, running mean, hidden state, place in the text, and generators (of masks and minibatches).
    def fit(monitor):
        model = make_model(name, **({"hidden": 16, "batch": 4, "steps": 8, "epochs": 4} | options))
        return model.fit(text(300), text(60), V, rng=np.random.default_rng(5), monitor=monitor)

    whole = fit(Monitor())
    path = tmp_path / "fit.npz"
    for after in (3, 7, 9):  # in the middle of epochs; an epoch has 9 minibatches
        with pytest.raises(Killed):
            fit(Killer(path, after, monkeypatch))
    resumed = fit(Killer(path, None, monkeypatch))
    np.testing.assert_array_equal(resumed.log_probs(text(40)), whole.log_probs(text(40)))
    assert [h["train_bits"] for h in resumed.history] == [h["train_bits"] for h in whole.history]
    assert [h["valid_bits"] for h in resumed.history] == [h["valid_bits"] for h in whole.history]


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_not_gone_on_with(tmp_path, monkeypatch):
    path = tmp_path / "fit.npz"
    with pytest.raises(Killed):
        small().fit(text(300), None, V, monitor=Killer(path, 5, monkeypatch))
    fresh = small(lr=0.5).fit(text(300), None, V)
    np.testing.assert_array_equal(
        small(lr=0.5).fit(text(300), None, V, monitor=Killer(path, None, monkeypatch)).log_probs(text(9)),
        fresh.log_probs(text(9)),
    )
    path.write_bytes(path.read_bytes()[:500])
    model = small(lr=0.5).fit(text(300), None, V, monitor=Killer(path, None, monkeypatch))
    np.testing.assert_array_equal(model.log_probs(text(9)), fresh.log_probs(text(9)))
    assert "damaged" in model.notes[0]


# The model -------------------------------------------------------------------------------------------


def test_saved_and_restored_scores_are_the_same_bits():
    model = small().fit(text(300), vocab_size=V)
    again = small()
    again.vocab_size = V
    again._restore(model._state())
    np.testing.assert_array_equal(again.log_probs(text(50)), model.log_probs(text(50)))
    assert model.parameters == V * 16 + 16 * 16 + 16 + 16 * V + V
    again.vocab_size = V + 1
    with pytest.raises(InputError, match="shapes"):
        again._restore(model._state())


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
    again.vocab_size = model.vocab_size
    again._restore(model._state())
    np.testing.assert_array_equal(again.log_probs(text(50)), model.log_probs(text(50)))


def test_dynamic_evaluation_learns_a_new_text_and_forgets_it_afterwards():
    train, other = text(1000), Tokens.of(text(600, seed=1).ids[::-1].copy())
    still = small(epochs=10).fit(train, vocab_size=V)
    moving = small(epochs=10, dynamic=0.01).fit(train, vocab_size=V)
    assert moving.adaptive
    assert not still.adaptive
    assert moving.log_probs(other)[300:].mean() > still.log_probs(other)[300:].mean() + 0.5
    np.testing.assert_allclose(moving.log_probs(other)[:20], still.log_probs(other)[:20], atol=1e-5)
    np.testing.assert_array_equal(moving.log_probs(other), moving.log_probs(other))


@pytest.mark.parametrize(
    ("key", "value"), [("context", "fixed:0"), ("context", "none"), ("dynamic", "-1"), ("time_limit", "0")]
)
def test_impossible_ways_of_scoring_are_named(key, value):
    with pytest.raises(InputError, match=f"{key}={value} must be"):
        make_model("rnn-scratch", **{key: value})

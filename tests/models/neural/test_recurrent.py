"""Hand-written gradients against torch's own, and the recurrent networks' regularisers and options."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cycle import V, small, text
from streamed import check_state

from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import check_model
from lmbench.models.neural.network import Network, dropped, score
from lmbench.models.neural.plain_cell import PlainRecurrence
from lmbench.models.neural.scratch import ScratchNetwork
from lmbench.models.neural.transformer import rotate
from lmbench.text.tokens import Tokens


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(name: str, **options) -> Network:
    usual = {"hidden": 6, "dropout": 0.0, "direct": 0}
    if name in ("rnn", "gru", "lstm"):
        usual |= {"layers": 1, "embedding": 0, "weight_drop": 0.0, "input_scale": 0.5, "tied": False}
    model = make_model(name, **usual | options)
    model.vocab_size = V
    return model._network(generator()).double()


# Gradients -------------------------------------------------------------------------------------------


def test_backward_through_time_agrees_with_numerical_differences():
    Z = torch.randn(4, 2, 3, dtype=torch.float64, generator=generator(), requires_grad=True)
    first = torch.randn(2, 3, dtype=torch.float64, generator=generator(1), requires_grad=True)
    W = torch.randn(3, 3, dtype=torch.float64, generator=generator(2), requires_grad=True)
    assert torch.autograd.gradcheck(PlainRecurrence.apply, (Z, first, W))


def test_scratch_and_hand_written_and_library_agree_on_loss_and_gradients():
    scratch = ScratchNetwork(V, 6, 0.5, 0.5, generator()).double()
    ours = network("rnn")
    library = torch.nn.RNN(V, 6, dtype=torch.float64)
    with torch.no_grad():
        ours.cells[0].weight_ih_l0.copy_(scratch.W_xh)
        ours.cells[0].weight_hh_l0.copy_(scratch.W_hh)
        ours.cells[0].bias_ih_l0.copy_(scratch.b_h)
        ours.output.copy_(scratch.W_hq)
        ours.bias.copy_(scratch.b_q)
        library.weight_ih_l0.copy_(scratch.W_xh.T)
        library.weight_hh_l0.copy_(scratch.W_hh.T)
        library.bias_ih_l0.copy_(scratch.b_h)
        library.bias_hh_l0.zero_()
    ids = torch.randint(V, (21, 3), generator=generator(3))
    first = torch.randn(3, 6, dtype=torch.float64, generator=generator(4))

    def loss(logits):
        return torch.nn.functional.cross_entropy(logits[:-1].flatten(0, 1), ids[1:].flatten())

    losses = [loss(net(ids, (first,))[0]) for net in (scratch, ours)]
    hidden, _ = library(torch.nn.functional.one_hot(ids, V).double(), first[None])
    losses.append(loss(hidden @ scratch.W_hq.detach() + scratch.b_q.detach()))
    for value in losses:
        value.backward()
        assert float(value.detach()) == pytest.approx(float(losses[0].detach()), abs=1e-12)
    theirs = (library.weight_ih_l0.grad.T, library.weight_hh_l0.grad.T, library.bias_ih_l0.grad)
    cell = ours.cells[0]
    mine = (cell.weight_ih_l0.grad, cell.weight_hh_l0.grad, cell.bias_ih_l0.grad)
    for plain, a, b in zip(
        (scratch.W_xh.grad, scratch.W_hh.grad, scratch.b_h.grad), mine, theirs, strict=True
    ):
        torch.testing.assert_close(a, plain, rtol=0, atol=1e-12)
        torch.testing.assert_close(b, plain, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.output.grad, scratch.W_hq.grad, rtol=0, atol=1e-12)


def test_in_single_precision_the_recurrence_and_its_gradients_are_those_of_the_formula():
    # Here products read weights that were brought into the kernel's order.
    drawn = generator(7)
    given = [torch.randn(*shape, generator=drawn) for shape in ((9, 4, 24), (4, 24), (24, 24))]
    given[2] /= 5
    weight = torch.randn(9, 4, 24, generator=drawn)

    def plainly(Z, h, W):
        rows = []
        for z in Z:
            h = torch.tanh(z + h @ W)
            rows.append(h)
        return torch.stack(rows)

    found = []
    for recurrence, kind in ((PlainRecurrence.apply, torch.float32), (plainly, torch.float64)):
        inputs = [x.to(kind).requires_grad_() for x in given]
        H = recurrence(*inputs)
        found.append([H, *torch.autograd.grad((H * weight).sum(), inputs)])
    for mine, exact in zip(*found, strict=True):
        torch.testing.assert_close(mine, exact.float(), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_one_hot_input_is_an_embedding_by_the_unit_matrix(cell):
    direct, embedded = network(cell), network(cell, embedding=V)
    shared = dict(direct.named_parameters())
    with torch.no_grad():
        for name, p in embedded.named_parameters():
            p.copy_(torch.eye(V) if name == "embedding" else shared[name])
    ids = torch.randint(V, (9, 3), generator=generator(3))
    torch.testing.assert_close(direct(ids, direct.start(3))[0], embedded(ids, embedded.start(3))[0])


def filled(net: Network) -> Network:
    torch.nn.init.normal_(net.grams, generator=generator(5))
    return net


SMALL_TRANSFORMER = {"hidden": 8, "layers": 2, "heads": 2, "window": 5}
NETWORKS = {
    "rnn": lambda: network("rnn", layers=2),
    "gru": lambda: network("gru", layers=2),
    "lstm": lambda: network("lstm", layers=2),
    "lstm with direct n-grams": lambda: filled(network("lstm", direct=3)),
    "transformer": lambda: network("transformer", **SMALL_TRANSFORMER),
    "transformer with direct n-grams": lambda: filled(network("transformer", **SMALL_TRANSFORMER, direct=3)),
    "mlp": lambda: network("mlp", window=4, embedding=3),
    "mlp with direct n-grams": lambda: filled(network("mlp", window=2, embedding=3, direct=4)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_state_carries_everything(name):
    check_state(NETWORKS[name](), V)


@pytest.mark.parametrize(("name", "reach"), [("transformer", 2 * 4 + 1), ("mlp", 4)])
def test_windows_reach_as_far_as_they_say(name, reach):
    # Two layers that see 5 tokens each, the present one included, reach 2 * 4 tokens back; the perceptron sees 4.
    net: Network = NETWORKS[name]()
    ids = torch.randint(V, (20, 1), generator=generator(3))
    changed = ids.clone()
    changed[6] = (ids[6] + 1) % V
    differs = (net(ids, net.start(1))[0] != net(changed, net.start(1))[0]).any(-1)[:, 0]
    assert torch.nonzero(differs)[:, 0].tolist() == list(range(6, 6 + reach))


@pytest.mark.parametrize(
    ("net", "products"),
    [
        (lambda: network("rnn"), 6 * 6 + 6 * V),  # the input is looked up: H² + H V
        (lambda: network("rnn", embedding=3), 3 * 6 + 6 * 6 + 6 * V),
        (lambda: network("rnn", embedding=6, tied=True), 6 * 6 + 6 * 6 + V * 6),
        (lambda: network("lstm", embedding=3, layers=2), 4 * (3 * 6 + 3 * 6 * 6) + 6 * V),
        (lambda: ScratchNetwork(V, 6, 0.1, 0.1, generator()), 6 * 6 + 6 * V),
        (NETWORKS["mlp"], 4 * 3 * 6 + 6 * V),
    ],
)
def test_cost_of_learning_from_a_token(net, products):
    assert net().training_flops == 6 * products


# Regularisers ------------------------------------------------------------------------------------------


def test_dropout_keeps_its_mask_through_a_row_and_its_mean():
    ones = torch.ones(5, 400, 6, dtype=torch.float64)
    found = dropped(ones, 0.3, generator(), ones.shape[1:])
    torch.testing.assert_close(found[0], found[4])
    assert set(found.unique().tolist()) == {0.0, 1 / 0.7}
    # mean of 2400 Bernoulli(0.7)/0.7: standard deviation sqrt(0.3/0.7/2400) = 0.013
    assert float(found[0].mean()) == pytest.approx(1.0, abs=0.06)


def test_dropout_acts_in_training_alone():
    net = network("lstm", dropout=0.5)
    ids = torch.randint(V, (9, 3), generator=generator(3))
    net.train()
    assert not torch.equal(net(ids, net.start(3))[0], net(ids, net.start(3))[0])
    net.eval()
    torch.testing.assert_close(net(ids, net.start(3))[0], net(ids, net.start(3))[0], rtol=0, atol=0)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_dropped_recurrent_weights_reach_the_cell_and_their_gradient_comes_back(cell):
    net = network(cell, weight_drop=0.999999)  # nothing recurrent is left
    ids = torch.tensor([[1, 1], [2, 3]])
    net.train()
    logits, _ = net(ids[:1], net.start(2))
    kept = net.cells[0].weight_hh_l0.detach().clone()
    state = tuple(torch.ones_like(s) if i == 0 else s for i, s in enumerate(net.start(2)))
    moved, _ = net(ids[:1], state)
    if cell != "gru":  # the GRU also passes its state on beside the weights
        torch.testing.assert_close(moved, logits)
    net.weight_drop = 0.5
    net(ids, state)[0].square().sum().backward()
    gradient = net.cells[0].weight_hh_l0.grad
    assert 0.2 < float((gradient == 0).double().mean()) < 0.8
    torch.testing.assert_close(net.cells[0].weight_hh_l0.detach(), kept)


def test_noise_replaces_tokens_by_others_of_the_minibatch():
    net = network("rnn", noise=0.25)
    net.train()
    ids = torch.arange(4000).view(40, 100)
    noised = net._noised(ids)
    assert int(noised.max()) < 4000
    # Binomial(4000, 0.25): mean 1000, standard deviation 27
    assert int((noised != ids).sum()) == pytest.approx(1000, abs=140)
    net.eval()
    torch.testing.assert_close(net._noised(ids), ids)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("embedding", [0, 4])
def test_a_dropped_token_is_read_as_nothing_through_the_minibatch(cell, embedding):
    net = network(cell, embedding=embedding, embedding_dropout=0.5)
    ids = torch.arange(V).repeat(2, 1)[:, :V]  # each row reads its token twice
    net.train()
    net.generator.manual_seed(3)
    logits, _ = net(ids, net.start(V))
    net.eval()
    nothing, _ = net(torch.full((2, 1), -1), net.start(1))
    dropped_rows = [torch.allclose(logits[:, i], nothing[:, 0]) for i in range(V)]
    assert 0 < sum(dropped_rows) < V
    assert not any(torch.allclose(logits[0, i], nothing[0, 0]) for i in range(V) if not dropped_rows[i])


def test_inputs_and_outputs_have_dropouts_of_their_own():
    ids = torch.randint(V, (9, 3), generator=generator(3))
    plain = network("lstm", embedding=6, layers=2)
    expected, _ = plain(ids, plain.start(3))
    for options, differs in (
        ({"output_dropout": 0.0, "dropout": 0.0}, False),
        ({"input_dropout": 0.5}, True),
    ):
        net = network("lstm", embedding=6, layers=2, **options).train()
        assert torch.equal(net(ids, net.start(3))[0], expected) != differs
    # One layer: what lies between layers is nowhere, what follows the last is the output's.
    net = network("lstm", dropout=0.9, output_dropout=0.0).train()
    assert torch.equal(net(ids, net.start(3))[0], net.eval()(ids, net.start(3))[0])


def test_the_penalty_is_of_what_is_left_and_of_the_change_of_what_was():
    net = network("lstm", activation=2.0, slowness=3.0, dropout=0.5).train()
    kept: dict[str, torch.Tensor] = {}
    penalty = net._penalty
    net._penalty = lambda raw, x: kept.update(raw=raw, x=x) or penalty(raw, x)
    ids = torch.randint(V, (9, 3), generator=generator(3))
    net(ids, net.start(3))
    raw, x = kept["raw"], kept["x"]
    expected = 2 * (x**2).sum() / x.numel() + 3 * ((raw[1:] - raw[:-1]) ** 2).sum() / raw[1:].numel()
    assert float(net.penalty.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    net(ids[:1], net.start(3))  # nothing to change from
    assert float(net.penalty.detach()) == pytest.approx(
        float(2 * kept["x"].detach().square().mean()), rel=1e-6
    )
    without = network("lstm").train()
    without(ids, net.start(3))
    assert without.penalty == 0.0


# Models --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "transformer", "mlp"])
def test_keeps_the_laws(name):
    assert check_model(small(name), length=80) == {}


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "transformer", "mlp"])
def test_learns_the_cycle(name):
    # 90% "plus one", 10% "the same": 0.469 bits a token; the untrained network spends log2 7 = 2.8.
    shape = {"layers": 1} if name == "transformer" else {}
    model = small(name, epochs=10, batch=8, lr=0.02, **shape).fit(text(1600), text(500, seed=1), vocab_size=V)
    assert -model.log_probs(text(500, seed=2)).mean() / math.log(2) < 0.75


@pytest.mark.parametrize(
    "options",
    [
        {"activation": 2.0, "slowness": 1.0},
        {"layers": 2, "weight_drop": 0.2, "direct": 2},
        {"tied": True, "embedding_dropout": 0.1, "input_dropout": 0.1},
        {"bptt": "full", "optimizer": "muon"},
    ],
)
def test_saved_and_restored_scores_are_the_same_bits(options):
    model = small("lstm", **options).fit(text(300), text(50), vocab_size=V)
    again = small("lstm", **options)
    again.restore(model.state(), V)
    np.testing.assert_array_equal(again.log_probs(text(50)), model.log_probs(text(50)))


def test_documents_are_scored_each_from_its_start():
    model = small("lstm").fit(text(300), vocab_size=V)
    together = model.log_probs(text(60, starts=(0, 10, 25)))
    apart = [model.log_probs(Tokens.of(d, 0)) for d in text(60, starts=(0, 10, 25)).documents()]
    np.testing.assert_allclose(together, np.concatenate(apart), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "parameter", "row"),
    [
        ("rnn-scratch", {}, "W_xh", 0),
        ("rnn", {}, "cells.0.weight_ih_l0", 0),
        ("gru", {}, "cells.0.weight_ih_l0", (slice(None), 0)),
        ("lstm", {}, "cells.0.weight_ih_l0", (slice(None), 0)),
        ("lstm", {"embedding": 6}, "embedding", 0),
        ("transformer", {"heads": 2}, "embedding.weight", 0),
    ],
)
def test_nothing_is_read_as_a_token_whose_numbers_are_zeros(name, options, parameter, row):
    model = small(name, **options).fit(text(300).ids, vocab_size=V)  # 0 does not occur in it
    contexts = [[], [2, 3]]
    after_nothing = model.next_log_probs(contexts)
    with torch.no_grad():
        dict(model.network.named_parameters())[parameter][row] = 0
    np.testing.assert_allclose(model.next_log_probs(contexts, bos=0), after_nothing, atol=1e-6)


def test_a_window_reads_nothing_before_a_document_that_begins_after_nothing():
    net = small("mlp").fit(text(300).ids, vocab_size=V).network
    (before,) = net.start(1)
    logits, (after,) = net(torch.tensor([[-1], [3]]), (before,))
    other, _ = net(torch.tensor([[3]]), (before,))
    torch.testing.assert_close(logits[1], other[0])
    assert (after[0, -2:].tolist(), before.unique().tolist()) == ([V, 3], [V])


def test_a_large_vocabulary_is_embedded_and_tied():
    model = small("lstm", hidden=8).fit(text(100), vocab_size=1500)
    assert model.network.output is None
    assert model.network.embedding.shape == (1500, 8)


def test_direct_ngrams_are_for_small_vocabularies():
    assert small("lstm", direct=None).fit(text(100), vocab_size=V).network.direct == 5
    assert small("lstm", direct=None, hidden=8).fit(text(100), vocab_size=1500).network.direct == 0


def test_averaged_weights_are_what_is_kept():
    # A decay so near 1 that the mean hardly leaves the first weights; its warm-up min(d, (1+n)/(10+n)) does move it.
    moved = small("lstm", average=0.99).fit(text(300), vocab_size=V)
    last = small("lstm", average=0.0).fit(text(300), vocab_size=V)
    assert not np.array_equal(moved.state()["bias"], last.state()["bias"])


@pytest.mark.parametrize(
    ("key", "value"),
    [("dropout", "1"), ("weight_drop", "-0.1"), ("layers", "0"), ("output_dropout", "1"), ("slowness", "-1")],
)
def test_impossible_options_are_named(key, value):
    with pytest.raises(InputError, match=f"{key}={value} must be"):
        make_model("lstm", **{key: value})


def test_tying_needs_an_embedding_of_the_hidden_size():
    with pytest.raises(InputError, match="embedding=320"):
        make_model("lstm", tied=True, embedding=10)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_scores_on_the_gpu_agree():
    net, tokens = network("lstm").float(), text(300)
    on_cpu = score(net, tokens)
    np.testing.assert_allclose(score(net.cuda(), tokens), on_cpu, atol=1e-4)


def test_positions_far_apart_are_told_from_each_other_in_bfloat16():
    x = torch.randn(1, 1, 1000, 8, generator=generator())
    exact, rounded = rotate(x.bfloat16().float(), 0), rotate(x.bfloat16(), 0)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0.01, atol=0.01)


def test_another_context_of_a_fitted_model_is_saved_and_restored_too():
    model = small("lstm", dynamic=0.001).fit(text(300), text(50), vocab_size=V)
    again = small("lstm", dynamic=0.001)
    again.restore(model.with_context("carry").state(), V)
    np.testing.assert_array_equal(again.log_probs(text(50)), model.log_probs(text(50)))
    still = small("lstm").fit(
        text(300), Tokens(text(1).ids[:0], np.zeros(1, dtype=np.int64), 0), vocab_size=V
    )
    by_three = still.with_context("reset", 3)
    assert (by_three.context, by_three.steps, still.context) == ("reset", 3, "carry")
    assert by_three.log_probs(text(50)).sum() < still.log_probs(text(50)).sum()
    with pytest.raises(InputError, match="context=far"):
        still.with_context("far")

"""The training loop that every network shares: minibatches, state, stopping, and going on after a kill."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cycle import V, small, text

from lmbench.models import Monitor, make_model
from lmbench.models.laws import check_model
from lmbench.models.neural.checkpoint import DamagedCheckpoint, Progress, read_checkpoint, write_checkpoint
from lmbench.models.neural.model import NeuralModel
from lmbench.models.neural.network import Network
from lmbench.models.neural.optimizers import clip_gradients
from lmbench.models.neural.scratch import ScratchNetwork
from lmbench.models.neural.training import Trainer, minibatches
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.text.tokens import Tokens


def test_sequential_minibatches_carry_the_state_and_random_ones_do_not():
    tokens = text(200)
    for sampling, carried in [("sequential", True), ("random", False)]:
        options = make_model("rnn-scratch", batch=3, steps=8, sampling=sampling)
        goes_on = [c for _, _, c in minibatches(tokens, options, np.random.default_rng(0))]
        assert goes_on == [False] + [carried] * (len(goes_on) - 1)


def test_training_on_one_lane_in_pieces_carries_values_but_no_gradient():
    # With lr -> 0 the weights stay, so that the loss in pieces of 5 steps is that of the whole lane.
    net, tokens = ScratchNetwork(V, 5, 0.5, 0.5, torch.Generator().manual_seed(0)).double(), text(41)
    trainer = Trainer(
        net,
        make_model("rnn-scratch", lr=1e-12, steps=5, batch=1),
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
    options = make_model("rnn-scratch", batch=2, steps=8)
    seen = []
    for x, y, continues in minibatches(tokens, options, np.random.default_rng(0)):
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


def test_gradients_are_projected_onto_the_ball():
    a, b = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1))
    a.grad, b.grad = torch.tensor([1.0, 2.0]), torch.tensor([2.0])
    assert clip_gradients([a, b], 10.0) == pytest.approx(3.0)  # sqrt(1 + 4 + 4); inside: untouched
    assert a.grad.tolist() == [1.0, 2.0]
    clip_gradients([a, b], 1.5)  # g * 1.5 / 3
    assert a.grad.tolist() == [0.5, 1.0]
    assert b.grad.tolist() == [1.0]


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


def test_epochs_that_end_too_soon_are_noted_and_enough_of_them_are_not():
    train, valid = text(400), text(100, seed=2)
    short = small(epochs=2).fit(train, valid, vocab_size=V)
    gained = short.history[0]["valid_bits"] - short.history[1]["valid_bits"]
    assert gained > 0.01
    assert short.notes == [
        f"training ended after 2 epochs, the last of which still gained {gained:.3f} bits a token of held-out text; more may do "
        "better: epochs=4"
    ]
    assert small(epochs=1).fit(train, valid, vocab_size=V).notes == []  # nothing to judge by
    assert (
        small(epochs=40, patience=2).fit(train, Tokens.of(valid.ids[::-1].copy()), vocab_size=V).notes == []
    )
    assert small(epochs=2).fit(train, vocab_size=V).notes == []


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
        monkeypatch.setattr("lmbench.models.neural.training.CHECKPOINT_SECONDS", -1.0)
        monkeypatch.setattr("lmbench.models.neural.training.REPORT_SECONDS", -1.0)

    def progress(self, done: float, total: float, note: str = "") -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


KILLED: list[tuple[str, dict[str, Any]]] = [
    ("rnn-scratch", {}),
    ("rnn-scratch", {"sampling": "random"}),
    ("lstm", {"direct": 2, "noise": 0.1, "weight_drop": 0.2}),
    ("lstm", {"arithmetic": "bfloat16"}),
    ("transformer", {}),
    ("gru", {"optimizer": "muon", "embedding_dropout": 0.2, "slowness": 0.5}),
    ("mingru", {"layers": 1}),
]


def goes_on(name: str, options: dict[str, Any], path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit that was killed three times comes to the bits of one that was not."""

    def fit(monitor: Monitor) -> NeuralModel:
        model = make_model(name, **({"hidden": 16, "batch": 4, "steps": 8, "epochs": 4} | options))
        return model.fit(text(300), text(60), V, rng=np.random.default_rng(5), monitor=monitor)

    whole = fit(Monitor())
    for after in (3, 7, 9):  # in the middle of epochs; an epoch has 9 minibatches
        with pytest.raises(Killed):
            fit(Killer(path, after, monkeypatch))
    resumed = fit(Killer(path, None, monkeypatch))
    np.testing.assert_array_equal(resumed.log_probs(text(40)), whole.log_probs(text(40)))
    assert [h["train_bits"] for h in resumed.history] == [h["train_bits"] for h in whole.history]
    assert [h["valid_bits"] for h in resumed.history] == [h["valid_bits"] for h in whole.history]


@pytest.mark.parametrize(("name", "options"), KILLED)
def test_a_killed_fit_goes_on_bit_for_bit(name, options, tmp_path, monkeypatch):
    # Weights, moments, running mean, hidden state, place in the text, and generators (of masks and minibatches).
    goes_on(name, {"device": "cpu"} | options, tmp_path / "fit.npz", monkeypatch)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(
    ("name", "options"), [*KILLED, ("lstm", {"hidden": 256, "direct": 2}), ("rnn", {"hidden": 256})]
)
def test_on_a_gpu_a_killed_fit_goes_on_bit_for_bit(name, options, tmp_path, monkeypatch):
    goes_on(name, {"device": "cuda"} | options, tmp_path / "fit.npz", monkeypatch)


def test_what_was_trained_on_a_gpu_is_read_where_there_is_none(flow, tmp_path):
    scorer = Scorer.fit(small("lstm", epochs=1), flow, "char")
    scorer.model.device, scorer.model.kernel = "cuda", "triton"
    scorer.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert (again.model.device, again.model.kernel) == ("auto", "auto")
    np.testing.assert_allclose(again.score("the ferry").nats, scorer.score("the ferry").nats, atol=1e-5)


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


def test_whatever_is_changed_in_a_checkpoint_it_is_whole_or_said_to_be_damaged(tmp_path):
    path = tmp_path / "fit.npz"
    write_checkpoint(path, Progress({"a": 1}), {"best": [torch.zeros(2, 2)]}, "mine")
    whole, damaged = path.read_bytes(), 0
    for place in range(0, len(whole), 2):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            read_checkpoint(path, "mine")
        except DamagedCheckpoint:
            damaged += 1
    assert damaged > 0.3 * len(whole)
    for facts in (
        "[1]",
        "3",
        "null",
        '{"fingerprint": "mine"}',
        '{"fingerprint": "mine", "epoch_rng": {}, "new": 1}',
    ):
        np.savez(path, facts=np.array(facts))
        with pytest.raises(DamagedCheckpoint):
            read_checkpoint(path, "mine")
    np.savez(path, facts=np.array('{"fingerprint": "another\'s", "new": 1}'))
    assert read_checkpoint(path, "mine") is None


def changed_facts(**changed):
    def change(arrays):
        arrays["facts"] = np.array(json.dumps(json.loads(str(arrays["facts"])) | changed))

    return change


def changed_array(name, values):
    return lambda arrays: arrays.update({name: values(arrays[name])})


@pytest.mark.parametrize(
    "change",
    [
        changed_facts(history=[1]),
        changed_facts(epoch=-1),
        changed_facts(seconds="x"),
        changed_facts(extra=1, epoch_rng={"bit_generator": "PCG64"}),
        changed_facts(epoch_rng=3),
        changed_array("facts", lambda _: np.array("[]")),
        changed_array("weights.0", lambda w: w[:1]),
        changed_array("weights.1", lambda w: w * np.nan),
        changed_array("best.0", lambda w: w.astype("f8")),
        changed_array("generator.0", lambda g: g[:9]),
        changed_array("generator.0", lambda g: g.astype("U3")),
        lambda arrays: arrays.pop("weights.0"),
        lambda arrays: arrays.pop("generator.0"),
        changed_array("moments.1", lambda m: m[:1]),
    ],
)
def test_a_checkpoint_that_holds_something_else_is_not_gone_on_with(change, tmp_path, monkeypatch):
    path = tmp_path / "fit.npz"
    options = {"schedule": "constant", "optimizer": "adamw"}
    fresh = small("rnn", **options).fit(text(300), None, V)
    with pytest.raises(Killed):
        small("rnn", **options).fit(text(300), None, V, monitor=Killer(path, 5, monkeypatch))
    with np.load(path) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(path, **arrays)
    model = small("rnn", **options).fit(text(300), None, V, monitor=Killer(path, None, monkeypatch))
    np.testing.assert_array_equal(model.log_probs(text(9)), fresh.log_probs(text(9)))
    assert "damaged" in model.notes[0]


def test_a_checkpoint_whose_state_is_of_other_rows_goes_on_without_it(tmp_path, monkeypatch):
    path = tmp_path / "fit.npz"
    with pytest.raises(Killed):
        small().fit(text(300), None, V, monitor=Killer(path, 5, monkeypatch))
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["state.0"] = arrays["state.0"][..., :1]
    np.savez(path, **arrays)
    model = small().fit(text(300), None, V, monitor=Killer(path, None, monkeypatch))
    assert np.isfinite(model.log_probs(text(9))).all()


def test_products_in_bfloat16_learn_as_much_and_leave_scoring_in_single_precision():
    def bits(name, arithmetic):
        model = small(name, epochs=6, batch=8, lr=0.02, arithmetic=arithmetic)
        model.fit(text(1600), text(500, seed=1), V, np.random.default_rng(0))
        assert {p.dtype for p in model.network.parameters()} == {torch.float32}
        assert check_model(model, length=80) == {}
        return -model.log_probs(text(500, seed=2)).mean() / math.log(2)

    for name in ("rnn", "gru", "lstm", "mingru", "transformer", "mlp"):
        rounded, single = bits(name, "bfloat16"), bits(name, "float32")
        assert rounded != single
        assert rounded == pytest.approx(single, abs=0.05)


# Optimisers ------------------------------------------------------------------------------------------


def muon(name: str, **options) -> tuple[Trainer, Network]:
    model = make_model(name, optimizer="muon", hidden=6, batch=2, steps=4, direct=0, **options)
    model.vocab_size = V
    net = model._network(torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    return Trainer(net, model, text(40), None, np.random.default_rng(0), generator, Monitor()), net


@pytest.mark.parametrize(
    ("name", "options", "between"),
    [
        ("lstm", {"layers": 2}, {"cells.0.weight_hh_l0", "cells.1.weight_ih_l0", "cells.1.weight_hh_l0"}),
        ("rnn", {"embedding": 3, "tied": False}, {"cells.0.weight_ih_l0", "cells.0.weight_hh_l0"}),
        ("mlp", {}, {"U"}),
        ("mingru", {"layers": 1, "widening": 0.0}, {"blocks.0.read.weight", "blocks.0.project.weight"}),
    ],
)
def test_muon_takes_the_matrices_between_layers_and_adamw_the_rest(name, options, between):
    trainer, net = muon(name, **options)
    adamw, orthogonal = trainer.optimizers
    names = {p: name for name, p in net.named_parameters()}
    groups = [[names[p] for group in o.param_groups for p in group["params"]] for o in (adamw, orthogonal)]
    assert set(groups[1]) == between
    assert sorted(groups[0] + groups[1]) == sorted(names.values())


def test_a_step_of_muon_turns_and_stretches_alike_in_all_directions():
    trainer, net = muon("lstm", dropout=0.0, weight_drop=0.0, weight_decay=0.0, lr=0.01, warmup=0.0)
    matrix = net.cells[0].weight_hh_l0
    before = matrix.detach().clone()
    trainer._step(text(8).ids.reshape(2, 4), text(9).ids[1:].reshape(2, 4), False)
    step = before - matrix.detach()
    # The size of AdamW's steps: lr · 0.2 · sqrt(longer side), on singular values that Newton-Schulz leaves near 1.
    sizes = torch.linalg.svdvals(step) / (0.01 * 0.2 * 24**0.5)
    assert ((sizes > 0.5) & (sizes < 1.4)).all(), sizes


def test_a_penalty_is_learnt_from_and_not_told_as_loss():
    plain, _ = muon("gru", dropout=0.0, weight_drop=0.0)
    held, net = muon("gru", dropout=0.0, weight_drop=0.0, activation=1e6)
    x, y = text(8).ids.reshape(2, 4), text(9).ids[1:].reshape(2, 4)
    assert held._step(x, y, False) == pytest.approx(plain._step(x, y, False), abs=1e-6)
    sizes = [
        net(torch.zeros(3, 1, dtype=torch.long), net.start(1))[1][0].norm()
        for net in (held.network, plain.network)
    ]
    for _ in range(20):
        held._step(x, y, False)
    assert net.eval()(torch.zeros(3, 1, dtype=torch.long), net.start(1))[1][0].norm() < sizes[0]

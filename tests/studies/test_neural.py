"""Studies that train networks, on sources whose entropy rate is known, and their formulas against autograd."""

import numpy as np
import pytest
from small_studies import corpus_of, plain

from lmbench.corpora.sources import make_source
from lmbench.errors import InputError
from lmbench.studies import context, gradients, run_study, sampling
from lmbench.studies.study import paired_interval

# sampling ------------------------------------------------------------------------------------------


def test_where_one_character_tells_all_both_samplings_reach_the_truth(monkeypatch):
    # Golden Mean: what comes next depends on the last character alone, so carrying the state on gains nothing.
    budget = {
        "hidden": 8,
        "batch": 8,
        "steps": 10,
        "epochs": 4,
        "max_tokens": 6000,
        "patience": None,
        "lr": 2.0,
    }
    monkeypatch.setattr(sampling, "BUDGET", budget | {"scale": 0.3})
    monkeypatch.setattr(sampling, "SEEDS", 2)
    corpus = corpus_of(make_source("golden-mean"), 6000)
    study = run_study("sampling", corpus)
    assert len(study.table) == 4
    # 600 test characters, deviation of −log2 p about 0.5: 3 · 0.5 / √600 = 0.06
    assert study.table["bits_per_char"].to_numpy() == pytest.approx(2 / 3, abs=0.07)
    assert abs(study.facts["random_minus_sequential_bits_per_char"][0]) < 0.02


def test_paired_interval_is_students():
    # Differences 1, 2, 3: mean 2, deviation 1, t(0.975; 2) = 4.3027, half width 4.3027 / √3 = 2.4841.
    assert paired_interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-4)


# gradients -----------------------------------------------------------------------------------------


def small_case(seed=0, activation="tanh"):
    rng = np.random.default_rng(seed)
    network = gradients.ElmanNetwork.random(5, 4, rng, 1.1, activation)
    return network, rng.integers(0, 5, (13, 3)), network.b.new_tensor(rng.standard_normal((3, 4)))


def backward_by_hand(network, ids, h, gates):
    """The loop that backpropagation through time is, in numpy: the gradients of the parameters."""
    W_x, W_h, b, W_q, c = (p.detach().numpy() for p in network.parameters)
    states, V = [h.numpy()], len(c)
    for x in ids[:-1]:
        z = W_x[x] + b + states[-1] @ W_h
        states.append(np.tanh(z) if network.activation == "tanh" else z)
    logits = np.stack(states[1:]) @ W_q + c
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    d_logits = (p - np.eye(V)[ids[1:]]) / ids[1:].size
    found = [np.zeros_like(a) for a in (W_x, W_h, b, W_q, c)]
    carried = np.zeros_like(states[0])
    for t in range(len(ids) - 2, -1, -1):
        d_h = d_logits[t] @ W_q.T + carried
        d_z = d_h * (1 - states[t + 1] ** 2) if network.activation == "tanh" else d_h
        np.add.at(found[0], ids[t], d_z)
        found[1] += states[t].T @ d_z
        found[2] += d_z.sum(axis=0)
        found[3] += states[t + 1].T @ d_logits[t]
        found[4] += d_logits[t].sum(axis=0)
        carried = gates[t] * (d_z @ W_h.T)
    return float(-np.log(np.take_along_axis(p, ids[1:, :, None], 2)).mean()), found


@pytest.mark.parametrize("kind", ["full", "truncated", "randomised"])
@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_gradients_are_those_of_the_backward_loop_whatever_the_gates(kind, activation):
    network, ids, h = small_case(activation=activation)
    gates = gradients.gates(kind, 12, np.random.default_rng(1))
    loss, found, _ = network.gradients(ids, h, gates)
    expected, by_hand = backward_by_hand(network, ids, h, gates)
    assert loss == pytest.approx(expected, abs=1e-12)
    for ours, theirs in zip(found, by_hand, strict=True):
        assert ours.numpy() == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("radius", [0.7, 1.0, 1.3])
def test_through_a_scaled_rotation_gradients_change_by_exactly_the_radius(radius):
    rng = np.random.default_rng(2)
    network = gradients.ElmanNetwork.random(5, 6, rng, 1.0, "linear")
    network.W_h = network.b.new_tensor(radius * np.linalg.qr(rng.standard_normal((6, 6)))[0]).requires_grad_()
    norms = gradients.reach(network, rng.integers(0, 5, (60, 4)))
    assert norms == pytest.approx(radius ** np.arange(51.0))


def test_spectral_radius_is_as_asked():
    network = gradients.ElmanNetwork.random(5, 20, np.random.default_rng(3), 1.2)
    assert np.abs(np.linalg.eigvals(network.W_h.detach().numpy())).max() == pytest.approx(1.2)


def test_randomised_truncation_has_no_bias_and_plain_truncation_has():
    network, ids, h = small_case(4)
    rng = np.random.default_rng(5)

    def of(kind):
        return network.gradients(ids, h, gradients.gates(kind, 12, rng))[1][1].numpy()

    draws = np.stack([of("randomised") for _ in range(1500)])
    error = draws.std(axis=0) / np.sqrt(1500)
    assert np.all(np.abs(draws.mean(axis=0) - of("full")) < 4.5 * error + 1e-12)
    assert np.abs(of("truncated") - of("full")).max() > 1e-4


def test_gradients_study_of_a_known_source(monkeypatch):
    for name, value in {"HIDDEN": 8, "BATCH": 4, "STEPS": 20, "UPDATES": 120, "SEEDS": 2}.items():
        monkeypatch.setattr(gradients, name, value)
    corpus = corpus_of(make_source("golden-mean"), 20_000)
    study = run_study("gradients", corpus)
    rows = study.table[(study.table["part"] == "training") & (study.table["training"] == "full")]
    # 2,000 test characters, deviation of −log2 p about 0.5: 3 · 0.5 / √2000 = 0.03, and what is not learnt yet.
    assert rows["bits_per_char"].to_numpy() == pytest.approx(2 / 3, abs=0.06)
    assert plain(study) == plain(run_study("gradients", corpus))


# context -------------------------------------------------------------------------------------------


def test_a_longer_look_comes_near_to_the_whole_past(monkeypatch):
    small = {"hidden": 12, "epochs": 3, "batch": 8, "steps": 16, "lr": 0.03, "dropout": 0.0, "patience": None}
    monkeypatch.setitem(context.MODELS, "lstm", small)
    study = run_study("context", corpus_of(make_source("golden-mean"), 6000))
    by = {way: of.set_index("tokens")["bits_per_char"] for way, of in study.table.groupby("way")}
    whole = by["carry"].iloc[0]
    assert whole == pytest.approx(2 / 3, abs=0.07)
    assert by["fixed"][64] == pytest.approx(whole, abs=1e-3)
    assert by["reset"][1] == pytest.approx(by["fixed"][1], abs=1e-6)  # both: from the token before alone
    assert by["counts"].index.tolist() == list(range(1, context.ORDERS))
    assert len(study.table) == 1 + 2 * len(context.LENGTHS) + context.ORDERS - 1
    with pytest.raises(InputError, match="bigram"):
        run_study("context", corpus_of(make_source("golden-mean"), 6000), model="bigram")

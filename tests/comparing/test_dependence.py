"""Errors of means of dependent losses: by hand, against brute force and against simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lmbench.comparing.dependence import Errors, details, effective_documents, of_documents, of_stream


def errors(weights, scales, freedom):
    return Errors(*(np.array([row], dtype=float) for row in (weights, scales, freedom)))


def test_one_component_is_students_t():
    one = errors([1], [0.3], [5])
    assert one.half_width()[0] == pytest.approx(0.3 * stats.t.ppf(0.975, 5))
    assert one.p_value(np.array([0.6]))[0] == pytest.approx(2 * stats.t.sf(2, 5))
    assert one.times(2).half_width(0.8)[0] == pytest.approx(0.6 * stats.t.ppf(0.9, 5))


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.floats(1e-3, 1e3), st.floats(1, 200)), min_size=1, max_size=6),
    st.floats(0.5, 0.999),
)
def test_half_width_leaves_what_it_promises_outside(parts, level):
    weights, scales, freedom = zip(*parts, strict=True)
    mixed = errors(np.array(weights) / sum(weights), scales, freedom)
    assert mixed.p_value(mixed.half_width(level))[0] == pytest.approx(1 - level, rel=1e-6)


def test_nothing_varies():
    none = errors([1], [0], [5])
    assert none.half_width()[0] == 0
    assert none.p_value(np.array([0.0]))[0] == 1
    assert none.p_value(np.array([1e-9]))[0] == 0
    assert of_stream(np.zeros((16, 1)), 16.0).half_width()[0] == 0


def test_an_independent_error_beside():
    both = errors([1], [3], [1e9]).beside(np.array([4.0]), np.array([1e9]))
    assert both.scales[0, 0] == pytest.approx(5)
    # Welch: (3² + 4²)² / (3⁴/6 + 4⁴/8)
    welch = errors([1], [3], [6]).beside(np.array([4.0]), np.array([8.0]))
    assert welch.freedom[0, 0] == pytest.approx(625 / (81 / 6 + 256 / 8))
    alone = errors([1], [3], [6]).beside(np.array([0.0]), np.array([1.0]))
    assert alone.freedom[0, 0] == pytest.approx(6)


def test_details_by_hand():
    # Cells that sum to a mean: 1/4 of each value. Halves of a quarter's neighbours: (8 - 4)/2, (2 - 6)/2; of halves: (6 - 4)/2.
    scales, variances, counts = details(np.array([[8.0], [4], [2], [6]]) / 4)
    assert scales.tolist() == [0.25, 0.5]
    assert variances[:, 0].tolist() == [4.0, 1.0]
    assert counts.tolist() == [2, 1]


def test_jackknife_by_hand():
    # Three documents of one length: the jackknife's standard error is s/√3, with two degrees of freedom.
    levels = np.array([1.0, 2.0, 6.0])
    found = of_documents((10 * (levels - 3))[:, None], np.full(3, 10.0))
    assert found.scales[0, 0] == pytest.approx(levels.std(ddof=1) / np.sqrt(3))
    assert found.freedom[0, 0] == pytest.approx(2)


def test_jackknife_leaves_each_document_out():
    rng = np.random.default_rng(0)
    lengths, losses = rng.integers(1, 90, 12).astype(float), rng.exponential(50, 12)
    ratio = losses.sum() / lengths.sum()
    without = [(losses.sum() - x) / (lengths.sum() - n) for x, n in zip(losses, lengths, strict=True)]
    expected = np.sqrt(11 / 12 * np.sum((np.array(without) - ratio) ** 2))
    assert of_documents((losses - ratio * lengths)[:, None], lengths).scales[0, 0] == pytest.approx(expected)


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=30))
def test_freedom_against_the_matrices_of_its_definition(lengths):
    n = np.array(lengths, dtype=float)
    d, total = len(n), n.sum()
    w = (d - 1) / d / (total - n) ** 2
    m = np.eye(d) - np.outer(n, np.ones(d)) / total
    a = m.T @ np.diag(w) @ m @ np.diag(n**2)
    expected = np.trace(a) ** 2 / np.trace(a @ a)
    assert of_documents(np.ones((d, 1)), n).freedom[0, 0] == pytest.approx(expected, rel=1e-3)


def test_worth_of_documents():
    assert effective_documents(np.full(7, 30.0)) == pytest.approx(7)
    assert effective_documents(np.array([91.0, 3, 3, 3])) == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize(("documents", "shape"), [(3, None), (10, 3.0), (49, 1.5), (49, None)])
def test_unequal_documents_of_random_level_are_covered(documents, shape):
    rng, hits, trials = np.random.default_rng(1), 0, 600
    for _ in range(trials):
        n = np.full(documents, 100.0) if shape is None else 100 * (1 + rng.pareto(shape, documents))
        losses = rng.normal(2, 0.3, documents) * n + rng.normal(size=documents) * np.sqrt(n)
        ratio = losses.sum() / n.sum()
        hits += abs(ratio - 2) <= of_documents((losses - ratio * n)[:, None], n).half_width()[0]
    assert 0.92 <= hits / trials <= 0.995


def fractional(n, h, rng):
    """Fractional Gaussian noise with Hurst exponent h, exactly, by circulant embedding (Davies & Harte 1987)."""
    k = np.arange(n + 1)
    c = ((k + 1.0) ** (2 * h) - 2 * k ** (2.0 * h) + np.abs(k - 1.0) ** (2 * h)) / 2
    spectrum = np.maximum(np.fft.fft(np.concatenate([c, c[-2:0:-1]])).real, 0)
    z = rng.normal(size=2 * n) + 1j * rng.normal(size=2 * n)
    return np.fft.fft(z * np.sqrt(spectrum / (2 * n)))[:n].real


@pytest.mark.parametrize("hurst", [0.5, 0.7, 0.8])
def test_long_memory_is_covered(hurst):
    rng, trials = np.random.default_rng(2), 300
    texts = np.stack(
        [fractional(4096, hurst, rng).reshape(256, 16).sum(axis=1) for _ in range(trials)], axis=1
    )
    means = texts.sum(axis=0) / 4096
    half = of_stream(texts - 16 * means, 4096.0).half_width()
    assert (np.abs(means) <= half).mean() >= 0.92
    independent = 1.96 * texts.std(axis=0) / 16 / 16
    assert ((np.abs(means) <= independent).mean() < 0.75) == (hurst > 0.5)

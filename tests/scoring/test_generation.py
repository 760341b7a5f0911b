from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel
from lmbench.models.monitor import Monitor
from lmbench.models.uniform import Uniform
from lmbench.scoring.generation import draw_index, generate, shape_distribution
from lmbench.text.tokens import Tokens

P = np.array([0.1, 0.4, 0.2, 0.3, 0.0])
with np.errstate(divide="ignore"):
    LOG_P = np.log(P)


@dataclass(kw_only=True, eq=False)
class Counter(LanguageModel):
    """Says x+1 after x, and after the beginning of a document the length of nothing: 1."""

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        pass

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        raise NotImplementedError

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        rows = np.full((len(contexts), self.vocab_size), -np.inf)
        for row, context in zip(rows, contexts, strict=True):
            row[(len(context) + 1) % self.vocab_size] = 0.0
        return rows

    def _state(self) -> dict[str, np.ndarray]:
        return {}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        pass


def test_plain_settings_leave_the_distribution_as_it_is() -> None:
    np.testing.assert_allclose(shape_distribution(LOG_P), P, atol=1e-15)


def test_temperature_is_a_power_renormalised() -> None:
    np.testing.assert_allclose(shape_distribution(LOG_P, 0.5), P**2 / (P**2).sum(), atol=1e-15)
    np.testing.assert_allclose(shape_distribution(LOG_P, 2.0), P**0.5 / (P**0.5).sum(), atol=1e-15)


def test_no_temperature_is_greedy_and_tiny_ones_stay_finite() -> None:
    np.testing.assert_array_equal(shape_distribution(LOG_P, 0.0), [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(shape_distribution(LOG_P, 1e-300), [0, 1, 0, 0, 0])


def test_top_k_keeps_the_k_likeliest() -> None:
    # 0.4 and 0.3 stay, of 0.7
    np.testing.assert_allclose(shape_distribution(LOG_P, top_k=2), [0, 4 / 7, 0, 3 / 7, 0], atol=1e-15)
    np.testing.assert_allclose(shape_distribution(LOG_P, top_k=99), P, atol=1e-15)


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.1, [1]), (0.4, [1]), (0.41, [1, 3]), (0.75, [1, 2, 3]), (1.0, [0, 1, 2, 3])]
)
def test_nucleus_is_the_fewest_tokens_that_reach_top_p(top_p: float, kept: list[int]) -> None:
    probs = shape_distribution(LOG_P, top_p=top_p)
    assert np.flatnonzero(probs).tolist() == kept
    assert probs.sum() == pytest.approx(1, abs=1e-15)


def test_scores_that_do_not_sum_to_one_are_renormalised() -> None:
    np.testing.assert_allclose(shape_distribution(LOG_P + 3.0), P, atol=1e-15)


@pytest.mark.parametrize(
    "bad",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_k": -1},
        {"top_p": 0.0},
    ],
)
def test_settings_out_of_range(bad: dict) -> None:
    with pytest.raises(InputError):
        shape_distribution(LOG_P, **bad)


def test_a_model_without_any_mass_is_an_error() -> None:
    with pytest.raises(InputError, match="nothing can be drawn"):
        shape_distribution(np.full(3, -np.inf))


def test_draws_follow_the_distribution() -> None:
    rng = np.random.default_rng(1)
    n = 20_000
    counts = np.bincount([draw_index(P, rng) for _ in range(n)], minlength=5)
    assert counts[4] == 0
    # 4 standard errors of a binomial share: 4 √(p q / n) ≤ 4 √(0.25 / 20000) = 0.0141
    assert np.abs(counts / n - P).max() < 0.0142


def test_generation_repeats_with_its_seed_and_avoids_excluded_ids() -> None:
    model = Uniform().fit(np.arange(6))
    a = generate(model, np.random.default_rng(7), 50, exclude=[0, 3])
    b = generate(model, np.random.default_rng(7), 50, exclude=[0, 3])
    np.testing.assert_array_equal(a, b)
    assert a.dtype == np.int32
    assert set(a.tolist()) == {1, 2, 4, 5}


def test_generation_passes_the_document_so_far() -> None:
    model = Counter().fit(np.arange(5))
    rng = np.random.default_rng(0)
    assert generate(model, rng, 6, [4, 4]).tolist() == [3, 4, 0, 1, 2, 3]
    # 4 ends a document: after it the context is empty again
    assert generate(model, rng, 6, [4, 4], end=4).tolist() == [1, 2, 3, 4, 1, 2]
    assert generate(model, rng, 0, [1]).tolist() == []


@pytest.mark.parametrize("length", [-1, 2**31, 2**63 - 1])
def test_a_length_that_no_array_holds_is_refused(length: int) -> None:
    with pytest.raises(InputError, match="is outside 0 to"):
        generate(Counter().fit(np.arange(5)), np.random.default_rng(0), length)

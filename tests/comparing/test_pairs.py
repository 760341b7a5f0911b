"""Paired comparisons against statsmodels, scipy and arithmetic."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import CircularBlockBootstrap
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lmbench.comparing.grouping import groups, letters
from lmbench.comparing.pairs import COLUMNS, Comparison, align, compare, comparisons, seed_error
from lmbench.comparing.ranks import across, standings
from lmbench.errors import InputError
from lmbench.scoring.run import Run, Signature
from lmbench.scoring.scores import Scores

LN2 = math.log(2)


def run_of(label, bits, ends=None, corpus="text", seed=0, starts=(0,), **signature):
    """A run whose token t costs bits[t]; one character a token unless ends says otherwise."""
    bits = np.asarray(bits, dtype=float)
    ends = np.arange(1, len(bits) + 1) if ends is None else np.asarray(ends)
    scores = Scores(
        log_probs=-bits * LN2,
        ends=ends.astype(np.int64),
        oov=np.zeros(len(bits), dtype=bool),
        spelling=np.zeros(len(bits)),
        starts=np.asarray(starts, dtype=np.int64),
        chars=int(ends[-1]),
        bytes=int(ends[-1]),
        words=1,
        vocab_size=9,
    )
    return Run(
        corpus, label, scores, Signature(**{"corpus": corpus, "text": "sha", "seed": seed} | signature)
    )


def noisy(seed, n=2000, shift=0.0):
    return np.random.default_rng(seed).exponential(2, n) + shift


def test_pairing_takes_out_what_is_common():
    hard = noisy(0, 8000)  # the text's own ups and downs
    a, b = hard + noisy(1, 8000) / 10, hard + noisy(2, 8000, shift=0.5) / 10
    row = compare([run_of("a", a), run_of("b", b)]).iloc[0]
    assert row["difference_bits_per_char"] == pytest.approx((a - b).mean())
    # sd of a - b: 0.2 √2 = 0.283; /√8000 = 0.0032, and more for what is not known of the text's memory. Unpaired, 0.032.
    assert 0.003 < row["standard_error"] < 0.012
    low, high = row["ci95"]
    assert low < -0.05 < high < 0
    assert row["p_value"] < 0.05
    assert row["verdict"] == "a"
    assert row["percent"] == pytest.approx(100 * (a - b).mean() / b.mean())
    assert row["bytes"] == pytest.approx((a - b).sum() / 8)
    assert row["method"] == "stream"


def test_standard_error_of_dependent_losses_against_arch():
    noise = np.random.default_rng(5).normal(size=16_000)
    difference = np.convolve(noise, np.ones(8) / 8, "same")  # a moving average: dependent
    row = compare([run_of("a", difference + 9), run_of("b", np.full(16_000, 9.0))]).iloc[0]
    theirs = CircularBlockBootstrap(200, difference, seed=1).apply(np.mean, 1000).std()
    assert 0.9 * theirs < row["standard_error"] < 4 * theirs


def test_p_value_against_a_permutation_test():
    # Independent tokens: the signs of the differences may be flipped. Ours, which does not know that, doubts more.
    rng = np.random.default_rng(11)
    difference = rng.normal(0.05, 1, 900)
    ours = compare([run_of("a", 9 + difference), run_of("b", np.full(900, 9.0))]).iloc[0]["p_value"]
    theirs = stats.permutation_test(
        (difference,), np.mean, permutation_type="samples", n_resamples=1999, rng=np.random.default_rng(0)
    ).pvalue
    assert 0.01 < theirs < 0.5
    assert theirs - 0.02 < ours < theirs + 0.2


def test_units_are_aligned_on_characters():
    # Words end at 2, 5, 6; characters at 1..6; cells at 3 and 6: a third of the second word's 8 bits is in the first cell.
    words = run_of("word", [4, 8, 1], ends=[2, 5, 6])
    chars = run_of("char", [1, 2, 3, 4, 5, 6])
    np.testing.assert_allclose(align([words, chars], 2).losses, [[4 + 8 / 3, 6], [16 / 3 + 1, 15]])
    # Bytes: the first of a character's two spans nothing and belongs to the piece that it begins.
    byte = run_of("byte", [1, 1, 1, 9, 1, 1, 1], ends=[1, 2, 3, 3, 4, 5, 6])
    assert align([words, byte], 2).losses.sum(axis=0).tolist() == [13, 15]


def test_bits_per_char_of_another_unit():
    words = run_of("word", noisy(1, 500) * 5, ends=5 * np.arange(1, 501))
    chars = run_of("char", noisy(2, 2500))
    row = compare([words, chars]).iloc[0]
    expected = words.scores.bits_per_char - chars.scores.bits_per_char
    assert row["difference_bits_per_char"] == pytest.approx(expected)


def test_each_pair_is_cut_by_itself():
    # A text without a blank is one word: that spoils the word model's pairs, and no other.
    chars = [run_of("a", noisy(1, 800)), run_of("b", noisy(2, 800, shift=1.0))]
    word = run_of("word", [2000.0], ends=[800])
    table = compare([*chars, word])
    alone = compare(chars)
    assert table["note"][0] == ""
    assert all("fewer than 64 tokens" in note for note in table["note"][1:])
    assert table["p_value"][0] == alone["p_value"][0]
    assert table["ci95"][0] == alone["ci95"][0]


def test_documents_are_the_units():
    starts = np.arange(0, 2000, 50)
    common = np.repeat(noisy(3, 40), 50)
    row = compare([run_of("a", common, starts=starts), run_of("b", common * 0 + 2, starts=starts)]).iloc[0]
    assert row["se_text"] == pytest.approx(common[::50].std(ddof=1) / 40**0.5 * 2.0227 / 1.96, rel=1e-3)
    assert (row["method"], row["effective_documents"]) == ("documents", pytest.approx(40))
    # Lines of running text are neighbours of each other: a stream.
    lines = [
        run_of("a", common, starts=starts, documents="line"),
        run_of("b", common * 0 + 2, starts=starts, documents="line"),
    ]
    assert compare(lines).iloc[0]["method"] == "stream"


def test_same_scores_are_the_same():
    row = compare([run_of("a", noisy(1)), run_of("b", noisy(1))]).iloc[0]
    assert row["difference_bits_per_char"] == 0
    assert row["ci95"] == (0, 0)
    assert row["p_value"] == 1
    assert row["verdict"] == "same"
    rounded = noisy(1) * (1 + 1e-13)  # the same model computed in another order
    assert compare([run_of("a", noisy(1)), run_of("b", rounded)]).iloc[0]["p_value"] == 1


def test_as_good_as_is_a_result():
    hard = noisy(1, 4000)
    near, far = noisy(2, 4000) / 1000, noisy(3, 4000, shift=-2.0)
    assert comparisons([run_of("a", hard), run_of("b", hard + near - near.mean())])[0].verdict == "same"
    # A difference that is smaller than worthwhile, but known to be there: better, if by little.
    row = comparisons([run_of("a", hard), run_of("b", hard + near)])[0]
    assert (row.verdict, row.p_equivalence) == ("a", pytest.approx(0, abs=1e-3))
    wide = comparisons([run_of("a", hard), run_of("b", hard + far - far.mean())])[0]
    assert wide.verdict == "open"
    assert wide.p_equivalence > 0.05
    settled = comparisons([run_of("a", hard), run_of("b", hard + far - far.mean())], worthwhile=1.0)[0]
    assert settled.verdict == "same"


def test_deterministic_and_complete():
    runs = [run_of(name, noisy(i, 500, shift=i / 5)) for i, name in enumerate("abcd")]
    table = compare(runs)
    assert tuple(table.columns) == COLUMNS
    assert list(zip(table["a"], table["b"], strict=True)) == list(itertools.combinations("abcd", 2))
    pd.testing.assert_frame_equal(table, compare(runs))
    assert (table["p_holm"] >= table["p_value"]).all()
    some = compare(runs, pairs=[("a", "d"), ("c", "a")])
    assert list(zip(some["a"], some["b"], strict=True)) == [("a", "c"), ("a", "d")]


def test_many_models_can_still_differ():
    # 66 pairs above a thousand; the least p-value is not bound by a number of draws.
    base = noisy(0, 4000)
    runs = [run_of(f"m{i}", base + i / 5 + noisy(i + 1, 4000) / 20) for i in range(50)]
    assert len(set(groups(runs).values())) == 50


def test_probability_zero():
    broken = noisy(1, 300)
    broken[7] = np.inf
    table = compare([run_of("a", noisy(2, 300)), run_of("x", broken), run_of("y", broken)])
    ax, ay, xy = (table.iloc[i] for i in range(3))
    assert ax["difference_bits_per_char"] == -math.inf
    assert ax["p_value"] == ay["p_value"] == 0
    assert xy["p_value"] == 1
    assert "probability 0" in ax["note"]


def test_seeds_vary_apart_from_the_text():
    base = noisy(1)
    shifts = [0.0, 0.1, 0.2]
    seeds = [run_of("rnn", base + shift, seed=i) for i, shift in enumerate(shifts)]
    row = compare([*seeds, run_of("gram", base + noisy(2) / 10)]).iloc[0]
    # Variance of 0, .1, .2 is 0.01; of the mean of three, 0.01/3.
    assert row["se_seeds"] == pytest.approx(math.sqrt(0.01 / 3))
    assert row["se_text"] < 0.02
    # Two degrees of freedom: t = 4.30, far more than 1.96 standard errors.
    low, high = row["ci95"]
    assert (high - low) / 2 == pytest.approx(4.30 * row["se_seeds"], rel=0.1)
    assert row["standard_error"] == pytest.approx((high - low) / 2 / 1.96, rel=1e-4)
    assert row["p_value"] > 0.05
    # What is found four times in five: 4.30 + 1.06 of them (t of 2 degrees of freedom).
    assert row["resolvable_difference"] == pytest.approx(5.36 * row["se_seeds"], rel=0.1)


def test_welch_freedom():
    # Equal variances and sizes: n₁ + n₂ - 2.
    error, freedom = seed_error(np.array([1.0, 2, 3]), np.array([5.0, 6, 7]))
    assert error == pytest.approx(math.sqrt(1 / 3 + 1 / 3))
    assert freedom == pytest.approx(4)
    assert seed_error(np.array([1.0]), np.array([2.0]))[0] == 0


def test_unlike_texts_never_meet():
    a, b = run_of("a", noisy(1, 300)), run_of("b", noisy(2, 300), text="other")
    with pytest.raises(InputError, match=r"different text \(sha and other\)"):
        compare([a, b])
    c = run_of("c", noisy(3, 300))
    table = compare([a, b, c])
    assert dict(zip(table["a"] + table["b"], table["note"], strict=True)) == {
        "ac": "",
        "ab": "different text (sha and other)",
        "cb": "different text (sha and other)",
    }
    assert table["p_value"].notna().sum() == 1
    with pytest.raises(InputError, match="at least two models"):
        compare([a, run_of("b", noisy(2, 300), corpus="elsewhere")])
    with pytest.raises(InputError, match="label them apart"):
        compare([a, a])


def test_groups_by_hand():
    base = noisy(1)
    runs = [run_of("best", base), run_of("near", base + noisy(2) / 10 - 0.2), run_of("bad", base + 1)]
    expected = {"best": "a", "near": "a", "bad": "b"}
    assert groups(runs) == expected
    assert groups(runs[::-1], comparisons(runs)) == expected
    assert list(groups(runs[::-1])) == ["near", "best", "bad"]
    assert groups([runs[2], runs[0]], comparisons(runs)) == {"best": "a", "bad": "b"}
    assert groups(runs[:1]) == {"best": "a"}
    assert groups([]) == {}
    learning = [
        run_of(f"{run.label}, adaptive", run.scores.bits - 1).with_facts(adaptive=True) for run in runs
    ]
    apart = {"near, adaptive": "A", "best, adaptive": "A", "bad, adaptive": "B"}
    assert groups([*learning, *runs]) == expected | apart
    assert list(groups([*learning, *runs]))[3:] == list(apart)
    with pytest.raises(InputError, match="not one ranking"):
        groups([runs[0], run_of("b", base, corpus="elsewhere")])


@given(st.integers(1, 7), st.data())
def test_letters_say_exactly_who_differs(n, data):
    ranked = [f"m{i}" for i in range(n)]
    pairs = [frozenset(p) for p in itertools.combinations(ranked, 2)]
    different = set(data.draw(st.lists(st.sampled_from(pairs)))) if pairs else set()
    shown = letters(ranked, different)
    assert shown[ranked[0]].startswith("a")
    for pair in pairs:
        one, other = pair
        assert bool(set(shown[one]) & set(shown[other])) == (pair not in different)


def test_ranks_across_corpora():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(7, 4)) + np.array([0, 1, 2, 3]) + 20
    runs = [run_of(f"m{j}", np.full(10, table[i, j]), corpus=f"c{i}") for i in range(7) for j in range(4)]
    ranking = across(runs)
    assert ranking is not None
    expected = stats.rankdata(table, axis=1).mean(axis=0)
    assert ranking.labels[0] == f"m{expected.argmin()}"
    np.testing.assert_allclose(ranking.average_ranks, np.sort(expected))
    chi2 = stats.friedmanchisquare(*table.T).statistic
    f = 6 * chi2 / (7 * 3 - chi2)
    assert ranking.p_value == pytest.approx(stats.f.sf(f, 3, 18))
    # Demšar (2006), table 5: q = 2.569 for four classifiers; CD = 2.569 √(4·5/(6·7)).
    assert ranking.critical_difference == pytest.approx(2.569 * math.sqrt(20 / 42), abs=2e-3)
    apart = np.subtract.outer(ranking.average_ranks, ranking.average_ranks)
    together = {frozenset(some) for group in ranking.alike for some in itertools.combinations(group, 2)}
    for i, j in itertools.combinations(range(4), 2):
        close = abs(apart[i, j]) <= ranking.critical_difference
        assert (frozenset((ranking.labels[i], ranking.labels[j])) in together) == close
    assert across(runs[: 4 * 4]) is None  # four corpora are too few


def test_standings_over_corpora():
    """Bits, places and gaps written out; two seeds of one label, one that learns from the text, one missing on a corpus."""
    table = {"a": (2.0, 3.0), "b": (2.2, 2.0), "c": (4.0, None), "learns": (1.0, 4.0)}
    runs = [
        run_of(label, np.full(400, bits), corpus=f"c{i}").with_facts(adaptive=label == "learns")
        for label, row in table.items()
        for i, bits in enumerate(row)
        if bits is not None
    ]
    runs.append(run_of("b", np.full(400, 2.4), corpus="c0"))  # another seed: 2.3 in the mean
    made = [Comparison("c0", "a", "b", verdict="a"), Comparison("c0", "c", "a", verdict="b")]
    made += [Comparison("c1", "a", "b", verdict="open"), Comparison("c0", "a", "learns", verdict="b")]
    across_both = standings(runs, made)
    assert across_both is not None
    assert across_both.corpora == ["c0", "c1"]
    rows = {row.label: row for row in across_both.rows}
    unit = runs[0].scores.bits_per_char / 2.0  # nats a token in bits a character
    np.testing.assert_allclose(rows["b"].bits, [2.3 * unit, 2.0 * unit])
    assert rows["a"].places == [1, 2]  # of the three that stand still: 2 of 2, 2.3 and 4; 3 of 2 and 3
    assert rows["a"].places95 == [
        (1, 1),
        (1, 2),
    ]  # beyond noise two of three are worse; of two nothing is known
    assert (rows["learns"].places, rows["learns"].places95) == (
        [1, 1],
        [(1, 1), (1, 1)],
    )  # alone in its ranking
    # Of the models that stand still the fewest are 2 and 2: a is 0% and 50% above, b 15% and 0%, the learning one -50% and 100%.
    assert rows["a"].gap == pytest.approx(25)
    assert (rows["b"].gap, rows["b"].gap_low, rows["b"].gap_high) == pytest.approx((7.5, 0, 15))
    assert rows["learns"].gap == pytest.approx(25)
    assert (rows["c"].gap, rows["c"].bits[1], rows["c"].places95[1]) == (None, None, None)
    assert [row.label for row in across_both.rows] == ["b", "a", "learns", "c"]
    assert standings(runs[:1], []) is None


def test_average_ranks_are_of_each_ranking_for_itself():
    """Six corpora that order all alike; three models stand still, three go on learning, one of these on five corpora only."""
    bits = {"a": 2.0, "b": 2.1, "c": 2.2, "x": 1.0, "y": 1.5, "z": 2.05, "w": 1.2}
    runs = [
        run_of(label, np.full(40, one), corpus=f"c{i}").with_facts(adaptive=label in "xyzw")
        for label, one in bits.items()
        for i in range(6 - (label == "w"))
    ]
    rows = {row.label: row for row in standings(runs, []).rows}
    averages = {label: row.average_rank for label, row in rows.items()}
    assert averages == {"a": 1, "b": 2, "c": 3, "x": 1, "y": 2, "z": 3, "w": None}
    # Nemenyi's critical difference of 3 models on 6 texts: 3.314 / sqrt 2 * sqrt(3 * 4 / 36) = 1.353
    assert {label: row.rank95 for label, row in rows.items() if label in "abc"} == {
        "a": (1, 2),
        "b": (1, 3),
        "c": (2, 3),
    }
    assert rows["y"].places == [3, 3, 3, 3, 3, 2]  # behind x and w; z is behind it

"""The page of ``lmbench diff --html``: says what moved, self-contained, escaped."""

import json
import math
import re

import numpy as np
import pytest
from msgspec.structs import replace

from lmbench.cli import main
from lmbench.errors import InputError
from lmbench.report import write_changes
from lmbench.report.diff_page import changes_answer
from lmbench.results.diff import Change, Changes, diff_runs
from lmbench.results.file import write_results
from lmbench.results.schema import Result, Results
from lmbench.scoring.run import Run, Signature
from lmbench.scoring.scores import Scores
from lmbench.scoring.stored_run import save_run

ROW = Change(
    corpus="ferry",
    label="trigram",
    seeds_before=[0],
    seeds_after=[0],
    before=2.5,
    after=2.25,
    difference_bits_per_char=-0.25,
    ci95=(-0.3, -0.2),
    percent=-10.0,
    p_value=0.0001,
    p_corrected=0.0003,
    beyond_noise=True,
    worthwhile=True,
)
WORSE = replace(ROW, label="rnn", after=2.75, difference_bits_per_char=0.25, ci95=(0.2, 0.3))
SAME = replace(
    ROW,
    label="uniform",
    after=2.5,
    difference_bits_per_char=0.0,
    ci95=(0.0, 0.0),
    beyond_noise=False,
    worthwhile=False,
    p_value=1.0,
    p_corrected=1.0,
)
HARDLY = replace(ROW, label="cache", after=2.502, difference_bits_per_char=0.002, worthwhile=False)
SHORT = replace(SAME, label="lstm", after=2.55, difference_bits_per_char=0.05, worthwhile=True)
GONE = Change(corpus="ferry", label="<b>old", seeds_before=[0], before=2.5, reason="only before")


def found(*rows):
    return Changes(before="a", after="b", models=list(rows), environment={"python": ("3.11", "3.12")})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((ROW, WORSE, SAME, GONE), "Beyond noise, trigram got better and rnn got worse (3 models compared)."),
        ((WORSE,), "Beyond noise, rnn got worse (1 model compared)."),
        ((ROW,) * 4, "Beyond noise, 4 models got better (4 models compared)."),
        ((ROW, replace(SAME, corpus="x")), "Beyond noise, trigram on ferry got better (2 models compared)."),
        ((SAME,), "Nothing moved beyond noise (1 model compared)."),
        ((GONE,), "No model of the two runs compares."),
        (
            (ROW, HARDLY),
            "Beyond noise, trigram got better (2 models compared). "
            "cache moved, too, by less than 0.005 bits per character, which hardly matters.",
        ),
        (
            (HARDLY, SAME),
            "Beyond noise, cache moved by less than 0.005 bits per character, which hardly matters (2 models compared).",
        ),
    ],
)
def test_the_answer_is_one_sentence(rows, said):
    assert changes_answer(found(*rows)) == said


def test_the_page_is_self_contained_and_says_every_row(tmp_path):
    changed = replace(ROW, signatures={"text": ("12ab", "34cd")})
    write_changes(tmp_path / "diff.html", found(changed, WORSE, SAME, GONE))
    page = (tmp_path / "diff.html").read_text()
    assert re.findall(r'(?:src|href)="(?!#|data:)', page) == []
    assert "<b>old" not in page
    assert "&lt;b&gt;old" in page
    for text in ("−0.2500", "−0.3000 to −0.2000", "+0.2500", "−10.0%", "only before", "12ab", "34cd", "3.12"):
        assert text in page
    assert len(re.findall(r'<td class="n fewer"', page)) == 1
    assert len(re.findall(r'<td class="n more"', page)) == 1
    assert page.count("<table") == page.count("</table>") == 3


def test_losses_without_end_are_shown(tmp_path):
    endless = replace(WORSE, after=math.inf, difference_bits_per_char=math.inf, ci95=None, p_value=0.0)
    write_changes(tmp_path / "diff.html", found(ROW, endless))
    assert "∞" in (tmp_path / "diff.html").read_text()


def test_each_row_says_what_came_of_it():
    assert [row.verdict for row in (ROW, WORSE, SAME, HARDLY, SHORT, replace(SHORT, same=True), GONE)] == [
        *("better", "worse", "unchanged", "worse, by hardly anything", "too short to tell", "the same"),
        "only before",
    ]


def scored(folder, label, log_probs, train="", corpus="c", seed=0, documents=1):
    ends = np.arange(1, len(log_probs) + 1)
    plain = np.zeros(len(ends))
    starts = np.arange(documents) * (len(log_probs) // documents)
    scores = Scores(np.array(log_probs), ends, plain > 0, plain, starts, len(ends), len(ends), 1, 4)
    signature = Signature(
        corpus=corpus,
        text="t",
        normalise="none",
        documents="stream",
        unit="char",
        context="document",
        train=train,
        seed=seed,
    )
    run = Run(corpus, label, scores, signature)
    save_run(run, folder / "scores" / corpus / f"{label}-{seed}.npz", "")


def shifted(folder, names, corpus="c", count=256, shift=0.0, seed=0, spread=0.5, documents=1):
    """Runs that differ from one another by noise alone, and by ``shift`` nats a character."""
    hard = np.random.default_rng(5).exponential(2.0, count)
    for place, name in enumerate(names):
        noise = np.random.default_rng([seed, place, *corpus.encode()]).normal(0, spread, count)
        scored(folder, name, -np.abs(hard + noise + shift) - 1e-3, "", corpus, seed, documents)


def test_models_that_did_not_change_are_not_said_to_move(tmp_path):
    """Of 30 comparisons of 14 models, each retrained, 5% may err: 1.5, and 6 or more once in 300 times. Each p alone errs in half of them."""
    moved = alone = 0
    names = [f"m{n}" for n in range(14)]
    for n in range(30):
        shifted(tmp_path / f"a{n}", names, seed=2 * n, documents=16)
        shifted(tmp_path / f"b{n}", names, seed=2 * n + 1, documents=16)
        rows = diff_runs(tmp_path / f"a{n}", tmp_path / f"b{n}").models
        assert len(rows) == 14
        assert all(row.p_corrected >= row.p_value for row in rows)
        moved += any(row.moved for row in rows)
        alone += any(row.p_value <= 0.05 for row in rows)
    assert moved <= 5 < 8 <= alone


def test_all_corpora_are_one_family(tmp_path):
    for corpus in ("c", "d"):
        shifted(tmp_path / "one", ["x", "y"], corpus=corpus)
        shifted(tmp_path / "two", ["x", "y"], corpus=corpus, seed=1, shift=0.02)
    rows = diff_runs(tmp_path / "one", tmp_path / "two").models
    p = sorted(row.p_value for row in rows)
    corrected = np.minimum(np.maximum.accumulate([4 * p[0], 3 * p[1], 2 * p[2], p[3]]), 1)
    assert sorted(row.p_corrected for row in rows) == pytest.approx(corrected)


def test_seeds_are_averaged_and_their_noise_is_in_the_error(tmp_path):
    # Each seed moves the whole text by half a bit: far beyond the text's own noise, and no news.
    for seed, (a, b) in enumerate([(0.0, 0.3), (0.35, 0.65), (0.7, 1.0)]):
        shifted(tmp_path / "one", ["x"], seed=seed, shift=a, spread=0.01)
        shifted(tmp_path / "two", ["x"], seed=seed, shift=b, spread=0.01)
    (row,) = diff_runs(tmp_path / "one", tmp_path / "two").models
    assert (row.seeds_before, row.seeds_after) == ([0, 1, 2], [0, 1, 2])
    assert row.difference_bits_per_char == pytest.approx(0.3 / np.log(2), abs=0.02)
    assert row.before == pytest.approx(row.after - row.difference_bits_per_char)
    assert row.verdict == "too short to tell"
    (tmp_path / "p").mkdir()
    for folder, shift in (("p", 0.0), ("q", 0.3)):
        shifted(tmp_path / folder, ["x"], shift=shift, spread=0.01)
    assert diff_runs(tmp_path / "p", tmp_path / "q").models[0].verdict == "worse"


def test_what_moved_is_worth_it_or_not(tmp_path):
    for folder, shift in (("one", 0.0), ("two", 0.05)):
        shifted(tmp_path / folder, ["x"], shift=shift, spread=1e-6)
    told = {t: diff_runs(tmp_path / "one", tmp_path / "two", t).models[0].verdict for t in (0.0, 0.005, 0.5)}
    assert told == {0.0: "worse", 0.005: "worse", 0.5: "worse, by hardly anything"}


def test_diff_tells_infinite_losses_from_finite_ones(tmp_path, capsys):
    finite, infinite = [-1.0, -2.0] * 20, [-1.0, -math.inf] * 20
    for folder, stays, breaks in (("one", infinite, finite), ("two", infinite, infinite)):
        scored(tmp_path / folder, "stays", stays)
        scored(tmp_path / folder, "breaks", breaks)
    stays, breaks = (
        {row.label: row for row in diff_runs(tmp_path / "one", tmp_path / "two").models}[label]
        for label in ("stays", "breaks")
    )
    assert stays.reason == "not comparable: both give probability 0 somewhere"
    assert (breaks.difference_bits_per_char, breaks.ci95, breaks.beyond_noise) == (
        math.inf,
        None,
        True,
    )
    page = tmp_path / "diff.html"
    assert main(["diff", str(tmp_path / "one"), str(tmp_path / "two"), "--json", "--html", str(page)]) == 0
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["models"]
    assert [row["difference_bits_per_char"] for row in told] == [None, None]
    assert "breaks got worse" in page.read_text()


def test_scores_of_an_earlier_run_in_the_same_folder_are_left_aside(tmp_path):
    for folder in ("one", "two"):
        scored(tmp_path / folder, "kept", [-1.0, -2.0] * 40)
        scored(tmp_path / folder, "earlier", [-1.0, -2.0] * 40)
    write_results(Results(results=[Result(corpus="c", label="kept")]), tmp_path / "two")
    reasons = {row.label: row.reason for row in diff_runs(tmp_path / "one", tmp_path / "two").models}
    assert reasons == {"kept": None, "earlier": "only before"}
    (tmp_path / "two" / "results.json").write_text("[1]")  # not what a run writes
    with pytest.raises(InputError, match=r"two.results\.json is not a results.json"):
        diff_runs(tmp_path / "one", tmp_path / "two")


def test_what_learnt_from_another_text_is_said_before_what_moved(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for folder, train, shift in (("one", "aa", 0.0), ("two", "bb", 0.5)):
        scored(tmp_path / folder, "same", [-1.0, -2.0] * 40)
        scored(tmp_path / folder, "other", -rng.exponential(2, 80) - shift, train=train)
    changes = diff_runs(tmp_path / "one", tmp_path / "two")
    assert [(row.label, row.trained_alike) for row in changes.models] == [("other", False), ("same", True)]
    assert (
        main(["diff", str(tmp_path / "one"), str(tmp_path / "two"), "--html", str(tmp_path / "d.html")]) == 0
    )
    assert capsys.readouterr().out.splitlines()[0] == (
        "trained on different texts, which alone may move them: other"
    )
    assert "trained on different texts (other)" in (tmp_path / "d.html").read_text()

"""Figures on matplotlib axes, what values show of themselves, and progress in a notebook."""

import sys

import numpy as np
import pytest
from paths import GOLDEN

import lmbench as lb
from lmbench.errors import InputError
from lmbench.models.notebook import NotebookMonitor, notebook_monitor
from lmbench.scoring.run import Epoch
from lmbench.studies.study import Study


@pytest.fixture(scope="module")
def corpus():
    texts = [str(GOLDEN / f"ferry.{part}.txt") for part in ("train", "test")]
    return lb.Corpus.from_files(texts[0], None, texts[1], documents="line", name="ferry")


@pytest.fixture(scope="module")
def runs(corpus):
    return [
        lb.evaluate(lb.make_model("uniform"), corpus, "word"),
        lb.evaluate(lb.make_model("bigram"), corpus, "word"),
        lb.evaluate(lb.make_model("witten-bell", order=2), corpus, "char"),
    ]


@pytest.fixture(autouse=True)
def figures_are_closed(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_the_leaderboard_has_training_bits(runs):
    table = lb.leaderboard(runs)
    assert table["train_bits_per_char"].notna().all()
    bits = dict(zip(table["label"], table["train_bits_per_char"], strict=True))
    assert bits["bigram"] < 0.8 * bits["uniform"]


def test_figures_are_drawn_on_axes(runs, corpus):
    from matplotlib import pyplot

    axes = lb.plot.leaderboard(runs)
    assert [t.get_text() for t in axes.get_yticklabels()] == sorted(
        ("bigram", "witten-bell", "uniform"),
        key=lambda x: next(r for r in runs if r.label == x).scores.bits_per_char,
    )
    figure, own = pyplot.subplots()
    assert lb.plot.differences(runs, ax=own) is own
    best = min(runs, key=lambda run: run.scores.bits_per_char)
    assert best.label in own.get_title(loc="left")
    names = [t.get_text() for t in own.get_yticklabels()]
    marks = {
        names[round(line.get_ydata()[0])]: line.get_xdata()[0]
        for line in own.lines
        if len(line.get_xdata()) == 1
    }
    for run in runs:
        if run is not best:
            assert marks[run.label] == pytest.approx(run.scores.bits_per_char - best.scores.bits_per_char)
    assert lb.plot.cost(runs).get_xlabel() == "time to train / s"
    figure.savefig(__import__("io").BytesIO())


def test_learning_curves_need_a_history(runs):
    with pytest.raises(InputError, match="nothing to show"):
        lb.plot.learning(runs)
    curve = [Epoch(epoch=i, seconds=i, train_bits=3 / i, valid_bits=4 / i) for i in (1, 2)]
    axes = lb.plot.learning(runs[2].with_facts(history=curve))
    assert sorted(tuple(line.get_ydata()) for line in axes.lines) == [(3, 1.5), (4, 2)]
    assert axes.get_xlabel() == "passes over the text"
    run = runs[2].with_facts(history=curve)
    assert lb.plot.learning(run, along="seconds").get_xlabel() == "time in training / s"
    with pytest.raises(InputError, match="did you mean epoch"):
        lb.plot.learning(run, along="epochs")


def test_zipf_of_a_corpus_a_text_and_counts(corpus):
    from collections import Counter

    words = corpus.whole().text.split()
    points = []
    for given in (corpus.whole(), Counter(words)):
        axes = lb.plot.zipf(given)
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        points.append(max(axes.lines[0].get_ydata()))
    assert points[1] == max(Counter(words).values())
    assert lb.plot.zipf(corpus, orders=(1, 2)).get_xlabel() == "rank"


def test_surprisal_of_a_passage_sums_to_its_bits(runs, corpus):
    run = runs[2]
    axes = lb.plot.surprisal(runs, corpus, start=3, length=20)
    assert [t.get_text() for t in axes.get_xticklabels()] == list(corpus.test.text[3:23].replace("\n", "↵"))
    drawn = next(line for line in axes.lines if line.get_label() == run.label or len(axes.lines) == 3)
    assert len(drawn.get_xdata()) == 21
    steps = {line.get_ydata()[:20].sum() for line in axes.lines}
    assert any(total == pytest.approx(run.scores.bits[3:23].sum()) for total in steps)  # a character a token
    with pytest.raises(InputError, match="characters of test text, none from"):
        lb.plot.surprisal(run, corpus, start=10**6)


def test_several_corpora_have_to_be_named(runs):
    other = runs[1].__class__("other", "bigram", runs[1].scores, runs[1].signature, runs[1].facts)
    with pytest.raises(InputError, match="one of ferry, other"):
        lb.plot.leaderboard([*runs, other])
    with pytest.raises(InputError, match="did you mean ferry"):
        lb.plot.leaderboard(runs, "fery")


def test_values_show_themselves_in_a_line_and_in_a_table(runs, corpus):
    fit = lb.fit_zipf(np.arange(200, 0, -1))
    for value, part in (
        (corpus, "ferry"),
        (corpus.test, "characters"),
        (runs[1], "bigram"),
        (runs[1].scores, "bits"),
    ):
        assert part in repr(value)
        assert part in value._repr_html_()
    assert "types 200" in repr(fit)
    for value in (corpus, corpus.train, runs[0], runs[0].scores, fit):
        assert len(repr(value)) < 500
        assert value._repr_html_().startswith("<table>")
    study = Study(question="Is <this> so?", sentences=["Yes & no."], rows=[], charts=[])
    assert study._repr_html_() == "<h4>Is &lt;this&gt; so?</h4><p>Yes &amp; no.</p>"


class _Handle:
    def __init__(self, text):
        self.shown = [text]
        _Handle.last = self

    def update(self, text):
        self.shown.append(text)


def test_progress_in_a_notebook_goes_when_it_is_done(monkeypatch):
    monkeypatch.setattr("lmbench.models.notebook.notebook_display", lambda: _Handle)
    with notebook_monitor("lstm <1>") as monitor:
        monitor.progress(1, 4, "loss")
        monitor.progress(2, 4)  # too soon to be drawn
        monitor.progress(4, 4)
    shown = _Handle.last.shown
    assert shown[0] == "lstm &lt;1&gt; <progress value='1' max='4'></progress> loss"
    assert len(shown) == 3
    assert shown[-1] == ""


def test_outside_of_notebooks_there_is_none(monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    with notebook_monitor("lstm") as monitor:
        assert not isinstance(monitor, NotebookMonitor)

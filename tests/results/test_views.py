"""What the page shows of the text itself: the same alternatives as the whole text gives, from its beginning alone."""

import numpy as np
import pytest

from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.results import views
from lmbench.results.views import views_of
from lmbench.scoring.evaluation import fit_run
from lmbench.text.canonical import CanonicalText

LINES = ["the ferry waits", "by the river", "until the miners come", "down from the hills"]


def line_text(seed, count):
    return CanonicalText.of([LINES[n] + "\n" for n in np.random.default_rng(seed).integers(0, 4, count)])


@pytest.fixture(scope="module")
def fitted():
    corpus = Corpus("c", line_text(0, 60), line_text(1, 20), line_text(2, 120), documents="line")
    pairs = [fit_run(make_model("bigram"), corpus, unit, unit) for unit in ("char", "word")]
    runs = [run for _, run in pairs]
    return corpus, runs, {run.label: scorer for scorer, run in pairs}


def test_alternatives_are_those_after_the_context(fitted, monkeypatch):
    corpus, runs, scorers = fitted
    asked = []

    def encode(scorer, text):
        asked.append(text.chars)
        return type(scorer).encode(scorer, text)

    monkeypatch.setattr(views, "EXTRACT", 300)
    monkeypatch.setattr(views, "MARGIN", 50)
    for scorer in scorers.values():
        monkeypatch.setattr(scorer, "encode", lambda text, scorer=scorer: encode(scorer, text), raising=False)
    shown = views_of({"c": corpus}, runs, lambda run: scorers[run.label])
    assert max(asked) <= 400 < corpus.test.chars
    for track in shown.extracts[0].tracks:
        scorer = scorers[track.label]
        tokens = type(scorer).encode(scorer, corpus.test).tokens
        for t, options in enumerate(track.alternatives):
            start = tokens.starts[tokens.starts <= t][-1]
            log_probs = scorer.model.next_log_probs(tokens.ids[start:t], tokens.bos)
            best = np.argsort(-log_probs, kind="stable")[:5]
            assert [token for token, _ in options] == [scorer.vocab.tokens[i] for i in best]
            assert [p for _, p in options] == pytest.approx(np.exp(log_probs[best]).tolist())


def test_a_tokenizer_that_cuts_a_beginning_otherwise_reads_the_whole(fitted):
    corpus, runs, scorers = fitted
    scorer, run = scorers["word"], next(run for run in runs if run.label == "word")
    other = type(run.scores)(**{**vars(run.scores), "ends": run.scores.ends + 1})
    assert len(views._beginning(scorer, corpus.test, other, 10)) == len(run.scores)
    assert len(views._beginning(scorer, corpus.test, run.scores, 10)) < len(run.scores)


def test_every_two_of_the_best_are_compared(fitted):
    corpus, runs, scorers = fitted
    (made,) = views_of({"c": corpus}, runs, lambda run: scorers[run.label]).differences
    assert {made.a, made.b} == {"char", "word"}
    best = min(runs, key=lambda run: run.scores.bits_per_char)
    assert made.a == best.label
    assert made.tables[0].title == "By how often the word occurs in training"


@pytest.mark.parametrize("name", ["trigram", "cache"])
def test_the_likeliest_tokens_are_those_foretold_after_all_that_the_model_has_read(name, ferry):
    scorer, run = fit_run(make_model(name), ferry)
    tokens = scorer.encode(ferry.text("test")).tokens
    first, last = 3, int(tokens.starts[1]) + 9  # into the second document
    rows = views._alternatives(ferry, {name: run}, lambda _: scorer)(name, first, last)
    for t, row in zip(range(first, last), rows, strict=True):
        p = np.exp(scorer.model.next_log_probs(tokens.before(t)))
        np.testing.assert_allclose([share for _, share in row], np.sort(p)[::-1][:5], atol=1e-9)
        assert p[scorer.vocab.index(row[0][0])] == pytest.approx(p.max(), abs=1e-9)


def test_of_a_long_text_the_stretches_that_matter_are_shown(fitted, monkeypatch):
    corpus, runs, scorers = fitted
    monkeypatch.setattr(views, "EXTRACT", 100)
    (whole,) = views_of({"c": corpus}, runs, lambda run: scorers[run.label]).extracts
    assert whole.text == corpus.test.text
    assert all(0 < len(track.alternatives) < len(track.ends) for track in whole.tracks)
    monkeypatch.setattr(views, "TOKENS", 1000)  # of two models: 500 characters, 5 stretches of 100
    made = views_of({"c": corpus}, runs, lambda run: scorers[run.label])
    assert made.extracts[0].start == 0
    assert len(made.extracts) > 1
    assert (
        sum(len(extract.text) for extract in made.extracts) <= 700
    )  # each is cut where both models have a boundary
    starts = [extract.start for extract in made.extracts]
    ends = [extract.start + len(extract.text) for extract in made.extracts]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    (difference,) = made.differences
    place = (difference.a_better or difference.b_better)[0].start
    assert any(start <= place < end for start, end in zip(starts, ends, strict=True))
    assert all(
        extract.text == corpus.test.text[extract.start :][: len(extract.text)] for extract in made.extracts
    )

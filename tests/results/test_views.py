"""What the page shows of the text itself: the same alternatives as the whole text gives, from its beginning alone."""

import numpy as np
import pytest

from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.results import likeliest, views
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


def test_likeliest_tokens_are_told_at_the_beginning_and_in_passages(fitted, monkeypatch):
    corpus, runs, scorers = fitted
    monkeypatch.setattr(views, "EXTRACT", 300)
    monkeypatch.setattr(likeliest, "CELLS", 100)
    (shown,) = views_of({"c": corpus}, runs, lambda run: scorers[run.label]).extracts
    (compared,) = views_of({"c": corpus}, runs, lambda run: scorers[run.label]).differences
    passages = [(p.start, p.end) for some in (compared.a_better, compared.b_better) for p in some[:5]]
    assert max(end for _, end in passages) > 600
    for track in shown.tracks:
        begins = np.append(0, track.ends)[:-1]
        for piece in [(0, 300), *passages]:
            inside = np.flatnonzero((begins >= piece[0]) & (begins < piece[1]))
            assert len(inside) > 0
            assert set(inside.tolist()) <= set(track.alternatives)
        tokens = scorers[track.label].encode(corpus.test).tokens
        for place, options in track.alternatives.items():
            check(scorers[track.label], tokens, place, options)


def check(scorer, tokens, place, options):
    """Whether these are the likeliest after all that stands before a token in its document (an adaptive model: in the text)."""
    log_probs = scorer.model.next_log_probs(tokens.before(place))
    np.testing.assert_allclose([p for _, p in options], np.sort(np.exp(log_probs))[::-1][:5], atol=1e-6)
    assert log_probs[scorer.vocab.index(options[0][0])] == pytest.approx(log_probs.max(), abs=1e-6)


@pytest.mark.parametrize("documents", ["line", "stream"])
@pytest.mark.parametrize(
    ("name", "unit"), [("trigram", "word"), ("bigram", "char"), ("cache", "word"), ("gru", "char")]
)
@pytest.mark.parametrize("cells", [20, likeliest.CELLS])
def test_no_more_is_read_than_is_needed_and_it_is_told_the_same(name, unit, documents, cells, monkeypatch):
    parts = [line_text(seed, count) for seed, count in ((0, 60), (1, 20), (2, 400))]
    if documents == "stream":
        parts = [CanonicalText.of([part.text]) for part in parts]
    corpus = Corpus("c", *parts, documents=documents)
    options = {"hidden": 4, "epochs": 1} if name == "gru" else {}
    scorer, run = fit_run(make_model(name, **options), corpus, unit)
    tokens = scorer.encode(corpus.test).tokens
    monkeypatch.setattr(likeliest, "MARGIN", 50)
    monkeypatch.setattr(likeliest, "CELLS", cells)
    read = []
    encode = type(scorer).encode
    monkeypatch.setattr(
        scorer, "encode", lambda text: (read.append(text.chars), encode(scorer, text))[1], raising=False
    )
    pieces = [(0, 60), (3000, 3030), (3020, 3060), (5000, 5040)]
    told = likeliest.alternatives(corpus.test, {run.label: run}, lambda _: scorer, pieces)(run.label)
    bounded = name in ("trigram", "bigram") or documents == "line"
    assert max(read) < (400 if bounded else corpus.test.chars)
    begins = np.append(0, run.scores.ends)[:-1]
    inside = [
        k
        for k in range(len(begins))
        if any(a <= begins[k] < b for a, b in pieces[: 1 if name == "cache" else 4])
    ]
    assert sorted(told) == inside
    for place, options in told.items():
        check(scorer, tokens, place, options)


def test_what_is_held_of_an_adaptive_model_is_bounded(fitted, monkeypatch):
    corpus, _, _ = fitted
    scorer, run = fit_run(make_model("cache"), corpus, "word")
    size = scorer.model.vocab_size
    monkeypatch.setattr(likeliest, "CELLS", 3 * size)
    asked, ask = [], scorer.model.distributions
    monkeypatch.setattr(
        scorer.model,
        "distributions",
        lambda tokens, places: (asked.append(len(places)), ask(tokens, places))[1],
    )
    told = likeliest.alternatives(corpus.test, {run.label: run}, lambda _: scorer, [(0, 200)])(run.label)
    assert max(asked) == 3
    assert sum(asked) == len(told)
    monkeypatch.setattr(likeliest, "READ", len(told))  # then reading anew for each part costs too much
    asked.clear()
    likeliest.alternatives(corpus.test, {run.label: run}, lambda _: scorer, [(0, 200)])(run.label)
    assert asked == [len(told)]


def test_a_tokenizer_that_cuts_a_piece_otherwise_reads_the_whole(fitted):
    corpus, runs, scorers = fitted
    scorer, run = scorers["word"], next(run for run in runs if run.label == "word")
    tokens = scorer.encode(corpus.test).tokens
    other = type(run.scores)(**{**vars(run.scores), "ends": run.scores.ends + 1})
    for scores in (run.scores, other):
        some = likeliest._reading(scorer, corpus.test, scores, 30, 40)
        assert some.ids.tolist() == tokens.ids[30:40].tolist()
        assert some.starts.tolist() == [0, *(tokens.starts[(tokens.starts > 30) & (tokens.starts < 40)] - 30)]


def test_every_two_of_the_best_are_compared(fitted):
    corpus, runs, scorers = fitted
    (made,) = views_of({"c": corpus}, runs, lambda run: scorers[run.label]).differences
    assert {made.a, made.b} == {"char", "word"}
    best = min(runs, key=lambda run: run.scores.bits_per_char)
    assert made.a == best.label
    assert made.tables[0].title == "By how often the word occurs in training"

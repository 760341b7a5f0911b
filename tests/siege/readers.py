"""What holds of every file that the readers of models are given.

A file gives a model whose scores are no NaN and not above 0, or is refused by an InputError of one line: no other exception,
no warning, no hang, no memory beyond its size. ``fuzz.py`` searches for files that break this, the tests draw some.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from promises import assert_line

from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.text.canonical import canonical_text

TEXT = canonical_text(["a b c\nb a\n\nthe <s> b </s> a\na b a <unk> é\n"], "none", "line")
CORPUS = Corpus("few", TEXT, TEXT, TEXT, "none", "line")

ARPA = """\\data\\
ngram 1=6
ngram 2=5
ngram 3=3

\\1-grams:
-1.5\t<unk>
0\t<s>\t-0.5
-0.5\t</s>
-0.5\ta\t-0.125
-1\tb\t-0.2
-1\té

\\2-grams:
-0.25\t<s> a\t-0.1
-0.5\ta b\t-0.3
-0.75\ta </s>
-1\tb a
-0.4\tb </s>

\\3-grams:
-0.3\t<s> a b
-0.1\ta b a
-0.2\ta b </s>

\\end\\
"""
# What fits in milliseconds.
FAST = (
    "uniform",
    "unigram",
    "bigram",
    "trigram",
    "laplace",
    "kneser-ney",
    "witten-bell",
    "katz",
    "absolute-discounting",
)


# What holds ----------------------------------------------------------------------------------------


def arpa_scores(data: bytes, folder: Path) -> list[float] | None:
    """The scores that an ARPA file of these bytes gives, and gives again once saved; None where it is refused."""
    return _scores(data, folder, _saved_again)


def saved_scores(data: bytes, folder: Path) -> list[float] | None:
    """The scores that a saved model of these bytes gives; None where it is refused."""
    return _scores(data, folder, load_model)


def _saved_again(path: Path) -> Scorer:
    scorer = Scorer.fit(make_model("arpa", file=str(path)), CORPUS, "word")
    expected = scorer.score(TEXT).log_probs.tolist()
    scorer.save(path.with_name("saved"))
    scorer = load_model(path.with_name("saved"))
    assert scorer.score(TEXT).log_probs.tolist() == expected
    return scorer


def _scores(data: bytes, folder: Path, read: Callable[[Path], Scorer]) -> list[float] | None:
    path = folder / "model"
    path.write_bytes(data)
    told = ""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            scorer = read(path)
            scores = scorer.score(TEXT)
            rows = scorer.model.next_log_probs([[], scorer.encode(TEXT).tokens.ids[:2]])
        except InputError as error:
            told = str(error)
        else:
            for found in (scores.log_probs, scores.spelling, rows):
                assert (found <= 0).all(), f"a log-probability of {found.max()}"
            return scores.log_probs.tolist()
    assert_line(told)
    return None

"""What else a saved model is used for than to score a text: each gives numbers that can be, or is refused in one line."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from promises import assert_line
from readers import TEXT

from lmbench.errors import InputError
from lmbench.scoring.choices import Question, answers
from lmbench.scoring.lines import score_each_line
from lmbench.scoring.ranking import minimal_pairs, ranked
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.scoring.surprisal import words_of
from lmbench.scoring.verification import verify
from lmbench.text.canonical import canonical_text

# Unknown words and characters, one word, lines with nothing in them, nothing at all, one word again and again.
TEXTS = ("never read Ж𝄞\n", "a", "\n\n\n", "", "a " * 40, "b a\n<unk> c")


def use(scorer: Scorer, name: str, folder: Path) -> None:
    """One of ``USES``; raises where it is neither done well nor refused in one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            USES[name](scorer, folder)
        except InputError as error:
            assert_line(str(error))


def _not_above_0(numbers: np.ndarray | float) -> None:
    assert np.all(np.asarray(numbers) <= 0), f"a log-probability of {np.max(numbers)}"


def _other_texts(scorer: Scorer, folder: Path) -> None:
    for text in TEXTS:
        scores = scorer.score(text)
        _not_above_0(scores.log_probs)
        _not_above_0(scores.spelling)
    for rows in score_each_line(scorer, [["a b\nnever\n\n", "a\n"]]):
        for row in rows:
            _not_above_0(row.log_prob + row.spelling_log_prob)


def _samples(scorer: Scorer, folder: Path) -> None:
    rng = np.random.default_rng(0)
    assert isinstance(scorer.generate(rng, 6, "a ", 0.8, top_p=0.9), str)
    for _, nats in scorer.next_tokens("b ", top=3):
        _not_above_0(nats)


def _ranks(scorer: Scorer, folder: Path) -> None:
    for one in ranked(scorer, [["a b", "b a", "never"]])[0]:
        _not_above_0(one.log_prob)
    assert not any(map(math.isnan, minimal_pairs(scorer, [("a b", "b b"), ("é", "never")])))
    for nats in answers(scorer, [Question("a", ["b", "never"], 0)]).log_probs[0]:
        _not_above_0(nats)


def _words(scorer: Scorer, folder: Path) -> None:
    for word in words_of(scorer, ["a b never a\n\nb"]):
        assert word.bits >= 0, f"bits of a word: {word.bits}"
        assert word.uncorrected >= 0, f"uncorrected bits: {word.uncorrected}"
        assert word.token_entropy is None or word.token_entropy >= 0
        assert word.token_entropy_reduction is None or not math.isnan(word.token_entropy_reduction)


def _steps(scorer: Scorer, folder: Path) -> None:
    tokens = scorer.encode(TEXT).tokens
    stepper = scorer.model.stepper(tokens.bos)
    for document in tokens.documents()[:2]:
        stepper.begin()
        for t in range(len(document)):
            _not_above_0(stepper.distribution())
            stepper.read(document[t : t + 1])
    _not_above_0(scorer.model.distributions(tokens, [0, len(tokens) - 1]))
    scorer.model.likeliest(tokens, np.arange(min(4, len(tokens))))


def _saved(scorer: Scorer, folder: Path) -> None:
    expected = scorer.score(TEXT)
    scorer.save(folder / "again")
    scores = load_model(folder / "again", check=True).score(TEXT)
    assert scores.log_probs.tolist() == expected.log_probs.tolist()
    assert scores.spelling.tolist() == expected.spelling.tolist()


def _as_n_grams(scorer: Scorer, folder: Path) -> None:
    scorer.save(folder / "again.arpa")
    _not_above_0(load_model(folder / "again.arpa").score("a b never\n").log_probs)


def _decoded(scorer: Scorer, folder: Path) -> None:
    verify(scorer, canonical_text(["a b a\nb never\n"], scorer.normalise, scorer.documents))


USES: dict[str, Callable[[Scorer, Path], None]] = {
    "other texts": _other_texts,
    "samples": _samples,
    "ranks": _ranks,
    "words": _words,
    "steps": _steps,
    "saved again": _saved,
    "n-grams": _as_n_grams,
    "decoded": _decoded,
}

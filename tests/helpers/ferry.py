"""Lines as documents of words; the ferry, a small text written for this project, as such."""

from paths import GOLDEN

from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import build_vocab

WORD = unit_named("word")
LINE = "the ferry leaves at nine and the captain sings while rain falls on an old quiet river"
WORDS = LINE.split()


def encoded(train: str, test: str):
    """Both texts as documents of words, a line each; test tokens are found in the vocabulary of train."""
    canonical = [canonical_text([text], "none", "line") for text in (train, test)]
    vocab = build_vocab(canonical[0], WORD)
    return [encode(text, WORD, vocab) for text in canonical]


def ferry():
    return encoded((GOLDEN / "ferry.train.txt").read_text(), (GOLDEN / "ferry.test.txt").read_text())

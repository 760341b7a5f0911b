"""Sources of text whose entropy rate is known, so that a model's bits can be set against the truth.

Two families cover them. A hidden Markov source (``chains``) moves between states and writes a character at each step
(Markov chains of order k, the Golden Mean and the Even process are cases of it). A grammar (``grammars``) writes
sentence after sentence. An option's annotation says which values it takes; ``make_source`` checks them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Protocol, get_type_hints

import msgspec
import numpy as np
from msgspec import Meta

from lmbench.corpora.chains import HiddenMarkov
from lmbench.corpora.grammars import Grammar
from lmbench.errors import InputError, unknown

LETTERS = "abcdefghijklmnopqrstuvwxyz"
Share = Annotated[float, Meta(ge=0, le=1)]


class Source(Protocol):
    """Something that writes text at random."""

    @property
    def entropy_rate(self) -> tuple[float, float]:
        """Bounds in bits per character, low ≤ high; equal where the rate is known exactly."""
        ...

    def generate(self, length: int, rng: np.random.Generator) -> str:
        """``length`` characters from the stationary beginning on."""
        ...

    def log_probs(self, text: str) -> np.ndarray | None:
        """(len(text),) float64 nats ≤ 0: ln p(character | those before it in the text) of a stretch of what it writes.

        −inf from the first character on that it cannot have written; None where it is not known how to compute it.
        """
        ...


def golden_mean(p: Share = 0.5) -> HiddenMarkov:
    """Over "ab", no b follows a b: after an a, b with probability p. At p = 1/2 the rate is 2/3 bit."""
    return HiddenMarkov("ab", np.array([[[1 - p, 0], [1, 0]], [[0, p], [0, 0]]]))


def even_process(p: Share = 0.5) -> HiddenMarkov:
    """Over "ab", b's come in runs of even length: of infinite Markov order. At p = 1/2 the rate is 2/3 bit."""
    return HiddenMarkov("ab", np.array([[[1 - p, 0], [0, 0]], [[0, p], [1, 0]]]))


def markov(
    order: Annotated[int, Meta(ge=0, le=10)] = 2,
    symbols: Annotated[int, Meta(ge=2, le=27)] = 4,
    concentration: Annotated[float, Meta(ge=0.01, le=1e6)] = 0.5,
    table: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0,
) -> HiddenMarkov:
    """A chain of the given order over that many characters (the last a space).

    Each context's distribution is drawn from a symmetric Dirichlet of the given concentration, by the seed
    ``table``: small concentrations make a predictable text.
    """
    contexts = symbols**order
    if contexts > 1024:
        raise InputError(f"symbols ** order = {contexts} contexts are more than 1024; lower one of them")
    rows = np.random.default_rng(table).dirichlet(np.full(symbols, concentration), size=contexts)
    moves = np.zeros((symbols, contexts, contexts))
    for a in range(symbols):
        moves[a, np.arange(contexts), (np.arange(contexts) * symbols + a) % contexts] = rows[:, a]
    return HiddenMarkov(LETTERS[: symbols - 1] + " ", moves)


def hidden_markov(stay: Share = 0.9, purity: Share = 0.85) -> HiddenMarkov:
    """Three hidden states over "abc ", each kept with probability ``stay``, each writing mostly its own letter.

    A state writes its letter with probability ``purity``, else another character, all alike; the rate is bounded.
    """
    go = np.full((3, 3), (1 - stay) / 2)
    np.fill_diagonal(go, stay)
    write = np.full((3, 4), (1 - purity) / 3)
    np.fill_diagonal(write, purity)
    return HiddenMarkov("abc ", np.einsum("sa,st->ast", write, go))


def zipf_mandelbrot(
    types: Annotated[int, Meta(ge=2, le=100_000)] = 2000,
    alpha: Annotated[float, Meta(ge=0, le=20)] = 1.0,
    b: Annotated[float, Meta(ge=-0.99, le=1e6)] = 2.7,
    line: Annotated[int, Meta(ge=1, le=10_000)] = 10,
) -> Grammar:
    """Independent words, p(r) ∝ (r + b)^-alpha over that many types, ``line`` words a line.

    The frequent ones are short, as in a language: words are the numbers 1, 2, … spelled in 100 syllables.
    """
    weights = (np.arange(1, types + 1) + b) ** -float(alpha)
    words = [_spell(r) for r in range(1, types + 1)]
    return Grammar(
        {
            "S": [(1.0, ["W"] * line)],
            "W": [(p, [w]) for p, w in zip(weights / weights.sum(), words, strict=True)],
        }
    )


_SYLLABLES = [c + v for v in "aeiou" for c in "tnshrdlcmwfgypbvkjxz"]


def _spell(number: int) -> str:
    """1 → ta, 2 → na, … 100 → zu, 101 → tata: bijective, so that no two numbers share a word."""
    word = ""
    while number:
        number, digit = divmod(number - 1, len(_SYLLABLES))
        word = _SYLLABLES[digit] + word
    return word


def grammar(clause: Annotated[float, Meta(ge=0, le=0.9)] = 0.3) -> Grammar:
    """Small English sentences; a noun takes a relative clause with probability ``clause`` (nested without bound)."""

    def words(text: str) -> list[tuple[float, list[str]]]:
        items = text.split()
        weights = 1 / np.arange(1, len(items) + 1)
        return [(float(p), [w]) for p, w in zip(weights / weights.sum(), items, strict=True)]

    return Grammar(
        {
            "S": [(0.8, ["NOUNS", "VERBS"]), (0.2, ["ADVERB", "NOUNS", "VERBS"])],
            "NOUNS": [(1 - clause, ["ARTICLE", "NAME"]), (clause, ["ARTICLE", "NAME", "that", "VERBS"])],
            "NAME": [(0.7, ["NOUN"]), (0.3, ["ADJECTIVE", "NOUN"])],
            "VERBS": [(0.5, ["STANDS"]), (0.5, ["SEES", "NOUNS"])],
            "ARTICLE": [(0.6, ["the"]), (0.3, ["a"]), (0.1, ["every"])],
            "ADVERB": words("today often then there"),
            "ADJECTIVE": words("old small red quiet other"),
            "NOUN": words("ferry river man woman dog house bell lamp stranger captain"),
            "STANDS": words("waits sleeps turns sings returns"),
            "SEES": words("sees hears follows finds remembers"),
        }
    )


SOURCES: dict[str, Callable[..., Source]] = {
    "zipf-mandelbrot": zipf_mandelbrot,
    "markov": markov,
    "golden-mean": golden_mean,
    "even-process": even_process,
    "hidden-markov": hidden_markov,
    "grammar": grammar,
}


def make_source(name: str, **options: Any) -> Source:
    """A source by its name in SOURCES; raises InputError for unknown names, options or values out of range.

    >>> source = make_source("golden-mean", p=1.0)  # after an a, always b
    >>> source.generate(6, np.random.default_rng(0))
    'ababab'
    """
    if name not in SOURCES:
        raise unknown("source", name, SOURCES)
    kinds = get_type_hints(SOURCES[name], include_extras=True)
    del kinds["return"]
    for key, value in options.items():
        if key not in kinds:
            raise unknown(f"option of source {name}", key, kinds)
        try:
            options[key] = msgspec.convert(value, kinds[key])
        except msgspec.ValidationError as error:
            raise InputError(f"{key}={value!r} of source {name}: {error}") from None
    return SOURCES[name](**options)

"""Grammars that write sentences, and the entropy rate of what they write."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmbench.corpora.chains import entropy


@dataclass(frozen=True)
class Grammar:
    r"""Sentences of words between single spaces, each ended by ``\n``, drawn independently.

    rules: for each symbol, its expansions with their probabilities; a name that is no key of ``rules`` is a word.
    start: the symbol of a sentence. The grammar must be unambiguous, with finite sentences on average: then the
    entropy of a sentence is that of the choices made in it, and the rate is H(sentence) / E(characters).
    """

    rules: dict[str, Sequence[tuple[float, Sequence[str]]]]
    start: str = "S"

    @cached_property
    def entropy_rate(self) -> tuple[float, float]:
        names = list(self.rules)
        index = {name: i for i, name in enumerate(names)}
        uses = np.zeros((len(names), len(names)))
        choice, length = np.zeros(len(names)), np.zeros(len(names))
        for name, expansions in self.rules.items():
            i = index[name]
            choice[i] = entropy(np.array([p for p, _ in expansions]))
            for p, symbols in expansions:
                for symbol in symbols:
                    if symbol in index:
                        uses[i, index[symbol]] += p
                    else:
                        length[i] += p * (len(symbol) + 1)  # the blank or line feed after it
        # H(A) = H(choice of A) + Σ_B E(uses of B in A) H(B), and so for lengths.
        solved = np.linalg.solve(np.eye(len(names)) - uses, np.stack([choice, length], axis=1))
        bits, characters = solved[index[self.start]]
        return float(bits / characters), float(bits / characters)

    def sentence(self, rng: np.random.Generator) -> list[str]:
        """The words of one sentence."""
        words: list[str] = []
        stack = [self.start]
        while stack:
            symbol = stack.pop()
            if symbol not in self._choices:
                words.append(symbol)
                continue
            cumulative, expansions = self._choices[symbol]
            stack.extend(expansions[bisect.bisect_right(cumulative, rng.random())])
        return words

    @cached_property
    def _choices(self) -> dict[str, tuple[list[float], list[list[str]]]]:
        """symbol: (cumulative probabilities, expansions backwards, as a stack wants them)."""
        tables = {}
        for name, expansions in self.rules.items():
            cumulative = np.cumsum([p for p, _ in expansions])
            cumulative[-1] = math.inf
            tables[name] = cumulative.tolist(), [list(reversed(symbols)) for _, symbols in expansions]
        return tables

    def generate(self, length: int, rng: np.random.Generator) -> str:
        lines, total = [], 0
        while total < length:
            lines.append(" ".join(self.sentence(rng)) + "\n")
            total += len(lines[-1])
        return "".join(lines)[:length]

    def log_probs(self, text: str) -> None:
        """Not known: a stretch that begins within a sentence would have to be parsed."""
        return None

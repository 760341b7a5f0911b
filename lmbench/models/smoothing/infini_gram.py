"""An n-gram model of unbounded order: every context that the text has, however long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Stepper, Traits, learned
from lmbench.models.compiled import compiled
from lmbench.models.logs import logs_of
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.saved import MOST, saved_array
from lmbench.models.smoothing.context_tree import (
    COLUMNS,
    DEEPEST,
    LENGTHS,
    PLACES,
    RATIOS,
    SETTINGS,
    ContextTree,
    extend,
    read,
)
from lmbench.text.tokens import Tokens

_HELD_OUT = 1 << 17  # tokens of the held-out text that settings are chosen on
_BLOCK = 4096  # tokens of which the evidence is noted at once
_PENALTY = (
    0.3  # bits for the square of a setting, so that classes that hardly occur stay where the others are
)
_SPARE = 1 << 16  # tokens by which a text may grow before it is read anew
_NOWHERE = np.zeros(0, dtype=np.int64)


@dataclass(kw_only=True, eq=False)
class InfiniGram(LanguageModel):
    """p(w | h) = (c(h w) − D(c)) / c(h) + γ(h) p(w | h'), with h all of the text before, γ(h) what makes the sum one, and h' the next shorter context that tells more.

    Contexts of any length, from the longest that the training text has (Liu et al. 2024) down to the empty one and the uniform
    distribution; those seen only as the end of one longer context are passed over, since they tell the same (Wood et al. 2009). c counts a token
    once for each longer context that it was seen in, as in Kneser–Ney smoothing, at the longest what it is; that is the
    hierarchical Pitman–Yor process with a table a dish (Teh 2006; Gasthaus & Teh 2010). The discount D(1) of a context is 1 / (1 + e^−z), z a
    sum of settings for its length, how many kinds of tokens it has seen, each how often, how much longer it is than the next
    shorter one, and whether the match was cut short by the end of what is the same in the training text; D(2) and D(3+) are multiples. The settings are those that
    predict the held-out text best, read as the test text will be.

    With ``adaptive`` the contexts go on growing while a text is scored, from one document to the next, each token in constant time on average.
    With ``read_valid`` the held-out text is learnt too, as a compressor reads all that stands before the test; the model's score on it then means nothing.
    Words, characters and bytes. It keeps its training text: saved it takes 4 bytes a token, at work some 140.
    """

    adaptive: bool = option(False, "go on learning from the text that is scored")
    read_valid: bool = option(
        False, "count the held-out text too, after the settings were chosen on it", fits=False
    )

    ids: np.ndarray = learned()  # (T,) int32, the training text
    starts: np.ndarray = learned()  # (D,) int64
    bos: int = learned()
    settings: np.ndarray = learned()  # (SETTINGS,)
    tree: ContextTree = learned()
    first: int = learned()  # the state in which documents begin

    @property
    def traits(self) -> Traits:
        return Traits(adaptive=self.adaptive, held_out="needed")

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        assert valid is not None  # fit has seen to it
        self.ids, self.starts, self.bos = train.ids.astype(np.int32), train.starts, train.bos
        self.settings = np.zeros(SETTINGS)
        self._grow()
        self.settings = _likeliest_settings(self._evidence(valid.head(_HELD_OUT)), self.vocab_size)

    def _settle(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator) -> None:
        if self.read_valid and valid is not None:
            self._read_on(valid)
            self.notes.append("it has counted the held-out text too")

    def _read_on(self, tokens: Tokens) -> bool:
        """More text behind that of training; the settings stay."""
        self.starts = np.concatenate([self.starts, tokens.starts + len(self.ids)])
        self.ids = np.concatenate([self.ids, tokens.ids])
        self._grow()
        return True

    def _grow(self) -> None:
        """The tree of the training text. A document begins as if one token stood before it; that token is read once."""
        text = Tokens(self.ids, self.starts, self.bos)
        self.tree, self.first = self._planted(text)
        self._read(self.tree, text, learns=True)

    def _planted(self, tokens: Tokens) -> tuple[ContextTree, int]:
        """An empty tree with room for the tokens, and the state in which their documents begin."""
        tree = ContextTree.empty(len(tokens) + len(tokens.starts) + 1)
        return tree, int(extend(tree, 0, tokens.bos)) if tokens.bos >= 0 else 0

    def retraced(self, train: Tokens, size: int) -> Iterator[np.ndarray] | None:
        return self._retraced(train, size) if self.adaptive else None

    def _retraced(self, train: Tokens, size: int) -> Iterator[np.ndarray]:
        tree, first = self._planted(train)
        place = np.array([first, min(first, 1), first])
        for piece in train.pieces(size):
            rows = self._read(tree, piece, learns=True, wanted=np.arange(len(piece)), place=place)[1]
            yield logs_of(rows)

    def _read(
        self,
        tree: ContextTree,
        tokens: Tokens,
        learns: bool,
        scored: bool = False,
        wanted: np.ndarray = _NOWHERE,
        place: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(T,) ln p of the tokens, if they are to be scored, and (R, V) p of all that may stand at the places wanted.

        place: where the reading goes on (see ``read``); default at the beginning.
        """
        log_probs, rows = np.empty(len(tokens) if scored else 0), np.empty((len(wanted), self.vocab_size))
        place = self._place(tokens) if place is None else place
        nothing = np.empty((0, COLUMNS), dtype=np.int32)
        given = (tree, tokens.ids, tokens.starts, place, learns, self.settings, self.vocab_size)
        read(*given, log_probs, rows, wanted, nothing, _NOWHERE, LENGTHS, RATIOS, PLACES)
        return log_probs, rows

    def _place(self, tokens: Tokens) -> np.ndarray:
        first = self.first if tokens.bos == self.bos else 0
        return np.array([first, min(first, 1), first])

    def _evidence(self, tokens: Tokens) -> Evidence:
        """What the predictions of the tokens rest on."""
        tree, place = self._ready(tokens), self._place(tokens)
        noted, offsets = [], [np.zeros(1, dtype=np.int64)]
        room = np.empty((min(_BLOCK, len(tokens)) * (DEEPEST + 1), COLUMNS), dtype=np.int32)
        for piece in tokens.pieces(_BLOCK):
            ends = np.zeros(len(piece) + 1, dtype=np.int64)
            given = (tree, piece.ids, piece.starts, place, self.adaptive, self.settings, self.vocab_size)
            read(*given, np.empty(0), np.empty((0, 1)), _NOWHERE, room, ends, LENGTHS, RATIOS, PLACES)
            noted.append(room[: ends[-1]].copy())
            offsets.append(ends[1:] + offsets[-1][-1])
        return Evidence(np.concatenate(noted), np.concatenate(offsets))

    def _ready(self, tokens: Tokens, spare: int = 0) -> ContextTree:
        """The tree to read tokens by: one that may learn them, or the one of the training text."""
        if not self.adaptive:
            return self.tree
        room = len(tokens) + len(tokens.starts) + spare
        return self.tree.grown(len(self.ids) + len(self.starts) + 1 + room)

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        return self._read(self._ready(tokens), tokens, self.adaptive, scored=True)[0]

    def _distributions(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        wanted = np.asarray(places, dtype=np.int64)
        rows = self._read(self._ready(tokens), tokens, self.adaptive, wanted=wanted)[1]
        return logs_of(rows)

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        return np.stack([self._after(Tokens.of(context, bos)) for context in contexts])

    def _stepper(self, bos: int) -> Stepper:
        return Walk(self, bos)

    def _likeliest(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        ordered = np.unique(places)
        best = np.empty(len(ordered), dtype=np.int64)
        for part in np.array_split(np.arange(len(ordered)), -(-len(ordered) * self.vocab_size // (1 << 23))):
            best[part] = self._distributions(tokens, ordered[part]).argmax(axis=1)
        here: np.ndarray = best[np.searchsorted(ordered, places)] == tokens.ids[places]
        return here

    def _state(self) -> dict[str, np.ndarray]:
        return {
            "ids": self.ids,
            "starts": self.starts,
            "bos": np.array([self.bos]),
            "settings": self.settings,
        }

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.ids = np.ascontiguousarray(saved_array(state, "ids", (None,), "i"), dtype=np.int32)
        self.starts = saved_array(state, "starts", (None,), "i").astype(np.int64)
        self.bos = int(saved_array(state, "bos", (1,), "i")[0])
        self.settings = saved_array(state, "settings", (SETTINGS,), least=-MOST, most=MOST).astype(np.float64)
        inside = (self.ids >= 0) & (self.ids < self.vocab_size)
        ordered = (np.diff(self.starts, prepend=-1) > 0) & (self.starts < len(self.ids))
        if not (inside.all() and ordered.all() and -1 <= self.bos < self.vocab_size):
            raise InputError("the training text in it is none of this vocabulary; fit the model anew")
        self._grow()


class Walk(Stepper):
    """The tree as far as it has grown in a text, and the place in it."""

    model: InfiniGram

    def __init__(self, model: InfiniGram, bos: int) -> None:
        super().__init__(model, bos)
        nothing = Tokens.of((), bos)
        self.tree, self.place = model._ready(nothing, spare=_SPARE), model._place(nothing)
        self.room, self.begins = _SPARE, _NOWHERE

    def begin(self) -> None:
        self.begins = np.zeros(1, dtype=np.int64)  # the next token begins a document

    def read(self, ids: np.ndarray) -> None:
        if self.model.adaptive and len(ids) > self.room:
            self.room = len(ids) + max(_SPARE, int(self.tree.sizes[0]))
            self.tree = self.tree.grown(int(self.tree.sizes[0]) + self.room)
        self.room -= len(ids)
        self.model._read(self.tree, Tokens(ids, self.begins, self.bos), self.model.adaptive, place=self.place)
        self.begins = _NOWHERE

    def _distribution(self) -> np.ndarray:
        anything = Tokens(np.zeros(1, dtype=np.int32), self.begins, self.bos)
        row = self.model._read(
            self.tree, anything, learns=False, wanted=np.zeros(1, dtype=np.int64), place=self.place.copy()
        )[1][0]
        return logs_of(row)


class Evidence(NamedTuple):
    """What the predictions of T tokens rest on: lines (E, COLUMNS) int32 and offsets (T + 1,) int64 of ``read``."""

    lines: np.ndarray
    offsets: np.ndarray


@compiled()
def bits_of(evidence: Evidence, settings: np.ndarray, vocab_size: int, slope: np.ndarray) -> float:
    """Bits that the tokens cost with these settings; adds the derivatives by each to slope (SETTINGS,)."""
    two, three = 1.0 / (1.0 + np.exp(-settings[-2])), 1.0 / (1.0 + np.exp(-settings[-1]))
    away = np.array([0.0, 1.0, 2.0 * two, 3.0 * three])
    change = np.array([0.0, 0.0, 2.0 * two * (1.0 - two), 3.0 * three * (1.0 - three)])
    lines, offsets = evidence
    discounts, shorter = np.empty(DEEPEST + 2), np.empty(DEEPEST + 2)
    bits = 0.0
    for t in range(len(offsets) - 1):
        begin, depth = offsets[t], offsets[t + 1] - offsets[t]
        p = 1.0 / vocab_size
        for k in range(depth - 1, -1, -1):
            line = lines[begin + k]
            z = (
                settings[line[0]]
                + settings[line[1]]
                + settings[line[2]]
                + settings[line[3]]
                + settings[line[4]]
            )
            d = 1.0 / (1.0 + np.exp(-z))
            discounts[k], shorter[k] = d, p
            ones, twos, more = line[7], line[8], line[9] - line[7] - line[8]
            own = line[5] - d * away[min(line[5], 3)]
            p = (own + d * (ones + away[2] * twos + away[3] * more) * p) / line[6]
        bits -= np.log2(p)
        by_p = -1.0 / (p * np.log(2.0))
        for k in range(depth):
            line = lines[begin + k]
            d, q, number = discounts[k], shorter[k], min(line[5], 3)
            ones, twos, more = line[7], line[8], line[9] - line[7] - line[8]
            given = ones + away[2] * twos + away[3] * more
            by_z = by_p * (given * q - away[number]) / line[6] * d * (1.0 - d)
            for column in range(5):
                slope[line[column]] += by_z
            slope[-2] += by_p * d * change[2] * (twos * q - (number == 2)) / line[6]
            slope[-1] += by_p * d * change[3] * (more * q - (number == 3)) / line[6]
            by_p *= given * d / line[6]
    return bits


def _likeliest_settings(evidence: Evidence, vocab_size: int) -> np.ndarray:
    """(SETTINGS,) those that cost the fewest bits, with a penalty of ``_PENALTY`` for the square of each."""
    from scipy.optimize import minimize

    def cost(settings: np.ndarray) -> tuple[float, np.ndarray]:
        slope = np.zeros(SETTINGS)
        bits = bits_of(evidence, settings, vocab_size, slope)
        return bits + _PENALTY * (settings**2).sum(), slope + 2 * _PENALTY * settings

    result = minimize(cost, np.zeros(SETTINGS), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    chosen: np.ndarray = result.x
    return chosen

"""Contexts of a text that is read token by token: a table of what followed them that grows with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from lmbench.models.compiled import compiled
from lmbench.models.mixing.counting import Counted, Text, count
from lmbench.models.mixing.history import History, Kinds, absorb, look
from lmbench.models.stepping import Stepper

if TYPE_CHECKING:
    from lmbench.models.mixing.context_mixing import ContextMixing

whole: Any = np.int64  # as compiled functions take numbers: of one width
_ROOM = 1 << 12  # tokens for which there is room at first


class Growing(NamedTuple):
    """A table with room for more, whose arrays are written in place.

    counted: what followed each context (``Counted``). space: (C,) int64, how many entries each has room for. keys: (C,) uint64, the
    contexts' hashes, and sorts: (C,) int32, which sort each is of. past: (C,) int32, its number in the table learnt before, or -1. slots: (H,)
    int32, contexts by their hashes, -1 where none is. sizes: (2,) contexts and entries that there are.
    """

    counted: Counted
    space: np.ndarray
    keys: np.ndarray
    sorts: np.ndarray
    past: np.ndarray
    slots: np.ndarray
    sizes: np.ndarray

    @classmethod
    def empty(cls, contexts: int, entries: int) -> Self:
        """With room for so many."""
        zeros = np.zeros
        i4, i8 = np.int32, np.int64
        counted = Counted(
            zeros(contexts, dtype=i8),
            zeros(contexts, dtype=i8),
            zeros(entries, dtype=i4),
            zeros(entries, dtype=i4),
            zeros(contexts, dtype=i8),
            np.full(contexts, -1, dtype=i4),
            zeros(contexts, dtype=i4),
            zeros(contexts, dtype=i8),
        )
        slots = np.full(1 << (2 * contexts - 1).bit_length(), -1, dtype=i4)
        columns = zeros(contexts, dtype=i8), zeros(contexts, dtype=np.uint64), zeros(contexts, dtype=i4)
        return cls(counted, *columns, np.full(contexts, -1, dtype=i4), slots, zeros(2, dtype=i8))

    def with_room(self, contexts: int, entries: int) -> Self:
        """This, or a copy twice as large, in which there is room for so many more."""
        needed = [int(self.sizes[0]) + contexts, int(self.sizes[1]) + entries]
        held = [len(self.keys), len(self.counted.symbols)]
        if needed[0] <= held[0] and needed[1] <= held[1]:
            return self
        made = self.empty(*(max(2 * h, n) if n > h else h for n, h in zip(needed, held, strict=True)))
        mine, others = ((*t.counted, *t[1:5]) for t in (self, made))
        for old, new in zip(mine, others, strict=True):
            new[: len(old)] = old
        made.sizes[:] = self.sizes
        index(made)
        return made


@compiled()
def find(table: Growing, sort: int, key: np.uint64) -> int:
    """The number of a context, or -1 - h, h the slot in which it would be."""
    last = np.uint64(len(table.slots) - 1)
    h = (key ^ (key >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(sort)
    place = whole((h ^ (h >> np.uint64(32))) & last)
    while True:
        c = whole(table.slots[place])
        if c < 0:
            return -1 - place
        if table.keys[c] == key and table.sorts[c] == sort:
            return c
        place = (place + 1) & (len(table.slots) - 1)


@compiled()
def index(table: Growing) -> None:
    """Fills the slots anew."""
    for c in range(table.sizes[0]):
        table.slots[-1 - find(table, table.sorts[c], table.keys[c])] = c


@compiled()
def number_in(keys: np.ndarray, begin: int, end: int, key: np.uint64) -> int:
    """Where a hash stands among ascending ones from ``begin`` to ``end``, or -1."""
    low, high = begin, end
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low if low < end and keys[low] == key else -1


@compiled()
def place(
    table: Growing,
    keys: np.ndarray,
    past_keys: np.ndarray,
    bounds: np.ndarray,
    contexts: np.ndarray,
    adds: bool,
) -> None:
    """Writes the numbers (K, 1) of contexts of these hashes (K,); those that are new join the table, for good if it ``adds``.

    past_keys, bounds: the hashes of the table learnt before (``ContextTable``).
    """
    for k in range(len(keys)):
        c = find(table, k, keys[k]) if adds else -1
        if c < 0:
            new = table.sizes[0] if adds else k
            table.keys[new], table.sorts[new] = keys[k], k
            table.past[new] = number_in(past_keys, bounds[k], bounds[k + 1], keys[k])
            if adds:
                table.slots[-1 - c] = new
                table.sizes[0] += 1
            c = new
        contexts[k, 0] = c


@compiled()
def entry_of(table: Growing, c: int, symbol: int) -> int:
    """The entry of a symbol after a context, made in its place if there is none."""
    counted = table.counted
    first, beyond = counted.first[c], counted.beyond[c]
    entry = first
    while entry < beyond and counted.symbols[entry] < symbol:
        entry += 1
    if entry < beyond and counted.symbols[entry] == symbol:
        return entry
    size = beyond - first
    if size == table.space[c]:  # they move to where there is twice the space
        begin = table.sizes[1]
        for j in range(size):
            counted.symbols[begin + j], counted.numbers[begin + j] = (
                counted.symbols[first + j],
                counted.numbers[first + j],
            )
        table.space[c] = max(1, 2 * size)
        table.sizes[1] += table.space[c]
        counted.first[c], entry, beyond = begin, begin + entry - first, begin + size
    for j in range(beyond, entry, -1):
        counted.symbols[j], counted.numbers[j] = counted.symbols[j - 1], counted.numbers[j - 1]
    counted.symbols[entry], counted.numbers[entry] = symbol, 0
    counted.beyond[c] = beyond + 1
    return entry


@compiled()
def learn(
    kinds: Kinds,
    history: History,
    table: Growing,
    past_keys: np.ndarray,
    bounds: np.ndarray,
    past: Counted,
    text: Text,
    symbol: int,
    now: int,
    times: int,
) -> None:
    """Counts a token, standing at ``now``, ``times`` times after each of its contexts; text: one of a single token, to write on."""
    keys = np.empty(len(text.contexts), dtype=np.uint64)
    look(kinds, history, keys)
    place(table, keys, past_keys, bounds, text.contexts, True)
    for k in range(len(keys)):
        text.slots[k, 0] = entry_of(table, text.contexts[k, 0], symbol)
    text.ids[0] = symbol
    count(text, past, table.counted, len(kinds.orders), 0, now, times)


class ContextStepper(Stepper):
    """What stands before, and, of an adaptive model, what followed each context so far, beside what was learnt in training."""

    model: ContextMixing

    def __init__(self, model: ContextMixing, bos: int) -> None:
        super().__init__(model, bos)
        self.kinds, self.done = model.contexts.kinds, 0
        self.history = History.empty(_ROOM)
        self.number = len(model.contexts.bases)
        self.table = Growing.empty(self.number * (_ROOM if model.adaptive else 1), self.number * _ROOM)
        self.keys = np.empty(self.number, dtype=np.uint64)

    def _text(self, place: int = 0) -> Text:
        """A text of a single token, its contexts not yet known."""
        contexts, slots = (np.zeros((self.number, 1), dtype=np.int32) for _ in range(2))
        ids = np.zeros(1, dtype=np.int32)
        return Text(ids, contexts, slots, np.array([place]), self.table.past)

    def _make_room(self, symbols: int) -> None:
        size = int(self.history.marks[0]) + symbols
        if size > len(self.history.symbols):
            self.history = self.history.grown(2 * size)

    def _make_room_for_contexts(self) -> None:
        # Entries that move take twice the space of a whole vocabulary at most.
        self.table = self.table.with_room(self.number, self.number * 2 * self.model.vocab_size)

    def begin(self) -> None:
        self._make_room(1)
        absorb(self.kinds, self.history, self.bos, True)

    def read(self, ids: np.ndarray) -> None:
        self._make_room(len(ids))
        past, times = self.model.table, self.model.times
        for symbol in ids.tolist():
            if self.model.adaptive:
                self._make_room_for_contexts()
                now = self.model.read_tokens + self.done
                tables = self.table, past.keys, past.bounds, past.counted
                learn(self.kinds, self.history, *tables, self._text(), symbol, now, times)
            absorb(self.kinds, self.history, symbol, False)
            self.done += 1

    def _distribution(self) -> np.ndarray:
        past = self.model.table
        if self.model.adaptive:
            self._make_room_for_contexts()
        text = self._text(look(self.kinds, self.history, self.keys))
        place(self.table, self.keys, past.keys, past.bounds, text.contexts, self.model.adaptive)
        return self.model._foretell(text, self.table.counted, self.done)

"""Context mixing in bits: each symbol a series of binary decisions, each mixed from what many contexts say, all of it learnt online.

The family of PAQ (Mahoney 2005, "Adaptive weighing of context models for lossless data compression"), as a distribution over symbols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Stepper, Traits, learned
from lmbench.models.mixing.bit_contexts import (
    LENGTH,
    NOW,
    OPEN,
    SAME_AS_ABOVE,
    SINCE_CAPITAL,
    Alphabet,
    Place,
    empty_place,
)
from lmbench.models.mixing.bit_memory import Memory, correction_sizes, empty_memory, set_sizes
from lmbench.models.mixing.bit_reading import read
from lmbench.models.mixing.decisions import KINDS, Decisions, decisions_of, kinds_of
from lmbench.models.mixing.log_linear import small_enough
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.saved import saved_array
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import Vocab

_NOWHERE = np.zeros(0, dtype=np.int64)
_TABLES = ("roots", "nodes")
_ROOM = 1 << 12  # tokens for which a stepper makes room at a time
_BLOCK = 1 << 14  # tokens between two signs of progress


@dataclass(kw_only=True, eq=False)
class BitMixing(LanguageModel):
    """p(x | h) = ∏_d p(b_d | b_1 … b_(d-1), h), with b_1, b_2, … the decisions that lead to x in a binary tree: its kind, then which one.

    54 contexts, of the last symbols, words, lines and brackets, have tables with a history of bits for each decision, from which a
    probability is learnt; three matches tell what followed where the last symbols came before. A logistic mixture weighs all, by several
    sets of weights that small contexts choose; a second one weighs the sets; tables correct what comes of it (``bit_reading.py``).

    Everything learns from each token as soon as it has been predicted, in one pass over the training text. With ``adaptive`` it
    goes on learning while a text is scored, from one document to the next.
    For characters and bytes. It needs some 0.5 to 1 kB of memory for each token of the training text, in tables that do not grow: of a
    text much longer than that, the least used entries are given up.
    """

    adaptive: bool = option(False, "go on learning from the text that is scored", fits=False)
    read_valid: bool = option(False, "read the held-out text too, after the training text", fits=False)

    tree: Decisions = learned()
    alphabet: Alphabet = learned()
    place: Place = learned()
    memory: Memory = learned()

    def __post_init__(self) -> None:
        self._spellings: Sequence[str] = ()

    @property
    def traits(self) -> Traits:
        return Traits(held_out="needed" if self.read_valid else "no", adaptive=self.adaptive, precision=1e-9)

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        self._spellings = corpus_vocab.tokens
        return small_enough(corpus_vocab, "bit-mixing", "--unit char")

    # Learning --------------------------------------------------------------------------------------

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        size, counts = self.vocab_size, np.bincount(train.ids, minlength=self.vocab_size)
        kinds = kinds_of(self._spellings, size, int(counts.argmax()), train.bos)
        self.tree = decisions_of(counts, kinds, self._spellings)
        self.alphabet = Alphabet(kinds, _folded(self._spellings, size))
        self.memory = empty_memory(size, len(train))
        self.place = _with_room(empty_place(size), len(train))
        for begin in range(0, len(train), _BLOCK):
            end = min(begin + _BLOCK, len(train))
            starts = train.starts[(train.starts >= begin) & (train.starts < end)] - begin
            self._read(Tokens(train.ids[begin:end], starts, train.bos), self.place, self.memory, True)
            monitor.progress(end, len(train), "tokens")

    def _settle(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator) -> None:
        if self.read_valid and valid is not None:
            self._read_on(valid)
            self.notes.append("it has read the held-out text too")

    def _read_on(self, tokens: Tokens) -> bool:
        """Reads more text, and learns from it all that it learns from any."""
        self.place, self.memory = self._copies(len(tokens))
        self._read(tokens, self.place, self.memory, True)
        return True

    def _copies(self, room: int) -> tuple[Place, Memory]:
        """What was learnt, to be changed, with room for more tokens."""
        return _with_room(self.place, room), Memory(*(array.copy() for array in self.memory))

    def _ready(self, room: int) -> tuple[Place, Memory]:
        """What to read a text by: one's own where that changes it."""
        if self.adaptive:
            return self._copies(room)
        return _with_room(self.place, room), self.memory._replace(matches=self.memory.matches.copy())

    def _read(
        self,
        tokens: Tokens,
        place: Place,
        memory: Memory,
        learns: bool,
        scored: bool = False,
        wanted: np.ndarray = _NOWHERE,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(T,) ln p of the tokens, if they are to be scored, and (R, V) of all that may stand at the places wanted."""
        log_probs, rows = np.zeros(len(tokens) if scored else 0), np.zeros((len(wanted), self.vocab_size))
        ends = [np.concatenate([[0], np.cumsum(f(self.vocab_size))]) for f in (set_sizes, correction_sizes)]
        read(
            tokens.ids.astype(np.int32, copy=False),
            tokens.starts.astype(np.int64, copy=False),
            self.tree,
            self.alphabet,
            place,
            memory,
            learns,
            int(self.place.numbers[NOW]),
            ends[0],
            ends[1],
            log_probs,
            rows,
            wanted.astype(np.int64, copy=False),
        )
        return log_probs, rows

    # Scoring ---------------------------------------------------------------------------------------

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        return self._read(tokens, *self._ready(len(tokens)), self.adaptive, scored=True)[0]

    def _distributions(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        return self._read(tokens, *self._ready(len(tokens)), self.adaptive, wanted=places)[1]

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        return np.stack([self._after(Tokens.of(context, bos)) for context in contexts])

    def _stepper(self, bos: int) -> Stepper:
        return Walk(self, bos)

    # Saving ----------------------------------------------------------------------------------------

    def _state(self) -> dict[str, np.ndarray]:
        state = {f"memory.{name}": array for name, array in self.memory._asdict().items()}
        for name in _TABLES:  # of which most is empty
            table = state.pop(f"memory.{name}")
            filled = np.flatnonzero(table)
            state[f"{name}.places"], state[f"{name}.entries"] = filled.astype(np.int32), table[filled]
            state[f"{name}.size"] = np.array([len(table)])
        state |= {f"place.{name}": array for name, array in self.place._asdict().items()}
        state["place.text"] = self.place.text[: self.place.numbers[NOW]]
        state |= {f"tree.{name}": array for name, array in self.tree._asdict().items()}
        return state | {f"alphabet.{name}": array for name, array in self.alphabet._asdict().items()}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        size = self.vocab_size
        self.alphabet = Alphabet(*(_saved(state, f"alphabet.{name}", (size,)) for name in Alphabet._fields))
        kinds, folded = self.alphabet
        if not (_within(kinds, 0, KINDS) and _within(folded, 0, size)):
            raise InputError("the kinds of symbols in it are none; fit the model anew")
        self.tree = _saved_tree(state, size)
        self.place = _saved_place(state, size)
        self.memory = _saved_memory(state, size, int(self.place.numbers[NOW]))


class Walk(Stepper):
    """What has been learnt so far in a text, and the place in it."""

    model: BitMixing

    def __init__(self, model: BitMixing, bos: int) -> None:
        super().__init__(model, bos)
        self.place, self.memory = model._ready(_ROOM)
        self.begins = _NOWHERE

    def begin(self) -> None:
        self.begins = np.zeros(1, dtype=np.int64)  # the next token begins a document

    def read(self, ids: np.ndarray) -> None:
        now = int(self.place.numbers[NOW])
        if now + len(ids) >= len(self.place.text):
            self.place = _with_room(self.place, len(ids) + max(_ROOM, now), apart=False)
        self.model._read(Tokens(ids, self.begins, self.bos), self.place, self.memory, self.model.adaptive)
        self.begins = _NOWHERE

    def _distribution(self) -> np.ndarray:
        place = self.place
        if len(self.begins):  # and goes back to where it was
            place = place._replace(hashes=place.hashes.copy(), numbers=place.numbers.copy())
        memory = self.memory._replace(matches=self.memory.matches.copy())
        nothing = Tokens(np.zeros(0, dtype=np.int32), self.begins, self.bos)
        wanted = np.zeros(1, dtype=np.int64)
        row: np.ndarray = self.model._read(nothing, place, memory, self.model.adaptive, wanted=wanted)[1][0]
        return row


def _with_room(place: Place, room: int, apart: bool = True) -> Place:
    """A copy with room for more tokens; apart: what else it holds is copied too."""
    now = int(place.numbers[NOW])
    text = np.zeros(now + room + 1, dtype=np.int32)
    text[:now] = place.text[:now]
    return Place(text, *(array.copy() if apart else array for array in place[1:]))


def _folded(spellings: Sequence[str], size: int) -> np.ndarray:
    """(V,) int64: each symbol's number without case."""
    if len(spellings) != size:
        return np.arange(size)
    number = {spelling: i for i, spelling in reversed(list(enumerate(spellings)))}
    return np.array([number.get(spelling.lower(), i) for i, spelling in enumerate(spellings)])


# Reading back, with every index looked at, since compiled code does not ----------------------------


def _saved(state: Mapping[str, np.ndarray], name: str, shape: Sequence[int | None]) -> np.ndarray:
    """(…) int64."""
    return np.ascontiguousarray(saved_array(state, name, shape, "i"), dtype=np.int64)


def _within(array: np.ndarray, low: int, end: int) -> bool:
    return bool(((array >= low) & (array < end)).all())


def _saved_tree(state: Mapping[str, np.ndarray], size: int) -> Decisions:
    path = _saved(state, "tree.path", (size, None))
    shapes = [(size, path.shape[1]), (size,), *[(size - 1,)] * 3]
    rest = (
        _saved(state, f"tree.{name}", shape)
        for name, shape in zip(Decisions._fields[1:], shapes, strict=True)
    )
    tree = Decisions(path, *rest)
    sound = (
        _within(path, -1, size - 1)
        and _within(tree.bit, 0, 2)
        and _within(tree.length, 0, max(path.shape[1], 1))
        and bool((tree.above < np.arange(size - 1)).all() and _within(tree.above, -1, size))
        and _within(tree.turn, 0, 2)
        and _within(tree.depth, 0, max(path.shape[1], 1))
        and bool(((path >= 0) == (np.arange(path.shape[1]) < tree.length[:, None])).all())
    )
    if not sound:
        raise InputError("the tree of decisions in it is none; fit the model anew")
    return tree


def _saved_place(state: Mapping[str, np.ndarray], size: int) -> Place:
    text = np.ascontiguousarray(saved_array(state, "place.text", (None,), "i"), dtype=np.int32)
    empty = empty_place(size)
    hashes = saved_array(state, "place.hashes", empty.hashes.shape, "u").astype(np.uint64)
    rest = [_saved(state, f"place.{name}", getattr(empty, name).shape) for name in Place._fields[2:]]
    place = Place(text, hashes, *rest)
    numbers = place.numbers
    sound = _within(text, 0, size) and numbers[NOW] == len(text) and _within(numbers[:5], 0, len(text) + 1)
    sound = sound and numbers[LENGTH] >= 0 and 0 <= numbers[OPEN] < 16
    sound = sound and 0 <= numbers[SINCE_CAPITAL] < 64 and numbers[SAME_AS_ABOVE] >= -1
    if not (sound and all(_within(past, 0, 1 << 16) for past in place[3:])):
        raise InputError("the text in it is none of this vocabulary; fit the model anew")
    return place


def _saved_memory(state: Mapping[str, np.ndarray], size: int, tokens: int) -> Memory:
    tables = [_saved_table(state, name, tokens) for name in _TABLES]
    if len(tables[0]) and int((tables[0] & np.uint64(0xFFFF)).max()) >= size:
        raise InputError("the symbols in it are none of this vocabulary; fit the model anew")
    heads = np.ascontiguousarray(saved_array(state, "memory.heads", (3, None), "i"), dtype=np.int32)
    matches = _saved(state, "memory.matches", (3, 3))
    like = empty_memory(size, 1)
    learnt = []
    for name in Memory._fields[4:-1]:
        array = saved_array(state, f"memory.{name}", getattr(like, name).shape)
        learnt.append(np.ascontiguousarray(array, dtype=np.float32))
    seen = _saved(state, "memory.seen", (1,))
    pairs = learnt[:4]
    sound = all((np.abs(array) < 1e9).all() for array in learnt) and all(
        ((array[..., 0] >= 0) & (array[..., 0] <= 1) & (array[..., 1] >= 0)).all() for array in pairs
    )
    width = heads.shape[1]
    sound = sound and width > 0 and width & (width - 1) == 0 and _within(heads, 0, tokens + 1)
    sound = sound and _within(matches, 0, tokens + 1) and seen[0] >= 0
    if not sound:
        raise InputError("the weights in it are no sound numbers; fit the model anew")
    return Memory._make([*tables, heads, matches, *learnt, seen])


def _saved_table(state: Mapping[str, np.ndarray], name: str, tokens: int) -> np.ndarray:
    """(2^m,) uint64, no larger than a text of so many tokens asks for."""
    size = int(saved_array(state, f"{name}.size", (1,), "i")[0])
    places = saved_array(state, f"{name}.places", (None,), "i")
    entries = saved_array(state, f"{name}.entries", (len(places),), "u")
    if not (8 <= size <= 64 * (tokens + 16) and size & (size - 1) == 0 and _within(places, 0, size)):
        raise InputError(f"the table {name} in it is none; fit the model anew")
    table = np.zeros(size, dtype=np.uint64)
    table[places] = entries
    return table

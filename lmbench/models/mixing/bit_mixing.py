"""Context mixing in bits: each symbol a series of binary decisions, each mixed from what many contexts say, all of it learnt online.

The family of PAQ (Mahoney 2005, "Adaptive weighing of context models for lossless data compression"), as a distribution over symbols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Part, Stepper, Traits, learned
from lmbench.models.mixing.bit_contexts import NOW, Alphabet, Place, empty_place
from lmbench.models.mixing.bit_memory import OWN, Memory, bounds_of, empty_memory
from lmbench.models.mixing.bit_reading import read
from lmbench.models.mixing.bit_saved import (
    TABLES,
    saved_alphabet,
    saved_memory,
    saved_place,
    saved_tree,
)
from lmbench.models.mixing.decisions import Decisions, decisions_of, kinds_of
from lmbench.models.mixing.log_linear import newton, small_enough
from lmbench.models.mixing.others import said_in_training, said_next, said_of
from lmbench.models.mixing.parts import check_labels, check_parts, exactly, pack_parts, unpack_parts
from lmbench.models.mixing.widened import joined
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import Vocab

_NOWHERE = np.zeros(0, dtype=np.int64)
_ROOM = 1 << 12  # tokens for which a stepper makes room at a time
_BLOCK = 1 << 14  # tokens between two signs of progress
_SHARE = 0.3  # first weight of what another model says
_IMPOSSIBLE = -50.0  # nats


@dataclass(kw_only=True, eq=False)
class BitMixing(LanguageModel):
    """p(x | h) = ∏_d p(b_d | b_1 … b_(d-1), h), with b_1, b_2, … the decisions that lead to x in a binary tree: its kind, then which one.

    54 contexts, of the last symbols, words, lines and brackets, have tables with a history of bits for each decision, from which a
    probability is learnt; three matches tell what followed where the last symbols came before. A logistic mixture weighs all, by several
    sets of weights that small contexts choose; a second one weighs the sets; tables correct what comes of it (``bit_reading.py``).

    Everything learns from each token as soon as it has been predicted, in one pass over the training text. With ``adaptive`` it
    goes on learning while a text is scored, from one document to the next.

    With ``of`` the log-odds that other models give each decision are among what is mixed. Of a model that learns as it reads they are there from
    the beginning, as it would have said them when it read the training text (``retraced``); what else is mixed is weighed on the
    held-out text, first by Newton's method on whole distributions, then by reading it as any text.

    For characters and bytes. It needs some 0.5 to 1 kB of memory for each token of the training text, in tables that do not grow: of a
    text much longer than that, the least used entries are given up.
    """

    of: tuple[str, ...] = option(
        (), "labels of other models of which what they say is mixed in; none: its contexts alone"
    )
    adaptive: bool = option(False, "go on learning from the text that is scored", fits=False)
    read_valid: bool = option(
        False,
        "read the held-out text too, after the training text, as do the others that can",
        fits=False,
    )

    tree: Decisions = learned()
    alphabet: Alphabet = learned()
    place: Place = learned()
    memory: Memory = learned()

    def __post_init__(self) -> None:
        check_labels(self.of)
        if self.of and not self.adaptive:
            raise InputError(
                "option of: what others say is weighed as the text is read; set adaptive=true too"
            )
        self._spellings: Sequence[str] = ()

    @property
    def traits(self) -> Traits:
        return Traits(
            held_out="needed" if self.read_valid or self.of else "no",
            adaptive=self.adaptive,
            precision=1e-5 if self.of else 1e-9,  # that of a component in single precision
            components=self.of,
        )

    @property
    def scores_candidates(self) -> bool:
        return any(component.scores_candidates for component in self.components)

    def joined(self, vocab: Vocab, parts: Sequence[Part]) -> list[LanguageModel]:
        return joined(vocab, parts)

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        self._spellings = corpus_vocab.tokens
        return small_enough(corpus_vocab, "bit-mixing", "--unit char")

    # Learning --------------------------------------------------------------------------------------

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        size, counts = self.vocab_size, np.bincount(train.ids, minlength=self.vocab_size)
        kinds = kinds_of(self._spellings, size, int(counts.argmax()), train.bos)
        self.tree = decisions_of(counts, kinds, self._spellings)
        self.alphabet = Alphabet(kinds, _folded(self._spellings, size))
        check_parts(self.of, self.components, size)
        self.memory = empty_memory(size, len(train), len(self.of))
        self.place = _with_room(empty_place(size), len(train))
        heard, said = said_in_training(self.components, train, _BLOCK, self.tree)
        self.memory.weights[:, OWN : OWN + len(heard)] = _SHARE * heard
        done = 0
        for piece, part in zip(train.pieces(_BLOCK), said, strict=True):
            self._read(piece, part, self.place, self.memory, True)
            done += len(piece)
            monitor.progress(done, len(train), "tokens")

    def _settle(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator) -> None:
        if valid is None:
            return
        if self.of:
            self._weigh(valid, np.array([c.retraced(train, _BLOCK) is not None for c in self.components]))
        elif self.read_valid:
            self._read_on(valid)
            self.notes.append("it has read the held-out text too")

    def _weigh(self, valid: Tokens, heard: np.ndarray) -> None:
        """Learns on the held-out text how much others are worth, above all those (of E bool) that have not been heard."""
        places = np.arange(len(valid))
        said = said_of(self.components, valid, places, self.tree)
        silent = [self.components[i] for i in np.flatnonzero(~heard)]
        if silent:
            before = np.where(heard, said, np.float32(0))
            rows = [self._read(valid, before, *self._copies(len(valid)), True, wanted=places)[1]]
            rows += [model.distributions(valid) for model in silent]
            features = np.maximum(np.stack(rows, axis=1), _IMPOSSIBLE)
            shares = newton(features, valid.ids, np.append(1.0, np.zeros(len(silent))), 1.0)
            self.memory.weights[:] *= np.float32(shares[0])
            self.memory.weights[:, OWN + np.flatnonzero(~heard)] = shares[1:].astype(np.float32)
            named = zip(np.array(self.of)[~heard].tolist(), shares[1:], strict=True)
            self.notes.append(
                "weights at first " + ", ".join(f"{label} {share:.4f}" for label, share in named)
            )
        place, memory = self._copies(len(valid))
        self._read(valid, said, place, memory, True)
        if not self.read_valid:
            self.memory = self.memory._replace(weights=memory.weights, second=memory.second)
            return
        self.place, self.memory = place, memory
        self.components = [component.read_on(valid) for component in self.components]
        self.notes.append("it has read the held-out text too")

    def _read_on(self, tokens: Tokens) -> bool:
        """Reads more text, and learns from it all that it learns from any."""
        said = self._said(tokens)
        self.place, self.memory = self._copies(len(tokens))
        self._read(tokens, said, self.place, self.memory, True)
        self.components = [component.read_on(tokens) for component in self.components]
        return True

    def _said(self, tokens: Tokens) -> np.ndarray:
        """(T, V - 1, E) float32: what others say of each token."""
        return said_of(self.components, tokens, np.arange(len(tokens)), self.tree)

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
        said: np.ndarray,
        place: Place,
        memory: Memory,
        learns: bool,
        scored: bool = False,
        wanted: np.ndarray = _NOWHERE,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(T,) ln p of the tokens, if they are to be scored, and (R, V) of all that may stand at the places wanted.

        said: (T, V - 1, E), what others say of the tokens; of the one behind them where that alone is wanted.
        """
        log_probs, rows = np.zeros(len(tokens) if scored else 0), np.zeros((len(wanted), self.vocab_size))
        read(
            tokens.ids.astype(np.int32, copy=False),
            tokens.starts.astype(np.int64, copy=False),
            self.tree,
            self.alphabet,
            place,
            memory,
            learns,
            int(self.place.numbers[NOW]),
            *bounds_of(self.vocab_size),
            log_probs,
            rows,
            wanted.astype(np.int64, copy=False),
            said,
        )
        return log_probs, rows

    # Scoring ---------------------------------------------------------------------------------------

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        return self._read(tokens, self._said(tokens), *self._ready(len(tokens)), self.adaptive, scored=True)[
            0
        ]

    def _distributions(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        return self._read(
            tokens, self._said(tokens), *self._ready(len(tokens)), self.adaptive, wanted=places
        )[1]

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        return np.stack([self._after(Tokens.of(context, bos)) for context in contexts])

    def _stepper(self, bos: int) -> Stepper:
        return Walk(self, bos)

    # Saving ----------------------------------------------------------------------------------------

    def _state(self) -> dict[str, np.ndarray]:
        state = {f"memory.{name}": array for name, array in self.memory._asdict().items()}
        for name in TABLES:
            table = state.pop(f"memory.{name}")
            filled = np.flatnonzero(table)
            state[f"{name}.places"], state[f"{name}.entries"] = filled.astype(np.int32), table[filled]
            state[f"{name}.size"] = np.array([len(table)])
        state |= {f"place.{name}": array for name, array in self.place._asdict().items()}
        state["place.text"] = self.place.text[: self.place.numbers[NOW]]
        state |= {f"tree.{name}": array for name, array in self.tree._asdict().items()}
        state |= {f"alphabet.{name}": array for name, array in self.alphabet._asdict().items()}
        return state | pack_parts(self.components)

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        size = self.vocab_size
        self.alphabet, self.tree = saved_alphabet(state, size), saved_tree(state, size)
        self.place = saved_place(state, size)
        self.memory = saved_memory(state, size, int(self.place.numbers[NOW]), len(self.of))
        self.components = unpack_parts(state, [exactly(size)] * len(self.of))
        check_parts(self.of, self.components, size)


class Walk(Stepper):
    """What has been learnt so far in a text, and the place in it."""

    model: BitMixing

    def __init__(self, model: BitMixing, bos: int) -> None:
        super().__init__(model, bos)
        self.place, self.memory = model._ready(_ROOM)
        self.begins = _NOWHERE
        self.others = [component.stepper(bos) for component in model.components]
        self.said: np.ndarray | None = None  # by the others, of the next token, where they have been asked

    def begin(self) -> None:
        self.begins = np.zeros(1, dtype=np.int64)  # the next token begins a document
        self.said = None
        for other in self.others:
            other.begin()

    def _said(self) -> np.ndarray:
        if self.said is None:
            self.said = said_next(self.others, self.model.tree)
        return self.said

    def read(self, ids: np.ndarray) -> None:
        now = int(self.place.numbers[NOW])
        if now + len(ids) >= len(self.place.text):
            self.place = _with_room(self.place, len(ids) + max(_ROOM, now), apart=False)
        # What others say is asked for token by token.
        for piece in Tokens(ids, self.begins, self.bos).pieces(1 if self.others else len(ids)):
            said = self._said() if self.others else self.model._said(piece)
            self.model._read(piece, said, self.place, self.memory, self.model.adaptive)
            self.said = None
            for other in self.others:
                other.read(piece.ids)
        self.begins = _NOWHERE

    def _distribution(self) -> np.ndarray:
        place = self.place
        if len(self.begins):  # and goes back to where it was
            place = place._replace(hashes=place.hashes.copy(), numbers=place.numbers.copy())
        memory = self.memory._replace(matches=self.memory.matches.copy())
        nothing = Tokens(np.zeros(0, dtype=np.int32), self.begins, self.bos)
        wanted = np.zeros(1, dtype=np.int64)
        row: np.ndarray = self.model._read(
            nothing, self._said(), place, memory, self.model.adaptive, wanted=wanted
        )[1][0]
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

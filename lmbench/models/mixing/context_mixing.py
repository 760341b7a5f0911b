"""Contexts of many lengths, of words and of lines, each with its own distribution; a learnt log-linear mixture of all.

What text compressors do at their best (Cleary & Witten 1984, PPM; Mahoney 2005, PAQ), on whole symbols: orders far
beyond what one smoothed n-gram model can use, because the mixture learns how much to believe of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Stepper, Traits, learned
from lmbench.models.mixing.context_stepper import ContextStepper
from lmbench.models.mixing.context_table import ContextTable, merged, numbered
from lmbench.models.mixing.contexts import Alphabet, Contexts
from lmbench.models.mixing.counting import Counted, Text, count_all
from lmbench.models.mixing.history import FAR
from lmbench.models.mixing.log_linear import small_enough
from lmbench.models.mixing.reading import (
    HIDDEN,
    NUMBERS,
    RUNS,
    Teaching,
    Weights,
    read,
)
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.saved import MOST_TOKENS, saved_array
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import Vocab

# Settings of the learning, chosen on the valid parts of The Time Machine and python-docs.
_PASSES = 3  # over the training text
_RATE = 1e-3
_RUN_RATE = 3e-3
_DROPOUT = 0.2
_BLOCK = (
    1 << 14
)  # tokens predicted at once from what stands before all of them, where the model is not adaptive
_FEWEST_BLOCKS = 16
_MOST_TIMES = 100  # counts have 32 bits: of a text of 20 million tokens that are all the same there are fewer
_SCALED_BY = 60_000  # tokens by which the numbers that the weights look at are scaled


@dataclass(kw_only=True, eq=False)
class ContextMixing(LanguageModel):
    """p(x | h) ∝ ∏_i p_i(x | c_i(h))^w_i over contexts c_i of h: its last k symbols for several k, its last words, its lines.

    Each p_i is an absolutely discounted distribution, interpolated with the next shorter context's, down to
    uniform; below the longest order a symbol counts once for each longer context that it was seen in, as in Kneser–Ney
    smoothing. The symbol that followed a context latest gains by how often it did so in a row, and how long ago. The
    weights w come from a small network that looks at how much and what is known of each context, and since when, at the longest
    order that has been seen and at the position in the word. It learns by reading the training text, each token predicted from
    those before it; or, as a model that does not adapt will be used, each block of tokens from the blocks before it.
    ``contexts.py`` says which contexts there are.

    With ``adaptive`` the counts go on growing while a text is scored, from one document to the next; what stands near
    says more of what comes than what stands far, so that a token read counts as ``times`` tokens of the training text.
    With ``read_valid`` the held-out text is counted as well, as a compressor that is given all that stands before the test reads it; the
    model's score on the held-out text then means nothing.
    For characters and bytes: every step costs the whole vocabulary, and each token of the training text some 2 kB of memory.
    """

    orders: tuple[int, ...] = option(
        (0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 24), "lengths of the contexts, in symbols, ascending"
    )
    words: bool = option(True, "contexts made of words too: the word so far, alone and with words before it")
    gaps: bool = option(
        True, "contexts with gaps too, and with classes of symbols that the text itself tells"
    )
    lines: bool = option(True, "contexts of lines too, where a text has any: the column, what stands above")
    adaptive: bool = option(False, "go on learning from the text that is scored")
    times: int = option(2, "where adaptive: how many times a token that was read counts")
    read_valid: bool = option(
        False,
        "count the held-out text too, after the weights were learnt from the training text",
        fits=False,
    )

    contexts: Contexts = learned()
    table: ContextTable = learned()  # of the training text
    read_tokens: int = learned()  # how many they were
    weights: Weights = learned()

    def __post_init__(self) -> None:
        if not self.orders or list(self.orders) != sorted(set(self.orders)) or self.orders[0] < 0:
            raise InputError(
                f"option orders={','.join(map(str, self.orders))}: give lengths of 0 or more, ascending"
            )
        if not 1 <= self.times <= _MOST_TIMES:
            raise InputError(f"option times={self.times} must be from 1 to {_MOST_TIMES}")
        self._spellings: Sequence[str] = ()

    @property
    def traits(self) -> Traits:
        # Drawn are the network's first weights and its dropout.
        return Traits(held_out="needed" if self.read_valid else "no", seeded=True, adaptive=self.adaptive)

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        self._spellings = corpus_vocab.tokens
        return small_enough(corpus_vocab, "context-mixing", "--unit char")

    # Learning --------------------------------------------------------------------------------------

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        alphabet = Alphabet.of(train, self.vocab_size, self._spellings)
        self.contexts = Contexts(self.orders, self.words, self.gaps, self.lines, alphabet)
        nothing = ContextTable.empty(len(self.contexts.bases))
        keys, places = self.contexts.keys(train)
        text, self.table = numbered(keys, places, train.ids, self.vocab_size, nothing)
        self.weights = self._weights_at_rest()
        self.weights.spread.fill(1)
        self.weights.A[:] = rng.normal(0.0, len(self.weights.A) ** -0.5, self.weights.A.shape)
        self.weights.b.fill(1.3 / len(self.weights.b))
        some = min(len(train), _SCALED_BY)
        evidence = self._learn(text, nothing, some, None, rng, monitor)[some // 4 :]
        self.weights.mean[:] = evidence.mean(axis=0, dtype=np.float64)
        self.weights.spread[:] = evidence.std(axis=0, dtype=np.float64) + 0.01
        moments = np.zeros((2, sum(a.size for a in self.weights[2:6])), dtype=np.float32)
        steps = np.zeros(1, dtype=np.int64)
        for done in range(_PASSES):
            rates = (1 - done / _PASSES, 1 - (done + 1) / _PASSES)
            teaching = Teaching(
                (_RATE * rates[0], _RATE * rates[1]),
                (_RUN_RATE * rates[0], _RUN_RATE * rates[1]),
                _DROPOUT,
                moments,
                steps,
            )
            self._learn(text, nothing, len(train), teaching, rng, monitor, done)
        self.read_tokens = len(train)

    def _settle(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator) -> None:
        if self.read_valid and valid is not None:
            self._read_on(valid)
            self.notes.append("it has counted the held-out text too")

    def _read_on(self, tokens: Tokens) -> bool:
        """Counts more text; the weights stay."""
        keys, places = self.contexts.keys(tokens)
        text, here = numbered(keys, places, tokens.ids, self.vocab_size, self.table)
        orders, size = len(self.orders), len(tokens)
        count_all(text, self.table.counted, here.counted, orders, 0, size, self.read_tokens)
        self.table = merged(self.table, here, self.vocab_size)
        self.read_tokens += size
        return True

    def retraced(self, train: Tokens, size: int) -> Iterator[np.ndarray] | None:
        """With the weights as they are now, which have learnt from the whole text; the counts are those of what stands before."""
        return self._retraced(train, size) if self.adaptive else None

    def _retraced(self, train: Tokens, size: int) -> Iterator[np.ndarray]:
        nothing = ContextTable.empty(len(self.contexts.bases))
        text, here = numbered(*self.contexts.keys(train), train.ids, self.vocab_size, nothing)
        for begin in range(0, len(train), size):
            end = min(begin + size, len(train))
            tables = nothing.counted, here.counted
            yield self._read(text, *tables, begin, end, begin, 1, wanted=np.arange(begin, end))[1]

    def _weights_at_rest(self) -> Weights:
        """Weights of the right shapes, all 0."""
        number = len(self.contexts.bases)
        width = NUMBERS * number + len(self.orders) + FAR + 1
        shapes = [(width,), (width,), (width, HIDDEN), (HIDDEN,), (HIDDEN, number), (number,), (number, RUNS)]
        return Weights(*(np.zeros(shape, dtype=np.float32) for shape in shapes))

    def _learn(
        self,
        text: Text,
        nothing: ContextTable,
        size: int,
        teaching: Teaching | None,
        rng: np.random.Generator,
        monitor: Monitor,
        done: int = 0,
    ) -> np.ndarray:
        """Reads the first ``size`` tokens of the training text from the beginning, and the weights learn if there is teaching.

        Otherwise returns (size, E) float32, what they would look at.
        """
        self.table.clear()
        block = _BLOCK if self.adaptive else max(1, min(_BLOCK, len(text.ids) // _FEWEST_BLOCKS))
        kept = []
        for begin in range(0, size, block):
            end = min(begin + block, size)
            evidence = np.empty((0 if teaching else end - begin, len(self.weights.mean)), dtype=np.float32)
            taught = teaching if self.adaptive or begin else None  # before the first block nothing is known
            tables = nothing.counted, self.table.counted
            self._read(text, *tables, begin, end, begin, int(self.adaptive), taught, rng, evidence)
            if not self.adaptive:
                count_all(text, *tables, len(self.orders), begin, end, begin)
            kept.append(evidence)
            if teaching:
                monitor.progress(done * size + end, _PASSES * size, f"tokens, pass {done + 1} of {_PASSES}")
        return np.concatenate(kept)

    def _read(
        self,
        text: Text,
        past: Counted,
        here: Counted,
        begin: int,
        end: int,
        now: int,
        times: int,
        teaching: Teaching | None = None,
        rng: np.random.Generator | None = None,
        evidence: np.ndarray | None = None,
        wanted: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """ln p of tokens begin up to end, and the distributions of those wanted (see ``reading.read``)."""
        log_probs = np.empty(end - begin)
        wanted = np.zeros(0, dtype=np.int64) if wanted is None else wanted
        rows = np.empty((len(wanted), self.vocab_size))
        none = np.empty((0, 0), dtype=np.float32)
        resting = Teaching((0.0, 0.0), (0.0, 0.0), 0.0, none, np.zeros(1, dtype=np.int64))
        with np.errstate(all="ignore"):  # a damaged file's weights; what comes of them is refused
            read(
                text,
                past,
                here,
                self.contexts.bases,
                len(self.orders),
                begin,
                end,
                now,
                self.adaptive,
                times,
                self.weights,
                teaching is not None,
                teaching or resting,
                rng or np.random.default_rng(0),
                self.vocab_size,
                log_probs,
                rows,
                wanted,
                none if evidence is None else evidence,
            )
        return log_probs, rows

    # Scoring ---------------------------------------------------------------------------------------

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        return self._score(tokens, np.zeros(0, dtype=np.int64))[0]

    def _distributions(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        return self._score(tokens, places)[1]

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        return np.stack([self._after(Tokens.of(context, bos)) for context in contexts])

    def _stepper(self, bos: int) -> Stepper:
        return ContextStepper(self, bos)

    def _foretell(self, text: Text, here: Counted, done: int) -> np.ndarray:
        """(V,) nats: the distribution of the one token of a text, after so many of it that were read before and counted in ``here``."""
        now = self.read_tokens + done * self.adaptive
        row: np.ndarray = self._read(
            text, self.table.counted, here, 0, 1, now, 0, wanted=np.zeros(1, dtype=np.int64)
        )[1][0]
        return row

    def _score(self, tokens: Tokens, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ln p of the tokens, and the distributions of those (R,) wanted."""
        text, here = numbered(*self.contexts.keys(tokens), tokens.ids, self.vocab_size, self.table)
        times = self.times if self.adaptive else 0
        tables = self.table.counted, here.counted
        return self._read(
            text, *tables, 0, len(tokens), self.read_tokens, times, wanted=wanted.astype(np.int64)
        )

    # Saving ----------------------------------------------------------------------------------------

    def _state(self) -> dict[str, np.ndarray]:
        alphabet = self.contexts.alphabet
        state = {"marks": np.array([alphabet.separator, alphabet.newline, self.read_tokens])}
        state |= {name: getattr(alphabet, name) for name in ("classes", "folded", "letters")}
        state |= {f"weights.{name}": array for name, array in self.weights._asdict().items()}
        return state | self.table.arrays()

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        separator, newline, self.read_tokens = saved_array(state, "marks", (3,), "i").tolist()
        classes, folded = (
            saved_array(state, n, (self.vocab_size,), "i").astype(np.int64) for n in ("classes", "folded")
        )
        letters = saved_array(state, "letters", (self.vocab_size,), "b").astype(bool)
        if not ((classes >= 0) & (classes < 4) & (folded >= 0) & (folded < self.vocab_size)).all():
            raise InputError(
                "the classes of symbols are not of two bits, or the symbols without case are none"
            )
        if not (-1 <= newline < self.vocab_size and 0 <= separator < self.vocab_size):
            raise InputError("the symbols that end words and lines are none of the vocabulary")
        if not 0 <= self.read_tokens <= MOST_TOKENS:
            raise InputError("the number of tokens that it has read is none; fit the model anew")
        alphabet = Alphabet(separator, newline, classes, folded, letters)
        self.contexts = Contexts(self.orders, self.words, self.gaps, self.lines, alphabet)
        self.weights = Weights(
            *(
                np.ascontiguousarray(saved_array(state, f"weights.{name}", array.shape), dtype=np.float32)
                for name, array in self._weights_at_rest()._asdict().items()
            )
        )
        if not (all(np.isfinite(a).all() for a in self.weights) and (self.weights.spread > 0).all()):
            raise InputError("the weights of the contexts are not finite numbers")
        self.table = ContextTable.saved(state, len(self.contexts.bases), self.vocab_size)

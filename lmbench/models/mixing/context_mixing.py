"""Contexts of many lengths, and of whole words, each with its own distribution; a learnt log-linear mixture of all.

What text compressors do at their best (Cleary & Witten 1984, PPM; Mahoney 2005, PAQ), on whole symbols: orders far
beyond what one smoothed n-gram model can use, because the mixture learns how much to believe of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Traits, learned
from lmbench.models.mixing.contexts import FAR, Contexts, bases_of, symbol_classes
from lmbench.models.mixing.log_linear import Gate, learn_gate, log_softmax, small_enough
from lmbench.models.mixing.sparse_counts import SparseCounts, counts_before, first_pairs
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.saved import saved_array
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import Vocab

# What absolute discounting takes from counts of 0, 1, 2 and more: chosen on the held-out tenth of The Time Machine.
_DISCOUNTS = np.array([0.0, 0.6, 1.0, 1.3])
_SEEN = 6  # numbers about each context that the gate looks at
_CELLS = 1 << 18  # counts held at once: tokens of a segment times vocabulary
_MIX_TOKENS = 1 << 16  # at most so many tokens teach the weights ...
_MIX_CELLS = 1 << 26  # ... and so many log-probabilities


@dataclass(kw_only=True, eq=False)
class ContextMixing(LanguageModel):
    """p(x | h) ∝ ∏_i p_i(x | c_i(h))^w_i over contexts c_i of h: its last k symbols for several k, and its last words.

    Each p_i is an absolutely discounted distribution, interpolated with the next shorter context's, down to
    uniform; below the longest order a symbol counts once for each longer context that it was seen in, as in Kneser–Ney
    smoothing. A word is a stretch between two of the commonest symbol (in most texts the space). The
    weights w come from a small network that looks at how much and what is known of each context, at the longest
    one that has been seen and at the position in the word; it is learnt on the last part of the training text, each
    token predicted from those before it. ``contexts.py`` says which contexts there are.

    With ``adaptive`` the counts go on growing while a text is scored, from one document to the next; what stands near
    says more of what comes than what stands far, so that a token read counts as ``times`` tokens of the training text.
    For characters and bytes: every step costs the whole vocabulary.
    """

    orders: tuple[int, ...] = option(
        (0, 1, 2, 3, 4, 5, 6, 8, 12, 16), "lengths of the contexts, in symbols, ascending"
    )
    words: bool = option(True, "contexts made of words too: the word so far, alone and with words before it")
    gaps: bool = option(
        True, "contexts with gaps too, and with classes of symbols that the text itself tells"
    )
    adaptive: bool = option(False, "go on learning from the text that is scored")
    times: int = option(2, "where adaptive: how many times a token that was read counts")

    contexts: Contexts = learned()
    counts: list[SparseCounts] = learned()  # of the training text, one a context
    gate: Gate = learned()  # the weights

    def __post_init__(self) -> None:
        if not self.orders or list(self.orders) != sorted(set(self.orders)) or self.orders[0] < 0:
            raise InputError(
                f"option orders={','.join(map(str, self.orders))}: give lengths of 0 or more, ascending"
            )
        if self.times < 1:
            raise InputError(f"option times={self.times} must be at least 1")

    @property
    def traits(self) -> Traits:
        # Drawn are the gate's first weights, its order of tokens, its dropout.
        return Traits(seeded=True, adaptive=self.adaptive)

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        return small_enough(corpus_vocab, "context-mixing", "--unit char")

    # Learning --------------------------------------------------------------------------------------

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        separator = int(np.bincount(train.ids).argmax())
        classes = symbol_classes(train.ids, self.vocab_size)
        self.contexts = Contexts(self.orders, self.words, self.gaps, separator, classes)
        keys, place = self.contexts.keys(train)
        cells = len(keys) * self.vocab_size
        begin = len(train) - min((len(train) + 1) // 2, _MIX_TOKENS, max(1, _MIX_CELLS // cells))
        self.counts = self._count(keys[:, :begin], train.ids[:begin])
        size = len(train) - begin
        features = np.empty((size, len(keys), self.vocab_size), dtype=np.float32)
        evidence = []
        for part, counts in self._segments(keys[:, begin:], train.ids[begin:], times=1):
            features[part], e = self._features(counts, place[begin:][part])
            evidence.append(e)
            monitor.progress(min(part.stop, size), size, "tokens for the weights")
        self.gate = learn_gate(features, np.concatenate(evidence), train.ids[begin:], rng)
        self.counts = self._count(keys, train.ids)

    def _count(self, keys: np.ndarray, ids: np.ndarray) -> list[SparseCounts]:
        """What followed each context, below the longest order once for each longer context."""
        counts = []
        for i, k in enumerate(keys):
            fresh = first_pairs(keys[i + 1], ids) if self._shorter(i) else np.ones(len(ids), dtype=bool)
            counts.append(SparseCounts.of(k[fresh], ids[fresh], self.vocab_size))
        return counts

    def _shorter(self, i: int) -> bool:
        """Whether context i is one of the orders, and not the longest; then i + 1 is the next longer one."""
        return i + 1 < len(self.orders)

    # Scoring ---------------------------------------------------------------------------------------

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        log_probs = np.empty(len(tokens))
        for part, rows in self._rows(tokens):
            log_probs[part] = rows[np.arange(len(rows)), tokens.ids[part]]
        return log_probs

    def _distributions(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        kept = []
        for part, rows in self._rows(tokens):
            first, last = np.searchsorted(places, (part.start, part.stop))
            kept.append(rows[places[first:last] - part.start])
        return np.concatenate(kept)

    def _rows(self, tokens: Tokens) -> Iterator[tuple[slice, np.ndarray]]:
        """Which tokens, and their distributions."""
        keys, place = self.contexts.keys(tokens)
        for part, counts in self._segments(keys, tokens.ids, self.times if self.adaptive else 0):
            yield part, self._mix(counts, place[part])

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        return np.stack([self._next_after(Tokens.of(context, bos)) for context in contexts])

    def _next_after(self, tokens: Tokens) -> np.ndarray:
        ids = tokens.ids
        keys, place = self.contexts.keys(Tokens(np.append(ids, np.int32(0)), tokens.starts, tokens.bos))
        counts = np.stack([c.rows(k[-1:]) for c, k in zip(self.counts, keys, strict=True)])
        if self.adaptive:
            for i, k in enumerate(keys):
                alike = np.flatnonzero(k[:-1] == k[-1])
                if self._shorter(i):
                    longer, symbols = keys[i + 1][alike], ids[alike]
                    counted = self.counts[i + 1].rows(longer)[np.arange(len(alike)), symbols] > 0
                    alike = alike[first_pairs(longer, symbols) & ~counted]
                counts[i, 0] += self.times * np.bincount(ids[alike], minlength=self.vocab_size)
        row: np.ndarray = self._mix(counts, place[-1:])[0]
        return row

    def _mix(self, counts: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(T, V) float64, nats: the mixture, given (contexts, T, V) counts and (T,) positions in the word."""
        features, evidence = self._features(counts, place)
        with np.errstate(all="ignore"):  # a damaged file's weights; what comes of them is refused
            return log_softmax(np.matmul(self.gate.weights(evidence)[:, None], features)[:, 0])

    def _features(self, counts: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, contexts, V) ln p_i, given (contexts, T, V) counts and (T,) positions; and (T, E), what the gate looks at.

        That is, of each context: ln(1 + n) for the n symbols that followed it and for the kinds among them, whether there
        are none, whether all are of one kind, the share of the commonest, the entropy of p_i in nats; which is the
        longest order that has been seen, and the position in the word, one number for each possibility.
        """
        _, length, vocab_size = counts.shape
        p = np.full((len(counts) + 1, length, vocab_size), 1 / vocab_size)  # the last, index -1, is uniform
        depth = np.zeros(length, dtype=np.int64)
        seen = []
        for i, base in enumerate(bases_of(self.orders, self.words, self.gaps)):
            total = counts[i].sum(axis=1, keepdims=True)
            discount = _DISCOUNTS[np.minimum(counts[i], 3)]
            freed = discount.sum(axis=1, keepdims=True)
            # A context never seen says what its base says: (0 + 1 · p) / 1.
            np.multiply(p[base], np.where(total > 0, freed, 1), out=p[i])
            p[i] += counts[i] - discount
            p[i] /= np.maximum(total, 1)
            if i < len(self.orders):
                depth[total[:, 0] > 0] = i
            n, kinds = total[:, 0], np.count_nonzero(counts[i], axis=1)
            share = counts[i].max(axis=1) / np.maximum(n, 1)
            seen += [np.log1p(n), np.log1p(kinds), n == 0, kinds == 1, share]
        p = p[:-1]
        features = np.log(p)
        seen += list(-(p * features).sum(axis=2))
        marks = [np.eye(len(self.orders))[depth], np.eye(FAR + 1)[place]]
        return features.transpose(1, 0, 2), np.concatenate([np.stack(seen, axis=1), *marks], axis=1)

    def _segments(self, keys: np.ndarray, ids: np.ndarray, times: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Which tokens, and their (contexts, T, V) counts before each: those of the training text and, so many times,
        of the tokens before it."""
        step = max(1, _CELLS // self.vocab_size)
        history = [SparseCounts.of(k[:0], ids[:0], self.vocab_size) for k in keys]
        for first in range(0, len(ids), step):
            part = slice(first, first + step)
            counts = np.stack([c.rows(k[part]) for c, k in zip(self.counts, keys, strict=True)])
            if times:
                symbols = ids[part]
                every = np.ones(len(symbols), dtype=bool)
                for i in reversed(range(len(keys))):  # the longer order tells what is new to the shorter one
                    k = keys[i, part]
                    longer = counts[i + 1, np.arange(len(symbols)), symbols] if self._shorter(i) else None
                    fresh = every if longer is None else longer == 0
                    before = history[i].rows(k) + counts_before(k, symbols, fresh, self.vocab_size)
                    counts[i] += times * before
                    history[i] = history[i].add(k[fresh], symbols[fresh])
            yield part, counts

    # Saving ----------------------------------------------------------------------------------------

    def _state(self) -> dict[str, np.ndarray]:
        state = {"separator": np.array([self.contexts.separator]), "classes": self.contexts.classes}
        state |= {f"gate.{name}": array for name, array in self.gate.arrays().items()}
        for i, counts in enumerate(self.counts):
            state |= {f"{name}.{i}": array for name, array in counts.arrays().items()}
        return state

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        separator = int(saved_array(state, "separator", (1,), "iu")[0])
        classes = saved_array(state, "classes", (self.vocab_size or None,), "i")
        if not ((classes >= 0) & (classes < 4)).all():
            raise InputError("the classes of symbols are not of two bits")
        self.contexts = Contexts(self.orders, self.words, self.gaps, separator, classes)
        number = len(bases_of(self.orders, self.words, self.gaps))
        self.gate = Gate.saved(state, "gate.", _SEEN * number + len(self.orders) + FAR + 1, number)
        self.counts = [SparseCounts.saved(self.vocab_size, state, f".{i}") for i in range(number)]

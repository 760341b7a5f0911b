"""Contexts of many lengths, and of whole words, each with its own distribution; a learnt log-linear mixture of all.

What text compressors do at their best (Cleary & Witten 1984, PPM; Mahoney 2005, PAQ), on whole symbols: orders far
beyond what one smoothed n-gram model can use, because the mixture learns how much to believe of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.files import InputError
from lmbench.models.base import LanguageModel, Monitor, learned, option, saved_array
from lmbench.text import Tokens, Vocab

# What absolute discounting takes from counts of 0, 1, 2 and more: chosen on the held-out tenth of The Time Machine.
_DISCOUNTS = np.array([0.0, 0.6, 1.0, 1.3])
_WORD_BASE = 2  # the order that a word not seen before falls back to
_FAR = 7  # positions in a word are told apart up to here
_CELLS = 1 << 19  # counts held at once: tokens of a segment times vocabulary
_MIX_TOKENS = 1 << 16  # at most so many tokens teach the weights ...
_MIX_CELLS = 1 << 25  # ... and so many log-probabilities
_PRIOR = 10.0  # how strongly the weights of a set are drawn to those of all, in nats per squared unit
_LARGEST_VOCAB = 4096

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(int(_MULTIPLIER), -1, 1 << 64))


@dataclass(kw_only=True, eq=False)
class ContextMixing(LanguageModel):
    """p(x | h) ∝ ∏_i p_i(x | c_i(h))^w_i over contexts c_i of h: its last k symbols for several k, and its last words.

    Each p_i is an absolutely discounted distribution, interpolated with the next shorter context's, down to
    uniform; below the longest order a symbol counts once for each longer context that it was seen in, as in Kneser–Ney
    smoothing. A word is a stretch between two of the commonest symbol (in most texts the space). The
    weights w depend on the longest context that has been seen and on the position in the word; they are learnt by
    Newton's method on the last part of the training text, each token predicted from those before it.

    With ``adaptive`` the counts go on growing while a text is scored, from one document to the next.
    For characters and bytes: every step costs the whole vocabulary.
    """

    orders: tuple[int, ...] = option(
        (0, 1, 2, 3, 4, 5, 6, 8, 12, 16), "lengths of the contexts, in symbols, ascending"
    )
    words: bool = option(True, "contexts made of words too: the word so far, alone and with words before it")
    adaptive: bool = option(False, "go on learning from the text that is scored")

    separator: int = learned()
    counts: list[SparseCounts] = learned()  # of the training text, one a context
    weights: np.ndarray = learned()  # (sets, contexts)

    def __post_init__(self) -> None:
        if not self.orders or list(self.orders) != sorted(set(self.orders)) or self.orders[0] < 0:
            raise InputError(
                f"option orders={','.join(map(str, self.orders))}: give lengths of 0 or more, ascending"
            )

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        if len(corpus_vocab) > _LARGEST_VOCAB:
            raise InputError(
                f"context-mixing is for characters or bytes; {len(corpus_vocab)} tokens are more than "
                f"{_LARGEST_VOCAB}; use --unit char"
            )
        return corpus_vocab

    @property
    def bases(self) -> list[int]:
        """For each context the one that it falls back to; -1: the uniform distribution."""
        n = len(self.orders)
        base = max((i for i, k in enumerate(self.orders) if k <= _WORD_BASE), default=-1)
        return [*range(-1, n - 1)] + ([base, n, n, n + 1] if self.words else [])

    # Learning --------------------------------------------------------------------------------------

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        self.separator = int(np.bincount(train.ids).argmax())
        keys, place = self._contexts(train)
        cells = len(self.bases) * self.vocab_size
        begin = len(train) - min((len(train) + 1) // 2, _MIX_TOKENS, max(1, _MIX_CELLS // cells))
        self.counts = self._count(keys[:, :begin], train.ids[:begin])
        features, sets = [], []
        for _, counts in self._segments(keys[:, begin:], train.ids[begin:], learn=True):
            f, depth = self._features(counts)
            features.append(f.astype(np.float32))
            sets.append(depth)
            monitor.progress(sum(map(len, sets)), len(train) - begin, "tokens for the weights")
        set_of = np.concatenate(sets) * (_FAR + 1) + place[begin:]
        self.weights = learn_weights(
            np.concatenate(features), train.ids[begin:], set_of, len(self.orders) * (_FAR + 1)
        )
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
        keys, place = self._contexts(tokens)
        found = np.empty(len(tokens))
        for part, counts in self._segments(keys, tokens.ids, learn=self.adaptive):
            rows = self._mix(counts, place[part])
            found[part] = rows[np.arange(len(rows)), tokens.ids[part]]
        return found

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        rows = np.empty((len(contexts), self.vocab_size))
        for row, context in zip(rows, contexts, strict=True):
            keys, place = self._contexts(Tokens.of(np.append(context, np.int32(0)), bos))
            counts = np.stack([c.rows(k[-1:]) for c, k in zip(self.counts, keys, strict=True)])
            if self.adaptive:
                for i, k in enumerate(keys):
                    alike = np.flatnonzero(k[:-1] == k[-1])
                    if self._shorter(i):
                        longer, symbols = keys[i + 1][alike], context[alike]
                        known = self.counts[i + 1].rows(longer)[np.arange(len(alike)), symbols] > 0
                        alike = alike[first_pairs(longer, symbols) & ~known]
                    counts[i, 0] += np.bincount(context[alike], minlength=self.vocab_size)
            row[:] = self._mix(counts, place[-1:])[0]
        return rows

    def _mix(self, counts: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(T, V) float64, nats: the mixture, given (contexts, T, V) counts and (T,) positions in the word."""
        features, depth = self._features(counts)
        weights = self.weights[depth * (_FAR + 1) + place]
        return log_softmax(np.einsum("tk,tkv->tv", weights, features))

    def _features(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(T, contexts, V) ln p_i, given (contexts, T, V) counts; (T,) which is the longest order that has been seen."""
        _, length, vocab_size = counts.shape
        p = np.full((len(counts) + 1, length, vocab_size), 1 / vocab_size)  # the last, index -1, is uniform
        depth = np.zeros(length, dtype=np.int64)
        for i, base in enumerate(self.bases):
            total = counts[i].sum(axis=1, keepdims=True)
            discount = _DISCOUNTS[np.minimum(counts[i], 3)]
            freed = discount.sum(axis=1, keepdims=True)
            # A context never seen says what its base says: (0 + 1 · p) / 1.
            np.multiply(p[base], np.where(total > 0, freed, 1), out=p[i])
            p[i] += counts[i] - discount
            p[i] /= np.maximum(total, 1)
            if i < len(self.orders):
                depth[total[:, 0] > 0] = i
        return np.log(p[:-1]).transpose(1, 0, 2), depth

    # Contexts --------------------------------------------------------------------------------------

    def _contexts(self, tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
        """(contexts, T) uint64 hashes of each token's contexts, and (T,) its position in the word, up to _FAR."""
        size = len(tokens) + len(tokens.starts)
        begin = tokens.starts + np.arange(len(tokens.starts))  # where each document's bos stands
        symbols = np.full(size, tokens.bos, dtype=np.int64)
        is_bos = np.zeros(size, dtype=bool)
        is_bos[begin] = True
        symbols[~is_bos] = tokens.ids
        at = np.flatnonzero(~is_bos)
        document = np.repeat(begin, np.diff(np.append(begin, size)))
        # The last word boundary before each symbol.
        boundary = np.where(is_bos | (symbols == self.separator), np.arange(size), 0)
        boundary = np.append(0, np.maximum.accumulate(boundary)[:-1])

        powers = np.full(size + 1, _MULTIPLIER, dtype=np.uint64)
        powers[0] = 1
        inverses = np.full(size + 1, _INVERSE, dtype=np.uint64)
        inverses[0] = 1
        np.cumprod(powers, out=powers)
        np.cumprod(inverses, out=inverses)
        sums = np.zeros(size + 1, dtype=np.uint64)
        np.cumsum(scramble(symbols) * powers[:-1], out=sums[1:])

        def stretch(first: np.ndarray, end: np.ndarray) -> np.ndarray:
            """A hash of the symbols first..end-1: polynomial, modulo 2^64."""
            hashes: np.ndarray = (sums[end] - sums[first]) * inverses[first]
            return hashes

        keys = [stretch(np.maximum(at - k, document[at]), at) for k in self.orders]
        ends = [boundary[at]]  # where the last words ended, the latest first
        for _ in range(2):
            ends.append(np.where(is_bos[ends[-1]], ends[-1], boundary[ends[-1]]))
        now, one, two = (end + 1 for end in ends)
        if self.words:
            word = stretch(now, at)
            keys += [word, stretch(one, at), word + scramble(stretch(two, one)), stretch(two, at)]
        return np.stack(keys), np.minimum(at - now, _FAR)

    def _segments(self, keys: np.ndarray, ids: np.ndarray, learn: bool) -> Iterator[tuple[slice, np.ndarray]]:
        """Which tokens, and their (contexts, T, V) counts before each: those of the training text and, where ``learn``
        is set, of the tokens before it."""
        step = max(1, _CELLS // self.vocab_size)
        history = [SparseCounts.of(k[:0], ids[:0], self.vocab_size) for k in keys]
        for first in range(0, len(ids), step):
            part = slice(first, first + step)
            counts = np.stack([c.rows(k[part]) for c, k in zip(self.counts, keys, strict=True)])
            if learn:
                symbols = ids[part]
                every = np.ones(len(symbols), dtype=bool)
                for i in reversed(range(len(keys))):  # the longer order tells what is new to the shorter one
                    k = keys[i, part]
                    longer = counts[i + 1, np.arange(len(symbols)), symbols] if self._shorter(i) else None
                    fresh = every if longer is None else longer == 0
                    counts[i] += history[i].rows(k)
                    counts[i] += counts_before(k, symbols, fresh, self.vocab_size)
                    history[i] = history[i].add(k[fresh], symbols[fresh])
            yield part, counts

    # Saving ----------------------------------------------------------------------------------------

    def _state(self) -> dict[str, np.ndarray]:
        state = {"separator": np.array([self.separator]), "weights": self.weights}
        for i, counts in enumerate(self.counts):
            state |= {f"{name}.{i}": array for name, array in counts.arrays().items()}
        return state

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.separator = int(saved_array(state, "separator", (1,), "iu")[0])
        shape = len(self.orders) * (_FAR + 1), len(self.bases)
        self.weights = saved_array(state, "weights", shape)
        self.counts = [SparseCounts.saved(self.vocab_size, state, f".{i}") for i in range(shape[1])]


# Counts --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SparseCounts:
    """How often each symbol followed each context.

    keys: (C,) uint64, ascending: the contexts. first: (C+1,) int64: where each one's entries begin. symbols,
    counts: (N,) int32.
    """

    vocab_size: int
    keys: np.ndarray
    first: np.ndarray
    symbols: np.ndarray
    counts: np.ndarray

    array_names = ("keys", "first", "symbols", "counts")

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in self.array_names}

    @classmethod
    def saved(cls, vocab_size: int, state: Mapping[str, np.ndarray], end: str) -> SparseCounts:
        """What ``arrays`` gave, under names with ``end`` at their end; raises InputError where it does not fit together."""
        keys = saved_array(state, f"keys{end}", (None,), "u")
        first = saved_array(state, f"first{end}", (len(keys) + 1,), "i")
        symbols, counts = (
            saved_array(state, f"{name}{end}", (int(first[-1]),), "i") for name in ("symbols", "counts")
        )
        if not (
            (keys[1:] > keys[:-1]).all()
            and first[0] == 0
            and (first[1:] >= first[:-1]).all()
            and ((symbols >= 0) & (symbols < vocab_size)).all()
            and (counts > 0).all()
        ):
            raise InputError(f"the counts{end} do not fit together")
        return cls(vocab_size, keys, first, symbols, counts)

    @classmethod
    def of(cls, keys: np.ndarray, symbols: np.ndarray, vocab_size: int) -> SparseCounts:
        none = np.zeros(0, dtype=np.int32)
        empty = cls(vocab_size, np.zeros(0, dtype=np.uint64), np.zeros(1, dtype=np.int64), none, none)
        return empty.add(keys, symbols)

    def add(self, keys: np.ndarray, symbols: np.ndarray) -> SparseCounts:
        """These counts and those of (T,) contexts and the symbols that followed."""
        all_keys = np.concatenate([np.repeat(self.keys, np.diff(self.first)), keys])
        contexts, rank = np.unique(all_keys, return_inverse=True)
        pairs = rank * self.vocab_size + np.concatenate([self.symbols, symbols])
        pairs, entry = np.unique(pairs, return_inverse=True)
        number = np.concatenate([self.counts, np.ones(len(symbols))])
        return SparseCounts(
            self.vocab_size,
            contexts,
            np.searchsorted(pairs, np.arange(len(contexts) + 1) * self.vocab_size),
            (pairs % self.vocab_size).astype(np.int32),
            np.bincount(entry, weights=number, minlength=len(pairs)).astype(np.int32),
        )

    def rows(self, keys: np.ndarray) -> np.ndarray:
        """(T, V) int32: the counts after each of (T,) contexts; zeros for one not seen."""
        dense = np.zeros((len(keys), self.vocab_size), dtype=np.int32)
        if len(self.keys):
            place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
            row = np.flatnonzero(self.keys[place] == keys)
            begin = self.first[place[row]]
            number = self.first[place[row] + 1] - begin
            entry = np.arange(number.sum()) + np.repeat(begin - np.cumsum(number) + number, number)
            dense[np.repeat(row, number), self.symbols[entry]] = self.counts[entry]
        return dense


def counts_before(keys: np.ndarray, symbols: np.ndarray, chosen: np.ndarray, vocab_size: int) -> np.ndarray:
    """(T, V) int32: how often each symbol followed each token's context earlier in the sequence, where (T,) chosen."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    counts = np.zeros((len(keys), vocab_size), dtype=np.int32)
    counts[np.arange(1, len(keys)), symbols[order][:-1]] = chosen[order][:-1]
    np.cumsum(counts, axis=0, out=counts)
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    counts -= np.repeat(counts[begins], np.diff(begins, append=len(keys)), axis=0)
    found = np.empty_like(counts)
    found[order] = counts
    return found


def first_pairs(keys: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """(T,) bool: where a symbol follows a context for the first time."""
    order = np.lexsort((symbols, keys))  # stable: equal pairs stay in their order
    keys, symbols = keys[order], symbols[order]
    first = np.ones(len(keys), dtype=bool)
    first[order[1:]] = (keys[1:] != keys[:-1]) | (symbols[1:] != symbols[:-1])
    return first


def scramble(values: np.ndarray) -> np.ndarray:
    """uint64: integers spread over all 64 bits (Steele et al. 2014, SplitMix)."""
    mixed: np.ndarray = (values.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


# Weights -------------------------------------------------------------------------------------------


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Scores less the logarithm of their sum of exponentials, along the last axis."""
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def learn_weights(features: np.ndarray, ids: np.ndarray, sets: np.ndarray, number: int) -> np.ndarray:
    """(number, K) weights of log-linear mixtures, the likeliest for each set of tokens, drawn to those of all.

    features: (T, K, V) log-probabilities. ids: (T,) what came. sets: (T,) the set of each token, below ``number``.
    """
    size = features.shape[1]
    common = newton(features, ids, np.full(size, 1 / size), 1.0)
    weights = np.tile(common, (number, 1))
    for s in np.unique(sets):
        chosen = sets == s
        weights[s] = newton(features[chosen], ids[chosen], common, _PRIOR)
    return weights


def newton(features: np.ndarray, ids: np.ndarray, prior: np.ndarray, strength: float) -> np.ndarray:
    """(K,) the w that minimises Σ_t -ln softmax(w · f_t)[x_t] + strength/2 |w - prior|², which is convex."""
    said = np.take_along_axis(features, ids[:, None, None], axis=2)[:, :, 0].sum(axis=0, dtype=np.float64)
    blocks = np.array_split(features, max(1, features.size // (1 << 22)))

    def measure(w: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Value, gradient and curvature at w."""
        value, gradient, curvature = 0.0, -said, np.zeros((len(w), len(w)))
        for f in blocks:
            scores = np.einsum("k,tkv->tv", w.astype(f.dtype), f)
            top = scores.max(axis=1, keepdims=True)
            p = np.exp(scores - top)
            total = p.sum(axis=1, keepdims=True)
            p /= total
            value += float(np.log(total).sum() + top.sum())
            mean = np.einsum("tkv,tv->tk", f, p)
            spread = (f - mean[:, :, None]) * np.sqrt(p)[:, None, :]
            gradient = gradient + mean.sum(axis=0)
            spread = spread.transpose(1, 0, 2).reshape(len(w), -1)
            curvature += spread @ spread.T
        value -= float(w @ said)
        value += strength / 2 * float(((w - prior) ** 2).sum())
        return (
            value,
            gradient + strength * (w - prior),
            curvature + strength * np.eye(len(w)),
        )

    w, (value, gradient, curvature) = prior, measure(prior)
    for _ in range(20):
        step = np.linalg.solve(curvature, gradient)
        if gradient @ step < 1e-4:
            break
        size = 1.0
        while size > 1e-3:
            at = measure(w - size * step)
            if at[0] < value:
                w, (value, gradient, curvature) = w - size * step, at
                break
            size /= 2
        else:
            break
    return w

r"""Models that other toolkits have trained, read from ARPA files; and count models written as such.

An ARPA file marks the ends of sentences by ``<s>`` and ``</s>``; here ``\n`` is both. As the word that follows, it has the
probability of ``</s>``; as a context, the continuations and the backoff weight of ``<s>``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lmbench.counts.ngrams import sort_keys, split_keys
from lmbench.counts.trie import roots
from lmbench.errors import InputError, shown
from lmbench.models.base import LanguageModel, Traits
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.smoothing.arpa_file import read_arpa, write_arpa
from lmbench.models.smoothing.arpa_reader import Arpa
from lmbench.models.smoothing.backoff import BackoffModel
from lmbench.models.smoothing.pruning import model_histories, prune_by_entropy, sums
from lmbench.models.smoothing.table import Backoff
from lmbench.storage.lookup import TwoPlaces
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import UNK, Vocab

_UNKNOWN = -100.0  # log10 p of <unk> where a file has none, as in KenLM
_PIECE = 1 << 15  # n-grams looked up at once: what is made of them on the way stays near the processor
_TOLERANCE = 0.01  # of sums that should be 1: some files hold four digits


@dataclass(kw_only=True, eq=False)
class ArpaModel(BackoffModel):
    """The model in an ARPA file, scored as KenLM's ``query`` scores it. It learns nothing from the training text.

    The vocabulary is the file's. Documents should be lines, as the file's sentences were.
    """

    file: str = option("", "an ARPA file, packed by gzip or not", kind="path")
    strict: bool = option(
        False, "refuse what is not written as KenLM and SRILM write it, instead of noting it"
    )

    def __post_init__(self) -> None:
        if not self.file:
            raise InputError("option file: name an ARPA file, for instance -o file=model.arpa")
        self._read: Arpa | None = None

    @property
    def traits(self) -> Traits:
        # Such files hold seven digits, and a sum has many terms.
        return Traits(learns_from=0, precision=1e-4, sources=(Path(self.file),))

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        r"""``<unk>``, ``\n``, then the file's words in its order."""
        self._read = self._arpa()  # kept for the fit that follows: a pipe can be read only once
        return Vocab.from_list(_words(self._read, self.file))

    def _arpa(self) -> Arpa:
        arpa = read_arpa(self.file, self.strict)
        return arpa if self.strict else within_sentences(arpa, self.file)

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        arpa = self._arpa() if self._read is None else self._read
        self._read = None
        vocab, table = from_arpa(arpa, self.file)
        if self.vocab_size > len(vocab):
            raise InputError(
                f"{self.file} has {len(vocab)} words, the text was encoded with {self.vocab_size}; "
                "encode it with the model's own vocabulary()"
            )
        self.vocab_size = len(vocab)
        self.notes += arpa.notes
        if UNK not in _types(arpa):
            self.notes.append(f"{self.file} has no {UNK}; unknown words get p = 1e{_UNKNOWN:.0f}")
        self._check_sums(table, vocab)
        self.table = table

    def _check_sums(self, table: Backoff, vocab: Vocab) -> None:
        """Notes that the probabilities are none; raises InputError where the backoff weights are lacking."""
        for k in range(1, table.order + 1):
            with np.errstate(over="ignore", invalid="ignore"):
                total = sums(table, k)
                wrong = ~(np.abs(total - 1) <= _TOLERANCE)
            if not wrong.any():
                continue
            absent = wrong & (table.backoffs[k - 1] == 1) if k > 1 else ~wrong
            first = int(np.argmax(absent if absent.any() else wrong))
            where = "without context"
            if k > 1:
                context = table.ngrams(k - 1)[first].tolist()
                where = f"after {shown(' '.join('<s>' if i == 1 else vocab.tokens[i] for i in context))}"
            message = f"{self.file}: the probabilities {where} sum to {total[first]:.4g}"
            if absent.any():
                raise InputError(
                    f"{message}, as its backoff weight is missing or 0; get the file with weights"
                )
            self.notes.append(f"{message}, not 1; the scores are not those of a distribution")
            return


def _types(arpa: Arpa) -> list[str]:
    """The words, the marks among them in small letters, as KenLM and SRILM write them: ``<UNK>`` is ``<unk>``."""
    marks = {UNK, "<s>", "</s>"}
    return [mark if word[:1] == "<" and (mark := word.lower()) in marks else word for word in arpa.words]


def _words(arpa: Arpa, name: str) -> list[str]:
    r"""The tokens of the vocabulary: ``<unk>``, ``\n``, the other words."""
    types = _types(arpa)
    for mark in ("<s>", "</s>"):
        if mark not in types:
            raise InputError(f"{name} has no {mark} among its 1-grams; train it with sentence markers")
    for mark in (UNK, "<s>", "</s>"):
        if types.count(mark) > 1:
            written = [word for word in arpa.words if word.lower() == mark]
            raise InputError(f"{name} has both {' and '.join(written)} among its 1-grams; take one out")
    return [UNK, "\n", *(word for word in types if word not in (UNK, "<s>", "</s>"))]


def within_sentences(arpa: Arpa, name: str) -> Arpa:
    """The n-grams that can be met: none that goes on after ``</s>`` or comes to ``<s>``, as toolkits that take a text for
    one sequence write them. They are left out, with a note."""
    _words(arpa, name)
    types = _types(arpa)
    begin, end = types.index("<s>"), types.index("</s>")
    keep = [np.ones(len(arpa.words), dtype=bool)]
    keep += [~_crossing(rows, begin, end) for rows in arpa.ngrams[1:]]
    dropped = sum(int((~kept).sum()) for kept in keep)
    if not dropped:
        return arpa
    k, kept = next((k, kept) for k, kept in enumerate(keep, 1) if not kept.all())
    what = f"{dropped:,} n-gram{'s' * (dropped > 1)} across the ends of sentences, such as {_named(arpa, k, ~kept)}"
    ngrams, probs, backoffs = (
        tuple(column[kept] for column, kept in zip(columns, keep, strict=True))
        for columns in (arpa.ngrams, arpa.log10_probs, arpa.log10_backoffs)
    )
    return Arpa(arpa.words, ngrams, probs, backoffs, (*arpa.notes, f"{name}: {what}, left out"))


def _crossing(rows: np.ndarray, begin: int, end: int) -> np.ndarray:
    """(N,) bool: which of (N, k) n-grams come to ``<s>`` or go on after ``</s>``."""
    crossing: np.ndarray = (rows[:, 1:] == begin).any(axis=1) | (rows[:, :-1] == end).any(axis=1)
    return crossing


def from_arpa(arpa: Arpa, name: str) -> tuple[Vocab, Backoff]:
    r"""The vocabulary (``<unk>``, ``\n``, the other words) and the table of an ARPA file; ``name`` is for errors.

    N-grams whose prefix the file lacks (SRILM's pruning leaves such) get it, with the probability it has anyway.
    Raises InputError where an n-gram stands twice or crosses the end of a sentence.
    """
    words, types = _words(arpa, name), _types(arpa)
    begin, end = types.index("<s>"), types.index("</s>")
    ids = {word: i for i, word in enumerate(words)} | {"<s>": 1, "</s>": 1}
    new = np.array([ids[word] for word in types])
    size = len(words)
    probs, backoffs = np.full(size, 10.0**_UNKNOWN), np.ones(size)
    probs[new] = 10.0 ** arpa.log10_probs[0]
    backoffs[new] = 10.0 ** arpa.log10_backoffs[0]
    probs[1], backoffs[1] = 10.0 ** arpa.log10_probs[0][end], 10.0 ** arpa.log10_backoffs[0][begin]
    last, begins = map(tuple, roots(size))
    table = Backoff(size, last, begins, (np.ones(1), probs), (np.ones(1), backoffs))
    ranks = [new.take(rows[:, 0]) for rows in arpa.ngrams[1:]]  # of the words before the k-th, order by order
    for k in range(2, arpa.order + 1):
        if (wrong := _crossing(arpa.ngrams[k - 1], begin, end)).any():
            raise InputError(f"{name}: the {k}-gram {_named(arpa, k, wrong)} crosses the end of a sentence")
        keys = _keys(ranks.pop(0), new, arpa.ngrams[k - 1][:, k - 1], size)
        keys, labels = sort_keys(keys, np.arange(len(keys)), table.sizes[-1] * size)
        if (again := np.flatnonzero(keys[1:] == keys[:-1])).size:
            twice = _named(arpa, k, np.arange(len(keys)) == min(labels[again].tolist()))
            raise InputError(f"{name} has the {k}-gram {twice} twice; one of the two must go")
        longer = [
            _keys(before, new, rows[:, k - 1], size)
            for before, rows in zip(ranks, arpa.ngrams[k:], strict=True)
        ]
        keys, present, ranks = _with_prefixes(keys, longer)
        del longer
        of_order = split_keys(keys, table.sizes[-1], size)
        probs = _powers(arpa.log10_probs[k - 1], labels, present, len(keys), np.nan)
        backoffs = (
            _powers(arpa.log10_backoffs[k - 1], labels, present, len(keys), 1.0)
            if k < arpa.order
            else np.ones(0)
        )
        if k < arpa.order:
            backoffs[keys % size == 1] = (
                1.0  # after </s> a sentence begins: no context reaches back across it
            )
        longer_table = Backoff(
            size,
            (*table.words, of_order[0]),
            (*table.begins, of_order[1]),
            (*table.probs, probs),
            (*table.backoffs, backoffs),
        )
        lacking = np.flatnonzero(np.isnan(probs))
        if len(lacking):
            probs[lacking] = _backed_off(table, longer_table.ngrams(k)[lacking], keys[lacking] // size)
        table = longer_table
    table = replace(table, backoffs=table.backoffs[: max(1, arpa.order)])
    return Vocab.from_list(words), table


def _powers(
    log10: np.ndarray, labels: np.ndarray, present: np.ndarray | slice, size: int, otherwise: float
) -> np.ndarray:
    """(size,) float64: 10 to what the file has for those of an order that are present, taken by their labels."""
    values = log10.take(labels)
    np.power(10.0, values, out=values)
    if isinstance(present, slice):
        return values
    column = np.full(size, otherwise)
    column[present] = values
    return column


def _keys(ranks: np.ndarray, new: np.ndarray, words: np.ndarray, size: int) -> np.ndarray:
    """(N,) int64: keys of n-grams, of the ranks of their prefixes and the file's numbers of their last words."""
    keys = ranks.astype(np.int64)
    keys *= size
    keys += new.take(words)
    return keys


def _with_prefixes(
    keys: np.ndarray, longer: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray | slice, list[np.ndarray]]:
    """The n-grams of an order and the prefixes of longer ones: their keys, ascending; which of them are those given; the rank of each prefix.

    keys: (N,) int64, distinct and ascending. longer: the keys of the prefixes of each order above, which are (made into) ranks.
    """
    if not longer:
        return keys, slice(None), []
    lookup, known = TwoPlaces(keys.view(np.uint64), np.arange(len(keys))), np.append(keys, -1)
    missing = []
    ranks = []
    for wanted in longer:
        found = np.full(len(wanted), -1, dtype=np.int32)
        for begin in range(0, len(wanted), _PIECE):
            piece = wanted[begin : begin + _PIECE]
            one, two = lookup.candidates(piece.view(np.uint64))
            at = np.where(known.take(one) == piece, one, two)
            found[begin : begin + _PIECE] = np.where(known.take(at) == piece, at, -1)
        missing.append(np.unique(wanted[found < 0]))
        ranks.append(found)
    if not sum(map(len, missing)):
        return keys, slice(None), ranks
    needed = np.unique(np.concatenate([keys, *missing]))
    return needed, np.searchsorted(needed, keys), [np.searchsorted(needed, wanted) for wanted in longer]


def _named(arpa: Arpa, k: int, which: np.ndarray) -> str:
    """The first of some n-grams of order k."""
    return shown(" ".join(arpa.words[i] for i in arpa.ngrams[k - 1][np.argmax(which)]))


def _backed_off(table: Backoff, rows: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """(N,) p of the last of each of (N, k) words after those before it, whose (N,) ranks in the table are given."""
    is_bos = np.zeros((len(rows), rows.shape[1] - 1), dtype=bool)
    is_bos[:, 0] = True  # each row without its first word is a text of its own
    with np.errstate(over="ignore", invalid="ignore"):  # weights may be absurd; then the scores are refused
        p = table.score_symbols(rows[:, 1:].reshape(-1), is_bos.reshape(-1)).reshape(is_bos.shape)[:, -1]
        weighted: np.ndarray = p * table.backoffs[-1][contexts]
    return weighted


# Writing -------------------------------------------------------------------------------------------


def save_arpa(path: str | os.PathLike[str], model: LanguageModel, vocab: Vocab) -> None:
    """Writes a fitted count model as an ARPA file, packed where the name ends in ``.gz``.

    Raises InputError where the model or its text is none that the format can hold.
    """
    model = model.backed_off()
    if not isinstance(model, BackoffModel):
        raise InputError(
            f"{model.name} is not made of n-grams with backoff weights, as an ARPA file is; save it to another name"
        )
    write_arpa(path, to_arpa(model, vocab))


def to_arpa(model: BackoffModel, vocab: Vocab) -> Arpa:
    r"""A fitted count model as an ARPA file's content, ``\n`` being ``<s>`` as a context and ``</s>`` as a word.

    Raises InputError where the text ran on across ``\n``, which the format cannot say.
    """
    table, newline = model.table, vocab.newline
    if newline < 0:
        raise InputError("an ARPA file needs the ends of sentences; train on --documents line")
    for mark in (UNK, "<s>", "</s>"):
        if mark in vocab.tokens[1:]:
            advice = (
                "say --unk '<unk>' if it is the unknown one"
                if mark == UNK
                else "--normalise sentences takes out marks"
            )
            raise InputError(
                f"the text has the word {mark}, which ARPA files reserve; {advice}, or replace it"
            )
    words = [UNK, "<s>", "</s>", *(w for i, w in enumerate(vocab.tokens) if i not in (0, newline))]
    new = np.empty(len(vocab), dtype=np.int32)
    new[[i for i in range(len(vocab)) if i not in (0, newline)]] = np.arange(3, len(words))
    new[0], new[newline] = 0, 2
    ngrams, probs, backoffs = [], [], []
    for k in range(1, table.order + 1):
        rows = table.ngrams(k)
        with np.errstate(all="ignore"):
            p = np.log10(table.probs[k], dtype=np.float64)
            b = np.log10(table.backoffs[k], dtype=np.float64) if k < table.order else np.zeros(len(rows))
        if not ((p <= _TOLERANCE).all() and (b < np.inf).all()):
            raise InputError(
                f"the numbers of {model.name} for n-grams of order {k} are no probabilities; fit it or get it anew"
            )
        if k == 1:
            old = np.array([0, newline, newline, *np.flatnonzero(new > 2)])
            p, b = p[old], b[old]
            p[1], b[2] = 0.0, 0.0  # <s> is never a word, </s> never a context
            ngrams.append(np.arange(len(words), dtype=np.int32)[:, None])
        else:
            inside = (rows[:, 1:-1] == newline).any(axis=1)
            if inside.any():
                raise InputError("n-grams run across the ends of lines; train on --documents line")
            ngram_rows = new[rows]
            ngram_rows[rows[:, 0] == newline, 0] = 1
            ngrams.append(ngram_rows)
        probs.append(np.maximum(p, _UNKNOWN))
        backoffs.append(np.maximum(b, _UNKNOWN))
    return Arpa(words, tuple(ngrams), tuple(probs), tuple(backoffs))


# Pruning -------------------------------------------------------------------------------------------


def prune_arpa(
    source: str | os.PathLike[str], threshold: float, place: str | os.PathLike[str], strict: bool = False
) -> tuple[ArpaModel, int]:
    """Writes an ARPA file's model without the n-grams that are hardly missed; returns it, and how many n-grams there were.

    threshold: an n-gram is dropped without which the perplexity would rise by less than this part of it (1e-8:
    0.000001%), judged by the model's own probabilities (``model_histories``). Backoff weights are worked out anew, so that
    every distribution sums to one. Raises InputError as reading and writing do.
    """
    if not 0 < threshold < np.inf:
        raise InputError(f"a threshold of {threshold} prunes nothing; give a small number such as 1e-7")
    model = ArpaModel(file=os.fspath(source), strict=strict)
    vocab = model.vocabulary(Vocab())
    model.fit([], vocab_size=len(vocab))
    table = model.table
    if not isinstance(table, Backoff):
        raise TypeError("a table that was just read is in memory")
    before = sum(table.sizes[1:])
    with np.errstate(over="ignore", invalid="ignore"):
        pruned = prune_by_entropy(table, threshold, model_histories(table))
    longest = max(k for k, size in enumerate(pruned.sizes) if size)
    model.table = Backoff(
        pruned.vocab_size,
        pruned.words[: longest + 1],
        pruned.begins[:longest],
        pruned.probs[: longest + 1],
        pruned.backoffs[:longest],
    )
    save_arpa(place, model, vocab)
    return model, before

r"""Models that other toolkits have trained, read from ARPA files; and count models written as such.

An ARPA file marks the ends of sentences by ``<s>`` and ``</s>``; here ``\n`` is both. As the word that follows, it has the
probability of ``</s>``; as a context, the continuations and the backoff weight of ``<s>``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lmbench.counts.ngrams import split_keys
from lmbench.counts.trie import roots
from lmbench.errors import InputError, shown
from lmbench.models.base import LanguageModel, Traits
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.smoothing.arpa_file import Arpa, read_arpa, write_arpa
from lmbench.models.smoothing.backoff import BackoffModel
from lmbench.models.smoothing.pruning import model_histories, prune_by_entropy, sums
from lmbench.models.smoothing.table import Backoff
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import UNK, Vocab

_UNKNOWN = -100.0  # log10 p of <unk> where a file has none, as in KenLM
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
    rest = []  # the n-grams of each order from the next one up
    for k, rows in enumerate(arpa.ngrams[1:], 2):
        wrong = _crossing(rows, begin, end)
        if wrong.any():
            raise InputError(f"{name}: the {k}-gram {_named(arpa, k, wrong)} crosses the end of a sentence")
        rest.append(new[rows])
    ranks = [rows[:, 0] for rows in rest]  # of the words before the k-th
    for k in range(2, arpa.order + 1):
        keys = [rank * size + rows[:, k - 1] for rank, rows in zip(ranks, rest, strict=True)]
        needed = np.sort(np.concatenate(keys))  # those of order k, and the prefixes of longer ones
        needed = needed[np.append(True, needed[1:] != needed[:-1])[: len(needed)]]
        ranks = [np.searchsorted(needed, some) for some in keys]
        probs, backoffs = np.full(len(needed), np.nan), np.ones(len(needed))
        probs[ranks[0]] = 10.0 ** arpa.log10_probs[k - 1]
        backoffs[ranks[0]] = 10.0 ** arpa.log10_backoffs[k - 1]
        backoffs[needed % size == 1] = 1.0  # after </s> a sentence begins: no context reaches back across it
        number = np.bincount(ranks[0], minlength=1)
        if number.max() > 1:
            twice = _named(arpa, k, number[ranks[0]] > 1)
            raise InputError(f"{name} has the {k}-gram {twice} twice; one of the two must go")
        of_order = split_keys(needed, table.sizes[-1], size)
        longer = Backoff(
            size,
            (*table.words, of_order[0]),
            (*table.begins, of_order[1]),
            (*table.probs, probs),
            (*table.backoffs, backoffs),
        )
        lacking = np.flatnonzero(np.isnan(probs))
        if len(lacking):
            probs[lacking] = _backed_off(table, longer.ngrams(k)[lacking], needed[lacking] // size)
        table, ranks, rest = longer, ranks[1:], rest[1:]
    table = replace(table, backoffs=table.backoffs[: max(1, arpa.order)])
    return Vocab.from_list(words), table


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
        with np.errstate(divide="ignore"):
            p = np.log10(table.probs[k], dtype=np.float64)
            b = np.log10(table.backoffs[k], dtype=np.float64) if k < table.order else np.zeros(len(rows))
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

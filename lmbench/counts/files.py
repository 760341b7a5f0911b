r"""Counts of n-grams as files, in SRILM's form and in Google's: read, merged, written.

A line is ``w1 w2 ...``, a tab, and how often the n-gram occurs, in lines of words that are sentences: ``<s>`` before the first
word of one and ``</s>`` after its last are words of n-grams. SRILM has all orders in one file (``ngram-count -write``); Google's Web 1T
(Brants & Franz 2006) a folder an order, sorted, words also by falling count.

    counts = read_counts(["a.counts", "b.counts"])   # the counts of both texts together
    vocab = counts.vocab()
    counts.ngrams(vocab)                             # NgramCounts, as count_ngrams gives them of the texts
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lmbench.counts.assembling import assembled, consistent
from lmbench.counts.ngrams import NgramCounts, count_ngrams
from lmbench.errors import InputError, shown
from lmbench.storage.files import decode_utf8, write_whole
from lmbench.storage.unpacking import unpacked
from lmbench.text.canonical import CanonicalText
from lmbench.text.interning import distinct_words
from lmbench.text.tokens import Tokens
from lmbench.text.units import unit_named
from lmbench.text.vocab import UNK, Vocab

FORMS = ("srilm", "google")
BEGIN, END = "<s>", "</s>"
_BLOCK = 1 << 24  # bytes that are read together
_GOOGLE = {BEGIN: "<S>", END: "</S>", UNK: "<UNK>"}
_LARGEST = 10**15  # of a count: sums of thousands of files stay exact


# Counts as read ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WordCounts:
    """How often n-grams of words occur, in the order in which files have them.

    words: the distinct words, by first appearance, the marks among them in small letters. rows: for each order k from 1, (N_k, k) int32,
    numbers of words; counts: (N_k,) int64. An n-gram may stand in several rows, of which the counts add up. digest: names the
    files' contents. notes: sentences about what they write otherwise than most.
    """

    words: list[str]
    rows: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    digest: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def order(self) -> int:
        return len(self.rows)

    def vocab(self) -> Vocab:
        r"""The words by falling count, ties by first appearance, ``\n`` for ``</s>``: as the vocabulary of the text is.

        Raises InputError where there are no counts of single words.
        """
        numbers = np.bincount(self.rows[0][:, 0], weights=self.counts[0], minlength=len(self.words))
        named = {"\n" if w == END else w: int(n) for w, n in zip(self.words, numbers, strict=True)}
        return Vocab(Counter({word: n for word, n in named.items() if word not in (BEGIN, UNK)}))

    def number(self, word: str) -> int:
        """How often a word occurs."""
        if word not in self.words:
            return 0
        return int(self.counts[0][self.rows[0][:, 0] == self.words.index(word)].sum())

    def ngrams(self, vocab: Vocab, order: int) -> tuple[NgramCounts, list[str]]:
        r"""The counts of the n-grams of orders 1..order in a vocabulary, other words being ``<unk>``; and notes.

        ``\n`` stands for ``<s>`` where it begins an n-gram, else for ``</s>``. N-grams that lack though longer ones have them
        (rare ones may have been left out) get the highest count that these say. Raises InputError where the counts go to a
        lower order.
        """
        if order > self.order:
            raise InputError(
                f"the counts are of n-grams of up to {self.order} words; give -o order={self.order} or less"
            )
        ids = vocab.encode(["\n" if word in (BEGIN, END) else word for word in self.words])
        if UNK in self.words:
            ids[self.words.index(UNK)] = 0
        begin, end = (self.words.index(mark) if mark in self.words else -1 for mark in (BEGIN, END))
        notes, rows, counts = list(self.notes), [], []
        for k in range(order):
            row, number = self.rows[k], self.counts[k]
            kept = row[:, 0] != begin if k == 0 else ~_crossing(row, begin, end)
            if k and not kept.all():
                first = " ".join(self.words[i] for i in row[np.argmin(kept)])
                notes.append(
                    f"{int((~kept).sum()):,} {k + 1}-grams across the ends of sentences, such as {shown(first)}, left out"
                )
            rows.append(ids[row[kept]])
            counts.append(number[kept])
        trie = assembled(rows, counts, len(vocab))
        return consistent(trie, vocab.newline, notes), notes


def _crossing(rows: np.ndarray, begin: int, end: int) -> np.ndarray:
    """(N,) bool: which of (N, k) n-grams come to ``<s>`` or go on after ``</s>``."""
    crossing: np.ndarray = (rows[:, 1:] == begin).any(axis=1) | (rows[:, :-1] == end).any(axis=1)
    return crossing


# Reading -----------------------------------------------------------------------------------------------


def read_counts(places: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> WordCounts:
    """The counts of files and folders together, packed or not; a folder holds files of counts, or folders ``1gms``, ``2gms``, ...

    Raises InputError that names file and line where a line is no n-gram with its count, and where orders lack.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp(), "a.counts")
    >>> _ = place.write_text("a\\t2\\nb\\t1\\na b\\t1\\n")
    >>> counts = read_counts(place)
    >>> counts.words, counts.rows[1].tolist(), counts.counts[0].tolist()
    (['a', 'b'], [[0, 1]], [2, 1])
    """
    several = [places] if isinstance(places, (str, os.PathLike)) else list(places)
    files = [file for place in several for file in _files(Path(place))]
    numbers: dict[str, int] = {}
    rows: dict[int, list[np.ndarray]] = {}
    counts: dict[int, list[np.ndarray]] = {}
    digest = hashlib.sha256()
    for file in files:
        line = offset = 0
        for data in _blocks(file):
            digest.update(data)
            text = decode_utf8(data, str(file), offset)
            _take(text, str(file), line, numbers, rows, counts)
            line, offset = line + text.count("\n"), offset + len(data)
    if not rows:
        raise InputError(f"{several[0]} has no counts; give lines of an n-gram, a tab, and its count")
    order = max(rows)
    for k in range(1, order + 1):
        if k not in rows:
            raise InputError(
                f"{several[0]} has counts of {order}-grams but none of {k}-grams; count all orders from 1 up (--orders)"
            )
    found = [np.concatenate(rows[k]) for k in range(1, order + 1)]
    together = tuple(np.concatenate(counts[k]) for k in range(1, order + 1))
    return WordCounts(list(numbers), tuple(found), together, digest.hexdigest()[:16])


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        if not place.exists() and str(place) != "-":
            raise InputError(f"no such file: {place}")
        return [place]
    files = sorted(file for file in place.rglob("*") if file.is_file() and not file.name.startswith("."))
    # Google's words stand there twice, by name and by count; by count they are in the order of a vocabulary.
    by_count = {file.parent for file in files if file.name.startswith("vocab_cs")}
    twice = [file for file in files if file.parent in by_count and not file.name.startswith("vocab_cs")]
    files = [file for file in files if file not in twice and not file.name.endswith(".idx")]
    if not files:
        raise InputError(f"{place} is a directory without files; name one with counts")
    return files


def _blocks(file: Path) -> Iterator[bytes]:
    """A file's bytes, unpacked, some whole lines at a time."""
    rest = b""
    with unpacked(file) as stream:
        while data := stream.read(_BLOCK):
            whole, feed, tail = data.rpartition(b"\n")
            if feed:
                yield rest + whole + feed
                rest = tail
            else:
                rest += tail
    if rest:
        yield rest + b"\n"


def _take(
    text: str,
    name: str,
    before: int,
    numbers: dict[str, int],
    rows: dict[int, list[np.ndarray]],
    counts: dict[int, list[np.ndarray]],
) -> None:
    """Adds a block of lines; ``before``: how many lines stand before it in the file."""
    text = text.replace("\r\n", "\n").replace("\t", " \t ")
    types, which = distinct_words(text)
    place = {word: i for i, word in enumerate(types)}
    ends = np.flatnonzero(which == place["\n"])
    lengths = np.diff(ends, prepend=-1) - 1
    full = lengths > 0
    ends, lengths = ends[full], lengths[full]
    tab = place.get("\t", -1)
    tabs = np.add.accumulate(which == tab)
    of_line = tabs[ends] - np.append(0, tabs)[ends - lengths]
    good = (lengths >= 3) & (of_line == 1) & (which[ends - 2] == tab)
    values = np.array([_count(word) for word in types], dtype=np.int64)
    empty = np.add.accumulate(which == place.get("", -2))
    good &= (values[which[ends - 1]] >= 0) & (empty[ends] == np.append(0, empty)[ends - lengths])
    if not good.all():
        line = int(np.flatnonzero(full)[np.argmin(good)])
        written = text.split("\n")[line].replace(" \t ", "\t")
        raise InputError(
            f"{name} line {before + line + 1} is not an n-gram, a tab and its count: {shown(written)}"
        )
    new = np.empty(len(types), dtype=np.int32)
    used = np.zeros(len(types), dtype=bool)
    mask = np.ones(len(which), dtype=bool)
    mask[ends], mask[ends - 1], mask[ends - 2] = False, False, False
    used[which[mask]] = True
    for i in np.flatnonzero(used).tolist():
        word = types[i]
        mark = word.lower()
        new[i] = numbers.setdefault(mark if mark in (BEGIN, END, UNK) else word, len(numbers))
    for k in np.unique(lengths - 2).tolist():
        chosen = ends[lengths - 2 == k]
        rows.setdefault(k, []).append(new[which[chosen[:, None] + np.arange(-k - 2, -2)]])
        counts.setdefault(k, []).append(values[which[chosen - 1]])


def _count(word: str) -> int:
    """A count, or -1 of what is none."""
    plain = word.isascii() and word.isdigit() and len(word) < 1000
    return int(word) if plain and int(word) <= _LARGEST else -1


def together(parts: Sequence[WordCounts]) -> WordCounts:
    """The counts of several texts as one, each n-gram in one row, in the order in which they first come."""
    numbers: dict[str, int] = {}
    new = [
        np.array([numbers.setdefault(word, len(numbers)) for word in part.words], dtype=np.int32)
        for part in parts
    ]
    rows, counts = [], []
    for k in range(1, max(part.order for part in parts) + 1):
        having = [(part, ids) for part, ids in zip(parts, new, strict=True) if part.order >= k]
        row = np.concatenate([ids[part.rows[k - 1]] for part, ids in having])
        _, first, which = np.unique(row, axis=0, return_index=True, return_inverse=True)
        number = np.bincount(which.ravel(), np.concatenate([part.counts[k - 1] for part, _ in having]))
        order = np.argsort(first)
        rows.append(row[first[order]])
        counts.append(number[order].astype(np.int64))
    notes = [note for part in parts for note in part.notes]
    return WordCounts(list(numbers), tuple(rows), tuple(counts), parts[0].digest, notes)


# Writing -----------------------------------------------------------------------------------------------


def counted(text: CanonicalText, order: int) -> WordCounts:
    """The counts of a text whose documents are lines of words.

    Raises InputError where it is none, or has words that mark sentences.

    >>> from lmbench.text.canonical import canonical_text
    >>> counts = counted(canonical_text(["a b\\nb"], "none", "line"), order=2)
    >>> list(lines_of(counts))
    ['a\\t1', 'b\\t2', '</s>\\t2', '<s>\\t2', 'a b\\t1', 'b </s>\\t2', '<s> a\\t1', '<s> b\\t1']
    """
    types, which = text.types(unit_named("word"))
    for mark in (BEGIN, END):
        if mark in types:
            raise InputError(
                f"the text has the word {mark}, which files of counts reserve; take it out of the text"
            )
    if len(text.starts) != text.text.count("\n"):
        raise InputError("files of counts are of sentences; read the text with --documents line")
    newline = types.index("\n")
    starts = np.append(0, np.flatnonzero(which == newline)[:-1] + 1)
    trie = count_ngrams(Tokens(which, starts, newline), order, len(types))
    words = [END if word == "\n" else word for word in types]
    begin = len(words)
    rows = [np.append(np.arange(begin, dtype=np.int32), np.int32(begin))[:, None]]
    counts = [np.append(trie.counts[1], len(starts)).astype(np.int64)]
    for k in range(2, order + 1):
        ids = trie.ngrams(k)
        ids[ids[:, 0] == newline, 0] = begin
        rows.append(ids)
        counts.append(trie.counts[k].astype(np.int64))
    return WordCounts([*words, BEGIN], tuple(rows), tuple(counts))


def lines_of(counts: WordCounts, orders: Iterable[int] = ()) -> Iterator[str]:
    """SRILM's lines, without line feeds: order by order, single words by first appearance. orders: default all."""
    for k in orders or range(1, counts.order + 1):
        columns = (map(counts.words.__getitem__, column) for column in counts.rows[k - 1].T.tolist())
        spelt = map(" ".join, zip(*columns, strict=True))
        yield from map("{}\t{}".format, spelt, counts.counts[k - 1].tolist())


def google_lines(counts: WordCounts, k: int, by_count: bool = False) -> list[str]:
    """Google's lines of an order, without line feeds: sorted by bytes, or by falling count."""
    words = [_GOOGLE.get(word, word) for word in counts.words]
    lines = list(lines_of(replace(counts, words=words), [k]))
    if by_count:
        return [lines[i] for i in np.argsort(-counts.counts[k - 1], kind="stable").tolist()]
    return sorted(lines, key=lambda line: line.encode())


def write_counts(
    place: str | os.PathLike[str], counts: WordCounts, form: str = "srilm", orders: Sequence[int] = ()
) -> None:
    """Writes a file of SRILM's form, packed where its name ends in ``.gz``, or a folder of Google's. orders: default all.

    Raises InputError where it cannot be written.
    """
    import gzip

    def write(path: Path, lines: Iterable[str]) -> None:
        data = "".join(f"{line}\n" for line in lines).encode()
        write_whole(path, gzip.compress(data, mtime=0) if path.name.endswith(".gz") else data)

    if form == "srilm":
        return write(Path(place), lines_of(counts, orders))
    for k in orders or range(1, counts.order + 1):
        folder = Path(place) / f"{k}gms"
        if k == 1:
            write(folder / "vocab.gz", google_lines(counts, 1))
            write(folder / "vocab_cs.gz", google_lines(counts, 1, by_count=True))
        else:
            write(folder / f"{k}gm-0000.gz", google_lines(counts, k))

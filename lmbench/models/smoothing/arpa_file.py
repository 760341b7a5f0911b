r"""The ARPA format: an n-gram model as text, as SRILM, KenLM and others write it.

    \data\
    ngram 1=5
    ngram 2=4

    \1-grams:
    -0.9	the	-0.3
    ...

    \end\

Every line of a section is a log10 probability, a tab, the words with a space between them, and, where longer
n-grams may begin with these, a tab and a log10 backoff weight (no weight: 0, that is a factor of one).

Nobody wrote the format down before there were files in it, so toolkits differ: text before ``\\data\\`` (CMU, QuickLM), any
blanks between the parts of a line, counts that are those before pruning (IRSTLM). What has one meaning alone is read as
that, and told in ``Arpa.notes``; ``strict`` refuses it.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from lmbench.errors import InputError, shown
from lmbench.storage.files import decode_utf8, read_bytes, write_whole

_HIGHEST = 30  # log10 of a backoff weight
_ROUNDING = 1e-5  # log10 of a probability of 1 that was worked out in single precision
_MOST = 100  # times its size that a packed file may unpack to; n-grams in words come to five


@dataclass(frozen=True)
class Arpa:
    """What an ARPA file says, in its order.

    words: (N_1,) the unigrams. For each order k from 1: ngrams, (N_k, k) int32, indices into words; log10_probs, (N_k,)
    float64 ≤ 0; log10_backoffs, (N_k,) float64, 0 where the file has none, for the highest order too. notes: sentences
    about what the file writes otherwise than most.
    """

    words: list[str]
    ngrams: tuple[np.ndarray, ...]
    log10_probs: tuple[np.ndarray, ...]
    log10_backoffs: tuple[np.ndarray, ...]
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> int:
        return len(self.ngrams)


# Reading -------------------------------------------------------------------------------------------


def read_arpa(path: str | os.PathLike[str], strict: bool = False) -> Arpa:
    """Reads a file, packed by gzip or not. Raises InputError that says what is wrong with it and in which line.

    strict: also of what has one meaning, but is not written as KenLM and SRILM write it.
    """
    data, name = read_bytes(path), str(path)
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data, name)
    if data[:8] == b"mmap lm ":
        raise InputError(f"{name} is a KenLM binary file; give the ARPA file that it was built from")
    return parse_arpa(decode_utf8(data, name), name, strict)


def _unpacked(data: bytes, name: str) -> bytes:
    most, pieces = max(1 << 24, _MOST * len(data)), []
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            while piece := stream.read(1 << 24):
                pieces.append(piece)
                most -= len(piece)
                if most < 0:
                    raise InputError(
                        f"{name} unpacks to more than {_MOST} times its size; that is no ARPA file"
                    )
    except EOFError:
        raise InputError(f"{name} is cut off: the gzip stream does not end; get the file again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{name} is a damaged gzip file ({error}); get it again") from None
    return b"".join(pieces)


def parse_arpa(text: str, name: str = "the model", strict: bool = False) -> Arpa:
    r"""An ARPA file's text; ``name`` is what errors call it, ``strict`` as for ``read_arpa``.

    >>> arpa = parse_arpa("\\data\\\nngram 1=2\n\\1-grams:\n-0.3 a\n-0.3\tb\n\\end\\")
    >>> arpa.words, arpa.log10_probs[0].tolist(), arpa.notes
    (['a', 'b'], [-0.3, -0.3], ('the model: blanks for tabs, in 1 line, line 4 first',))
    """
    return _Reader(text, name, strict).read()


class _Reader:
    """The lines of a file and how far they are read."""

    def __init__(self, text: str, name: str, strict: bool) -> None:
        self.lines = text.replace("\r\n", "\n").split("\n")
        self.name = name
        self.strict = strict
        self.next = 0
        self.oddities: dict[str, list[int]] = {}  # what it is: in which lines

    def fault(self, message: str, line: int | None = None) -> InputError:
        return InputError(f"{self.name}, line {(self.next if line is None else line) + 1}: {message}")

    def odd(self, what: str, lines: Sequence[int], message: str = "") -> None:
        """Notes what is not as most write it; raises InputError (``message``, or what it is) where nothing may be."""
        if lines and self.strict:
            raise self.fault(message or what, lines[0])
        self.oddities.setdefault(what, []).extend(lines)

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"{self.name}: {what}, in {len(lines):,} line{'s' * (len(lines) > 1)}, line {lines[0] + 1} first"
            for what, lines in self.oddities.items()
            if lines
        )

    def skip_blank(self) -> str:
        """The next line that is not blank; raises InputError where there is none."""
        while self.next < len(self.lines) and not self.lines[self.next].strip(" \t"):
            self.next += 1
        if self.next == len(self.lines):
            raise InputError(
                f"{self.name} is cut off after line {len(self.lines) - (not self.lines[-1])}: it does not end in "
                "\\end\\; get the file again"
            )
        return self.lines[self.next].strip(" \t")

    def read(self) -> Arpa:
        counts = self.header()
        words: list[str] = []
        index: dict[str, int] = {}
        ngrams, probs, backoffs = [], [], []
        for k, count in enumerate(counts, 1):
            entries, p, b, lines = self.section(k, count, highest=k == len(counts))
            if k == 1:
                words = entries
                index = {word: i for i, word in enumerate(words)}
                if len(index) < len(words):
                    again = next(index[word] for i, word in enumerate(words) if index[word] != i)
                    raise self.fault(f"the word {shown(words[again])} stands twice", lines[again])
            ids = (
                np.fromiter(map(index.get, " ".join(entries).split(" "), repeat(-1)), np.int32)
                if entries
                else np.zeros(0, np.int32)
            )
            if (ids < 0).any():
                first = int(np.argmax(ids < 0))
                word = entries[first // k].split(" ")[first % k]
                raise self.fault(f"the word {shown(word)} is not among the 1-grams", lines[first // k])
            ngrams.append(ids.reshape(-1, k))
            probs.append(p)
            backoffs.append(b)
        if self.skip_blank() != "\\end\\":
            raise self.fault(f"\\end\\ should stand here, not {shown(self.lines[self.next])}")
        after = next((i for i in range(self.next + 1, len(self.lines)) if self.lines[i].strip(" \t")), None)
        if after is not None:
            raise self.fault(
                f"after \\end\\ stands {shown(self.lines[after])}; one file holds one model, take out the rest",
                after,
            )
        return Arpa(words, tuple(ngrams), tuple(probs), tuple(backoffs), self.notes())

    def header(self) -> list[int]:
        r"""Reads ``\data\`` and the counts of the orders; passes over what stands before."""
        first = self.skip_blank()
        if first.startswith("iARPA"):
            raise self.fault("this is IRSTLM's iARPA; convert it first (compile-lm --text=yes)")
        begin = (i for i in range(self.next, len(self.lines)) if self.lines[i].strip(" \t") == "\\data\\")
        data = next(begin, None)
        message = f"an ARPA file begins with \\data\\, not {shown(first)}"
        if data is None:
            raise self.fault(message)
        self.odd("text before \\data\\, passed over", range(self.next, data), message)
        self.next = data + 1
        counts: list[int] = []
        while (line := self.skip_blank()).startswith("ngram"):
            match = re.fullmatch(r"ngram[ \t]+([0-9]{1,3})[ \t]*=[ \t]*([0-9]{1,18})", line)
            message = f"'ngram {len(counts) + 1}=COUNT' should stand here, not {shown(line)}"
            if not match or int(match[1]) != len(counts) + 1:
                raise self.fault(message)
            self.odd("blanks among the counts", [self.next] if "\t" in line or "= " in line else [], message)
            counts.append(int(match[2]))
            self.next += 1
        if not counts:
            raise self.fault(f"'ngram 1=COUNT' should stand here, not {shown(line)}")
        return counts

    def section(
        self, k: int, count: int, highest: bool
    ) -> tuple[list[str], np.ndarray, np.ndarray, Sequence[int]]:
        """The words of each n-gram of order k, as one string, with log10 probabilities, backoffs, and its line."""
        if (title := self.skip_blank()) != f"\\{k}-grams:":
            message = f"\\{k}-grams: should stand here, not {shown(title)}"
            if count or not title.startswith("\\"):
                raise self.fault(message)
            self.odd(f"no section \\{k}-grams:, of which there are 0", [self.next], message)
            return [], np.zeros(0), np.zeros(0), []
        self.next += 1
        lines, rows = self.entries(k, count)
        entries, columns = rows[1::3], (rows[0::3], rows[2::3])
        probs = self.numbers("probability", columns[0], lines)
        if (probs > 0).any():
            above = np.flatnonzero(probs > 0)
            i = int(above[np.argmax(probs[above] > _ROUNDING)])
            message = f"a log10 probability of {probs[i]:g} is a probability above 1"
            if probs[i] > _ROUNDING:
                raise self.fault(f"{message}; IRSTLM writes such by mistake for 0", lines[i])
            self.odd(
                "a log10 probability just above 0, taken as 0", [lines[j] for j in above.tolist()], message
            )
            probs[above] = 0
        backoffs = self.numbers("backoff", columns[1], lines)
        if highest and backoffs.any():
            longest = np.flatnonzero(backoffs)
            message = f"a backoff of {backoffs[longest[0]]:g}, though no n-gram is longer than {k} words"
            what = f"a backoff, though no n-gram is longer than {k} words, passed over"
            self.odd(what, [lines[i] for i in longest.tolist()], message)
            backoffs[:] = 0
        return entries, probs, backoffs, lines

    def entries(self, k: int, count: int) -> tuple[Sequence[int], list[str]]:
        """The lines of a section that are entries, and their columns side by side: number, words, number, number, ..."""
        begin = self.next
        marks = (i for i in range(begin, len(self.lines)) if self.lines[i].startswith("\\"))
        self.next = next(marks, len(self.lines))
        self.skip_blank()  # where nothing follows, the file is cut off, and that is what to say
        end = self.next
        while end > begin and not self.lines[end - 1].strip(" \t"):
            end -= 1
        lines: Sequence[int] = range(begin, end)
        block = self.lines[begin:end]
        if not all(block) or any(map(str.isspace, block)):
            blank = [i for i, line in zip(lines, block, strict=True) if not line.strip(" \t")]
            lines = [i for i, line in zip(lines, block, strict=True) if line.strip(" \t")]
            block = [self.lines[i] for i in lines]
            self.odd(
                "a blank line among n-grams", blank, f"a blank line stands among the {k}-grams; take it out"
            )
        if len(block) != count:
            message = f"there are {len(block):,} {k}-grams, but the header says {count:,}"
            self.odd(f"{message}; those that stand there count", [end], message)
        trailing = [i for i, line in zip(lines, block, strict=True) if line[-1] in " \t"]
        if trailing:
            self.odd("blanks at the ends of lines", trailing, self.expected(k, trailing[0]))
            block = [line.rstrip(" \t") for line in block]
        rows = self.columns(block)
        if not _are_entries(rows, block, k):
            wrong = [i for i, line in zip(lines, block, strict=True) if not _is_entry(line, k)]
            self.odd("blanks for tabs", wrong, self.expected(k, wrong[0]))
            block = [self.entry(line, k, i) for i, line in zip(lines, block, strict=True)]
            rows = self.columns(block)
        return lines, rows

    def columns(self, block: list[str]) -> list[str]:
        """What stands between the tabs of lines, with a backoff of 0 where there is none."""
        # Columns, not a list a line: millions of small lists would keep the garbage collector busy.
        rows = [line if line.count("\t") > 1 else line + "\t0" for line in block]
        return "\t".join(rows).split("\t") if rows else []

    def entry(self, line: str, k: int, number: int) -> str:
        """A line with tabs where they belong, whatever blanks stand in it."""
        number_of, *parts = [part for part in line.replace("\t", " ").split(" ") if part]
        unclear = len(parts) == k and "\t\t" in line  # a number in place of a word that is lacking
        if len(parts) not in (k, k + 1) or unclear or not all(map(_is_number, parts[k:])):
            raise self.fault(self.expected(k, number), number)
        return "\t".join([number_of, " ".join(parts[:k]), *parts[k:]])

    def expected(self, k: int, line: int) -> str:
        return (
            f"'log10 probability, tab, {k} word{'s' * (k > 1)}[, tab, log10 backoff]' should stand here, "
            f"not {shown(self.lines[line])}"
        )

    def numbers(self, what: str, texts: Sequence[str], lines: Sequence[int]) -> np.ndarray:
        try:
            values = np.array([float(s) for s in texts])
            if not (digits := "".join(texts)).isascii() or "_" in digits:  # Python's float reads these too
                raise ValueError
        except ValueError:
            i = next(i for i, s in enumerate(texts) if not _is_number(s))
            raise self.fault(f"the {what} {shown(texts[i])} is not a number", lines[i]) from None
        # Weights beyond that are damage; greater ones would overflow when they are multiplied.
        wrong = ~(values < math.inf) if what == "probability" else ~((values >= -300) & (values <= _HIGHEST))
        if wrong.any():
            i = int(np.argmax(wrong))
            raise self.fault(
                f"the {what} is {shown(texts[i])[1:-1]}; the program that wrote the file failed", lines[i]
            )
        return values


def _are_entries(rows: list[str], block: list[str], k: int) -> bool:
    """Whether all lines of a block, of which ``rows`` are the columns, have the parts of an entry, as ``_is_entry`` says."""
    ngrams = rows[1::3]
    return (
        set(map(str.count, block, repeat("\t"))) <= {1, 2}
        and set(map(str.count, ngrams, repeat(" "))) <= {k - 1}
        and (not ngrams or "" not in " ".join(ngrams).split(" "))
        and " " not in "".join(rows[0::3])
        and " " not in "".join(rows[2::3])
    )


def _is_entry(line: str, k: int) -> bool:
    """Whether a line has the parts of an entry, and k words with one space between them."""
    number, *parts = line.split("\t")
    if len(parts) not in (1, 2) or not all(parts):
        return False
    words = parts[0].split(" ")
    return " " not in number + "".join(parts[1:]) and len(words) == k and all(words)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text


# Writing -------------------------------------------------------------------------------------------


def write_arpa(path: str | os.PathLike[str], arpa: Arpa) -> None:
    """Writes a file, packed where its name ends in ``.gz``; reading it gives the same numbers to the last bit.

    Raises InputError where a word cannot stand in the format or the file cannot be written.
    """
    data = format_arpa(arpa).encode()
    write_whole(path, gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data)


def format_arpa(arpa: Arpa) -> str:
    """The text of the file."""
    for word in arpa.words:
        if not word or re.search(r"[ \t\r\n\0]", word):
            raise InputError(
                f"the token {shown(word)} cannot stand in an ARPA file, where blanks divide words; use words, --unit word"
            )
    return "\n".join(_lines(arpa)) + "\n"


def _lines(arpa: Arpa) -> Iterator[str]:
    yield "\\data\\"
    for k, ngrams in enumerate(arpa.ngrams, 1):
        yield f"ngram {k}={len(ngrams)}"
    for k, (ngrams, probs, backoffs) in enumerate(
        zip(arpa.ngrams, arpa.log10_probs, arpa.log10_backoffs, strict=True), 1
    ):
        yield f"\n\\{k}-grams:"
        columns = (map(arpa.words.__getitem__, column) for column in ngrams.T.tolist())
        entries = map(" ".join, zip(*columns, strict=True))
        shown = map(_shortest, probs.tolist())
        if k == arpa.order:
            yield from map("{}\t{}".format, shown, entries)
        else:
            yield from map("{}\t{}\t{}".format, shown, entries, map(_shortest, backoffs.tolist()))
    yield "\n\\end\\"


def _shortest(value: float) -> str:
    """The fewest digits that read back as the same number."""
    return repr(value).removesuffix(".0")

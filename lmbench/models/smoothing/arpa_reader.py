"""What the lines of an ARPA file say, and what is wrong with them: apart from how files are opened and written."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lmbench.errors import InputError, shown
from lmbench.models.smoothing.arpa_lines import Lines, parsed, regular_lines
from lmbench.storage.files import decode_utf8
from lmbench.text.interning import WordNumbers

_NEWLINE = 10
_ROOM = 1 << 26  # n-grams for which room is made before they are seen, whatever the header says
_HIGHEST = 30  # log10 of a backoff weight
_ROUNDING = 1e-5  # log10 of a probability of 1 that was worked out in single precision


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


class ArpaReader:
    """A file, some whole lines at a time, and how far it is read."""

    def __init__(self, pieces: Iterator[bytes], name: str, strict: bool) -> None:
        self.name = name
        self.strict = strict
        self.oddities: dict[str, list[int]] = {}  # what it is: in which lines
        self.blocks = self.whole_lines(pieces)
        self.data, self.at = b"", 0  # the lines at hand, and what of them is read
        self.following = b""  # the lines after them, where somebody has looked
        self.next = 0  # the number of the line there, from 0

    def whole_lines(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """UTF-8 without byte-order mark, lines that end in one byte."""
        begun: list[bytes] = []
        offset = 0
        for piece in pieces:
            whole, feed, rest = piece.rpartition(b"\n")
            if not feed:
                begun.append(rest)
                continue
            data = b"".join([*begun, whole, feed])
            yield self.clean(data, offset)
            offset, begun = offset + len(data), [rest]
        if last := b"".join(begun):
            yield self.clean(last, offset) + b"\n"
        elif not offset:
            self.clean(b"", 0)

    def clean(self, data: bytes, offset: int) -> bytes:
        if not data.isascii() or b"\0" in data or not data:
            data = decode_utf8(data, self.name, offset).encode()
        return data.replace(b"\r\n", b"\n") if b"\r" in data else data

    def fault(self, message: str, line: int | None = None) -> InputError:
        return InputError(f"{self.name}, line {(self.next if line is None else line) + 1}: {message}")

    def odd(self, what: str, lines: Sequence[int], message: str = "") -> None:
        """Notes what is not as most write it; raises InputError (``message``, or what it is) where nothing may be."""
        if lines and self.strict:
            raise self.fault(message or what, lines[0])
        self.oddities.setdefault(what, []).extend(lines)

    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"{self.name}: {what}, in {len(lines):,} line{'s' * (len(lines) > 1)}, line {min(lines) + 1} first"
            for what, lines in self.oddities.items()
            if lines
        )

    def line(self) -> str | None:
        """The line to read next; None at the end of the file."""
        if self.at == len(self.data):
            self.data, self.at = self.following or next(self.blocks, b""), 0
            self.following = b""
            if not self.data:
                return None
        return self.data[self.at : self.data.index(b"\n", self.at)].decode()

    def step(self) -> None:
        """Passes over the line."""
        self.at, self.next = self.data.index(b"\n", self.at) + 1, self.next + 1

    def skip_blank(self) -> str:
        """The next line that is not blank; raises InputError where there is none."""
        while (line := self.line()) is not None:
            if stripped := line.strip(" \t"):
                return stripped
            self.step()
        raise self.cut_off()

    def cut_off(self) -> InputError:
        return InputError(
            f"{self.name} is cut off after line {self.next}: it does not end in \\end\\; get the file again"
        )

    def read(self) -> Arpa:
        counts = self.header()
        words: list[str] = []
        numbers = WordNumbers()
        ngrams, probs, backoffs = [], [], []
        for k, count in enumerate(counts, 1):
            ids, p, b, lines = self.section(k, count, numbers, highest=k == len(counts))
            if k == 1:
                words = numbers.words()
                again = np.flatnonzero(ids[:, 0] != np.arange(len(ids)))
                if len(again):
                    i = int(again[0])
                    raise self.fault(f"the word {shown(words[ids[i, 0]])} stands twice", lines.number(i))
            ngrams.append(ids)
            probs.append(p)
            backoffs.append(b)
        if (last := self.skip_blank()) != "\\end\\":
            raise self.fault(f"\\end\\ should stand here, not {shown(last)}")
        self.step()
        while (line := self.line()) is not None:
            if line.strip(" \t"):
                raise self.fault(
                    f"after \\end\\ stands {shown(line)}; one file holds one model, take out the rest"
                )
            self.step()
        return Arpa(words, tuple(ngrams), tuple(probs), tuple(backoffs), self.notes())

    def header(self) -> list[int]:
        r"""Reads ``\data\`` and the counts of the orders; passes over what stands before."""
        first, begin = self.skip_blank(), self.next
        if first.startswith("iARPA"):
            raise self.fault("this is IRSTLM's iARPA; convert it first (compile-lm --text=yes)")
        message = f"an ARPA file begins with \\data\\, not {shown(first)}"
        while (line := self.line()) is not None and line.strip(" \t") != "\\data\\":
            self.step()
        if line is None:
            raise self.fault(message, begin)
        self.odd("text before \\data\\, passed over", range(begin, self.next), message)
        self.step()
        counts: list[int] = []
        while (line := self.skip_blank()).startswith("ngram"):
            match = re.fullmatch(r"ngram[ \t]+([0-9]{1,3})[ \t]*=[ \t]*([0-9]{1,18})", line)
            message = f"'ngram {len(counts) + 1}=COUNT' should stand here, not {shown(line)}"
            if not match or int(match[1]) != len(counts) + 1:
                raise self.fault(message)
            self.odd("blanks among the counts", [self.next] if "\t" in line or "= " in line else [], message)
            counts.append(int(match[2]))
            self.step()
        if not counts:
            raise self.fault(f"'ngram 1=COUNT' should stand here, not {shown(line)}")
        return counts

    def section(
        self, k: int, count: int, numbers: WordNumbers, highest: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, Places]:
        """The (N, k) words of each n-gram of order k, log10 probabilities, backoffs, and the lines where they stand."""
        places = Places()
        if (title := self.skip_blank()) != f"\\{k}-grams:":
            message = f"\\{k}-grams: should stand here, not {shown(title)}"
            if count or not title.startswith("\\"):
                raise self.fault(message)
            self.odd(f"no section \\{k}-grams:, of which there are 0", [self.next], message)
            return np.zeros((0, k), dtype=np.int32), np.zeros(0), np.zeros(0), places
        self.step()
        known = len(numbers)
        room = min(count, _ROOM)
        columns = Column(np.zeros((room, k), dtype=np.int32)), Column(np.zeros(room)), Column(np.zeros(room))
        for lines, numbered in self.entries(k):
            part = self.part(lines, numbered, numbers, known if k > 1 else None)
            for column, values in zip(columns, part, strict=True):
                column.extend(values)
            places.add(numbered)
        end = self.next
        self.skip_blank()  # where nothing follows, the file is cut off, and that is what to say
        ids, probs, backoffs = (column.values[: column.size] for column in columns)
        if len(ids) != count:
            message = f"there are {len(ids):,} {k}-grams, but the header says {count:,}"
            self.odd(f"{message}; those that stand there count", [places.end(end)], message)
        if (above := np.flatnonzero(probs > 0)).size:
            i = int(above[np.argmax(probs[above] > _ROUNDING)])
            message = f"a log10 probability of {probs[i]:g} is a probability above 1"
            if probs[i] > _ROUNDING:
                raise self.fault(f"{message}; IRSTLM writes such by mistake for 0", places.number(i))
            what = "a log10 probability just above 0, taken as 0"
            self.odd(what, [places.number(j) for j in above.tolist()], message)
            probs[above] = 0
        if highest and (longest := np.flatnonzero(backoffs)).size:
            message = f"a backoff of {backoffs[longest[0]]:g}, though no n-gram is longer than {k} words"
            what = f"a backoff, though no n-gram is longer than {k} words, passed over"
            self.odd(what, [places.number(j) for j in longest.tolist()], message)
            backoffs[:] = 0
        return ids, probs, backoffs, places

    def entries(self, k: int) -> Iterator[tuple[Lines, Sequence[int]]]:
        """The lines of a section that are entries, some at a time, and their numbers."""
        waiting: list[int] = []  # blank lines after which no entry has come yet
        last = False
        while not last and self.line() is not None:
            end = self.section_end()
            last = end >= 0
            data = self.data[self.at : end if last else len(self.data)]
            self.at += len(data)
            if not last and not self.following:
                self.following = next(self.blocks, b"")
                if not self.following:
                    self.next += data.count(b"\n")
                    raise self.cut_off()
            first = self.next
            full = data.rstrip(b"\n") + b"\n"
            lines = regular_lines(full, k)
            if lines is not None:
                places: Sequence[int] = range(first, first + len(lines.probs))
                blank = list(range(first + len(places), first + len(places) + len(data) - len(full)))
                self.next += len(places) + len(blank)
            else:
                split = data.decode().split("\n")[:-1]
                self.next += len(split)
                places = [first + i for i, line in enumerate(split) if line.strip(" \t")]
                blank = [first + i for i, line in enumerate(split) if not line.strip(" \t")]
                if places:
                    waiting += [i for i in blank if i < places[-1]]
                    blank = [i for i in blank if i > places[-1]]
            if places and waiting:
                message = f"a blank line stands among the {k}-grams; take it out"
                self.odd("a blank line among n-grams", waiting, message)
                waiting = []
            if places and lines is None:
                lines = regular_lines(self.regular([split[i - first] for i in places], k, places), k)
            if lines is not None:
                yield lines, places
            waiting += blank

    def section_end(self) -> int:
        """Where among the lines at hand the first is that begins with a backslash; -1 where none is."""
        at = self.data.find(b"\\", self.at)
        while at > self.at and self.data[at - 1] != _NEWLINE:
            at = self.data.find(b"\\", at + 1)
        return at

    def part(
        self, lines: Lines, places: Sequence[int], numbers: WordNumbers, known: int | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The (N, k) words, (N,) probabilities and backoffs of some lines. known: how many words there are, if no more may come."""
        probs, backoffs = (
            self.values(what, lines.data, spans, places)
            for what, spans in (("probability", lines.probs), ("backoff", lines.backoffs))
        )
        ids = lines.words(numbers)
        if known is not None and len(numbers) > known:
            i = int(np.argmax((ids >= known).any(axis=1)))
            j = int(np.argmax(ids[i] >= known))
            begin, length = lines.begins[i, j], lines.lengths[i, j]
            word = lines.data[begin : begin + length].decode()
            raise self.fault(f"the word {shown(word)} is not among the 1-grams", places[i])
        return ids, probs, backoffs

    def regular(self, block: list[str], k: int, places: Sequence[int]) -> bytes:
        """Lines with tabs and blanks where they belong, whatever stands there; raises InputError where one is no entry."""
        trailing = [i for i, line in enumerate(block) if line[-1] in " \t"]
        if trailing:
            first = trailing[0]
            self.odd(
                "blanks at the ends of lines", [places[i] for i in trailing], self.expected(k, block[first])
            )
            block = [line.rstrip(" \t") for line in block]
        wrong = [i for i, line in enumerate(block) if not _is_entry(line, k)]
        if wrong:
            self.odd("blanks for tabs", [places[i] for i in wrong], self.expected(k, block[wrong[0]]))
            for i in wrong:
                block[i] = self.entry(block[i], k, places[i])
        return "".join([line + "\n" for line in block]).encode()

    def entry(self, line: str, k: int, number: int) -> str:
        """A line with tabs where they belong, whatever blanks stand in it."""
        number_of, *parts = [part for part in line.replace("\t", " ").split(" ") if part]
        unclear = len(parts) == k and "\t\t" in line  # a number in place of a word that is lacking
        if len(parts) not in (k, k + 1) or unclear or not all(map(_is_number, parts[k:])):
            raise self.fault(self.expected(k, line), number)
        return "\t".join([number_of, " ".join(parts[:k]), *parts[k:]])

    def expected(self, k: int, line: str) -> str:
        return (
            f"'log10 probability, tab, {k} word{'s' * (k > 1)}[, tab, log10 backoff]' should stand here, "
            f"not {shown(line)}"
        )

    def values(self, what: str, data: bytes, spans: np.ndarray, places: Sequence[int]) -> np.ndarray:
        if (spans[:, 0] == spans[:, 1]).all():
            return np.zeros(len(spans))
        values, left = parsed(data, spans)
        for i, (begin, end) in zip(left.tolist(), spans[left].tolist(), strict=True):
            if not _is_number(digits := data[begin:end].decode()):
                raise self.fault(f"the {what} {shown(digits)} is not a number", places[i])
            values[i] = float(digits)
        # Weights beyond that are damage; greater ones would overflow when they are multiplied.
        wrong = ~(values < math.inf) if what == "probability" else ~((values >= -300) & (values <= _HIGHEST))
        if wrong.any():
            i = int(np.argmax(wrong))
            digits = data[slice(*spans[i].tolist())].decode()
            raise self.fault(
                f"the {what} is {shown(digits)[1:-1]}; the program that wrote the file failed", places[i]
            )
        return values


@dataclass
class Column:
    """An array that grows at its end; zeros that were there from the beginning take no memory."""

    values: np.ndarray
    size: int = 0

    def extend(self, more: np.ndarray) -> None:
        end = self.size + len(more)
        if end > len(self.values):
            room = np.zeros((max(end, 2 * self.size) - self.size, *self.values.shape[1:]), self.values.dtype)
            self.values = np.concatenate([self.values[: self.size], room])
        if more.any():
            self.values[self.size : end] = more
        self.size = end


class Places:
    """In which lines the entries of a section stand."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, Sequence[int]]] = []  # the first entry, the lines
        self.size = 0

    def add(self, lines: Sequence[int]) -> None:
        self.parts.append((self.size, lines))
        self.size += len(lines)

    def number(self, entry: int) -> int:
        """The line of an entry, from 0."""
        first, lines = self.parts[bisect_right(self.parts, entry, key=lambda part: part[0]) - 1]
        return lines[entry - first]

    def end(self, otherwise: int) -> int:
        """The line after the last entry."""
        return self.number(self.size - 1) + 1 if self.size else otherwise


def _is_entry(line: str, k: int) -> bool:
    """Whether a line has the parts of an entry, and k words with one space between them."""
    number, *parts = line.split("\t")
    if len(parts) not in (1, 2) or not number or not all(parts):
        return False
    words = parts[0].split(" ")
    return " " not in number + "".join(parts[1:]) and len(words) == k and all(words)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text

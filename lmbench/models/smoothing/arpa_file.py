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
_MOST = 100  # times its size that a packed file may unpack to; n-grams in words come to five


@dataclass(frozen=True)
class Arpa:
    """What an ARPA file says, in its order.

    words: (N_1,) the unigrams. For each order k from 1: ngrams, (N_k, k) int32, indices into words; log10_probs, (N_k,)
    float64 ≤ 0; log10_backoffs, (N_k,) float64, 0 where the file has none, for the highest order too.
    """

    words: list[str]
    ngrams: tuple[np.ndarray, ...]
    log10_probs: tuple[np.ndarray, ...]
    log10_backoffs: tuple[np.ndarray, ...]

    @property
    def order(self) -> int:
        return len(self.ngrams)


# Reading -------------------------------------------------------------------------------------------


def read_arpa(path: str | os.PathLike[str]) -> Arpa:
    """Reads a file, packed by gzip or not. Raises InputError that says what is wrong with it and in which line."""
    data, name = read_bytes(path), str(path)
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data, name)
    if data[:8] == b"mmap lm ":
        raise InputError(f"{name} is a KenLM binary file; give the ARPA file that it was built from")
    return parse_arpa(decode_utf8(data, name), name)


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


def parse_arpa(text: str, name: str = "the model") -> Arpa:
    """An ARPA file's text; ``name`` is what errors call it."""
    return _Reader(text, name).read()


class _Reader:
    """The lines of a file and how far they are read."""

    def __init__(self, text: str, name: str) -> None:
        self.lines = text.replace("\r\n", "\n").split("\n")
        self.name = name
        self.at = 0

    def fault(self, message: str, at: int | None = None) -> InputError:
        return InputError(f"{self.name}, line {(self.at if at is None else at) + 1}: {message}")

    def skip_blank(self) -> str:
        """The next line that is not blank; raises InputError where there is none."""
        while self.at < len(self.lines) and not self.lines[self.at].strip(" \t"):
            self.at += 1
        if self.at == len(self.lines):
            raise InputError(
                f"{self.name} is cut off after line {len(self.lines) - (not self.lines[-1])}: it does not end in \\end\\; get the file again"
            )
        return self.lines[self.at].strip(" \t")

    def read(self) -> Arpa:
        counts = self.header()
        words: list[str] = []
        index: dict[str, int] = {}
        ngrams, probs, backoffs = [], [], []
        for k, count in enumerate(counts, 1):
            spelt, p, b = self.section(k, count, highest=k == len(counts))
            if k == 1:
                words = spelt
                index = {word: i for i, word in enumerate(words)}
                if len(index) < len(words):
                    again = next(index[word] for i, word in enumerate(words) if index[word] != i)
                    raise self.fault(f"the word {shown(words[again])} stands twice", self.at - count + again)
            ids = (
                np.fromiter(map(index.get, " ".join(spelt).split(" "), repeat(-1)), np.int32)
                if spelt
                else np.zeros(0, np.int32)
            )
            if (ids < 0).any():
                line = int(np.argmax(ids < 0)) // k
                word = spelt[line].split(" ")[int(np.argmax(ids < 0)) % k]
                raise self.fault(f"the word {shown(word)} is not among the 1-grams", self.at - count + line)
            ngrams.append(ids.reshape(-1, k))
            probs.append(p)
            backoffs.append(b)
        if self.skip_blank() != "\\end\\":
            raise self.fault(f"\\end\\ should stand here, not {shown(self.lines[self.at])}")
        after = next((i for i in range(self.at + 1, len(self.lines)) if self.lines[i].strip(" \t")), None)
        if after is not None:
            raise self.fault(
                f"after \\end\\ stands {shown(self.lines[after])}; one file holds one model, take out the rest",
                after,
            )
        return Arpa(words, tuple(ngrams), tuple(probs), tuple(backoffs))

    def header(self) -> list[int]:
        r"""Reads ``\data\`` and the counts of the orders."""
        first = self.skip_blank()
        if first.startswith("iARPA"):
            raise self.fault("this is IRSTLM's iARPA; convert it first (compile-lm --text=yes)")
        if first != "\\data\\":
            raise self.fault(f"an ARPA file begins with \\data\\, not {shown(first)}")
        self.at += 1
        counts: list[int] = []
        while (line := self.skip_blank()).startswith("ngram"):
            found = re.fullmatch(r"ngram +([0-9]{1,3}) *= *([0-9]{1,18})", line)
            if not found or int(found[1]) != len(counts) + 1:
                raise self.fault(f"'ngram {len(counts) + 1}=COUNT' should stand here, not {shown(line)}")
            counts.append(int(found[2]))
            self.at += 1
        if not counts:
            raise self.fault(f"'ngram 1=COUNT' should stand here, not {shown(line)}")
        return counts

    def section(self, k: int, count: int, highest: bool) -> tuple[list[str], np.ndarray, np.ndarray]:
        """The words of each n-gram of order k, as one string, with log10 probabilities and backoffs."""
        if self.skip_blank() != f"\\{k}-grams:":
            raise self.fault(f"\\{k}-grams: should stand here, not {shown(self.lines[self.at])}")
        self.at += 1
        begin, end = self.at, self.at + count
        block = self.lines[begin:end]
        stop = next((i for i, line in enumerate(block) if not line or line.startswith("\\")), len(block))
        if stop < count:
            self.at = begin + stop
            following = (
                self.skip_blank()
            )  # where nothing follows, the file is cut off, and that is what to say
            if not following.startswith("\\"):
                raise self.fault(f"a blank line stands among the {k}-grams; take it out", begin + stop)
            raise self.fault(f"there are {stop} {k}-grams, but the header says {count}", begin + stop)
        if end < len(self.lines) and self.lines[end].strip(" \t") and not self.lines[end].startswith("\\"):
            raise self.fault(f"there are more than the {count} {k}-grams that the header says", end)
        tabs = list(map(str.count, block, repeat("\t")))
        # Columns, not a list a line: millions of small lists would keep the garbage collector busy.
        rows = [line if n > 1 else line + "\t0" for line, n in zip(block, tabs, strict=True)]
        columns = "\t".join(rows).split("\t") if rows else []
        spelt = columns[1::3]
        if not (
            set(tabs) <= {1, 2}
            and set(map(str.count, spelt, repeat(" "))) <= {k - 1}
            and (not spelt or "" not in " ".join(spelt).split(" "))
        ):
            i = next(i for i, line in enumerate(block) if not _is_entry(line, k))
            raise self.fault(
                f"'log10 probability, tab, {k} word{'s' * (k > 1)}[, tab, log10 backoff]' should stand here, "
                f"not {shown(block[i])}",
                begin + i,
            )
        probs = self.numbers("probability", columns[0::3], begin)
        if (probs > 0).any():
            i = int(np.argmax(probs > 0))
            raise self.fault(
                f"a log10 probability of {probs[i]:g} is a probability above 1; IRSTLM writes such by mistake for 0",
                begin + i,
            )
        backoffs = self.numbers("backoff", columns[2::3], begin)
        if highest and backoffs.any():
            i = int(np.argmax(backoffs != 0))
            raise self.fault(
                f"a backoff of {backoffs[i]:g}, though no n-gram is longer than {k} words", begin + i
            )
        self.at = end
        return spelt, probs, backoffs

    def numbers(self, what: str, spelt: Sequence[str], begin: int) -> np.ndarray:
        try:
            values = np.array([float(s) for s in spelt])
            if not (digits := "".join(spelt)).isascii() or "_" in digits:  # Python's float reads these too
                raise ValueError
        except ValueError:
            i = next(i for i, s in enumerate(spelt) if not _is_number(s))
            raise self.fault(f"the {what} {shown(spelt[i])} is not a number", begin + i) from None
        # Weights beyond that are damage; greater ones would overflow when they are multiplied.
        wrong = ~(values < math.inf) if what == "probability" else ~((values >= -300) & (values <= _HIGHEST))
        if wrong.any():
            i = int(np.argmax(wrong))
            raise self.fault(
                f"the {what} is {shown(spelt[i])[1:-1]}; the program that wrote the file failed", begin + i
            )
        return values


def _is_entry(line: str, k: int) -> bool:
    """Whether a line has the parts of an entry, and k words with one space between them."""
    parts = line.split("\t")
    return len(parts) in (2, 3) and parts[1].count(" ") == k - 1 and all(parts[1].split(" "))


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
        spelt = map(" ".join, zip(*columns, strict=True))
        shown = map(_shortest, probs.tolist())
        if k == arpa.order:
            yield from map("{}\t{}".format, shown, spelt)
        else:
            yield from map("{}\t{}\t{}".format, shown, spelt, map(_shortest, backoffs.tolist()))
    yield "\n\\end\\"


def _shortest(value: float) -> str:
    """The fewest digits that read back as the same number."""
    return repr(value).removesuffix(".0")

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
import os
import re
import zlib
from collections.abc import Iterator
from typing import IO

from lmbench.errors import InputError, shown
from lmbench.models.smoothing.arpa_reader import Arpa, ArpaReader
from lmbench.storage.files import write_whole
from lmbench.storage.unpacking import named

BLOCK = 1 << 21  # bytes that are read together
_MOST = 100  # times its size that a packed file may unpack to; n-grams in words come to five


# Reading -------------------------------------------------------------------------------------------


def read_arpa(path: str | os.PathLike[str], strict: bool = False) -> Arpa:
    """Reads a file, packed by gzip or not. Raises InputError that says what is wrong with it and in which line.

    strict: also of what has one meaning, but is not written as KenLM and SRILM write it.
    """
    name = str(path)
    try:
        with named(path), open(path, "rb") as stream:
            magic = stream.peek(8)[:8]
            if magic == b"mmap lm ":
                raise InputError(f"{name} is a KenLM binary file; give the ARPA file that it was built from")
            if magic[:2] == b"\x1f\x8b":
                return ArpaReader(_unpacked(stream, name), name, strict).read()
            return ArpaReader(iter(lambda: stream.read(BLOCK), b""), name, strict).read()
    except IsADirectoryError:
        raise InputError(f"{path} is a directory; name a file in it") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def _unpacked(packed: IO[bytes], name: str) -> Iterator[bytes]:
    before, size = 0, 0
    try:
        with gzip.GzipFile(fileobj=packed) as stream:
            while piece := stream.read(BLOCK):
                size += len(piece)
                before = max(before, packed.tell())
                if size > max(1 << 24, _MOST * before):
                    raise InputError(
                        f"{name} unpacks to more than {_MOST} times its size; that is no ARPA file"
                    )
                yield piece
    except EOFError:
        raise InputError(f"{name} is cut off: the gzip stream does not end; get the file again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{name} is a damaged gzip file ({error}); get it again") from None


def parse_arpa(text: str, name: str = "the model", strict: bool = False) -> Arpa:
    r"""An ARPA file's text; ``name`` is what errors call it, ``strict`` as for ``read_arpa``.

    >>> arpa = parse_arpa("\\data\\\nngram 1=2\n\\1-grams:\n-0.3 a\n-0.3\tb\n\\end\\")
    >>> arpa.words, arpa.log10_probs[0].tolist(), arpa.notes
    (['a', 'b'], [-0.3, -0.3], ('the model: blanks for tabs, in 1 line, line 4 first',))
    """
    return ArpaReader(iter([text.encode()]), name, strict).read()


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

"""What a user has done wrong, in one line: what, where, and what to do about it."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
from collections.abc import Iterable, Iterator

LARGEST_SEED = 2**63 - 1
LONGEST = 299  # characters of a message
NO_MEMORY = "not enough memory; a smaller order, hidden size, batch or text needs less"
# What is said where memory lacks and no MemoryError is raised: of libraries that do not load, of threads that do not start.
_OF_MEMORY = ("failed to map segment", "annot allocate memory", "can't start new thread", "out of memory")


class InputError(ValueError):
    """The user's command, file or setting is wrong: one line that says what, where, and what to do.

    The command line prints the message without a traceback and exits with status 2. What does not print (a line end
    in a file's name or in an option) is escaped, and of more than ``LONGEST`` characters the middle is left out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(cut(printable(message)))


def lacks_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised in place of, says that memory does not suffice.

    >>> lacks_memory(ImportError("libx.so: failed to map segment from shared object")), lacks_memory(ImportError("no x"))
    (True, False)
    """
    said = f"{error}"
    here = isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
    before = error.__cause__ or error.__context__
    return here or any(words in said for words in _OF_MEMORY) or (before is not None and lacks_memory(before))


def printable(text: str) -> str:
    r"""A text on one line that no terminal obeys: controls, marks that turn the direction, and half characters are escaped.

    >>> printable("a\x1b[31m\u202eb\n")
    'a\\x1b[31m\\u202eb\\n'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def cut(text: str, most: int = LONGEST) -> str:
    """A text of at most so many characters; where it is longer, its middle is left out.

    >>> cut("0123456789", 7)
    '012 … 9'
    """
    head = (most - 3) * 2 // 3 + 1
    return text if len(text) <= most else f"{text[:head]} … {text[len(text) - (most - 3 - head) :]}"


def unknown(kind: str, name: str, names: Iterable[str]) -> InputError:
    """The error for a name that is not in a registry, with the nearest names suggested."""
    names = sorted(names)
    return InputError(
        f"unknown {kind} {shown(name)}; {nearest(name, names)}known: {', '.join(names) or 'none'}"
    )


def nearest(name: str, names: Iterable[str], most: int = 3) -> str:
    """The names nearest to one that is none, as a question with a blank after it; '' where none is near.

    >>> nearest("trigrm", ["bigram", "trigram", "lstm"], 1), nearest("xyz", ["lstm"])
    ('did you mean trigram? ', '')
    """
    near = difflib.get_close_matches(name, list(names), n=most, cutoff=0.5)
    return f"did you mean {' or '.join(near)}? " if near else ""


def shown(text: str, most: int = 60) -> str:
    """A piece of the input as an error shows it: in quotes, on one line, not too long."""
    return repr(text if len(text) <= most else f"{text[:most]}…")


def check_seed(seed: int) -> int:
    """A seed of random numbers itself. Raises InputError where it is none: below 0, or beyond 63 bits."""
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"seed={seed} must be from 0 to {LARGEST_SEED}")
    return seed


def number_of(variable: str, default: int) -> int:
    """The whole number that a variable of the environment says; the default where it is not set, or empty.

    Raises InputError where it says anything else.
    """
    said = os.environ.get(variable) or str(default)
    if not (said.isascii() and said.isdecimal() and len(said) < 10):
        raise InputError(f"{variable}={shown(said)} is no whole number; set it to one, or unset it")
    return int(said)


@contextlib.contextmanager
def calling(library: str, on: str, *kinds: type[BaseException]) -> Iterator[None]:
    """Raises InputError where a library written in Rust gives up on its input; what it raises then is no Exception, or one of these."""
    try:
        yield
    except BaseException as error:
        if type(error) not in kinds and type(error).__name__ != "PanicException":
            raise
        raise InputError(f"the library {library} fails on {on} ({error}); get it anew") from None

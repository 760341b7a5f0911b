"""The tokens of a tokenizer, laid on the characters of the text that they stand for."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from lmbench.errors import InputError, calling
from lmbench.text.canonical import CanonicalText
from lmbench.text.cut import Cut
from lmbench.text.units import check_whole

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_Piece = Callable[[str], bytes]


class SubwordUnit:
    r"""The tokens of a tokenizer (of Hugging Face's library ``tokenizers``), each document cut whole, as a model is trained to see it.

    A token's characters are those whose last byte it brings: of the tokens of ``é`` in bytes the first brings none, so
    that every character is charged once. The blank that some tokenizers put before a text (``▁The``) stands for no
    character. special: whether what reads like a special token (``<s>``) is ``text`` or that one of the ``tokens``.
    as_read: a text that the tokenizer changes (to NFC, to lower case) is replaced by what it reads; else it is
    refused. outputs: how many tokens the network knows. unknown: the token that the tokenizer puts for what it has no token
    for. spelled: each character of that is a token by itself, for a speller to pay; else it is refused. spec: what a user
    writes for such a unit.
    """

    name = "subword"

    def __init__(
        self,
        tokenizer: Any,
        source: str,
        outputs: Callable[[], int],
        special: str = "text",
        as_read: bool = False,
        unknown: str | None = None,
        spelled: bool = False,
        spec: str = "subword",
    ) -> None:
        self.source, self.outputs, self.as_read, self.spec = source, outputs, as_read, spec
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = special == "text"
        # What draws among ways to cut a text is for training; a text would cost something else each time.
        for drawn in ("dropout", "alpha", "nbest_size"):
            if getattr(tokenizer.model, drawn, None) is not None:
                setattr(tokenizer.model, drawn, None)
        self._unknown = None if unknown is None else tokenizer.token_to_id(unknown)
        self._spelled = spelled
        added = tokenizer.get_added_tokens_decoder()
        self._added = set(added)
        self._special = {i for i, token in added.items() if token.special}
        self._without_text = self._special if special == "text" else set()
        self._piece = _piece_of(tokenizer.decoder)
        self._bytes: dict[int, bytes] = {}
        # Of our own vocabularies of bytes, what is ASCII is named by itself, a line feed among it.
        readable = _READABLE if spelled and self._piece is _of_byte_level else {}
        self._shown, self._written = readable, {ord(new): chr(old) for old, new in readable.items()}
        # Whether a blank is put before a text, and before one that begins with a blank, too: then also after added tokens.
        self._puts_another = False
        self._puts_blank, self._puts_another = (
            any(self._read(self.ids(begin + letter)) == f" {begin}{letter}" for letter in ("a", "A", "的"))
            for begin in ("", " ")
        )

    def split(self, text: str) -> list[str]:
        """The names of a document's tokens. Raises InputError where they do not hold all of it."""
        return [self._name(i) for i in self._document(text)[1]]

    def join(self, tokens: Iterable[str]) -> str:
        """The document that tokens stand for; bytes that are no UTF-8 (a model may write them) become U+FFFD."""
        return self._without_blank(self._read([self._number(token) for token in tokens]))

    def brings(self, token: str) -> bytes:
        """As ``Unit.brings``; special tokens stand for text where the option ``special`` says so."""
        number = self._number(token)
        if number is None or number == self._unknown or number in self._without_text:
            return b""
        if self._piece is not None:
            return self._bytes_of(number)
        before = self.ids("a")
        return self._read([*before, number]).removeprefix(self._read(before)).encode()

    def has(self, token: str) -> bool:
        return self._number(token) is not None

    def shown(self, ids: Sequence[int]) -> str:
        """Tokens as the tokenizer itself shows them, special ones left out."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _without_blank(self, read: str) -> str:
        """What is read, less a blank that the tokenizer puts before texts that do not begin with one."""
        put = self._puts_blank and read.startswith(" ") and (self._piece is None or not self._puts_another)
        return read[1:] if put and not read.startswith("  ") else read

    @cached_property
    def tokens(self) -> list[str]:
        """All that a text may be cut into, as far as the tokenizer can spell it."""
        by_number = sorted(self._tokenizer.get_vocab().items(), key=lambda entry: entry[1])
        return [self._name(i) for _, i in by_number if i not in self._special and i != self._unknown]

    def data(self, name: str) -> bytes:
        """The bytes that a token stands for. Raises InputError of a tokenizer whose tokens stand for nothing by themselves."""
        if self._piece is None:
            raise InputError(f"what a token of {self.source} stands for depends on those around it")
        return self._bytes_of(self._number(name))

    def state(self) -> dict[str, np.ndarray]:
        """The tokenizer as named arrays, of which the unit is made again; none where a model brings it."""
        if not self._spelled:
            return {}
        return {"tokenizer": np.frombuffer(self._tokenizer.to_str().encode(), dtype=np.uint8)}

    def _name(self, token: int) -> str:
        """A token's name; a character that the tokenizer has none for is its own."""
        if token < 0:
            return chr(-token - 1)
        name: str = self._tokenizer.id_to_token(token)
        return name.translate(self._shown) if self._shown and token not in self._added else name

    def _number(self, name: str) -> int:
        token = self._tokenizer.token_to_id(name.translate(self._written) if self._written else name)
        if token is None:
            token = self._unknown if len(name) != 1 else -ord(name) - 1
        return token

    def types(self, text: str) -> tuple[list[str], np.ndarray]:
        return self._types(np.array(self._document(text)[1], dtype=np.int64))

    def ends(self, text: str) -> np.ndarray:
        return self._document(text)[2]

    def cut(self, text: CanonicalText) -> Cut:
        """Cuts each document whole. Raises InputError with the place where a token does not hold the text."""
        reads, ids, ends, begin, length = [], [], [], 0, 0
        for document in text.documents():
            read, found, its_ends = self._document(document, begin)
            reads.append(read)
            ids.append(np.array(found, dtype=np.int64))
            ends.append(its_ends + length)
            begin += len(document)
            length += len(read)
        nothing = np.zeros(0, dtype=np.int64)
        types, which = self._types(np.concatenate([nothing, *ids]))
        lengths = np.array([len(found) for found in ids], dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        return Cut(self._read_text(text, reads), types, which, starts, np.concatenate([nothing, *ends]))

    def _read_text(self, text: CanonicalText, reads: list[str]) -> CanonicalText:
        if "".join(reads) == text.text:
            return text
        try:
            return CanonicalText.of(reads)
        except ValueError:
            raise InputError(
                f"the tokenizer of {self.source} drops the line feeds at which documents end; score one document"
            ) from None

    # One document -------------------------------------------------------------------------------------

    def _document(self, text: str, begin: int = 0) -> tuple[str, Sequence[int], np.ndarray]:
        """What is read of a document, its ids, and (T,) int64 the ends of their characters.

        begin: the characters before the document in its text; errors count from 1.
        """
        ids = self.ids(text)
        self._check_known(ids, begin)
        read, blank = self._read(ids), False
        if read != text and read == " " + text:
            read, blank = text, True
        if read != text:
            self._lost(text, read, ids, begin)
            return self._document_as_read(read)
        if self._puts_blank and not blank and text.startswith(" ") and self.ids(text[1:]) == ids:
            raise InputError(
                f"the tokenizer of {self.source} reads the blank with which the document at character {begin + 1} begins "
                "as the one that it puts before any text, so that with and without it the text is the same to the model; "
                "begin the document with another character, or join it to the one before (--documents stream)"
            )
        return text, ids, self._ends(text, ids, blank)

    def _document_as_read(self, read: str) -> tuple[str, Sequence[int], np.ndarray]:
        """Of a text that the tokenizer has changed: that one, which it is to leave as it is."""
        read = self._without_blank(read)
        ids = self.ids(read)
        again = self._read(ids)
        if again not in (read, " " + read):
            raise InputError(
                f"the tokenizer of {self.source} changes even the text that it has read once; it cannot be charged for it"
            )
        return read, ids, self._ends(read, ids, again != read)

    def ids(self, text: str) -> list[int]:
        """The network's own ids of a document's tokens, whether or not they hold all of it."""
        check_whole(text, "a document", f"the tokenizer of {self.source} cannot read")
        with calling("tokenizers", self.source, Exception):
            encoding = self._tokenizer.encode(text, add_special_tokens=False)
        ids: list[int] = encoding.ids
        if not self._spelled or self._unknown is None or self._unknown not in ids:
            return ids
        spelled: list[int] = []
        for token, (begin, end) in zip(ids, encoding.offsets, strict=True):
            spelled += [-ord(c) - 1 for c in text[begin:end]] if token == self._unknown else [token]
        return spelled

    def _read(self, ids: Sequence[int]) -> str:
        """The text that tokens stand for, with the blank that the tokenizer may have put before it."""
        if self._piece is None:
            with calling("tokenizers", self.source):
                return str(self._tokenizer.decode(ids, skip_special_tokens=False))
        return b"".join(self._pieces(ids)).decode("utf-8", errors="replace")

    def _pieces(self, ids: Sequence[int]) -> list[bytes]:
        """What each token brings; nothing of a blank that is always put before a text and after an added token."""
        pieces = [self._bytes_of(i) for i in ids]
        if self._puts_another:
            added = [True, *(i in self._added for i in ids)]
            for t, piece in enumerate(pieces):
                if added[t] and not added[t + 1]:
                    pieces[t] = piece.removeprefix(b" ")
        return pieces

    def _bytes_of(self, token: int) -> bytes:
        if token not in self._bytes:
            assert self._piece is not None
            itself = token < 0 or token in self._added
            name = self._name(token) if itself else self._tokenizer.id_to_token(token)
            self._bytes[token] = name.encode() if itself else self._piece(name)
        return self._bytes[token]

    def _ends(self, text: str, ids: Sequence[int], blank: bool) -> np.ndarray:
        if self._piece is None:
            return self._ends_by_offsets(text)
        lengths = np.array([len(piece) for piece in self._pieces(ids)], dtype=np.int64)
        ends = np.maximum(np.cumsum(lengths) - blank, 0)
        if text.isascii():
            return ends
        data = np.frombuffer(text.encode() + b" ", dtype=np.uint8)
        complete = np.cumsum((data[1:] & 0xC0) != 0x80)  # characters that have ended after each byte
        chars: np.ndarray = np.append(0, complete)[ends]
        return chars

    def _ends_by_offsets(self, text: str) -> np.ndarray:
        """As the tokenizer tells them; blanks that no token claims belong to the token after them."""
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        begins = [begin for begin, _ in offsets[1:]] + [len(text)]
        ends = [min(end, begin) for (_, end), begin in zip(offsets, begins, strict=True)]
        return np.maximum.accumulate(np.array([*ends[:-1], len(text)], dtype=np.int64))

    def _types(self, ids: np.ndarray) -> tuple[list[str], np.ndarray]:
        distinct, first, which = np.unique(ids, return_index=True, return_inverse=True)
        order = np.argsort(first)
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        return [self._name(i) for i in distinct[order].tolist()], place[which]

    # What cannot be charged ---------------------------------------------------------------------------

    def _check_known(self, ids: Sequence[int], begin: int) -> None:
        most = max(ids, default=0)
        if most >= self.outputs():
            name = self._name(most)
            raise InputError(
                f"the document at character {begin + 1} holds {name!r}, which the tokenizer of {self.source} has and its "
                f"model of {self.outputs():,} tokens has not; read it as text: -o special=text"
            )

    def _lost(self, text: str, read: str, ids: Sequence[int], begin: int) -> None:
        """Says where the tokens lose the text, unless that is asked for."""
        read = read if text.startswith(" ") else self._without_blank(read)
        pairs = zip(text, read, strict=False)
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(text), len(read)))
        where = f"{_shown(text, at)} at character {begin + at + 1}"
        if (
            self._unknown is not None
            and self._unknown in ids
            and read.startswith(self._name(self._unknown), at)
        ):
            raise InputError(
                f"the tokenizer of {self.source} has no token for {where}; only one that keeps every character can be "
                "charged for the text (a byte-level one does)"
            )
        if self.as_read:
            return
        remedy = _remedy(text, read)
        if self._spelled:
            remedy = remedy or (
                "take one that changes nothing (SentencePiece's: --normalization_rule_name=identity "
                "--remove_extra_whitespaces=false)"
            )
        else:
            remedy = f"{remedy or 'take a model with another tokenizer'}, or score the text as it reads it: -o as_read=true"
        raise InputError(f"the tokenizer of {self.source} reads {_shown(read, at)} for {where}; {remedy}")


def _shown(text: str, at: int) -> str:
    """A character with what is combined with it, so that both can be told apart: ``'e' + U+0301``."""
    if at >= len(text):
        return "nothing"
    end = at + 1
    while end < len(text) and unicodedata.combining(text[end]):
        end += 1
    marks = "".join(f" + U+{ord(c):04X}" for c in text[at + 1 : end])
    return f"{text[at]!r}{marks}"


def _remedy(text: str, read: str) -> str:
    """What makes of the text what the tokenizer reads; '' where nothing simple does."""
    forms: tuple[Literal["NFC", "NFKC", "NFD", "NFKD"], ...] = ("NFC", "NFKC", "NFD", "NFKD")
    for form in forms:
        if unicodedata.normalize(form, text) == read:
            return f"normalise the text to {form} first"
    if text.lower() == read:
        return "lower-case the text first"
    return ""


# Tokens to bytes -----------------------------------------------------------------------------------


def _piece_of(decoder: Any) -> _Piece | None:
    """What a token stands for, by the decoder that the tokenizer puts texts together with; None of unknown kinds."""
    if decoder is None:
        return None
    described = json.loads(decoder.__getstate__())
    steps = described.get("decoders", [described])
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"]:
        return _of_byte_level
    blanks: list[tuple[str, str]] = []
    for step in steps:
        match step:
            case {"type": "Replace", "pattern": {"String": old}, "content": new}:
                blanks.append((old, new))
            case {"type": "Metaspace", "replacement": old}:
                blanks.append((old, " "))
            case {"type": "ByteFallback" | "Fuse"} | {
                "type": "Strip",
                "content": " ",
                "start": 0 | 1,
                "stop": 0,
            }:
                pass
            case _:
                return None
    in_bytes = "ByteFallback" in kinds

    def piece(token: str) -> bytes:
        if in_bytes and (found := _BYTE.fullmatch(token)):
            return bytes([int(found[1], 16)])
        for old, new in blanks:
            token = token.replace(old, new)
        return token.encode()

    return piece


def _byte_characters() -> dict[str, int]:
    """The printable characters that stand for bytes in byte-level vocabularies (Radford et al. 2019)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


_BYTES = _byte_characters()
_READABLE = {ord(c): chr(b) for c, b in _BYTES.items() if b < 128 and c != chr(b)}


def _of_byte_level(token: str) -> bytes:
    if all(c in _BYTES for c in token):
        return bytes(_BYTES[c] for c in token)
    return token.encode()

"""Word pieces: a tokenizer trained on a text, or read from a file, as a unit (extra ``[subword]``).

``subword`` alone, or with options after a colon: ``subword:kind=unigram,size=4000``, ``subword:file=tokenizer.json``.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np

from lmbench.errors import InputError, calling, unknown
from lmbench.storage.files import read_bytes
from lmbench.storage.mapped import open_arrays
from lmbench.text.sentence_piece import sentence_piece
from lmbench.text.subword import SubwordUnit
from lmbench.text.units import check_whole

if TYPE_CHECKING:
    from lmbench.text.canonical import CanonicalText

UNKNOWN = "\n<unk>"  # no piece is called so: a line feed is always a piece by itself
# Where no piece goes across: a word with the space before it, digits, marks, blanks at the ends of lines, a line feed. Each is cut
# after 500 characters: the time that learning pieces takes grows with the square of the longest.
PATTERN = (
    r" ?[\p{L}\p{M}]{1,500}(?:['’][\p{L}\p{M}]{1,500}){0,9}| ?\p{N}{1,500}| ?[^\s\p{L}\p{M}\p{N}]{1,500}"
    r"|[^\S\n]{1,500}(?!\S)|[^\S\n]{1,500}|\n"
)
LONGEST = 16  # characters of a piece that unigram training thinks of
MOST_PIECES = 1 << 24
_SHARED = 1e-6  # of scores; what training leaves beyond depends on the order in which it adds up


class Pieces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of word pieces.

    kind: how they are learnt, byte-pair encoding (Sennrich, Haddow & Birch 2016) or a unigram model (Kudo 2018). level: what
    the shortest are, the characters of the training text or all bytes. size: how many pieces, at least as many as
    there are characters. file: instead, a tokenizer that is there already (tokenizer.json, or SentencePiece's .model).
    """

    kind: Literal["bpe", "unigram"] = "bpe"
    level: Literal["char", "byte"] = "char"
    size: Annotated[int, msgspec.Meta(ge=1, le=MOST_PIECES)] = 2000
    file: str = ""


def pieces_of(spec: str) -> Pieces:
    """The options of a unit as a user writes it. Raises InputError for wrong ones.

    >>> pieces_of("subword:kind=unigram,size=500")
    Pieces(kind='unigram', level='char', size=500, file='')
    """
    _, _, written = spec.partition(":")
    given: dict[str, str] = {}
    for pair in re.split(r",(?=\w+=)", written) if written else ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"unit {spec}: {pair} is not KEY=VALUE, for instance subword:size=4000")
        if key not in Pieces.__struct_fields__:
            raise unknown(f"option of unit {spec.partition(':')[0]}", key, Pieces.__struct_fields__)
        given[key] = value
    if "file" in given and len(given) > 1:
        raise InputError(f"unit {spec}: file= brings pieces of its own; leave the other options out")
    try:
        return msgspec.convert(given, Pieces, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"unit {spec}: {str(error).replace(' - at `$.', ': ').rstrip('`')}") from None


def piece_unit(spec: str, train: CanonicalText | None) -> SubwordUnit:
    """The unit of pieces that ``spec`` asks for, learnt from a training text or read.

    Raises InputError where there is no text to learn from or the file is none. The same text gives the same pieces.
    """
    options = pieces_of(spec)
    if options.file:
        return _unit(read_tokenizer(options.file), options.file, spec)
    if train is None or not train.text:
        raise InputError(
            f"unit {spec} learns its pieces from the training text; give one, or subword:file=tokenizer.json"
        )
    return _unit(_trained(options, train, spec), "these pieces", spec)


def restored(spec: str, state: Mapping[str, np.ndarray]) -> SubwordUnit:
    """The unit that was saved (``SubwordUnit.state``). Raises InputError where its tokenizer is damaged."""
    if "tokenizer" not in state:
        raise InputError(f"the tokenizer of unit {spec} is missing")
    library = _library()
    try:
        tokenizer = _described(library, state["tokenizer"].tobytes(), f"the tokenizer of unit {spec}")
    except InputError:
        raise
    except Exception as error:  # of the library's, which raises no narrower one
        raise InputError(f"the tokenizer of unit {spec} is damaged ({str(error)[:100]})") from None
    return _unit(tokenizer, pieces_of(spec).file or "these pieces", spec)


def sources(spec: str) -> tuple[Path, ...]:
    """The files that a unit is read from."""
    file = pieces_of(spec).file
    return (Path(file),) if file else ()


def _unit(tokenizer: Any, source: str, spec: str) -> SubwordUnit:
    unknown_token = _unknown_of(json.loads(tokenizer.to_str())["model"])
    size = tokenizer.get_vocab_size()
    return SubwordUnit(tokenizer, source, lambda: size, unknown=unknown_token, spelled=True, spec=spec)


def _unknown_of(model: Mapping[str, Any]) -> str | None:
    """The token that a tokenizer puts in place of what it has none for."""
    if model.get("unk_id") is not None:
        return str(model["vocab"][model["unk_id"]][0])
    return model.get("unk_token")


def _library() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise InputError("word pieces need the library tokenizers; pip install 'lmbench[subword]'") from None
    return tokenizers


def _described(library: Any, data: bytes, source: str) -> Any:
    """The tokenizer that JSON describes. Raises InputError where its numbers are beyond any: the library goes through all up to the
    largest; and what the library raises."""
    with calling("tokenizers", source):
        tokenizer = library.Tokenizer.from_str(data.decode())
    largest = max(tokenizer.get_vocab().values(), default=0)
    if largest > MOST_PIECES:
        raise InputError(f"{source} has a piece of number {largest:,}, beyond {MOST_PIECES:,}; get it anew")
    return tokenizer


# Training ------------------------------------------------------------------------------------------


def _trained(options: Pieces, train: CanonicalText, spec: str) -> Any:
    library = _library()
    check_whole(train.text, "the training text", "word pieces cannot be learnt from")
    in_bytes = options.level == "byte"
    alphabet = library.pre_tokenizers.ByteLevel.alphabet() if in_bytes else sorted(set(train.text))
    least = len(alphabet) + (not in_bytes)  # and the token for characters never seen
    if options.size < least:
        remedy = f"size={least} or more" + ("" if in_bytes else ", or level=byte")
        raise InputError(
            f"unit {spec}: size={options.size} has no room for the {len(alphabet):,} "
            f"{'bytes' if in_bytes else 'characters'} of the text; give {remedy}"
        )
    special = {} if in_bytes else {"special_tokens": [UNKNOWN]}
    common = {"vocab_size": options.size, "initial_alphabet": alphabet, "show_progress": False, **special}
    if options.kind == "bpe":
        tokenizer = library.Tokenizer(library.models.BPE(unk_token=None if in_bytes else UNKNOWN))
        trainer = library.trainers.BpeTrainer(**common)
    else:
        tokenizer = library.Tokenizer(library.models.Unigram())
        unk = {} if in_bytes else {"unk_token": UNKNOWN}
        trainer = library.trainers.UnigramTrainer(max_piece_length=LONGEST, **common, **unk)
    split = library.pre_tokenizers.Split(library.Regex(PATTERN), "isolated")
    if in_bytes:
        level = library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence([split, level])
        tokenizer.decoder = library.decoders.ByteLevel()
    else:
        tokenizer.pre_tokenizer, tokenizer.decoder = split, library.decoders.Fuse()
    tokenizer.train_from_iterator(_lines(train.text), trainer)
    return tokenizer if options.kind == "bpe" else _settled(library, tokenizer)


def _lines(text: str) -> Iterator[str]:
    """Lines with their line feeds, across which no piece goes."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin) + 1 or len(text)
        yield text[begin:end]
        begin = end


def _settled(library: Any, tokenizer: Any) -> Any:
    """A unigram tokenizer that is the same whenever it is learnt from the same text.

    The library adds up in an order that changes from run to run, and gives characters that are no pieces on their own
    merits scores in such an order: scores are rounded, and those characters share one.
    """
    described = json.loads(tokenizer.to_str())
    model = described["model"]
    own = None if model["unk_id"] is None else model["vocab"][model["unk_id"]]
    pieces = [(piece, score) for piece, score in model["vocab"] if own is None or piece != own[0]]
    longer = [score for piece, score in pieces if len(piece) > 1]
    floor = min(longer, default=0.0)
    added = max((score for piece, score in pieces if len(piece) == 1 and score < floor), default=floor)
    settled = [(piece, added if score < floor else score) for piece, score in pieces]
    settled = [(piece, round(score / _SHARED) * _SHARED) for piece, score in settled]
    settled.sort(key=lambda entry: (-entry[1], entry[0]))
    model["vocab"] = [*([] if own is None else [own]), *settled]
    model["unk_id"] = None if own is None else 0
    return library.Tokenizer.from_str(json.dumps(described))


# Files ---------------------------------------------------------------------------------------------


def read_tokenizer(file: str) -> Any:
    """A tokenizer from tokenizer.json, SentencePiece's .model, or a saved model of pieces. Raises InputError where the file is none."""
    library, data = _library(), read_bytes(Path(file))
    if data.lstrip()[:1] == b"{":
        try:
            return _described(library, data, file)
        except InputError:
            raise
        except Exception as error:  # of the library's, which raises no narrower one
            raise InputError(
                f"{file} is no tokenizer.json of the library tokenizers ({str(error)[:100]})"
            ) from None
    try:
        saved = open_arrays(file)[1] if data[8:9] == b"{" else {}
        if "unit.tokenizer" in saved:
            return _described(library, saved["unit.tokenizer"].all().tobytes(), file)
        return sentence_piece(library, data)
    except (AttributeError, LookupError, TypeError, ValueError, struct.error) as error:  # ints for bytes
        raise InputError(
            f"{file} is neither a tokenizer.json nor a model of SentencePiece ({str(error)[:100]}); give one of the two"
        ) from None

"""Models of SentencePiece (Kudo & Richardson 2018), read as tokenizers of the library ``tokenizers``."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = range(1, 7)  # kinds of pieces
# Characters of a piece; SentencePiece makes none of more than 16 unless it is asked to, and the ways to cut one are tried.
_LONGEST = 1000


def sentence_piece(library: Any, data: bytes) -> Any:
    """The model as a tokenizer of the library (sentencepiece_model.proto names the fields). Raises ValueError or LookupError where it is none."""
    model = _fields(data)
    pieces = []
    for raw in model.get(1, []):
        piece = _fields(raw)
        score = struct.unpack("<f", piece[2][0])[0] if 2 in piece else 0.0
        pieces.append((piece[1][0].decode(), score, piece.get(3, [_NORMAL])[0]))
    if not pieces:
        raise ValueError("it has no pieces")
    if max(len(piece) for piece, *_ in pieces) > _LONGEST:
        raise ValueError(f"a piece of more than {_LONGEST} characters")
    trainer, normal = (_fields(model[number][0]) if number in model else {} for number in (2, 3))
    in_bytes = any(kind == _BYTE for *_, kind in pieces)
    unknown_id = [kind for *_, kind in pieces].index(_UNKNOWN)
    kind = trainer.get(3, [1])[0]
    if kind == 1:
        scored = [(piece, score) for piece, score, _ in pieces]
        tokenizer = library.Tokenizer(library.models.Unigram(scored, unknown_id, in_bytes))
    elif kind == 2:
        merges = _merges({piece: score for piece, score, kind in pieces if kind in (_NORMAL, _USER)})
        vocab = {piece: i for i, (piece, *_) in enumerate(pieces)}
        tokenizer = library.Tokenizer(
            library.models.BPE(vocab, merges, unk_token=pieces[unknown_id][0], byte_fallback=in_bytes)
        )
    else:
        raise ValueError("it is made of words or characters, not of pieces")
    changes = []
    if normal.get(2, [b""])[0]:
        changes.append(library.normalizers.Precompiled(normal[2][0]))
    if normal.get(4, [1])[0]:  # it takes blanks for one and none at the ends
        changes += [library.normalizers.Strip(), library.normalizers.Replace(library.Regex(" {2,}"), " ")]
    tokenizer.normalizer = library.normalizers.Sequence(changes)
    scheme = "always" if normal.get(3, [1])[0] else "never"
    tokenizer.pre_tokenizer = library.pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    decoders = library.decoders
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(
        [*steps, *([decoders.Strip(" ", 1, 0)] if scheme == "always" else [])]
    )
    tokenizer.add_special_tokens([piece for piece, _, kind in pieces if kind == _CONTROL])
    users = [piece for piece, _, kind in pieces if kind == _USER]
    tokenizer.add_tokens([library.AddedToken(piece, normalized=False) for piece in users])
    return tokenizer


def _merges(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """The pairs whose joining makes a piece, the piece with the highest score first."""
    merges = [
        (-score, i, piece[:cut], piece[cut:])
        for i, (piece, score) in enumerate(scores.items())
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    return [(left, right) for *_, left, right in sorted(merges)]


def _fields(data: Any) -> dict[int, list[Any]]:
    """The fields of a protocol buffer's message by their numbers: integers, or bytes. Raises ValueError where it is none."""
    fields: dict[int, list[Any]] = {}
    place = 0

    if not isinstance(data, bytes):
        raise ValueError("a number stands for a message")

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            if place >= len(data):
                raise ValueError("it breaks off")
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
            byte = data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        key = number()
        match key & 7:
            case 0:
                value: int | bytes = number()
            case 1 | 2 | 5 as wire:
                length = {1: 8, 5: 4}.get(wire) or number() if wire != 2 else number()
                value, place = data[place : place + length], place + length
                if place > len(data):
                    raise ValueError("it breaks off")
            case wire:
                raise ValueError(f"a field of kind {wire}")
        fields.setdefault(key >> 3, []).append(value)
    return fields

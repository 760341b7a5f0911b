"""Ways to damage a good model: an ARPA file's lines, a saved model's header, facts and arrays."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from typing import Any

import numpy as np
from damage import NUMBERS

WORDS = (
    *("\\data\\", "ngram 1=", "ngram 2=5", "\\1-grams:", "\\2-grams:", "\\3-grams:", "\\4-grams:", "\\end\\"),
    *(
        "<s>",
        "</s>",
        "<unk>",
        "<UNK>",
        "a b",
        "\t",
        "\n",
        "\r\n",
        " ",
        "\n\n",
        "-99",
        "-0.5",
        "0.5",
        "-0",
        "1e9",
        "-1e-320",
    ),
    *(
        "nan",
        "inf",
        "-inf",
        "-300",
        "300",
        "308",
        "1_0",
        "٣",
        "999999999999999999",
        "\ufeff",
        "\u2028",
        "\x85",
        "\xa0",
        "\0",
    ),
)
FLOATS = (np.nan, np.inf, -np.inf, -1.0, 0.0, 2.0, 7.5, 3e4, 1e300, 1.7e308, -1e300, 1e-45, 1e-310)
VALUES = (
    *NUMBERS,
    0.5,
    -1.5,
    1e308,
    True,
    None,
    "",
    "a",
    "\n",
    "word",
    "kneser-ney",
    "byte",
    "fixed:1",
    "1e-320",
    "nan",
    "\u202e",
    "F64",
    "U8",
    [],
    [0],
    {},
    {"a": 1},
)


def damaged_arpa(data: bytes, rng: random.Random) -> bytes:
    """An ARPA file with lines or parts of lines lost, doubled, exchanged or replaced; sometimes packed, or cut when packed."""
    try:
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error):
        return data[: rng.randrange(len(data) + 1)]
    lines = text.split(b"\n")
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        parts = lines[i].split(b"\t")
        k = rng.randrange(len(parts))
        match rng.randrange(9):
            case 0:
                del lines[i]
                lines = lines or [b""]
            case 1:
                lines.insert(i, lines[j])
            case 2:
                lines[i], lines[j] = lines[j], lines[i]
            case 3:
                begin, end = min(i, j), max(i, j)
                lines[i:i] = lines[begin:end][:20]
            case 4:
                del lines[min(i, j) : max(i, j)]
            case 5:
                parts[k] = rng.choice(WORDS).encode()
                lines[i] = b"\t".join(parts)
            case 6:
                parts.insert(k, rng.choice(WORDS).encode())
                lines[i] = b"\t".join(parts)
            case 7:
                at = rng.randrange(len(lines[i]) + 1)
                lines[i] = lines[i][:at] + rng.choice(WORDS).encode() + lines[i][at + rng.randrange(3) :]
            case 8:
                at = rng.randrange(len(lines[i]) + 1)
                lines[i] = lines[i][:at] + bytes([rng.randrange(256)]) + lines[i][at + 1 :]
    text = b"\n".join(lines)
    if rng.random() < 0.6:  # the counts that the sections then have
        text = _recounted(text)
    if rng.random() < 0.1:
        text = gzip.compress(text, mtime=0)
        if rng.random() < 0.5:
            at = rng.randrange(len(text))
            text = text[:at] + text[at + rng.randrange(9) :]
    return text


def _recounted(text: bytes) -> bytes:
    lines = text.split(b"\n")
    for i, line in enumerate(lines):
        if line.startswith(b"ngram "):
            k = line[6:].split(b"=")[0]
            begin = next((j for j, other in enumerate(lines) if other == b"\\" + k + b"-grams:"), None)
            if begin is not None:
                end = next((j for j in range(begin, len(lines)) if not lines[j]), len(lines))
                lines[i] = b"ngram %s=%d" % (k, end - begin - 1)
    return b"\n".join(lines)


def damaged_saved(data: bytes, rng: random.Random) -> bytes:
    """A saved model with its header, facts or arrays changed; mostly with checksums that fit nevertheless."""
    if rng.random() < 0.15 or (found := parts(data)) is None:
        at = rng.randrange(len(data) + 1)
        piece = rng.choice((b"", rng.randbytes(1), rng.randbytes(8), data[: rng.randrange(200)]))
        return data[:at] + piece + data[at + rng.choice((0, len(piece), rng.randrange(50))) :]
    header, body = found
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        arrays = [
            name
            for name, place in header.items()
            if isinstance(place, dict) and isinstance(place.get("data_offsets"), list) and name != "crc32"
        ]
        match rng.randrange(6):
            case 0:
                _change(header, rng)
            case 1 | 2:
                metadata = header.get("__metadata__")
                if isinstance(metadata, dict):
                    facts = _decoded(metadata.get("lmbench"))
                    _change(facts, rng)
                    metadata["lmbench"] = json.dumps(facts)
            case 3 | 4 if arrays:
                place = header[rng.choice(arrays)]
                body = _overwritten(body, place, rng)
            case 5 if arrays:
                one, other = header[rng.choice(arrays)], header[rng.choice(arrays)]
                for key in rng.sample(("dtype", "shape", "data_offsets"), rng.randrange(1, 4)):
                    one[key] = other.get(key)
            case _:
                body = body[: rng.randrange(len(body) + 1)] + rng.randbytes(rng.choice((0, 8, 64)))
    return sealed(header, body) if rng.random() < 0.9 else joined(header, body)


def sealed(header: dict[str, Any], body: bytes) -> bytes:
    """The file of a header and the bytes after it, with checksums that fit, where they have places to stand in."""
    try:
        first, end = header["crc32"]["data_offsets"]
        blocks = body[end:]
        crc32 = [zlib.crc32(blocks[at : at + 65536]) for at in range(0, len(blocks), 65536)]
        crc32 += [0] * (len(crc32) % 2)
        if end == 4 * len(crc32):
            body = np.array(crc32, dtype="<u4").tobytes() + blocks
        table = sorted(
            (name, place["dtype"], place["shape"], place["data_offsets"])
            for name, place in header.items()
            if name not in ("crc32", "__metadata__")
        )
        text = header["__metadata__"]["lmbench"]
        digest = zlib.crc32(body[first:end], zlib.crc32((text + json.dumps(table)).encode()))
        header["__metadata__"]["crc32"] = str(digest)
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    return joined(header, body)


def joined(header: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def parts(data: bytes) -> tuple[dict[str, Any], bytes] | None:
    """The header and the bytes after it; None where they cannot be told apart."""
    length = int.from_bytes(data[:8], "little")
    header = _decoded(data[8 : 8 + length])
    return (
        (header, data[8 + length :]) if header and isinstance(header.get("__metadata__", {}), dict) else None
    )


def _decoded(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _change(tree: Any, rng: random.Random) -> None:
    """Changes, drops or adds one value, however deep it lies."""
    while isinstance(tree, (dict, list)) and tree:
        key = rng.choice(list(tree)) if isinstance(tree, dict) else rng.randrange(len(tree))
        if isinstance(tree[key], (dict, list)) and tree[key] and rng.random() < 0.8:
            tree = tree[key]
            continue
        match rng.randrange(4):
            case 0:
                del tree[key]
            case 1 if isinstance(tree[key], int):  # a length or an offset
                tree[key] += rng.choice((-8, -4, -1, 1, 4, 8))
            case 2 if isinstance(tree, dict):
                tree[rng.choice(("a", "name", "found", "order", "words.4", "hidden"))] = tree[key]
            case _:
                tree[key] = rng.choice(VALUES)
        return


def _overwritten(body: bytes, place: dict[str, Any], rng: random.Random) -> bytes:
    """The bytes with some entry of an array changed, or the array longer or shorter than its shape says."""
    match place["data_offsets"]:
        case [int(begin), int(end)] if 0 <= begin < end <= len(body):
            pass
        case _:
            return body
    size = rng.choice((1, 2, 4, 8))
    at = begin + rng.randrange(-(-(end - begin) // size)) * size
    pieces = [(rng.choice(NUMBERS) % 256**size).to_bytes(size, "little"), rng.randbytes(size)]
    if size > 1:
        with np.errstate(over="ignore"):
            pieces.append(np.array(rng.choice(FLOATS), dtype=f"<f{size}").tobytes())
    return body[:at] + rng.choice(pieces)[: len(body) - at] + body[at + size :]

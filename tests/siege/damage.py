"""Ways to damage good input of any kind: bytes, trees of TOML and JSON, tables, archives of arrays."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import random
import tomllib
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np
import tomli_w

NUMBERS = (
    -1,
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    2**15,
    2**31 - 1,
    2**31,
    2**32,
    2**40,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
    10**30,
)
HOSTILE = (
    *(
        "",
        " ",
        "\n",
        "\0",
        "\x1b[31m",
        "\u202e",
        "\ud800",
        "é",
        "ﬁ",
        "\u0301",
        "a" * 300,
        "-",
        "--",
        "..",
        "../x",
        "/",
        "/dev/null",
    ),
    *(
        "<script>",
        "\\write18{x}",
        "=1+1",
        "|",
        "`x`",
        "%s",
        "{0}",
        "*",
        "[",
        "~",
        "CON",
        "nul.txt",
        "a\tb",
        ":",
        "x:",
        ":X",
        "os:path",
        "\x1b]0;x\x07",
        "9" * 5000,
        "0x" + "f" * 5000,
    ),
    *(
        "evil:X",
        "word",
        "char",
        "byte",
        "line",
        "stream",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "0x10",
        "1_000",
        "٣",
        "true",
        "none",
        ",",
    ),
    *(
        "1,2",
        "0",
        "-1",
        "2",
        "7",
        "1e9",
        "999999999999999999999",
        "9223372036854775807",
        "0.5",
        "tune",
        "auto",
        "uniform",
        "kneser-ney",
    ),
)
VALUES = (
    *HOSTILE, *NUMBERS, 0.5, -1.5, 1e308, math.inf, -math.inf, math.nan, True, False, [], [[]], {}, [1, "a"], {"a": {"b": 1}}, {"": 0},
)  # fmt: skip


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes with some lost, doubled, exchanged or made up."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 8, 100)))
        other = rng.randrange(len(data) + 1)
        odd = rng.choice(HOSTILE).encode("utf-8", "surrogatepass")
        pieces = (
            b"",
            odd,
            rng.randbytes(rng.choice((1, 2, 8))),
            data[other : other + rng.randrange(60)],
            b"\n",
            data[at:end] * 2,
        )
        data = data[:at] + rng.choice(pieces) + data[rng.choice((at, end)) :]
    return data


def _change(tree: Any, rng: random.Random) -> None:
    """Changes, drops, copies or adds one value, however deep it lies."""
    while isinstance(tree, (dict, list)) and tree:
        key = rng.choice(list(tree)) if isinstance(tree, dict) else rng.randrange(len(tree))
        if isinstance(tree[key], (dict, list)) and tree[key] and rng.random() < 0.75:
            tree = tree[key]
            continue
        match rng.randrange(6):
            case 0:
                del tree[key]
            case 1 if isinstance(tree[key], (int, float)):
                tree[key] = rng.choice(
                    (-tree[key], tree[key] * 10, tree[key] + 1, tree[key] / 2, float(tree[key]))
                )
            case 2 if isinstance(tree, dict):
                tree[rng.choice((rng.choice(HOSTILE), rng.choice(list(tree)), "extra"))] = tree[key]
            case 3 if isinstance(tree, list):
                tree.append(json.loads(json.dumps(tree[key])))
            case 4 if isinstance(tree[key], str):
                at = rng.randrange(len(tree[key]) + 1)
                tree[key] = tree[key][:at] + rng.choice(HOSTILE) + tree[key][at + rng.randrange(3) :]
            case _:
                tree[key] = rng.choice(VALUES)
        return


def _changed(data: bytes, rng: random.Random, read: Any, write: Any) -> bytes:
    if rng.random() < 0.2:
        return damaged_bytes(data, rng)
    try:
        tree = read(data)
    except (ValueError, RecursionError):  # damaged already
        return damaged_bytes(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change(tree, rng)
    try:
        return bytes(write(tree))
    except (TypeError, ValueError, UnicodeError):
        return damaged_bytes(data, rng)


def damaged_toml(data: bytes, rng: random.Random) -> bytes:
    return _changed(
        data,
        rng,
        lambda d: tomllib.loads(d.decode()),
        lambda t: tomli_w.dumps(t).encode("utf-8", "surrogatepass"),
    )


def damaged_json(data: bytes, rng: random.Random) -> bytes:
    return _changed(data, rng, json.loads, lambda t: json.dumps(t).encode())


def damaged_lines(data: bytes, rng: random.Random) -> bytes:
    """A table of tabs with cells or rows changed."""
    if rng.random() < 0.3:
        return damaged_bytes(data, rng)
    rows = [line.split(b"\t") for line in data.split(b"\n")]
    for _ in range(rng.choice((1, 1, 2, 4))):
        row = rng.choice(rows)
        match rng.randrange(5):
            case 0:
                rows.remove(row)
                rows = rows or [[b""]]
            case 1:
                rows.insert(rng.randrange(len(rows)), list(rng.choice(rows)))
            case 2:
                row.append(rng.choice(HOSTILE).encode("utf-8", "replace"))
            case _:
                row[rng.randrange(len(row)) if row else 0 : 1] = [
                    rng.choice(HOSTILE).encode("utf-8", "replace")
                ]
    return b"\n".join(map(b"\t".join, rows))


def damaged_gzip(data: bytes, rng: random.Random) -> bytes:
    """What is packed, damaged and packed again; or the packing."""
    try:
        return gzip.compress(damaged_lines(gzip.decompress(data), rng), mtime=0)
    except (OSError, EOFError, zlib.error):
        return damaged_bytes(data, rng)


def damaged_zip(data: bytes, rng: random.Random) -> bytes:
    """An archive whose members have other names, other bytes or another packing; or other bytes of the archive."""
    if rng.random() < 0.4:
        return damaged_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            name = rng.choice((name, name, rng.choice(HOSTILE).encode("utf-8", "replace").decode()))
            content = rng.choice((content, content, damaged_bytes(content, rng)))
            kind = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
            with warnings.catch_warnings(), contextlib.suppress(ValueError):
                warnings.simplefilter("ignore")  # of a name that stands twice
                archive.writestr(name, content, kind)
    return stream.getvalue()


def damaged_npz(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.25:
        return damaged_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(list(members))
        try:
            array = np.load(io.BytesIO(members[name]))
        except (ValueError, EOFError, OSError):
            continue
        match rng.randrange(7):
            case 0:
                del members[name]
                if not members:
                    break
                continue
            case 1:
                members[rng.choice(("extra.npy", "about.npy", "ends.npy", "x"))] = members[name]
                continue
            case 2:
                members[name] = damaged_bytes(members[name], rng)
                continue
            case 3 | 4 if name == "facts.npy" and array.dtype.kind == "U":
                facts = damaged_json(str(array).encode(), rng).decode("utf-8", "replace")
                array = np.array(facts)
            case 3 if name == "about.npy":
                array = np.frombuffer(damaged_json(array.tobytes(), rng), dtype=np.uint8)
            case 4:
                array = array[: rng.randrange(len(array) + 1)] if array.ndim else array
            case 5:
                kind = rng.choice(("f4", "i8", "u1", "c16", "U3", "f8", "?", "M8[s]", "S2"))
                with warnings.catch_warnings(), contextlib.suppress(ValueError, TypeError, OverflowError):
                    warnings.simplefilter("ignore")
                    array = array.astype(kind)
            case _:
                array = array.copy()
                if array.size:
                    with contextlib.suppress(ValueError, OverflowError, TypeError):
                        array.flat[rng.randrange(array.size)] = rng.choice(
                            (np.nan, np.inf, 1.0, -1, 2**62, -(2**62), 0)
                        )
                if rng.random() < 0.2:
                    array = array.reshape(1, -1)
        stream = io.BytesIO()
        np.save(stream, array)
        members[name] = stream.getvalue()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()

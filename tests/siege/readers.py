"""What holds of every file that the readers of models are given, and ways to damage a good one.

A file gives a model whose scores are no NaN and not above 0, or is refused by an InputError of one line: no other exception,
no warning, no hang, no memory beyond its size. ``fuzz.py`` searches for files that break this, the tests draw some.
"""

from __future__ import annotations

import gzip
import json
import random
import tempfile
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.text.canonical import canonical_text

TEXT = canonical_text(["a b c\nb a\n\nthe <s> b </s> a\na b a <unk> é\n"], "none", "line")
CORPUS = Corpus("few", TEXT, TEXT, TEXT, "none", "line")

ARPA = """\\data\\
ngram 1=6
ngram 2=5
ngram 3=3

\\1-grams:
-1.5\t<unk>
0\t<s>\t-0.5
-0.5\t</s>
-0.5\ta\t-0.125
-1\tb\t-0.2
-1\té

\\2-grams:
-0.25\t<s> a\t-0.1
-0.5\ta b\t-0.3
-0.75\ta </s>
-1\tb a
-0.4\tb </s>

\\3-grams:
-0.3\t<s> a b
-0.1\ta b a
-0.2\ta b </s>

\\end\\
"""
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
NUMBERS = (
    -1,
    0,
    1,
    2,
    7,
    127,
    255,
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
FLOATS = (np.nan, np.inf, -1.0, 0.0, 2.0, 3e4)
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
    "F64",
    "U8",
    [],
    [0],
    {},
    {"a": 1},
)
# What fits in milliseconds.
FAST = (
    "uniform",
    "unigram",
    "bigram",
    "trigram",
    "laplace",
    "kneser-ney",
    "witten-bell",
    "katz",
    "absolute-discounting",
)
# kind: file: name and options of the model in it
MODELS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "count": {
        "kneser-ney": ("kneser-ney", {"order": 3}),
        "quantised": ("kneser-ney", {"order": 3, "bits": 8}),
        "katz": ("katz", {"order": 2}),
        "trigram": ("trigram", {"eps": (1, 1, 1)}),
        "stupid-backoff": ("stupid-backoff", {"order": 2}),
        "uniform": ("uniform", {}),
        "context-mixing": ("context-mixing", {}),
        "mixture": ("mixture", {"of": "witten-bell,cache"}),
    },
    "neural": {
        "gru": ("gru", {"hidden": 3, "embedding": 2, "epochs": 1}),
        "rnn-scratch": ("rnn-scratch", {"hidden": 3, "epochs": 1}),
        "dynamic": ("rnn-scratch", {"hidden": 2, "epochs": 1, "dynamic": 0.001}),
        "mlp": ("mlp", {"hidden": 3, "epochs": 1}),
        "transformer": ("transformer", {"epochs": 1, "hidden": 4, "heads": 2}),
    },
}


# What holds ----------------------------------------------------------------------------------------


def arpa_scores(data: bytes, folder: Path) -> list[float] | None:
    """The scores that an ARPA file of these bytes gives, and gives again once saved; None where it is refused."""
    return _scores(data, folder, _saved_again)


def saved_scores(data: bytes, folder: Path) -> list[float] | None:
    """The scores that a saved model of these bytes gives; None where it is refused."""
    return _scores(data, folder, load_model)


def _saved_again(path: Path) -> Scorer:
    scorer = Scorer.fit(make_model("arpa", file=str(path)), CORPUS, "word")
    expected = scorer.score(TEXT).log_probs.tolist()
    scorer.save(path.with_name("saved"))
    scorer = load_model(path.with_name("saved"))
    assert scorer.score(TEXT).log_probs.tolist() == expected
    return scorer


def assert_line(message: str) -> None:
    """A refusal is one printable line."""
    assert message
    assert message.isprintable(), f"not one line: {message!r}"
    assert len(message) < 300, f"a message of {len(message)} characters: {message}"


def _scores(data: bytes, folder: Path, read: Callable[[Path], Scorer]) -> list[float] | None:
    path = folder / "model"
    path.write_bytes(data)
    told = ""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            scorer = read(path)
            scores = scorer.score(TEXT)
            rows = scorer.model.next_log_probs([[], scorer.encode(TEXT).tokens.ids[:2]])
        except InputError as error:
            told = str(error)
        else:
            for found in (scores.log_probs, scores.spelling, rows):
                assert (found <= 0).all(), f"a log-probability of {found.max()}"
            return scores.log_probs.tolist()
    assert_line(told)
    return None


# Good files ----------------------------------------------------------------------------------------


def saved(kind: str) -> dict[str, bytes]:
    """Small saved models of a kind, ``count`` or ``neural``, by name."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        for file, (name, options) in MODELS[kind].items():
            model = make_model(name, **options)
            parts = [Scorer.fit(make_model(label), CORPUS, "word") for label in model.traits.components]
            unit = "char" if name == "gru" else "word"
            Scorer.fit(model, CORPUS, unit, components=parts).save(path)
            found[file] = path.read_bytes()
        if kind == "count":
            Path(folder, "a.arpa").write_text(ARPA, encoding="utf-8")
            Scorer.fit(make_model("arpa", file=f"{folder}/a.arpa"), CORPUS, "word").save(path)
            found["arpa"] = path.read_bytes()
    return found


# Damage --------------------------------------------------------------------------------------------


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
        pieces.append(np.array(rng.choice(FLOATS), dtype=f"<f{size}").tobytes())
    return body[:at] + rng.choice(pieces)[: len(body) - at] + body[at + size :]

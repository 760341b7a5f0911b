"""The sweep of saved models: ``python tests/siege/sweep.py FOLDER [--kind NAME] [--model NAME]... [--every N] [--first N]``.

Nothing is drawn: each value in a small model's facts, and of each array the first number, one in the middle, the last, and all, is in turn each of a list of
extremes, with checksums that fit. What then can be read is used in every way that models are (``model_uses``). Faults are kept as those of the fuzz
campaign are.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    HERE = Path(__file__).parent
    sys.path[:0] = [str(HERE), str(HERE.parent / "helpers"), str(HERE.parents[1])]

import fuzz
from model_damage import parts, sealed
from model_uses import USES, use
from readers import saved_scores
from saved_models import MODELS, saved

from lmbench.scoring.scorer import load_model
from lmbench.storage.mapped import _TYPES

FLOATS = (
    0.0, -0.0, 1.0, -1.0, 5e-324, 1e-310, 1e-45, 1e-38, 1e-30, 1e-16, 1 - 1e-16, 1 + 1e-7, -1e-30, 0.5, 7.5, 1e4, 1e16, 1e30, 3.4e38,
    1e300, 1.7e308, -1e300,
)  # fmt: skip
ODD_FLOATS = (float("nan"), float("inf"), -float("inf"))
WHOLE = (
    0, 1, -1, 2, 7, 2**7 - 1, 2**7, 2**8, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64, -(2**31), -(2**63),
    10**400,
)  # fmt: skip
STRINGS = (
    "", " ", "\n", "\0", "\x1b[31m", "\u202e", "\ud800", "é", "a", "b", "<unk>", "a" * 100_000, "nan", "inf", "-inf", "1e400", "1e-320", "0", "-1",
    "1,1", "none", "tune", "auto", "true", "char", "word", "byte", "line", "stream", "letters", "fixed:1", "fixed:99999999", "F32", "/dev/null",
    "9" * 40, "1" * 5000,
)  # fmt: skip
OTHERS = (None, True, False, [], {}, [0], ["a"], {"a": 1})
_FEW = 6  # entries of a longer list or table of facts that are swept: at its ends and in its middle


def swept(data: bytes) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """What a saved model becomes: the name of each change, and what makes the file."""
    facts, arrays = opened(data)
    for name, tree in _trees(facts):
        yield f"facts{name}", lambda tree=tree: rebuilt(tree(), arrays)
    for key, array in arrays.items():
        held = _json_in(array)
        if held is not None:
            for name, tree in _trees(held):
                yield (
                    f"{key}{name}",
                    lambda key=key, tree=tree: rebuilt(facts, {**arrays, key: _packed(tree())}),
                )
        else:
            for name, numbers in _numbers(array):
                yield (
                    f"{key}{name}",
                    lambda key=key, numbers=numbers: rebuilt(facts, {**arrays, key: numbers()}),
                )


def opened(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    found = parts(data)
    assert found is not None
    header, body = found
    facts = json.loads(header["__metadata__"]["lmbench"])
    arrays = {}
    for name, place in header.items():
        if name not in ("__metadata__", "crc32"):
            begin, end = place["data_offsets"]
            arrays[name] = np.frombuffer(body[begin:end], dtype=_TYPES[place["dtype"]]).reshape(
                place["shape"]
            )
    return facts, arrays


def rebuilt(facts: Any, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The file of facts and arrays, with checksums that fit."""
    kinds = {np.dtype(kind): name for name, kind in _TYPES.items()}
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    blocks = -(-sum(array.nbytes for _, array in ordered) // 65536)
    blocks += blocks % 2
    header: dict[str, Any] = {"__metadata__": {"lmbench": json.dumps(facts), "crc32": ""}}
    offset = 4 * blocks
    header["crc32"] = {"dtype": "U32", "shape": [blocks], "data_offsets": [0, offset]}
    for name, array in ordered:
        place = [offset, offset + array.nbytes]
        header[name] = {"dtype": kinds[array.dtype], "shape": list(array.shape), "data_offsets": place}
        offset += array.nbytes
    return sealed(header, bytes(4 * blocks) + b"".join(array.tobytes() for _, array in ordered))


def _json_in(array: np.ndarray) -> Any:
    if array.dtype != np.uint8 or not array.size or array.ravel()[0] not in b"[{":
        return None
    try:
        return json.loads(array.tobytes())
    except ValueError:
        return None


def _packed(tree: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(tree).encode(), dtype=np.uint8)


def _trees(tree: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The tree with one of its leaves another value, for each leaf."""
    for path, leaf in _leaves(tree):
        for value in _values(leaf):
            if value is not leaf:
                yield f"/{'/'.join(map(str, path))}={repr(value)[:30]}", partial(_with, tree, path, value)


def _with(tree: Any, path: list[Any], value: Any) -> Any:
    changed = at = copy.deepcopy(tree)
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def _leaves(tree: Any) -> Iterator[tuple[list[Any], Any]]:
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    if len(keys) > 4 * _FEW:
        middle = len(keys) // 2
        keys = keys[: _FEW // 2] + keys[middle : middle + 1] + keys[-_FEW // 2 :]
    for key in keys:
        if isinstance(tree[key], (dict, list)) and tree[key]:
            for path, leaf in _leaves(tree[key]):
                yield [key, *path], leaf
        else:
            yield [key], tree[key]


def _values(leaf: Any) -> tuple[Any, ...]:
    if isinstance(leaf, bool):
        return (True, False, *OTHERS[:1], 0, 2, "a")
    if isinstance(leaf, (int, float)) or leaf is None:
        return (*WHOLE, *FLOATS, *ODD_FLOATS, *STRINGS[:4], *STRINGS[12:18], *STRINGS[-2:], *OTHERS)
    if isinstance(leaf, str):
        return (*STRINGS, *OTHERS, 0, -1, 2**64, 0.5, leaf + leaf)
    return (*OTHERS, 0, "a", *([x] for x in (-1, 2**64, 1e-310, 1e300, "\ud800", "1e400", None)))


def _numbers(array: np.ndarray) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """The array with an extreme at its ends, in its middle, and everywhere."""
    kind, size = array.dtype, array.size
    values: list[Any]
    if kind.kind == "f":
        with np.errstate(all="ignore"):
            values = list(np.array((*FLOATS, *ODD_FLOATS)).astype(kind))
    elif kind == np.bool_:
        values = [True, False]
    else:
        limits = np.iinfo(kind)
        values = sorted(
            {n for n in (*WHOLE, limits.min, limits.max, 3, 100) if limits.min <= n <= limits.max}
        )
    places = {"first": 0, "middle": size // 2, "last": size - 1} if size else {}
    for value in {
        repr(value.item() if isinstance(value, np.generic) else value): value for value in values
    }.items():
        for name, place in places.items():
            yield f" {name}={value[0]}", partial(_at, array, place, value[1])
        yield f" all={value[0]}", partial(np.full_like, array, value[1])


def _at(array: np.ndarray, place: int, value: Any) -> np.ndarray:
    changed = array.copy()
    changed.flat[place] = value
    return changed


# What holds of each ----------------------------------------------------------------------------------------


def check(data: bytes, folder: Path, sound: list[float] | None = None) -> bool:
    """Whether a saved model is read; raises where it, or something that is done with it, breaks the promise.

    sound: the scores of the model as it was saved; where they have not changed, one use of it is tried, else all.
    """
    scores = saved_scores(data, folder)
    if scores is None:
        return False
    scorer, names = load_model(folder / "model"), list(USES)
    if scores == sound:
        at = zlib.crc32(data[:9000]) % len(names)
        names = names[at : at + 1]
    for name in names:
        use(scorer, name, folder)
    return True


def sweep(folder: Path, kind: str, name: str, data: bytes, every: int, first: int) -> dict[str, Any]:
    """How many inputs were made of a model, how many of them were read and refused, and how many did wrong; seconds."""
    with tempfile.TemporaryDirectory() as place:
        sound = saved_scores(data, Path(place))
    done = {"inputs": 0, "read": 0, "faults": 0}
    begun = time.process_time()
    for change, build in islice(swept(data), first, None, every):
        done["inputs"] += 1
        changed = build()

        def tried(data: bytes, folder: Path) -> None:
            done["read"] += check(data, folder, sound)

        found = fuzz.fault(tried, changed)
        if found is not None:
            done["faults"] += 1
            with open(folder / "faults", "a") as stream:
                stream.write(f"{found[0]}\t{kind}\t{name}\t{change}\n")
            if not (folder / found[0]).exists():
                (folder / found[0]).write_bytes(changed)
                (folder / f"{found[0]}.txt").write_text(f"{kind} {name} {change}\n{found[1]}")
    return done | {"seconds": round(time.process_time() - begun, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", action="append", choices=list(MODELS))
    parser.add_argument("--model", action="append", help="one of these models alone")
    parser.add_argument("--every", type=int, default=1, help="only one input in so many")
    parser.add_argument("--first", type=int, default=0, help="from this one on")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for kind in asked.kind or MODELS:
        made = saved(kind)
        fuzz.limit_memory()
        for name, data in made.items():
            if not asked.model or name in asked.model:
                print(kind, name, sweep(asked.folder, kind, name, data, asked.every, asked.first), flush=True)


if __name__ == "__main__":
    main()

"""What a command leaves in a folder, and where two such folders differ."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIMES = ("seconds", "flops", "tokens_per_second", "share_of_peak", "environment", "best_for", "finished")


def contents(place: Path) -> dict[str, Any]:
    """By name what is in the files that a command has left, times left out; of pages, that they are there."""
    return {
        str(path.relative_to(place)): _content(path)
        for path in sorted(place.rglob("out*/**/*")) + sorted(place.glob("out*"))
        if path.is_file()
    }


def _content(path: Path) -> Any:
    if path.name == "results.json" or path.parent.name == "texts":
        return _timeless(json.loads(path.read_text("utf-8")))
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        about = members.pop("about.npy")
        return members, _timeless(json.loads(about[about.index(b"\n") + 1 :]))
    if path.suffix == ".safetensors" or path.name == "out.model":
        data = path.read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:end])
        facts = json.loads(header.pop("__metadata__")["lmbench"])
        return _timeless(facts), dict(header.items()), data[end:]
    if path.name in ("report.html", "report.md", "results.csv", "charts.json") or path.name.startswith(
        ("quality", "size", "learning")
    ):
        return "there"
    if path.name == "suite.toml":  # its last line names the place
        return path.read_text("utf-8").rpartition("# Written")[0]
    return path.read_bytes()


def _timeless(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {
            key: _timeless(value)
            for key, value in tree.items()
            if not any(word in key for word in (*TIMES, "parts"))
        }
    return [_timeless(value) for value in tree] if isinstance(tree, list) else tree


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Where two folders differ; '' where they do not."""
    for name in sorted({*one, *other}):
        if name not in one or name not in other:
            return f"{name} is only {'before' if name in one else 'after'}"
        if one[name] != other[name]:
            return f"{name} differs"
    return ""

"""The commands that the kill campaign gives, and how each is started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TEXT = "".join(
    f"the {w} waits for the tide and the bell rings {n} times\n" for n in range(30) for w in ("ferry", "boat")
)
SUITE = """name = "s"
corpora = [{name = "t", train = "t.txt", documents = "line"}]
zipf_orders = [1]
seeds = [3]
[[models]]
model = "bigram"
options = {eps = [1.0, 1.0]}
[[models]]
model = "kneser-ney"
options = {order = 3}
[[models]]
model = "mixture"
options = {of = ["bigram", "kneser-ney"]}
"""
_LINES = {
    "run": "run s.toml --jobs 1 --quiet --out out",
    "run, two jobs": "run s.toml --jobs 2 --quiet --out out",
    "fit --save": "fit --model kneser-ney --train t.txt --quiet --save out.model",
    "fit, spilling": "fit --model kneser-ney -o memory_limit=1MB --documents line --unit word --train t.txt --quiet --save out.arpa",
    "fit --work": "fit --model kneser-ney -o order=2 --unit word --documents line --train t.txt --work out.d --jobs 1 --quiet --save out.arpa",
    "counts": "counts t.txt --orders 1,2 --format google --out out",
    "score --load": "score --load done.lm --test t.txt --tokens out.tsv --quiet",
    "surprisal": "surprisal --load done.lm t.txt --out out.jsonl --format jsonl --quiet",
    "score --tokens": "score --model bigram -o eps=1,1 --train t.txt --tokens out.tsv --quiet",
    "score --work, two jobs": "score --load done.lm --test t.txt --work out.d --jobs 2 --tokens out.tsv --quiet",
    "export": "export done --format csv --out out.csv",
    "export, LaTeX": "export done --format latex --wide --out out.tex",
    "export, PDF": "export done --format pdf --out out.figures",
    "diff": "diff done done2 --html out.html",
    "report anew": "run s.toml --jobs 1 --quiet --out out.done",
    "fetch": "corpora fetch c.toml",
}
COMMANDS = {name: line.split() for name, line in _LINES.items()}


def given(
    argv: list[str], folder: Path, kill: str = "", before: Callable[[], object] | None = None, **more: Any
) -> subprocess.Popen[bytes]:
    """The command as a process of a group of its own."""
    paths = [str(HERE / "hook"), str(HERE.parents[1])]
    space = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "XDG_STATE_HOME": str(folder),
        "XDG_CACHE_HOME": f"{folder}/out.cache",
    }
    if kill:
        space["LMBENCH_KILL"] = kill
    space |= more.pop("space", {})
    settings: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "stdin": subprocess.DEVNULL,
    } | more
    command = [sys.executable, "-m", "lmbench", *argv]
    return subprocess.Popen(
        command, cwd=folder, env=space, start_new_session=True, preexec_fn=before, **settings
    )

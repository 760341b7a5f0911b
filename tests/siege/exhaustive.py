"""Every value at every place: ``python tests/siege/fuzz.py FOLDER --each PART``, PART one of those below, or ``all``.

Where the campaign draws, this tries all there is: for every option and argument of every command each of a list of hostile values, one
at a time on a command line that is otherwise good; the same of environment variables; and at every place of a good suite, description and
results file. What holds of each is in ``promises.py``.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import json
import math
import os
import shutil
import tomllib
import unittest.mock
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import fuzz
import readers
import tomli_w
from command_kinds import LINES, SLOW_LINES, lay_out, prepared
from damage import VALUES
from promises import command, refused
from result_kinds import check_results, results
from suite_kinds import check_description, check_run, check_suite, descriptions, suites

from lmbench.cli import lmbench
from lmbench.errors import lacks_memory
from lmbench.models import make_model, model_class
from lmbench.models.options import describe_options
from lmbench.scoring.scorer import Scorer

Case = tuple[str, Callable[[Path], object]]
Check = Callable[[bytes, Path], object]
SECONDS = 5.0
# What a value of the command line may be that its author did not think of; some are the names of what ``_places`` makes.
NUMBERS = (
    *("0", "-1", "1", "2", "7", "0.5", "nan", "inf", "-inf", "1e-320", "1e308", "1e400", str(2**31), str(2**63), str(10**30), "9" * 5000, "1_0", "٣"),
)  # fmt: skip
WORDS = (
    *("", " ", "\n", "a\tb", "\ud800", "\udcff", "\x1b[31mx", "\x1b]0;x\x07", "\u202ex", "\u0301", "x" * 300, "x/" * 2500),
    *("=", "a=", "=a", ",", ":", "-", "--", "*", "[", "[a]", "~", "..", "../x", ".", "a/b", "CON", "none", "all", "true", "os:path", "%s", "{0}"),
)  # fmt: skip
PATHS = (
    *("/dev/null", "/dev/full", "/dev/fd/99", "/proc/self/mem", "folder", "locked", "dangling", "loop", "empty", "gone/x", "t.txt/x"),
)  # fmt: skip
HOSTILE = (*NUMBERS, *WORDS, *PATHS)


def hostile(parameter: click.Parameter | None) -> tuple[str, ...]:
    """What an option or argument may be given: of one that click itself reads, a few of each kind."""
    if isinstance(parameter, click.Option) and parameter.type.name != "text":
        if isinstance(parameter.type, click.Choice):
            return "", "x", "\ud800", "\x1b]0;x\x07"
        if isinstance(parameter.type, (click.types.IntParamType, click.types.FloatParamType)):
            return (*NUMBERS, "", "x", "\ud800", "\x1b]0;x\x07")
    return HOSTILE


def commands(
    group: click.Group = lmbench, before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, made in group.commands.items():
        if isinstance(made, click.Group):
            yield from commands(made, (*before, name))
        else:
            yield (*before, name), made


def places_of(line: list[str]) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Of a command line its options and arguments: a name, where the value stands, and what else it may be."""
    words, made = next((w, c) for w, c in commands() if tuple(line[: len(w)]) == w)
    takes = {o: p for p in made.params if isinstance(p, click.Option) for o in (*p.opts, *p.secondary_opts)}
    at = len(words)
    while at < len(line):
        option = takes.get(line[at])
        if option is None:
            yield f"{' '.join(words)} argument", at, HOSTILE
        elif not option.is_flag:
            at += 1
            yield f"{' '.join(words)} {option.opts[-1]}", at, hostile(option)
        at += 1


def untried() -> list[str]:
    """Options and arguments that no good line has."""
    missing = []
    for words, made in commands():
        lines = [line for line in map(str.split, (*LINES, *SLOW_LINES)) if tuple(line[: len(words)]) == words]
        named = {name for line in lines for name, *_ in places_of(line)}
        for parameter in made.params:
            if isinstance(parameter, click.Argument):
                there = f"{' '.join(words)} argument" in named
            else:
                there = any(option in line for line in lines for option in parameter.opts)
            if not there:
                missing.append(f"{' '.join(words)} {parameter.opts[-1]}")
    return missing


def lines(values: Sequence[str] = ()) -> Iterator[Case]:
    """Every option and argument of every command, with every hostile value in the place of a good one."""
    done = set()
    for line in (text.split() for text in (*LINES, *SLOW_LINES)):
        yield " ".join(line), _given(line)
        for name, at, hostile in places_of(line):
            key, equals, _ = line[at].partition("=")
            name = f"{name} {key}" if equals else name
            if name in done:
                continue
            done.add(name)
            for value in values or hostile:
                for odd in (value, f"{key}={value}") if equals else (value,):
                    if key in _LONG and value == str(2**31):  # so much was asked for
                        continue
                    changed = [*line[:at], odd, *line[at + 1 :]]
                    yield f"{name} {odd!a:.60} in {' '.join(line)}", _given(changed)


def _given(argv: list[str]) -> Callable[[Path], object]:
    def check(around: Path) -> object:
        folder = around / "here"  # so that .. is not all that there is
        folder.mkdir()
        screen = any(not word.isprintable() for word in argv)
        locked = any(word.split("=")[-1] == "locked" for word in argv)
        lay_out(folder, shutil.copy2 if locked else os.link)
        _places(folder)
        with _nobody(around) if locked else contextlib.nullcontext():
            return command(argv, folder, b"the tide\nwaits\n", screen)

    return check


def _places(folder: Path) -> None:
    """What a path may lead to."""
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "locked").write_text("the ferry\n")
    (folder / "locked").chmod(0)
    (folder / "dangling").symlink_to("nothing")
    (folder / "loop").symlink_to("loop")
    (folder / "empty").write_bytes(b"")


class _nobody:
    """Within, what may not be read is not read, even by who may do all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        if os.geteuid() == 0:
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, 65534, 65534, follow_symlinks=False)
            os.seteuid(65534)

    def __exit__(self, *_: object) -> None:
        if os.getuid() == 0:
            os.seteuid(0)


# Variables that are read here or by what is used, and the commands that read them.
_SAID = {
    "corpora list": ("LMBENCH_DATA", "XDG_CACHE_HOME", "HOME", "COLUMNS", "FORCE_COLOR", "TERM", "LANG"),
    "corpora show ptb": ("LMBENCH_DATA", "XDG_CACHE_HOME"),
    "corpora add d.toml t.txt": ("XDG_CACHE_HOME", "HOME"),
    "run s.toml --out again --jobs 1": ("WORLD_SIZE", "OMP_NUM_THREADS", "MPLCONFIGDIR", "SOURCE_DATE_EPOCH"),
    "init t.txt --out new.toml": ("XDG_STATE_HOME", "HOME"),
    "score --load words --test u.txt": ("NO_COLOR", "FORCE_COLOR", "TERM", "TMPDIR"),
    "fit --model mlp -o hidden=3 -o epochs=1 -o embedding=2 --train t.txt --save out": ("WORLD_SIZE", "RANK", "LOCAL_RANK"),
    "zipf t.txt --work w": ("LMBENCH_CLUSTER", "TMPDIR"),
    "open run": ("BROWSER",),
    "watch run --once": ("COLUMNS", "LINES", "TERM", "FORCE_COLOR"),
    "mo": ("_LMBENCH_COMPLETE", "COMP_WORDS", "COMP_CWORD"),
}  # fmt: skip


_SET = (
    *("0", "-1", "nan", "1e308", str(2**63), "", "x", "\udcff", "\x1b[31mx", "\u202ex", "x" * 300, "a/b", "..", "/dev/null", "/dev/full"),
    *("folder", "locked", "dangling", "loop", "t.txt/x", "gone/x"),
)  # fmt: skip


def environment() -> Iterator[Case]:
    """Variables of the environment with hostile values."""
    for line, names in _SAID.items():
        for name, value in itertools.product(names, _SET):
            check = functools.partial(_within, {name: value}, _given(line.split()))
            yield f"{name}={value!a:.60} {line}", check


def _within(space: dict[str, str], check: Callable[[Path], object], folder: Path) -> object:
    with unittest.mock.patch.dict(os.environ, space):
        return check(folder)


# Trees -----------------------------------------------------------------------------------------------------


def changed_trees(tree: Any, values: tuple[Any, ...] = VALUES) -> Iterator[tuple[str, Callable[[], Any]]]:
    """A tree with each value of each of its places in turn, made when it is asked for; of what a list holds the first of each kind is one."""
    for path in _paths(tree):
        for value in (*values, KeyError):
            yield (
                f"{'.'.join(map(str, path))} = {value!a:.50}",
                functools.partial(_changed, tree, path, value),
            )


def _changed(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = within = copy.deepcopy(tree)
    for key in path[:-1]:
        within = within[key]
    if value is KeyError:
        del within[path[-1]]
    else:
        within[path[-1]] = copy.deepcopy(value)
    return changed


def _paths(
    tree: Any, before: tuple[Any, ...] = (), seen: set[Any] | None = None
) -> Iterator[tuple[Any, ...]]:
    """The places of a tree, of those that are alike but for their numbers in lists the first alone."""
    seen = set() if seen is None else seen
    keys = range(len(tree)) if isinstance(tree, list) else tree if isinstance(tree, dict) else ()
    for key in keys:
        path = (*before, key)
        alike = tuple("#" if isinstance(k, int) else k for k in path)
        if alike not in seen:
            seen.add(alike)
            yield path
        yield from _paths(tree[key], path, seen)


def _toml(data: bytes, check: Check) -> Iterator[Case]:
    def checked(made: Callable[[], Any], folder: Path) -> object:
        try:
            written = tomli_w.dumps(made()).encode("utf-8", "surrogatepass")
        except (TypeError, ValueError):  # no TOML can be of it
            return None
        return check(written, folder)

    for name, made in changed_trees(tomllib.loads(data.decode())):
        yield name, functools.partial(checked, made)


def suite_keys() -> Iterator[Case]:
    for name, data in (("full", suites()["full"]), ("small", suites()["small"])):
        for said, check in _toml(data, check_suite):
            yield f"suite {name} {said}", check


def suite_runs() -> Iterator[Case]:
    for said, check in _toml(suites()["small"], check_run):
        yield f"run of suite {said}", check


def description_keys() -> Iterator[Case]:
    for name, data in descriptions().items():
        for said, check in _toml(data, check_description):
            yield f"description {name} {said}", check


def results_keys() -> Iterator[Case]:
    for name, made in changed_trees(json.loads(results()["few"])):
        yield f"results {name}", lambda folder, made=made: check_results(json.dumps(made()).encode(), folder)


# What an option of a model may be given, by a command line, a suite or Python.
SETTINGS = (
    *(-1, 0, 1, 2, 7, 2**31, 2**63, 10**30, 0.5, -1.5, 1e-320, 1e308, math.inf, math.nan, True, None, [], {}, [1, "a"], [0.5, 0.5]),
    *("", " ", "x", "-1", "0", "2", "nan", "inf", "1e400", "1,2", ",", "none", "auto", "\ud800", "\0", "\x1b[31m", "x" * 400, "9" * 5000),
)  # fmt: skip
# Models of which others are variants, with options of which they are made in no time.
_SMALL: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("laplace", "kneser-ney", "witten-bell", "absolute-discounting", "jelinek-mercer", "katz", "stupid-backoff")},
    **{name: {} for name in ("trigram", "infini-gram", "cache", "context-mixing", "bit-mixing", "arpa")},
    **{name: {"of": "laplace,cache"} for name in ("mixture",)},
    **{name: {"hidden": 4, "epochs": 1} for name in ("rnn-scratch", "lstm", "mingru", "transformer", "mlp")},
}  # fmt: skip
_LONG = ("epochs", "time_limit", "layers", "steps", "batch", "patience", "dynamic_steps", "times")


def model_options() -> Iterator[Case]:
    """Every option of every kind of model with hostile values: it is refused, or gives a model whose scores are some."""
    for name, small in _SMALL.items():
        kind, fixed = model_class(name)
        for option in describe_options(kind):
            if option["name"] in fixed:
                continue
            for value in SETTINGS:
                # So much was asked for, and nobody would call it a hang.
                if option["name"] in _LONG and isinstance(value, int) and abs(value) > 1000:
                    continue
                options = small | {str(option["name"]): value}
                yield f"{name} {option['name']}={value!a:.40}", functools.partial(_fitted, name, options)


def _fitted(name: str, options: dict[str, Any], folder: Path) -> object:
    def fitted() -> Scorer:
        model = make_model(name, **options)
        parts = [Scorer.fit(make_model(part), readers.CORPUS, "word") for part in model.traits.components]
        return Scorer.fit(model, readers.CORPUS, "word", components=parts)

    try:
        scorer = refused(fitted)
        if isinstance(scorer, Scorer):
            scores = refused(lambda: scorer.score(readers.TEXT))
            assert scores is None or (scores.log_probs <= 0).all()  # type: ignore[attr-defined]
    except Exception as error:
        if not lacks_memory(error):  # which commands say in one line
            raise
    return None


PARTS: dict[str, Callable[[], Iterator[Case]]] = {
    "lines": lines,
    "pipes": lambda: lines(["pipe"]),
    "environment": environment,
    "model-options": model_options,
    "suites": suite_keys,
    "suite-runs": suite_runs,
    "descriptions": description_keys,
    "results": results_keys,
}


def faults(
    cases: Iterable[Case], seconds: float = SECONDS, at: str | Path = os.devnull
) -> Iterator[tuple[str, tuple[str, str] | None]]:
    """Of each case what it does wrong, or None. at: a file that names the case at hand."""
    for name, check in cases:
        Path(at).write_text(name, "utf-8", "surrogatepass")
        yield name, fuzz.fault(lambda _, folder, check=check: check(folder), b"", seconds)  # type: ignore[misc]


def try_each(folder: Path, parts: Sequence[str], only: str = "", every: int = 1, first: int = 0) -> int:
    """Tries all cases of some parts (whose names hold a word; every so manieth), prints what is wrong, and says whether anything was."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds: dict[str, int] = {}
    tried = 0
    state = {"XDG_STATE_HOME": str(folder), "XDG_CACHE_HOME": str(folder), "COLUMNS": "80", "BROWSER": "true"}
    with unittest.mock.patch.dict(os.environ, state):
        prepared()
        fuzz.limit_memory(1 << 30)
        for part in PARTS if "all" in parts else parts:
            chosen = itertools.islice((case for case in PARTS[part]() if only in case[0]), first, None, every)
            seconds = 0.7 if part == "pipes" else SECONDS
            for name, wrong in faults(chosen, seconds, folder / f"at-{part}-{first}"):
                tried += 1
                if wrong is not None:
                    kinds[wrong[0]] = kinds.get(wrong[0], 0) + 1
                    told = f"\n{wrong[1][-1500:]}" if kinds[wrong[0]] == 1 else ""
                    print(f"{'## ' if told else ''}{wrong[0]}: {part}: {name}{told}", flush=True)
    print(f"{tried:,} cases, {sum(kinds.values())} faults of {len(kinds)} kinds: {kinds}")
    return 1 if kinds else 0

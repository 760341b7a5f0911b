"""The documentation is run: its commands and snippets print what it shows, and its lists are those of the registries.

Of the fenced blocks of a page, in order and in one folder: ``console`` runs its ``$ lmbench`` lines and compares what they
print (both streams), ``python`` runs in one namespace a page, and a ``text`` block right after it is what it prints; a block
with a title is a file. ``...`` stands for anything, and numbers may differ by one in their last digit. ``bash`` blocks
are not run, but their commands and options must exist.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from paths import ROOT

from lmbench.bench.suite_file import built_in
from lmbench.cli import lmbench, main
from lmbench.corpora.descriptions import registry
from lmbench.errors import InputError
from lmbench.models import MODELS, model_class
from lmbench.studies import STUDIES
from lmbench.text.canonical import NORMALISERS
from lmbench.text.units import LEARNT, UNITS

PAGES = sorted((ROOT / "docs").rglob("*.md"))
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
COUNT = r"\d[\d,]*"
NUMBER = re.compile(r"(\d[\d,]*)\.(\d+)")


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    """(language, title or '', content) of a page's fenced blocks."""
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        yield match[1], match[2] or "", match[3]


def agrees(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed: ``...`` is anything, blanks at line ends are nothing."""
    shown, printed = (
        "\n".join(line.rstrip() for line in text.rstrip().split("\n")) for text in (shown, printed)
    )
    pattern = "(?s:.*)".join(_loosened(part) for part in shown.split("..."))
    found = re.fullmatch(pattern, printed)
    return found is not None and all(
        abs(_value(one) - _value(other)) <= 1.01 * 10.0 ** -len(one[1])
        for one, other in zip(NUMBER.findall(shown.replace("...", " … ")), _captured(found), strict=False)
    )


def _loosened(text: str) -> str:
    """A regular expression for the text, in which numbers with a decimal point are captured."""
    pieces, end = [], 0
    for match in NUMBER.finditer(text):
        pieces += [re.escape(text[end : match.start()]), rf"({COUNT}\.\d{{{len(match[2])}}})"]
        end = match.end()
    return "".join([*pieces, re.escape(text[end:])])


def _captured(found: re.Match) -> list[tuple[str, str]]:
    return [NUMBER.fullmatch(group).groups() for group in found.groups()]


def _value(number: tuple[str, str]) -> float:
    return float(".".join(number).replace(",", ""))


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a  1.25", "a  1.26 \n", True),  # the last digit may be off by one
        ("a  1.25", "a  1.27", False),
        ("a  1.25", "a  1.2", False),
        ("1,024 words", "1,025 words", False),  # counts are exact
        ("...\n0.50 bits\n...", "x\ny\n0.50 bits\nz", True),
        ("...\n0.50 bits", "x\n0.60 bits", False),
        ("took ... s", "took 0.123 s", True),
        ("all", "all and more", False),
    ],
)
def test_what_is_shown_agrees_with_what_is_printed(shown, printed, same):
    assert agrees(shown, printed) is same


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, whose modules can be imported, and nothing left over of earlier pages."""
    known = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.delenv("LMBENCH_DATA", raising=False)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def prints(action) -> str:
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        action()
    return stream.getvalue()


def compare(where: str, shown: str, printed: str) -> None:
    assert agrees(shown, printed), f"{where}\n--- shown\n{shown}\n--- printed\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT / "docs")) for p in PAGES])
def test_a_page_does_what_it_says(page, folder):
    namespace: dict = {}
    printed = None  # by the python block just before
    for language, title, content in blocks(page):
        if language == "text" and printed is not None:
            compare(page.name, content, printed)
        printed = None
        if title:
            (folder / title).write_text(content, encoding="utf-8")
        elif language == "console":
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n?)*)", content, re.MULTILINE):
                program, *argv = shlex.split(command)
                assert program == "lmbench", command
                told = prints(lambda argv=argv: main(argv))
                assert "Traceback" not in told
                compare(f"{page.name}: {command}", shown, told)
        elif language == "python":
            code = compile(content, page.name, "exec")
            printed = prints(lambda code=code: exec(code, namespace))


def test_a_model_in_the_working_folder_is_found_as_the_installed_program_runs(tmp_path):
    content = next(c for _, title, c in blocks(ROOT / "docs/how-to/model.md") if title == "my_models.py")
    (tmp_path / "my_models.py").write_text(content)
    # -P: Python does not look into the working folder by itself, and no more does a console script
    told = subprocess.run(
        [sys.executable, "-P", "-m", "lmbench", "models", "my_models:AddOne"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (told.returncode, told.stdout.split("\n")[0]) == (
        0,
        "p(x) = (n(x) + 1) / (T + V), whatever came before.",
    )


def commands() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        for language, _, content in blocks(page):
            if language == "bash":
                for line in content.splitlines():
                    if line.startswith("lmbench "):
                        yield page.name, shlex.split(line)[1:]


def test_commands_that_are_not_run_exist_with_their_options():
    for page, argv in commands():
        command: click.Command = lmbench
        while isinstance(command, click.Group) and argv and not argv[0].startswith("-"):
            assert argv[0] in command.commands, f"{page}: lmbench {argv[0]}"
            command = command.commands[argv.pop(0)]
        known = {flag for parameter in command.params for flag in parameter.opts} | {"--help", "-h"}
        given = {word for word in argv if word.startswith("-") and word != "-"}
        assert given <= known, f"{page}: {command.name} has no {given - known}"
        names = [argv[i + 1] for i, word in enumerate(argv) if word == "--model"]
        assert all(name in MODELS for name in names), f"{page}: {names}"


def listed(page: str, heading: str) -> list[str]:
    """The names in the first column of the table under a heading."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", (ROOT / "docs" / page).read_text(), re.M | re.S)
    assert section, heading
    return [
        name
        for row in re.findall(r"^\| (`.*?) \|", section[1], re.MULTILINE)
        for name in re.findall("`([^`]+)`", row)
    ]


@pytest.mark.parametrize(
    ("page", "heading", "names"),
    [
        ("reference/names.md", "Models", MODELS),
        ("reference/names.md", "Studies", STUDIES),
        ("reference/names.md", "Corpora", registry()),
        ("reference/names.md", "Suites", built_in()),
        ("reference/names.md", "Normalisers", NORMALISERS),
        ("reference/names.md", "Units", [*UNITS, LEARNT]),
        ("reference/cli.md", "Commands", lmbench.commands),
    ],
)
def test_the_lists_are_those_of_the_registries(page, heading, names):
    assert sorted(listed(page, heading)) == sorted(names)


def test_the_page_of_the_command_line_has_every_option():
    text = (ROOT / "docs/reference/cli.md").read_text()
    sections = {m[1]: m[2] for m in re.finditer(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, re.M | re.S)}
    for name, command in lmbench.commands.items():
        flags = {flag for p in command.params if isinstance(p, click.Option) for flag in p.opts}
        assert set(re.findall(r"^\| `(-[^ `]+)", sections[name], re.MULTILINE)) == flags, name


def test_the_page_of_python_has_every_public_name():
    import lmbench as lb

    shown = re.findall(r"^::: lmbench\.([\w.]+)", (ROOT / "docs/reference/python.md").read_text(), re.M)
    assert sorted(name.split(".")[-1] for name in shown if name.split(".")[-1] in lb.__all__) == sorted(
        lb.__all__
    )


def test_options_that_pages_name_are_the_models_own():
    for page in PAGES:
        for language, _, content in blocks(page):
            if language in ("console", "bash"):
                for name, key in re.findall(r"--model ([\w.-]+) -o (\w+)=", content):
                    if name in MODELS:
                        found, fixed = model_class(name)
                        assert key in {f for f in found.__dataclass_fields__ if f not in fixed}, (
                            page.name,
                            name,
                        )


def test_the_snippets_of_suites_are_toml():
    for page in PAGES:
        for language, _, content in blocks(page):
            if language == "toml":
                try:
                    tomllib.loads(content)
                except tomllib.TOMLDecodeError as error:
                    raise InputError(f"{page}: {error}") from None


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"


def test_files_that_pages_name_exist():
    pages = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    places = re.compile(r"\b((?:lmbench|tests|docs|suites|corpora)/[\w./-]*\w|run_bench\.py)")
    for page in pages:
        for path in places.findall(page.read_text(encoding="utf-8")):
            assert any((folder / path).exists() for folder in (ROOT, page.parent)), f"{page.name}: {path}"


def test_names_that_a_page_says_a_file_has_are_in_it():
    """Of "`NAME` in `lmbench/….py`" and "`NAME` of `lmbench/….py`"."""
    said = re.compile(r"`(\w+)`(?: and `(\w+)`)? (?:in|of) `(lmbench/[\w/]+\.py)`")
    sayings = [match for page in PAGES for match in said.findall(page.read_text(encoding="utf-8"))]
    assert len(sayings) >= 8
    for *names, path in sayings:
        assert all(re.search(rf"\b{name}\b", (ROOT / path).read_text()) for name in names if name), path

"""The house's floors: a file imports only from floors below its own, and nothing heavy before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lmbench"
FLOORS = (
    {
        "files",
        "download",
        "registry",
        "jobs",
        "charts",
        "text",
        "units",
        "words",
        "columns",
        "container",
        "lookup",
        "trie",
        "ngrams",
        "spilling",
        "batches",
        "sources",
        "zipf",
        "power_law",
        "arpa",
        "frames",
    },
    {"corpus", "models"},
    {"scores"},
    {
        "metrics",
        "comparison",
        "differences",
        "bootstrap",
        "coder",
        "contamination",
        "costs",
        "seeds",
        "baselines",
        "external",
        "export",
        "harness",
    },
    {"suite", "cells", "bench", "results", "views", "diff", "studies", "answers"},
    {"report", "figures", "placing", "display"},
    {"cli"},
)
# Floors hold files that build on each other; within one these arrows are the ones allowed.
WITHIN = {
    ("text", "files"),
    ("text", "units"),
    ("units", "files"),
    ("units", "words"),
    ("words", "lookup"),
    ("download", "files"),
    ("registry", "download"),
    ("registry", "download"),
    ("ngrams", "text"),
    ("ngrams", "columns"),
    ("ngrams", "trie"),
    ("trie", "text"),
    ("trie", "lookup"),
    ("spilling", "trie"),
    ("spilling", "ngrams"),
    ("spilling", "columns"),
    ("spilling", "text"),
    ("zipf", "power_law"),
    ("comparison", "metrics"),
    ("metrics", "bootstrap"),
    ("comparison", "bootstrap"),
    ("bench", "suite"),
    ("cells", "suite"),
    ("bench", "cells"),
    ("suite", "studies"),
    ("answers", "studies"),
    ("answers", "cells"),
    ("answers", "results"),
    ("report", "figures"),
    ("figures", "placing"),
}


def floor_of(module):
    return next(number for number, floor in enumerate(FLOORS) if module in floor)


def imports_of(path):
    """Modules of lmbench that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "lmbench":
                names = [f"lmbench.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "lmbench" and len(parts) > 1 and not parts[1].startswith("_"):
                yield parts[1]


FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_from_floors_below(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for other in imports_of(path):
        if other != own and (own, other) not in WITHIN and other not in ("files", "charts"):
            assert floor_of(other) < floor_of(own), f"{own} imports {other}"


def importers(package):
    """Files with an import of a package that runs when they are imported, or anywhere."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            if any(name.split(".")[0] == package for name in names):
                yield path.relative_to(PACKAGE).as_posix()
                break


def test_only_figures_draws():
    assert set(importers("matplotlib")) == {"figures.py"}


@pytest.mark.parametrize(
    "statement",
    [
        "import lmbench",
        "import lmbench.cli",
        "import lmbench as lb; lb.make_model('kneser-ney'); lb.load_corpus",
        "import lmbench.bench, lmbench.results",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement):
    heavy = "{'torch', 'matplotlib', 'pandas', 'jinja2'}"
    code = f"{statement}\nimport sys; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_no_public_name_is_hidden_by_a_module_of_that_name():
    """An imported submodule becomes an attribute of the package, and would stand where the function was."""
    import lmbench

    assert {path.stem for path in PACKAGE.iterdir()} & set(lmbench.__all__) == set()

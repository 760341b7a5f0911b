"""The order of the rooms: a package imports only from packages to its left, and nothing heavy before it is needed."""

import ast
import subprocess
import sys

import pytest
from paths import PACKAGE, ROOT

ORDER = """
errors version < charts storage < text < corpora counts < zipf models < scoring < comparing harness < results studies
< report < plot bench < cli
"""
PLACE = {room: place for place, rooms in enumerate(ORDER.split("<")) for room in rooms.split()}
# What stands at the door, for Python and for the command line, leads to any room.
DOORS = ("__init__", "__main__")
FILES = [
    path for path in sorted(PACKAGE.rglob("*.py")) if path not in [PACKAGE / f"{door}.py" for door in DOORS]
]


def imports_of(path):
    """Dotted names of all that a file imports, anywhere in it, and the names taken from each."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module or "", [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_from_rooms_to_the_left(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module, names in imports_of(path):
        top, _, rest = module.partition(".")
        if top == "lmbench":
            rooms = {rest.partition(".")[0]} if rest else set(names)
            assert all(room == own or PLACE[room] < PLACE[own] for room in rooms), f"{own} imports {module}"
            assert own in rooms or not any(name.startswith("_") and name != "__version__" for name in names)


def test_every_room_has_its_place_and_says_why_it_exists():
    rooms = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert rooms - {*DOORS} == set(PLACE)
    for face in PACKAGE.rglob("__init__.py"):
        assert len((ast.get_docstring(ast.parse(face.read_text())) or "").splitlines()) >= 3, face


def importers(package):
    """Files with an import of a package, anywhere in them."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        for module, _ in imports_of(path)
        if module.split(".")[0] == package
    }


def test_only_the_drawing_draws_and_only_networks_load_torch():
    hands = ("draw", "labels", "series", "shapes", "ticks")
    assert importers("matplotlib") == {f"charts/{hand}.py" for hand in hands}
    rooms = {file.rpartition("/")[0] for file in importers("torch")}
    assert rooms == {"models/neural", "models/outside", "studies"}


@pytest.mark.parametrize(
    "statement",
    [
        "import lmbench",
        "import lmbench.cli",
        "import lmbench as lb; lb.make_model('kneser-ney'); lb.load_corpus",
        "import lmbench.bench, lmbench.results",
        "import lmbench as lb; from lmbench.comparing import summary\n"
        "summary(lb.evaluate(lb.make_model('bigram'), lb.Corpus.of(lb.Documents(['a bc ' * 999]))).scores)",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement):
    heavy = "{'torch', 'matplotlib', 'pandas', 'jinja2', 'scipy', 'numba'}"
    code = f"{statement}\nimport sys; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("statement", "needless"),
    [
        (
            "import lmbench.cli",
            ("lmbench.comparing", "lmbench.results", "lmbench.report", "lmbench.bench", "rich"),
        ),
        ("import lmbench.cli.progress", ("lmbench.results", "lmbench.report", "lmbench.bench")),
    ],
)
def test_a_command_waits_for_nothing_that_it_does_not_use(statement, needless):
    code = f"{statement}\nimport sys; print([name for name in {needless} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_no_public_name_is_hidden_by_a_module_of_that_name():
    """An imported submodule becomes an attribute of the package, and would stand where the function was."""
    import lmbench

    assert {path.stem for path in PACKAGE.iterdir()} & set(lmbench.__all__) == set()


def test_the_order_that_contributors_read_is_this_one():
    assert " ".join(ORDER.split()) in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

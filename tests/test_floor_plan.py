"""The floor plan in the documentation is that of the files as they are."""

import xml.etree.ElementTree as ElementTree

from floor_plan import PICTURE, Box, importing_files, in_lines, picture
from paths import PACKAGE
from test_order import PLACE


def test_the_picture_is_current():
    assert PICTURE.read_text(encoding="utf-8") == picture(), "run: python tests/helpers/floor_plan.py"


def test_every_file_stands_in_the_picture_once_for_each_time_that_it_exists():
    words = [text.text for text in ElementTree.fromstring(picture()).iter("{http://www.w3.org/2000/svg}text")]
    doors = ("__init__.py", "__main__.py")  # of the package: they lead to any room
    files = [
        path.name
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" and not (path.parent == PACKAGE and path.name in doors)
    ]
    for name in files:
        assert words.count(name) == files.count(name), name


def test_imports_are_counted_by_files_and_lead_to_the_right():
    counts = importing_files()
    assert all(PLACE[room] < PLACE[other] for room, row in counts.items() for other in row)
    assert "matplotlib" not in counts
    report = [path.read_text() for path in (PACKAGE / "report").rglob("*.py")]
    assert counts["charts"]["report"] == sum("lmbench.charts" in text for text in report)


def test_a_room_has_its_docstring_s_first_line_files_and_folders(tmp_path):
    (tmp_path / "part").mkdir()
    for name, content in (
        ("__init__.py", '"""Why ``it`` is.\n\nMore."""'),
        ("b.py", ""),
        ("a.py", ""),
        ("part/__init__.py", '"""A part."""'),
        ("part/c.py", ""),
    ):
        (tmp_path / name).write_text(content)
    part = Box("part/", "A part.", ["c.py"])
    assert Box.of(tmp_path) == Box(f"{tmp_path.name}/", "Why it is.", ["a.py", "b.py"], [part])


def test_lines_are_no_wider_than_their_room():
    # 0.62 * 10 a letter, 0.36 * 10 a blank.
    assert in_lines("aaaa bbbb cccc", 62.0, 10.0) == ["aaaa bbbb", "cccc"]

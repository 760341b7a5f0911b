"""Draws the floor plan of the package: its rooms in the order of imports, their files, and who imports from whom.

python tests/helpers/floor_plan.py    writes docs/images/floor-plan.svg anew; a test says when that is due
"""

import ast
import sys
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from paths import PACKAGE, ROOT

sys.path.append(str(ROOT / "tests"))

from test_order import FILES, ORDER, imports_of

PICTURE = ROOT / "docs" / "images" / "floor-plan.svg"
STEPS = [step.split() for step in ORDER.split("<")]

# Lengths in pixels of a picture that is as wide as a slide.
WIDTH, MARGIN, GAP, PADDING = 1920.0, 34.0, 14.0, 11.0
TITLE, NAME, REASON, FILE = 30.0, 17.0, 11.0, 12.0  # sizes of type
LINE, REASON_LINE, ROW = 15.6, 13.8, 20.0
TOP = 112.0
WIDE = 2.35  # times as wide as others is the column of the models
INK, SOFT, FAINT = "#1d2733", "#5b6875", "#dde2e7"
FONTS = "Inter, 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif"


# What is drawn ---------------------------------------------------------------------------------------


@dataclass
class Box:
    """A room, or a folder in one: its name, its reason, its files and the folders in it."""

    name: str
    reason: str
    files: list[str]
    folders: list["Box"] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> "Box":
        if not path.is_dir():
            return cls(path.name, reason(path), [])
        files = [file.name for file in sorted(path.glob("*.py")) if file.name != "__init__.py"]
        folders = [cls.of(face.parent) for face in sorted(path.glob("*/__init__.py"))]
        return cls(f"{path.name}/", reason(path), files, folders)


def reason(path: Path) -> str:
    """Why a room exists: the first line of its docstring."""
    face = path / "__init__.py" if path.is_dir() else path
    docstring = ast.get_docstring(ast.parse(face.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].replace("``", "")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> set[str]:
    """The rooms that a file imports from, its own among them."""
    rooms: set[str] = set()
    for module, names in imports_of(path):
        top, _, rest = module.partition(".")
        if top == "lmbench":
            rooms |= {rest.partition(".")[0]} if rest else set(names)
    return rooms


def importing_files() -> dict[str, dict[str, int]]:
    """Of each room, how many files of each other room import from it; in the order of the rooms."""
    rooms = [room for step in STEPS for room in step]
    counts = {room: dict.fromkeys(rooms, 0) for room in rooms}
    for path in FILES:
        for room in rooms_imported(path) - {room_of(path)}:
            counts[room][room_of(path)] += 1
    return {
        room: {other: n for other, n in row.items() if n} for room, row in counts.items() if any(row.values())
    }


# How it is drawn -------------------------------------------------------------------------------------


def text(x: float, y: float, words: str, size: float, fill: str = INK, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"{more}>{escape(words)}</text>'


def in_lines(words: str, width: float, size: float) -> list[str]:
    """Words in lines of a width, by what letters measure in the widest of the fonts."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if (
            size * sum(0.36 if c in " .,:;'ijlft()" else 0.9 if c in "mwMW" else 0.62 for c in longer)
            <= width
        ):
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def hue(step: int) -> int:
    """Blue at the left, red at the right."""
    return round(215 - 215 * step / (len(STEPS) - 1))


@dataclass
class Room:
    """A box laid out in a width: where its parts begin, and how high it is at least."""

    box: Box
    width: float
    step: int
    inner: bool = False

    @property
    def lines(self) -> list[str]:
        return in_lines(self.box.reason, self.width - 2 * PADDING, REASON)

    @property
    def head(self) -> float:
        return PADDING + 18 + len(self.lines) * REASON_LINE + 8

    @property
    def files(self) -> list[list[str]]:
        """In two columns where a wide room has no folders."""
        half = (len(self.box.files) + 1) // 2
        if self.width > 250 and not self.box.folders:
            return [self.box.files[:half], self.box.files[half:]]
        return [self.box.files]

    @property
    def folders(self) -> list[tuple["Room", float, float]]:
        """Each with its place in the room: two columns, the first of which begins with the room's files."""
        width = (self.width - 3 * PADDING) / 2
        ends = [self.head + len(self.box.files) * LINE + GAP, self.head]
        placed = []
        rooms = [Room(folder, width, self.step, inner=True) for folder in self.box.folders]
        for room in sorted(rooms, key=lambda room: -room.height):
            column = min((0, 1), key=lambda i: ends[i])
            placed.append((room, PADDING + column * (width + PADDING), ends[column]))
            ends[column] += room.height + GAP
        return placed

    @property
    def height(self) -> float:
        bottom = self.head + len(self.files[0]) * LINE
        return max([bottom, *(y + room.height for room, _, y in self.folders)]) + PADDING

    def drawn(self, x: float, y: float, height: float) -> list[str]:
        at = hue(self.step)
        paper, wall = (99, 84) if self.inner else (96, 66)
        bold = ' font-weight="700"'
        parts = [
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{self.width:.1f}" height="{height:.1f}" rx="7" '
            f'fill="hsl({at} 60% {paper}%)" stroke="hsl({at} 38% {wall}%)"/>',
            text(x + PADDING, y + PADDING + 13, self.box.name, NAME - 2 * self.inner, dark(self.step), bold),
        ]
        for number, line in enumerate(self.lines, 1):
            parts.append(text(x + PADDING, y + PADDING + 18 + number * REASON_LINE, line, REASON, SOFT))
        for column, names in enumerate(self.files):
            left = x + PADDING + column * self.width / 2
            for number, name in enumerate(names, 1):
                parts.append(text(left, y + self.head + number * LINE - 2, name, FILE))
        for room, dx, dy in self.folders:
            parts += room.drawn(x + dx, y + dy, room.height)
        return parts


def dark(step: int) -> str:
    return f"hsl({hue(step)} 60% 27%)"


def picture() -> str:
    """The floor plan as SVG; the same text for the same files."""
    unit = (WIDTH - 2 * MARGIN - (len(STEPS) - 1) * GAP) / (len(STEPS) + WIDE - 1)
    places: dict[str, float] = {}  # of each room's line
    columns: list[tuple[float, list[Room]]] = []
    x = MARGIN
    for number, step in enumerate(STEPS):
        width = WIDE * unit if "models" in step else unit
        paths = [PACKAGE / room if (PACKAGE / room).is_dir() else PACKAGE / f"{room}.py" for room in step]
        columns.append((x, [Room(Box.of(path), width, number) for path in paths]))
        places |= {room: x + width * (2 * i + 1) / (2 * len(step)) for i, room in enumerate(step)}
        x += width + GAP
    floor = max(sum(room.height + GAP for room in rooms) - GAP for _, rooms in columns)
    parts = []
    for x, rooms in columns:
        spare = (floor + GAP - sum(room.height + GAP for room in rooms)) / len(rooms)
        y = TOP
        for room in rooms:
            parts += room.drawn(x, y, room.height + spare)
            y += room.height + spare + GAP
    imports, end = drawn_imports(places, TOP + floor)
    rule = "A room imports only from rooms to its left; rooms that stand one above the other do not know each other."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {end:.0f}" font-family="{FONTS}">',
            "<title>The rooms of lmbench, in the order of their imports</title>",
            f'<rect width="{WIDTH:g}" height="{end:.0f}" fill="#ffffff"/>',
            text(MARGIN, 50, "lmbench, from a text to a report", TITLE, more=' font-weight="700"'),
            text(MARGIN, 82, rule, 16, SOFT),
            *parts,
            *imports,
            "</svg>\n",
        ]
    )


def drawn_imports(places: dict[str, float], top: float) -> tuple[list[str], float]:
    """From each room a line to the right, with a number under each room that imports from it; and where that ends."""
    counts = importing_files()
    steps = {room: number for number, step in enumerate(STEPS) for room in step}
    names, middle = top + 66, ' text-anchor="middle"'
    end = names + 14 + ROW * len(counts)
    head = "Who imports from whom: a line begins at a room, a number says how many files of the room above it import from there"
    parts = [text(MARGIN, top + 34, head, 16, SOFT)]
    for room, x in places.items():
        parts.append(f'<path d="M{x:.1f} {names + 8:.1f}V{end:.1f}" stroke="{FAINT}"/>')
        parts.append(text(x, names, room, 13, dark(steps[room]), f'{middle} font-weight="700"'))
    for number, (room, importers) in enumerate(counts.items()):
        y = names + 12 + ROW * (number + 0.5)
        begin, last = places[room], max(places[other] for other in importers)
        colour = f"hsl({hue(steps[room])} 45% 48%)"
        parts.append(f'<path d="M{begin:.1f} {y:.1f}H{last:.1f}" stroke="{colour}" stroke-width="1.6"/>')
        parts.append(f'<circle cx="{begin:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
        for other, files in importers.items():
            x = places[other]
            parts.append(f'<path d="M{x - 17:.1f} {y - 4.5:.1f}l8 4.5l-8 4.5z" fill="{colour}"/>')
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9.4" fill="#ffffff" stroke="{colour}"/>')
            parts.append(text(x, y + 4, str(files), 11.5, more=middle))
    return parts, end + 24


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")

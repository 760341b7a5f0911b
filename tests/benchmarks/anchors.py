"""What the strongest text compressors pay for corpora's test texts once they have read the rest, with seconds and memory.

`python tests/benchmarks/anchors.py CORPUS... [--programs ppmd,zpaq,paq8px,paq8px-lstm,cmix]` prints a table. PPMd comes with the
library pyppmd; the others are measured where their programs `zpaq`, `paq8px` and `cmix` are on PATH. All learn as they code. None
has seen anything but the corpus: paq8px and cmix are run without their dictionaries.

Training and held-out text are coded as one file, and as another the same with the test text behind them, each in one block. That what
the second has more is a position inside one run, and no difference of two runs, is looked at: all of the first archive's code, but
for its last bytes, has to stand in the second, byte for byte, or the row says "by sizes". The error is then that of a
byte at either end. So zpaq does not run as `-m5`, which sorts fragments, leaves out repeated ones, and looks at the whole
file for a model: it is given the model that -m5 has for texts, and streams. paq8px is told that the file is text, which leaves its
division into blocks out. zpaq's and cmix's headers hold what is known of the whole file (its length, which bytes it has).
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import lmbench as lb
from lmbench.comparing.compressors import ppmd_added, ppmd_order

# The model of libzpaq's method 5 for text: words, orders 0 to 6 in a chain, a match model, gaps; two mixers, two of SSE.
ZPAQ = "s4,0w2c0,1010,255i1c256ci1,1,1,1,1,1,2ac0,2,0,255i1c0,3,0,0,255i1c0,4,0,0,0,255i1mm16ts19t0"
PROGRAMS = {
    "zpaq": ["zpaq", "add", "archive.zpaq", "text", f"-m{ZPAQ}", "-t1"],
    "paq8px": ["paq8px", "-8", "-forcetext", "text", "archive.paq"],
    "paq8px-lstm": ["paq8px", "-8L", "-forcetext", "text", "archive.paq"],
    "cmix": ["cmix", "-c", "text", "archive.cmix"],
}
TAIL = (
    96  # bytes at the end of an archive that may belong to its end alone: what a coder held back, sums, marks
)


@dataclass(frozen=True)
class Coded:
    """An archive, the CPU seconds that it took, and the most memory in MB."""

    archive: bytes
    seconds: float
    memory: float


def coded(command: list[str], text: bytes) -> Coded:
    """What the program makes of the text. Raises CalledProcessError where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "text").write_bytes(text)
        os.utime(Path(folder, "text"), (0, 0))  # archives hold the file's time
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        (archive,) = Path(folder).glob("archive.*")
        return Coded(archive.read_bytes(), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def moved(first: bytes, both: bytes) -> tuple[int, bool]:
    """Bytes by which the coder moves after the first archive's text; and whether that archive's code is found in the other's."""
    mark = first[-2 * TAIL : -TAIL]
    place = both.find(mark)
    if place < 0:
        return len(both) - len(first), False
    header = place - (len(first) - 2 * TAIL)
    begun = len(first) // 4  # well behind both headers
    same = first[begun:-TAIL] == both[begun + header : len(first) - TAIL + header]
    return len(both) - len(first) - header, same


def ppmd_row(corpus: lb.Corpus) -> tuple[str, float, str]:
    train, valid, test = (corpus.text(split) for split in ("train", "valid", "test"))
    order, begun = ppmd_order(train, valid), time.process_time()
    added = ppmd_added((train.text + valid.text).encode(), test.text.encode(), order)
    seconds = time.process_time() - begun
    return f"ppmd (order {order})", 8 * added, f"{seconds:.1f} s | 256 MB"


def program_row(name: str, corpus: lb.Corpus) -> tuple[str, float, str]:
    before = "".join(corpus.text(split).text for split in ("train", "valid")).encode()
    first = coded(PROGRAMS[name], before)
    both = coded(PROGRAMS[name], before + corpus.text("test").text.encode())
    size, inside = moved(first.archive, both.archive)
    said = "" if inside else " (by sizes)"
    return name + said, 8 * size, f"{both.seconds:.1f} s | {both.memory:,.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--programs", default=",".join(["ppmd", *PROGRAMS]))
    asked = parser.parse_args()
    print(
        "| corpus | program | bits/char | CPU time for all the text | memory |\n|---|---|--:|--:|--:|",
        flush=True,
    )
    for name in asked.corpora:
        corpus = lb.load_corpus(name)
        for program in asked.programs.split(","):
            if program != "ppmd" and not shutil.which(PROGRAMS[program][0]):
                continue
            title, bits, costs = ppmd_row(corpus) if program == "ppmd" else program_row(program, corpus)
            print(f"| {name} | {title} | {bits / corpus.text('test').chars:.4f} | {costs} |", flush=True)


if __name__ == "__main__":
    main()

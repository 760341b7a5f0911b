"""Searches for files that a reader of models does not stand: ``python tests/fuzz/run.py arpa|count|neural SECONDS FOLDER``.

Coverage-guided, by atheris (not among the test requirements: ``pip install atheris``, CPython 3.11 to 3.13). It starts from the good
files of ``readers.py`` and those that FOLDER/TARGET/corpus keeps from earlier runs. Each kind of failure (its type and the
line of ours that it came from) leaves one file, and beside it the traceback, in FOLDER/TARGET/found; the search goes on after it.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
import signal
import sys
import traceback
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import atheris

SECONDS = 2  # of processor time that one file may take
MEMORY = 400 << 20  # bytes that one file may take beside what the program takes

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent.parent)]
with atheris.instrument_imports(include=["lmbench"]):
    import readers


class Hang(Exception):
    """A file took too long."""


def main(target: str, seconds: str, folder: str) -> None:
    place = Path(folder, target)
    for name in ("corpus", "found", "scratch"):
        (place / name).mkdir(parents=True, exist_ok=True)
    if target == "arpa":
        seeds, scores, damaged = {"small": readers.ARPA.encode()}, readers.arpa_scores, readers.damaged_arpa
    else:
        with atheris.instrument_imports(include=["lmbench"]):
            seeds, scores, damaged = readers.saved(target), readers.saved_scores, readers.damaged_saved
    for name, data in seeds.items():
        (place / "corpus" / name).write_bytes(data)
        assert scores(data, place / "scratch") is not None, f"{name} is refused as it stands"
    words = ("".join(map("\\x{:02x}".format, word.encode())) for word in readers.WORDS)
    (place / "words").write_text("".join(map('"{}"\n'.format, words)))

    def stop(*_: object) -> None:
        raise Hang(f"more than {SECONDS} s")

    signal.signal(signal.SIGVTALRM, stop)

    def one(data: bytes) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        try:
            scores(data, place / "scratch")
        except Exception as error:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            frames = [f for f in traceback.extract_tb(error.__traceback__) if "/lmbench/" in f.filename]
            where = f"{Path(frames[-1].filename).stem}-{frames[-1].lineno}" if frames else "property"
            kind = "" if frames else hashlib.sha1(str(error)[:20].encode()).hexdigest()[:4]
            kept = place / "found" / f"{type(error).__name__}-{where}{kind}"
            if not kept.exists():
                kept.write_bytes(data)
                kept.with_name(f"{kept.name}.txt").write_text(
                    "".join(traceback.format_exception(error))[-6000:]
                )
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        rng = random.Random(seed)
        changed = damaged(data, rng) if data and rng.random() < 0.75 else atheris.Mutate(data, longest)
        return bytes(changed[:longest])

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    settings = [
        f"-max_total_time={seconds}",
        f"-dict={place / 'words'}",
        "-max_len=20000",
        "-timeout=60",
        "-rss_limit_mb=0",
    ]
    atheris.Setup([sys.argv[0], *settings, str(place / "corpus")], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])

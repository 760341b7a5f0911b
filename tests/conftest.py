"""What several tests share: a small corpus, where the larger texts lie, and a browser."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from paths import GOLDEN, ROOT

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small products on many threads wait for each other

# Suites are marked by a key that lies here, not in the home of whoever runs the tests.
_state = tempfile.TemporaryDirectory()
os.environ["XDG_STATE_HOME"] = _state.name

from lmbench.corpora.corpus import Corpus  # noqa: E402

settings.register_profile("untimed", deadline=None)  # timings never decide a test
settings.load_profile("untimed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as control:
        started = control.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def data_folder():
    """The folder that LMBENCH_DATA names, or the one beside the repository; the test is skipped where there is none."""
    beside = ROOT.parent / "shared" / "corpora"
    folder = Path(os.environ.get("LMBENCH_DATA", beside))
    if not folder.is_dir():
        pytest.skip("the corpora are not here; name their folder by LMBENCH_DATA")
    return folder


@pytest.fixture(scope="session")
def flow():
    """The same as one document without line feeds, so that nothing stands before it; its test text has words of its own."""
    files = (GOLDEN / "ferry.train.txt", None, GOLDEN / "ferry.test.txt")
    return Corpus.from_files(*files, "letters", "stream", "flow").with_held_out()


@pytest.fixture(scope="session")
def ferry():
    """A corpus of sixty lines, its last tenth held out."""
    files = (GOLDEN / "ferry.train.txt", None, GOLDEN / "ferry.test.txt")
    return Corpus.from_files(*files, documents="line", name="ferry").with_held_out()

"""What every study gives back, and what several of them need."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np

from lmbench.charts.chart import Chart
from lmbench.errors import InputError
from lmbench.models.monitor import Monitor
from lmbench.storage.plain import plain

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

# A recurrent network that learns what it can in some ten seconds of one core; no time limit, so that it repeats.
# Rate and minibatch were chosen on the held-out (valid) text of python-docs.
SMALL_RNN: dict[str, Any] = {
    "hidden": 128,
    "epochs": 2,
    "batch": 32,
    "steps": 32,
    "lr": 0.016,
    "dropout": 0.0,
    "average": 0.99,
    "patience": None,
}
_PLURAL = {"char": "characters", "word": "words", "byte": "bytes"}


def plural(unit: str) -> str:
    """The tokens of a unit, in words."""
    return _PLURAL.get(unit, "pieces of words")


class Study(msgspec.Struct, frozen=True, kw_only=True, dict=True, rename={"name": "study", "rows": "table"}):
    """An answer. name, question, corpus, seed, full: what was asked, filled in by ``run_study``.

    sentences: the answer in words, with the numbers. facts: what JSON should tell besides. rows: a tidy table, a row an
    observation, None where there is no number; in JSON "table". As JSON it holds all that it is made of, and is read back from it.
    """

    name: str = ""
    question: str = ""
    corpus: str = ""
    seed: int = 0
    full: bool = False
    sentences: Sequence[str]
    facts: dict[str, Any] = {}
    rows: list[dict[str, Any]]
    charts: Sequence[Chart]

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        charts: Sequence[Chart],
        sentences: Sequence[str],
        facts: Mapping[str, Any] | None = None,
    ) -> Study:
        """The answer alone, its question still to be filled in."""
        rows: Any = table.astype(object).where(table.notna(), None).to_dict(orient="records")
        return cls(sentences=sentences, facts=dict(facts or {}), rows=rows, charts=charts)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The rows as a frame."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """JSON's own values, figures included; None for what is not finite."""
        values: dict[str, Any] = plain(self)
        return values

    def _repr_html_(self) -> str:
        """Question, answer and figures, as a notebook shows them."""
        from lmbench.charts.draw import draw

        said = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.sentences)
        figures = "".join(svg[svg.index("<svg") :] for svg in (draw(chart)[1] for chart in self.charts))
        return f"<h4>{html.escape(self.question)}</h4>{said}{figures}"

    def __repr__(self) -> str:
        size = f"{len(self.rows)} rows, figures {', '.join(chart.name for chart in self.charts) or 'none'}"
        return "\n".join([f"{self.name}: {self.question}", *self.sentences, f"({size})"])


def announced(items: Sequence[T], monitor: Monitor, name: Callable[[T], str]) -> Iterator[T]:
    """The items one after another, each told to the monitor before it is worked on."""
    for place, item in enumerate(items):
        monitor.progress(place, len(items), name(item))
        yield item


def at_least(what: str, number: int, needed: int) -> None:
    """Raises InputError where a text is too short for a study."""
    if number < needed:
        raise InputError(
            f"the study needs at least {needed:,} {what}, the text has {number:,}; give more text"
        )


def paired_interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95% interval (Student's t) of differences between pairs, at least two of them.

    >>> [round(end, 2) for end in paired_interval(np.array([1.0, 2.0, 3.0]))]
    [2.0, -0.48, 4.48]
    """
    from scipy.stats import t

    mean = float(differences.mean())
    half = float(t.ppf(0.975, len(differences) - 1) * differences.std(ddof=1) / len(differences) ** 0.5)
    return mean, mean - half, mean + half


@contextlib.contextmanager
def small_torch(rng: np.random.Generator) -> Iterator[None]:
    """torch for small networks: seeded from ``rng``, its global generator left as it was, on one thread.

    (Products of a few hundred numbers gain nothing from a second thread, and lose much where cores are busy.)
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**31)))
            yield
    finally:
        torch.set_num_threads(threads)

"""Do the error bars hold? Coverage, false positives and power on texts whose truth is known, real ones among them.

``lmbench.interval`` and ``lmbench.paired`` see what any program's user would give them: losses, lengths, the places where
documents begin. Beside them stand error bars that take tokens for independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.comparing.error_bars import interval, paired
from lmbench.comparing.pairs import comparisons
from lmbench.corpora.corpus import Corpus, load_corpus
from lmbench.errors import InputError
from lmbench.models.monitor import Monitor
from lmbench.scoring.run import Run, Signature
from lmbench.scoring.scores import LN2, Scores
from lmbench.studies.study import Study
from lmbench.studies.truths import MADE, SETTLED, Case, Draw, of_stretches

if TYPE_CHECKING:
    import pandas as pd

LENGTH = 10_000  # characters of a test text
REAL = ("python-docs", "time-machine", "tiny-shakespeare", "ptb")  # with ``full``, those at hand
FAMILIES = (2, 15, 33, 100)  # equal models compared at once
FAMILY = "family-wise error"
NOMINAL = {"coverage": 0.95, "prediction": 0.95, "false positives": 0.05, "power": 0.80, FAMILY: 0.05}


@dataclass
class Tally:
    """How often something happened in so many trials."""

    hits: int = 0
    trials: int = 0

    def add(self, hit: bool) -> None:
        self.hits += bool(hit)
        self.trials += 1

    def interval(self) -> tuple[float, float, float]:
        """The share and its 95% interval (Wilson 1927); nan where there was no trial."""
        if not self.trials:
            return math.nan, math.nan, math.nan
        n, p, z = self.trials, self.hits / self.trials, 1.96
        centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return p, max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def independent(losses: np.ndarray, lengths: np.ndarray, truth: float) -> bool:
    """Whether mean ± 1.96 sd/√n, which takes tokens for independent, holds the truth."""
    ratio = losses.sum() / lengths.sum()
    error = math.sqrt(float(((losses - ratio * lengths) ** 2).sum())) / lengths.sum()
    return bool(abs(ratio - truth) <= 1.96 * error)


def rates(case: Case, texts: int, length: int, rng: np.random.Generator) -> dict[tuple[str, str], Tally]:
    """(kind, method) -> tally, for one case. A text without an interval (too few documents) is no trial."""
    draws = [case.draw(length, rng) for _ in range(texts)]
    tallies: dict[tuple[str, str], Tally] = {}

    def add(kind: str, method: str, hit: bool) -> None:
        tallies.setdefault((kind, method), Tally()).add(hit)

    # How much b is to be worse: what is said to be resolvable, in the middle of some texts.
    some = [_pair(draw, 0.0).resolvable for draw in draws[: max(9, texts // 5)]]
    worse = float(np.nanmedian(some)) if np.isfinite(some).any() else math.nan
    for draw, other in zip(draws, [*draws[1:], draws[0]], strict=True):
        bar = interval(draw.losses[:, 0], draw.lengths, draw.documents)
        if math.isnan(bar.low):
            continue
        add("coverage", "lmbench", bar.low <= draw.truth <= bar.high)
        add("coverage", "independent", independent(draw.losses[:, 0], draw.lengths, draw.truth))
        low, high = bar.prediction
        add("prediction", "lmbench", low <= other.losses[:, 0].sum() / other.lengths.sum() <= high)
        add("false positives", "lmbench", _pair(draw, 0.0).p_value <= 0.05)
        difference = draw.losses[:, 0] - draw.losses[:, 1]
        add("false positives", "independent", not independent(difference, draw.lengths, 0.0))
        add("power", "lmbench", _pair(draw, worse).p_value <= 0.05)
    return tallies


def _pair(draw: Draw, worse: float) -> Any:
    a, b = draw.losses.T
    return paired(a, b + worse * draw.lengths, draw.lengths, draw.documents)


def family(models: int, texts: int, length: int, rng: np.random.Generator) -> Tally:
    """How often any pair of so many equal models is told apart, on documents of random level."""
    tally, documents = Tally(), 40
    size = length // documents
    starts = np.arange(documents, dtype=np.int64)
    signature = Signature(corpus="made", text="made")
    for _ in range(texts):
        level = rng.normal(2, 0.3, (documents, 1)) + rng.normal(0, 0.1, (documents, models))
        runs = [
            Run("made", f"m{i}", _scores(size * level[:, i], size, starts), signature) for i in range(models)
        ]
        tally.add(any((row.p_holm or 0) <= 0.05 for row in comparisons(runs, rng=rng)))
    return tally


def _scores(bits: np.ndarray, size: int, starts: np.ndarray) -> Scores:
    """Of documents that are one token of ``size`` characters each."""
    ends, total, none = size * (starts + 1), size * len(starts), np.zeros(len(starts))
    return Scores(-bits * LN2, ends, none > 0, none, starts, total, total, total, 0)


# The study -----------------------------------------------------------------------------------------


def run(
    corpus: Corpus,
    *,
    seed: int = 0,
    full: bool = False,
    monitor: Monitor,
    texts: int = 0,
    length: int = LENGTH,
) -> Study:
    """Simulates, and cuts the corpus into stretches; with ``full`` the other real texts at hand, too.

    texts: how many test texts a case (default 60, with ``full`` 1000). length: characters of each.
    """
    import pandas as pd

    texts = texts or (1000 if full else 60)
    cases = [make() for make in MADE] + _real(corpus, full, length)
    rows: list[dict[str, Any]] = []
    for done, case in enumerate(cases):
        monitor.progress(done, len(cases) + 1, case.name)
        tallies = rates(case, texts, length, np.random.default_rng([seed, done]))
        rows += [_row(case.name, case.settled, length, *key, tally) for key, tally in tallies.items()]
    for models in FAMILIES if full else FAMILIES[:2]:
        tally = family(models, texts, length, np.random.default_rng([seed, models]))
        rows.append(_row(f"{models} models", False, length, FAMILY, "lmbench", tally))
    table = pd.DataFrame(rows)
    caption = (
        f"Over up to {texts:,} texts of {length:,} characters a case: how often the 95% interval holds the true bits per character, "
        "how often the prediction interval holds the mean of another such text, how often two equally good models are told apart "
        "at 5%, and how often a difference of the size called resolvable is found. The lines are what is promised."
    )
    panels = [
        Panel(
            kind.capitalize(),
            "case",
            "share of texts",
            _series(table, kind),
            horizontal=[(NOMINAL[kind], f"{NOMINAL[kind]:.0%}")],
        )
        for kind in ("coverage", "false positives")
    ]
    sentences = [_sentence(table, kind) for kind in NOMINAL]
    return Study.of(table, [Chart("validity", caption, panels)], sentences)


def _real(corpus: Corpus, full: bool, length: int) -> list[Case]:
    """Real texts of at least five test texts' length."""
    corpora = {corpus.name: corpus}
    for name in REAL if full else ():
        try:
            corpora.setdefault(name, load_corpus(name))
        except InputError:
            continue
    return [
        of_stretches(text, name in SETTLED)
        for name, text in corpora.items()
        if text.whole().chars >= 5 * length and text.entropy_rate is None
    ]


def _row(case: str, settled: bool, length: int, kind: str, method: str, tally: Tally) -> dict[str, Any]:
    share, low, high = tally.interval()
    return {
        "case": case,
        "settled": settled,
        "length": length,
        "what": kind,
        "method": method,
        "nominal": NOMINAL[kind],
        "rate": share,
        "low": low,
        "high": high,
        "texts": tally.trials,
    }


def _series(table: pd.DataFrame, kind: str) -> list[Series]:
    rows = table[(table["what"] == kind) & table["rate"].notna()]
    columns: Sequence[list[Any]] = rows[["case", "method", "rate", "low", "high"]].values.tolist()
    return [
        Series("", [f"{case}: {method}"], [rate], "interval", [low], [high], key=method)
        for case, method, rate, low, high in columns
    ]


def _sentence(table: pd.DataFrame, kind: str) -> str:
    mine = table[(table["what"] == kind) & table["rate"].notna()]
    ranges = {
        method: f"{rate.min():.0%} to {rate.max():.0%}" for method, rate in mine.groupby("method")["rate"]
    }
    what = {
        "coverage": "The 95% interval held the true bits per character in {lmbench} of the texts of a case; "
        "error bars that take tokens for independent did in {independent}.",
        "prediction": "The prediction interval held the mean of another text of the case in {lmbench}.",
        "false positives": "Two equally good models were ranges apart at the 5% level in {lmbench} of the texts; "
        "by a test that takes tokens for independent in {independent}.",
        "power": "A difference of the size called resolvable was found in {lmbench} of the texts (80% is promised).",
        FAMILY: "Among many equal models, any pair was ranges apart in {lmbench} of the texts.",
    }[kind]
    return what.format(**{str(method): text for method, text in ranges.items()})

"""How much does context help, and what does a Markov chain make of a text? (Dive into Deep Learning, 8.1.3)"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.comparing.metrics import summary
from lmbench.corpora.chains import MarkovChain
from lmbench.corpora.corpus import Corpus
from lmbench.counts.ngrams import NgramCounts, count_ngrams
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.scorer import Scorer
from lmbench.studies.study import Study, at_least, plural

MAX_ORDER = 8
HORIZON = 30  # steps that the k-step marginals are followed
SMOOTHINGS = {"Laplace": "laplace", "Kneser–Ney": "kneser-ney"}


def run(corpus: Corpus, *, seed: int = 0, full: bool = False, monitor: Monitor, unit: str = "char") -> Study:
    """Chains of order 0..8, each token drawn given the k before it, fitted to the training text.

    unit: char, byte or word (the k-step marginals need a vocabulary below 1,000: chars or bytes). full: 200,000
    simulated paths in place of 20,000.
    """
    import pandas as pd

    corpus = corpus.with_held_out()
    train = corpus.encoded(unit, "train")
    at_least(f"{plural(unit)} of training text", len(train.tokens), 1000)
    counts = count_ngrams(train.tokens, MAX_ORDER + 1, len(train.vocab))
    per_char = len(train.tokens) / train.canonical.chars

    rows = []
    for order in range(MAX_ORDER + 1):
        row: dict[str, Any] = {
            "order": order,
            "contexts": counts.sizes[order] if order else 1,
            "fitted_entropy": fitted_entropy(counts, order) * per_char,
        }
        for i, (label, model) in enumerate(SMOOTHINGS.items()):
            monitor.progress(order + i / 2, MAX_ORDER + 2, f"{label}, order {order}")
            row |= _held_out(label, model, order, corpus, unit, seed)
        rows.append(row)
    table = pd.DataFrame(rows)
    best = {label: int(np.argmin(table[f"{label}_bits"])) for label in SMOOTHINGS}
    panels, caption = [_order_panel(table, corpus, best)], CAPTION
    sentences, facts = _sentences(table, best, corpus, unit), {"best_order": best}
    if len(train.vocab) <= 1000:
        monitor.progress(MAX_ORDER + 1, MAX_ORDER + 2, "k-step marginals")
        paths = 200_000 if full else 20_000
        panel, sentence, more = forgetting(train.tokens, len(train.vocab), train.vocab.tokens, seed, paths)
        panels.append(panel)
        caption += FORGETTING
        sentences.append(sentence)
        facts |= more
    return Study.of(table, [Chart("markov", caption, panels)], sentences, facts)


def _held_out(label: str, model: str, order: int, corpus: Corpus, unit: str, seed: int) -> dict[str, float]:
    """What test text costs under a smoothed chain of this order, with its interval: cells of the table."""
    scorer = Scorer.fit(make_model(model, order=order + 1), corpus, unit, seed)
    scored = summary(scorer.score(corpus.text("test")))
    low, high = scored["ci95"]
    return {f"{label}_bits": scored["bits_per_char"], f"{label}_low": low, f"{label}_high": high}


def _sentences(table: Any, best: dict[str, int], corpus: Corpus, unit: str) -> list[str]:
    label = min(best, key=lambda name: float(table[f"{name}_bits"].min()))
    last, parting = table.iloc[-1], _parting(table, label)
    sentences = [
        f"Held-out {corpus.name} costs {table[f'{label}_bits'][0]:.3f} bits a character without context and least, "
        f"{table[f'{label}_bits'][best[label]]:.3f}, with {best[label]} {plural(unit)} of it ({label}; "
        + "; ".join(f"{other}'s best order is {best[other]}" for other in SMOOTHINGS if other != label)
        + ").",
        f"The chain of order {MAX_ORDER} has an entropy of {last['fitted_entropy']:.3f} bits on its own training text but "
        f"needs {last[f'{label}_bits']:.3f} on held-out text"
        + (
            f": from order {parting} on it mostly remembers."
            if parting < len(table)
            else ", not half as much again."
        ),
    ]
    if corpus.entropy_rate is not None:
        low, high = corpus.entropy_rate
        sentences.append(
            f"The source's own rate is {low:.3f}{f' to {high:.3f}' if high - low > 5e-4 else ''} bits; the best chain "
            f"stands {table[f'{label}_bits'].min() - high:.3f} above it."
        )
    return sentences


CAPTION = (
    "Left: what the fitted chain needs on its own training text falls for ever; what held-out text costs under "
    "smoothed chains does not (bands: 95% intervals)."
)
FORGETTING = (
    " Right: how far the first-order chain's k-step laws by dynamic programming are from its stationary law (worst "
    "start; dashed: the second eigenvalue's powers), from simulation (its noise is dotted), and from the text."
)


def fitted_entropy(counts: NgramCounts, order: int) -> float:
    """Bits a token of the training text under relative frequencies given ``order`` tokens of context.

    That is the entropy rate of the chain with these frequencies, but for the text's two ends.
    """
    joint = counts.counts[order + 1].astype(float)
    context = counts.context_counts(order) if order else np.array([joint.sum()])
    of = context[counts.prefixes(order + 1)]
    seen = joint > 0
    return float(-(joint[seen] * np.log2(joint[seen] / of[seen])).sum() / joint.sum())


def _parting(table: Any, label: str) -> int:
    """The first order at which held-out text costs half as much again as the training text."""
    apart = np.flatnonzero(table[f"{label}_bits"] > 1.5 * table["fitted_entropy"])
    return int(apart[0]) if len(apart) else len(table)


def _order_panel(table: Any, corpus: Corpus, best: dict[str, int]) -> Panel:
    series = [Series.of("training text, fitted chain", table, "order", "fitted_entropy", "dashed")]
    for label in SMOOTHINGS:
        series.append(
            Series.of(label, table, "order", f"{label}_bits", band=(f"{label}_low", f"{label}_high"))
        )
    truth = [] if corpus.entropy_rate is None else [(corpus.entropy_rate[1], "entropy rate of the source")]
    first, *others = dict.fromkeys(best.values())
    gain = " or ".join(str(order) for order in (first, *others))
    title = f"Context helps up to order {gain}"
    return Panel(title, "order of the chain", "bits per character", series, horizontal=truth)


def forgetting(
    tokens: Any, size: int, names: list[str], seed: int, paths: int
) -> tuple[Panel, str, dict[str, Any]]:
    """The first-order chain's k-step marginals: by dynamic programming, by simulation, and in the text itself."""
    chain = MarkovChain.from_ids(tokens.ids, size, tokens.starts, eps=1e-3)
    start = int(np.bincount(tokens.ids, minlength=size)[1:].argmax()) + 1
    rows = chain.marginals(np.eye(size)[start], HORIZON)
    steps = np.arange(1, HORIZON + 1)
    simulated = _simulate(chain, start, paths, np.random.default_rng(seed))
    text = _in_text(tokens, size, start)
    from_truth = [distance(rows[k], simulated[k - 1]) for k in steps]
    to_stationary = [
        float(np.abs(chain.k_step(int(k)) - chain.stationary).sum(axis=1).max() / 2) for k in steps
    ]
    mixing = next((int(k) for k, d in zip(steps, to_stationary, strict=True) if d < 0.01), None)
    second = float(np.sort(np.abs(np.linalg.eigvals(chain.transition)))[-2])
    apart = [distance(rows[k], text[k - 1]) for k in steps]
    # Two samples of a distribution p differ by about Σ √(p (1 - p) / (2 π n)) in total variation.
    noise = float(np.sqrt(rows[-1] * (1 - rows[-1]) / (2 * np.pi * paths)).sum())
    k = steps.tolist()
    panel = Panel(
        f"Its start is forgotten to 1% in {mixing} steps" if mixing else "Forgetting the start",
        "steps k",
        "total variation distance",
        [
            Series("to the stationary law", k, to_stationary, "line"),
            Series(f"{second:.2f}^k", k, (second**steps).tolist(), "dashed"),
            Series("to simulation", k, from_truth, "points"),
            Series("to the text", k[1:], apart[1:], "points"),
        ],
        yscale="log",
        horizontal=[(noise, "simulation noise")],
    )
    sentence = (
        f"The first-order chain's entropy rate is {chain.entropy_rate:.3f} bits; "
        + (
            f"it has forgotten any start to 1% after {mixing} steps"
            if mixing
            else f"{HORIZON} steps are too few for it to forget every start to 1%"
        )
        + f" (|λ₂| = {second:.3f}). Dynamic programming agrees with {paths:,} simulated "
        f"paths from {names[start]!r} to {max(from_truth):.4f} (noise {noise:.4f}); the text itself stands "
        f"{max(apart[1:]):.3f} away, at k = {int(np.argmax(apart[1:])) + 2}."
    )
    facts = {
        "entropy_rate": chain.entropy_rate,
        "lambda2": second,
        "mixing_steps": mixing,
        "simulation": max(from_truth),
    }
    return panel, sentence, facts


def distance(p: np.ndarray, q: np.ndarray) -> float:
    """Total variation: half the sum of absolute differences, 0..1."""
    return float(np.abs(p - q).sum() / 2)


def _simulate(chain: MarkovChain, start: int, paths: int, rng: np.random.Generator) -> np.ndarray:
    """(HORIZON, S): shares of the simulated paths in each state after 1, 2, … steps."""
    cumulative = np.cumsum(chain.transition, axis=1)
    size = len(cumulative)
    # Row i is shifted up by i, so that one bisection serves all paths at once.
    ladder = (cumulative / cumulative[:, -1:] + np.arange(size)[:, None]).ravel()
    states = np.full(paths, start)
    shares = []
    for _ in range(HORIZON):
        drawn = np.searchsorted(ladder, states + rng.random(paths), side="right")
        states = np.minimum(drawn - states * size, size - 1)
        shares.append(np.bincount(states, minlength=size) / paths)
    return np.stack(shares)


def _in_text(tokens: Any, size: int, start: int) -> np.ndarray:
    """(HORIZON, S): the text's own P(x_{t+k} | x_t = start), within documents."""
    document = np.searchsorted(tokens.starts, np.arange(len(tokens)), side="right")
    places = np.flatnonzero(tokens.ids == start)
    rows = []
    for k in range(1, HORIZON + 1):
        later = places[places + k < len(tokens)]
        later = later[document[later + k] == document[later]] + k
        rows.append(np.bincount(tokens.ids[later], minlength=size) / max(len(later), 1))
    return np.stack(rows)

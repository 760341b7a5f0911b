"""Finished runs -> ``Results``: every number of a report, computed once; nothing is trained here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from lmbench.charts.chart import Chart
from lmbench.comparing.metrics import numbers
from lmbench.comparing.pairs import WORTHWHILE, Comparison, is_lines, unlike
from lmbench.comparing.ranks import across, rankings, standings
from lmbench.comparing.regret import regret, source_run
from lmbench.comparing.seeds import mean_run, spread
from lmbench.comparing.seen import Seen
from lmbench.comparing.totals import Totals
from lmbench.comparing.unseen import bits_outside, order_outside
from lmbench.corpora.corpus import Corpus
from lmbench.results.costs import best_for
from lmbench.results.environment import environment
from lmbench.results.schema import (
    CorpusResult,
    Overlap,
    Ranks,
    Result,
    Results,
)
from lmbench.results.texts import TextFacts
from lmbench.scoring.run import Facts, Run, Signature
from lmbench.text.canonical import CanonicalText
from lmbench.version import __version__


def results_of(
    corpora: Mapping[str, Corpus],
    runs: Sequence[Run],
    failures: Sequence[Result] = (),
    suite: str = "run",
    title: str = "",
    zipf_orders: Sequence[int] = (1, 2, 3),
    texts: Mapping[str, TextFacts] | None = None,
    progress: Callable[[float, float, str], None] = lambda done, total, note: None,
    worthwhile: float = WORTHWHILE,
) -> tuple[Results, list[Chart]]:
    """What results.json holds, and the figures that only the texts can give.

    corpora: by the names that the runs give them. failures: rows of models that have no scores. texts: by corpus what is said
    of its text, where the caller has it. worthwhile: bits per character, the least difference of practical size.

    >>> import lmbench as lb
    >>> corpus = lb.load_corpus("golden-mean")
    >>> runs = [lb.evaluate(lb.make_model(name), corpus) for name in ("bigram", "unigram")]
    >>> results, charts = results_of({"golden-mean": corpus}, runs)
    >>> [(row.label, row.groups) for row in results.results], results.comparisons[0].verdict
    ([('bigram', 'a'), ('unigram', 'b')], 'a')
    """
    texts = texts or {name: TextFacts.of(name, corpus, zipf_orders) for name, corpus in corpora.items()}
    seen = {name: facts.seen for name, facts in texts.items()}
    progress(0, len(runs) + 2, "pairs")
    comparisons = compared(runs, worthwhile)
    letters = {name: groups_of(name, runs, comparisons) for name in corpora}
    tests = {name: corpus.text("test") for name, corpus in corpora.items()}
    sources = {name: source_run(corpus) for name, corpus in corpora.items()}
    rows = []
    for number, run in enumerate(runs, 1):
        progress(number, len(runs) + 2, run.label)
        if run.corpus in corpora:
            row = finished(run, letters[run.corpus], seen[run.corpus], tests[run.corpus])
            rows.append(above(row, run, sources))
    means = [
        above(
            finished(mean_run(seeds), letters[corpus], seen[corpus], tests[corpus], seeds),
            mean_run(seeds),
            sources,
        )
        for (corpus, _), seeds in by_label(runs).items()
        if len(seeds) > 1
    ]
    rows, means = best_for(rows, means)
    progress(len(runs) + 1, len(runs) + 2, "corpora")
    placed = [run for run in runs if run.ranked]
    ranking = across(next(iter(rankings(placed)), []))
    named = ",".join(f"{name}:{corpus.sha256[:12]}" for name, corpus in corpora.items())
    results = Results(
        suite=suite,
        title=title,
        worthwhile=worthwhile,
        signature=f"lmbench:{__version__}|corpora:{named}",
        environment=environment(),
        corpora=[
            replace(
                corpus_result(name, corpus, texts[name], runs, comparisons),
                source_bits_per_char=None if source is None else source.scores.bits_per_char,
            )
            for (name, corpus), source in zip(corpora.items(), sources.values(), strict=True)
        ],
        results=[*rows, *failures],
        over_seeds=means,
        comparisons=comparisons,
        across=standings(placed, comparisons),
        ranks=None if ranking is None else Ranks(**asdict(ranking)),
        zipf=[law for facts in texts.values() for law in facts.zipf],
    )
    return results, [chart for facts in texts.values() for chart in facts.charts]


def result_of(run: Run, text: CanonicalText | None = None) -> Result:
    """One finished row of results.json, and what ``score --json`` prints. text: that was scored, see ``summary``."""
    return row_of(run.corpus, run.label, run.signature, run.facts, Totals.of(run.scores, is_lines(run), text))


def row_of(corpus: str, label: str, signature: Signature, facts: Facts, totals: Totals) -> Result:
    """The same of sums of scores."""
    last = facts.history[-1].train_bits if facts.history else None
    known: dict[str, Any] = {name: getattr(facts, name) for name in Facts.__struct_fields__}
    return Result(
        corpus=corpus,
        label=label,
        seed=signature.seed,
        signature=str(signature),
        normalise=signature.normalise,
        documents=signature.documents,
        total_fit_seconds=facts.total_fit_seconds,
        last_epoch_perplexity=None if last is None else 2.0**last,
        **known,
        **numbers(totals),
    )


def finished(
    run: Run, letters: Mapping[str, str], seen: Seen, text: CanonicalText, seeds: Sequence[Run] = ()
) -> Result:
    """A run's row with what other runs and the training text say of it.

    seeds: the runs of which this is the mean. Its interval is that of the mean over seeds and speaks of the text alone; history and
    samples are the first seed's; one seed that may not be ranked keeps the mean from it.
    """
    inside, outside = (None if np.isnan(x) else x for x in seen.bits_per_char(run.scores))
    fields: dict[str, Any] = {"bits_per_char_seen": inside, "bits_per_char_unseen": outside}
    errors = bits_outside(seen.covered, run.scores)
    if errors is not None and np.isfinite(errors.se):
        fields["ci95_bits_per_char_unseen"] = (errors.low, errors.high)
    if seeds:
        reasons = [run.facts.unranked_reason for run in seeds if not run.ranked]
        fields |= {"unranked_reason": reasons[0] if reasons else None, **spread(seeds)}
    return replace(result_of(run, text), groups=letters.get(run.label, ""), **fields)


def above(row: Result, run: Run, sources: Mapping[str, Run | None]) -> Result:
    """A row with what its run spends above the source of its text, where a source is known that can score it."""
    source = sources[run.corpus]
    if source is None or not np.isfinite(run.scores.bits_per_char) or unlike(run, source):
        return row
    more = regret(run, source)
    return replace(row, regret_bits_per_char=more.regret_bits_per_char, ci95_regret=more.ci95)


def by_label(runs: Sequence[Run]) -> dict[tuple[str, str], list[Run]]:
    """The runs of each corpus and label: one a seed."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.corpus, run.label), []).append(run)
    return groups


def compared(runs: Sequence[Run], worthwhile: float = WORTHWHILE) -> list[Comparison]:
    """Every pair of labels on every corpus that has two on the same text. worthwhile: bits per character that matter."""
    from lmbench.comparing.pairs import comparisons

    here: dict[str, list[Run]] = {}
    for run in runs:
        here.setdefault(run.corpus, []).append(run)
    several = [
        run
        for of_corpus in here.values()
        if any(a.label != b.label and not unlike(a, b) for a, b in itertools.combinations(of_corpus, 2))
        for run in of_corpus
    ]
    return comparisons(several, worthwhile=worthwhile) if several else []


def groups_of(corpus: str, runs: Sequence[Run], comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Label -> the letters that it shares with those that cannot be told from it."""
    from lmbench.comparing.grouping import groups

    return groups([run for run in runs if run.corpus == corpus and run.ranked], comparisons or None)


def corpus_result(
    name: str, corpus: Corpus, facts: TextFacts, runs: Sequence[Run], comparisons: Sequence[Comparison]
) -> CorpusResult:
    """What the report says of a corpus: its texts, compressors, stretches seen in training, what the test text resolves."""
    resolvable = [c.resolvable_difference for c in comparisons if c.corpus == name]
    seen = facts.seen
    finite = [x for x in resolvable if x is not None and np.isfinite(x)]
    return replace(
        msgspec.convert(corpus.describe(), CorpusResult),
        name=name,
        baselines=facts.baselines,
        contamination=[
            Overlap(unit=s.unit, length=s.length, share=s.share) for s in (seen.words, seen.chars)
        ],
        copied=seen.copies.share,
        order_on_unseen=order_on_unseen(corpus, seen, [r for r in runs if r.corpus == name and r.ranked]),
        resolvable=float(np.median(finite)) if finite else None,
    )


def order_on_unseen(corpus: Corpus, seen: Seen, runs: Sequence[Run]) -> str | None:
    """What a headline has to add where another model is first on what models have not seen; None where none is.

    Of the ranking that it speaks of first: of models that stand still, where there are any.
    """
    first = next(iter(rankings(runs)), [])
    models = {label: mean_run(seeds).scores for (_, label), seeds in by_label(first).items()}
    order = order_outside(corpus.text("test").text, models, seen.covered)
    return None if order is None else order.sentence

"""Models over several domains of text: bits a byte in each, and on average, with paired error bars.

The idea is Paloma's (Magnusson et al. 2023, "Paloma: A Benchmark for Evaluating Language Model Fit") and that of Uncheatable Eval: bits a
byte of many texts, in an order that no vocabulary decides. Documents of a domain are the units of its error; where a domain is one document, it is a
stream. An average over domains is **micro** (all bits over all bytes) or **macro** (each domain as heavy as any other). Both have an interval of these very
domains, whose errors are independent (a stratified sample); the macro average has a wider one, too: of all domains of which these are some.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from lmbench.comparing.cells import Cells, cells_of_stream, stream_cells, stream_edges
from lmbench.comparing.dependence import Errors, effective_documents, of_documents
from lmbench.comparing.error_bars import around, resolvable
from lmbench.comparing.family import holm
from lmbench.comparing.seen import Seen
from lmbench.errors import InputError, unknown
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import Scores, first_after
from lmbench.text.canonical import NORMALISERS, CanonicalText, canonical_text

Per = Literal["byte", "char", "word"]
Kind = Literal["domain", "micro", "macro"]
FEWEST_DOMAINS = 3.0  # effective domains, below which nothing is said of others


class Domain(msgspec.Struct, frozen=True):
    """A domain: its documents, and their size."""

    name: str
    documents: int
    chars: int
    bytes: int
    words: int


class DomainBits(msgspec.Struct, frozen=True):
    """What a model pays in a domain, or (kind ``micro``, ``macro``; domain '') on average. bits: None where they are infinite.

    ci95: None where none can be had. ci95_domains: of a macro average, the interval over all domains of which these are some.
    """

    model: str
    kind: Kind
    domain: str
    bits: float | None
    ci95: tuple[float, float] | None
    ci95_domains: tuple[float, float] | None = None


class DomainDifference(msgspec.Struct, frozen=True):
    """A model less the reference on the same documents, below 0 where it is better.

    p_value: two-sided. p_holm: corrected (Holm 1979) for all models in all domains, of averages for all models. resolvable: the true difference that
    would be found at the 5% level four times in five. None where a number cannot be had.
    """

    model: str
    kind: Kind
    domain: str
    difference: float | None
    ci95: tuple[float, float] | None
    p_value: float | None
    p_holm: float | None
    resolvable: float | None


class DomainSeen(msgspec.Struct, frozen=True):
    """What of all domains' characters stands in a given text (share, 0..1), and what a model pays a character there and elsewhere."""

    model: str
    share: float
    bits_inside: float | None
    bits_outside: float | None


class DomainTable(msgspec.Struct, frozen=True):
    """Models over domains. per: of what bits are; reference: the model that others are compared with, the best by micro average unless one was named."""

    per: Per
    reference: str
    domains: list[Domain]
    bits: list[DomainBits]
    differences: list[DomainDifference]
    seen: list[DomainSeen]
    notes: list[str]


def domain_table(
    models: Mapping[str, Scorer],
    texts: Mapping[str, Sequence[str]],
    *,
    per: Per = "byte",
    reference: str | None = None,
    normalise: str = "none",
    against: Sequence[str] = (),
) -> DomainTable:
    """Scores the documents of each domain with each model; all are charged for the same text.

    texts: by domain, its documents. normalise: by which all models read it. against: texts of which it is asked what of the domains stands in them. Raises
    InputError where there are no documents or models, a reference is not among the models, or a model reads another text.

    >>> from lmbench.corpora.corpus import Corpus, Documents
    >>> from lmbench.models import make_model
    >>> corpus = Corpus.of(Documents(["a b a c " * 9]), test=0.0, valid=0.0)
    >>> models = {name: Scorer.fit(make_model(name), corpus) for name in ("uniform", "kneser-ney")}
    >>> texts = {"one": ["a b a c", "a c a b", "b a c a", "c a b a"], "two": ["b b b b", "c c c c", "bb cc", "cb bc"]}
    >>> table = domain_table(models, texts)
    >>> table.reference, [(one.model, one.domain, round(one.bits, 2)) for one in table.bits if one.kind == "domain"][:2]
    ('kneser-ney', [('uniform', 'one', 3.28), ('uniform', 'two', 3.41)])
    """
    if not models:
        raise InputError("there is no model; give one or more")
    if reference is not None and reference not in models:
        raise unknown("reference", reference, models)
    read = {
        name: [kept for text in documents if (kept := NORMALISERS[normalise](text)).strip()]
        for name, documents in texts.items()
    }
    read = {name: documents for name, documents in read.items() if documents}
    if not read:
        raise InputError("no domain has a document that is not blank; give texts")
    raw = [text for documents in read.values() for text in documents]
    plain = canonical_text(raw, normalise, "stream").ended()
    scored = {label: _scored(label, scorer, raw, normalise, plain) for label, scorer in models.items()}
    labels = list(models)
    strata = _strata(plain, read, list(scored.values()), per)
    ratios = np.stack([stratum.cells.ratios for stratum in strata])  # (G, M)
    infinite = [not np.isfinite(scores.bits).all() for scores in scored.values()]
    sizes = np.array([stratum.cells.lengths.sum() for stratum in strata])
    shares = {"micro": sizes / sizes.sum(), "macro": np.full(len(strata), 1 / len(strata))}
    averages = {kind: share @ ratios for kind, share in shares.items()}
    finite = [i for i in range(len(labels)) if not infinite[i]] or [0]
    best = labels[min(finite, key=lambda i: averages["micro"][i])]
    chosen = labels.index(reference or best)
    bits = _bits(labels, strata, ratios, averages, shares, infinite)
    differences = _differences(labels, strata, shares, infinite, chosen)
    return DomainTable(
        per,
        labels[chosen],
        [stratum.about for stratum in strata],
        bits,
        differences,
        _seen(scored, plain, against, normalise),
        [f"{stratum.about.name}: {stratum.cells.trouble}" for stratum in strata if stratum.cells.trouble],
    )


@dataclass(frozen=True)
class _Stratum:
    """A domain: its cells, with the bits of M models."""

    about: Domain
    cells: Cells

    def errors(self, losses: np.ndarray) -> Errors | None:
        return None if self.cells.trouble else self.cells.errors(losses)[0]


def _scored(label: str, scorer: Scorer, raw: Sequence[str], normalise: str, plain: CanonicalText) -> Scores:
    encoded = scorer.encode(canonical_text(raw, normalise, scorer.documents).ended())
    if encoded.canonical.text != plain.text:
        raise InputError(
            f"{label} reads another text than is given, and has no place beside models that read this one"
        )
    return scorer.score(encoded)


def _strata(
    plain: CanonicalText, read: Mapping[str, Sequence[str]], scored: Sequence[Scores], per: Per
) -> list[_Stratum]:
    edges = np.append(plain.starts, plain.chars)
    bits = [np.where(np.isfinite(scores.bits), scores.bits, 0.0) for scores in scored]
    places = [first_after(scores.ends, edges) for scores in scored]
    table = np.stack(
        [np.diff(np.append(0.0, np.cumsum(b))[at]) for b, at in zip(bits, places, strict=True)], axis=1
    )
    units = [_units(document) for document in plain.documents()]
    lengths = np.array([unit[per] for unit in units], dtype=np.float64)
    strata, first = [], 0
    for name, documents in read.items():
        some = slice(first, first + len(documents))
        about = Domain(
            name, len(documents), *(sum(unit[of] for unit in units[some]) for of in ("char", "byte", "word"))
        )
        cells = Cells(table[some], lengths[some], True)
        if len(documents) == 1:
            begin, size = float(edges[first]), float(edges[first + 1] - edges[first])
            tokens = [(int(at[first]), int(at[first + 1])) for at in places]
            count = min(stream_cells(b - a) for a, b in tokens)
            columns = [
                (own[a:b], scores.ends[a:b] - begin)
                for own, scores, (a, b) in zip(bits, scored, tokens, strict=True)
            ]
            stream = cells_of_stream(columns, stream_edges(size, count))
            cells = Cells(stream.losses, stream.lengths * (lengths[first] / size), False)
        strata.append(_Stratum(about, cells))
        first += len(documents)
    return strata


def _units(text: str) -> dict[str, int]:
    return {"char": len(text), "byte": len(text.encode()), "word": len(text.split())}


def stratified(errors: Sequence[Errors], shares: np.ndarray) -> Errors:
    """Of Σ share · mean over independent strata, each with the errors of P means; degrees of freedom by Welch and Satterthwaite."""
    scales, freedom = [], []
    for one in errors:
        exact = one.weights.shape[1] == 1
        scales.append(one.scales[:, 0] if exact else one.standard_error())
        freedom.append(one.freedom[:, 0] if exact else np.full(len(one.weights), 1e6))
    parts = (np.stack(scales) * shares[:, None]) ** 2  # (G, P)
    total = parts.sum(axis=0)
    spent = (parts**2 / np.stack(freedom)).sum(axis=0)
    both = np.divide(total**2, spent, out=np.full_like(total, 1e6), where=spent > 0)
    return Errors(np.ones((len(total), 1)), np.sqrt(total)[:, None], both[:, None])


def _of_domains(ratios: np.ndarray) -> Errors | None:
    """Of the mean of ratios (G, P), G domains being some of many."""
    lengths = np.ones(len(ratios))
    if effective_documents(lengths) < FEWEST_DOMAINS:
        return None
    return of_documents(ratios - ratios.mean(axis=0), lengths)


def _one(errors: Errors, i: int) -> Errors:
    return Errors(errors.weights[i : i + 1], errors.scales[i : i + 1], errors.freedom[i : i + 1])


def _bits(
    labels: Sequence[str],
    strata: Sequence[_Stratum],
    ratios: np.ndarray,
    averages: Mapping[str, np.ndarray],
    shares: Mapping[str, np.ndarray],
    infinite: Sequence[bool],
) -> list[DomainBits]:
    errors = [stratum.errors(stratum.cells.losses) for stratum in strata]
    known = [one for one in errors if one is not None]
    wide = _of_domains(ratios)
    rows = []
    for i in range(len(labels)):

        def ends(estimate: float, found: Errors | None, i: int = i) -> tuple[float, float] | None:
            return None if found is None or infinite[i] else around(estimate, _one(found, i))

        def number(value: float, i: int = i) -> float | None:
            return None if infinite[i] else float(value)

        rows += [
            DomainBits(labels[i], "domain", stratum.about.name, number(r), ends(float(r), one))
            for stratum, r, one in zip(strata, ratios[:, i], errors, strict=True)
        ]
        for kind in ("micro", "macro"):
            average = float(averages[kind][i])
            all_known = stratified(known, shares[kind]) if len(known) == len(strata) else None
            others = ends(average, wide) if kind == "macro" else None
            rows.append(DomainBits(labels[i], kind, "", number(average), ends(average, all_known), others))
    return rows


def _differences(
    labels: Sequence[str],
    strata: Sequence[_Stratum],
    shares: Mapping[str, np.ndarray],
    infinite: Sequence[bool],
    chosen: int,
) -> list[DomainDifference]:
    others = [i for i in range(len(labels)) if i != chosen]
    if not others:
        return []
    losses = [stratum.cells.losses[:, others] - stratum.cells.losses[:, [chosen]] for stratum in strata]
    means = np.stack(
        [loss.sum(axis=0) / stratum.cells.lengths.sum() for loss, stratum in zip(losses, strata, strict=True)]
    )
    errors = [stratum.errors(loss) for stratum, loss in zip(strata, losses, strict=True)]
    known = [one for one in errors if one is not None]
    rows: list[DomainDifference] = []
    columns: list[tuple[Kind, str, np.ndarray, Errors | None]] = [
        ("domain", stratum.about.name, mean, one)
        for stratum, mean, one in zip(strata, means, errors, strict=True)
    ]
    for kind in ("micro", "macro"):
        whole = stratified(known, shares[kind]) if len(known) == len(strata) else None
        columns.append((kind, "", shares[kind] @ means, whole))
    for kind, name, mean, found in columns:
        p_values = None if found is None else found.p_value(mean)
        half = None if found is None else found.half_width()
        shows = None if found is None else resolvable(found, 0.05)
        for j, i in enumerate(others):
            if infinite[i] or infinite[chosen]:
                rows.append(DomainDifference(labels[i], kind, name, None, None, None, None, None))
            elif p_values is None or half is None or shows is None:
                rows.append(DomainDifference(labels[i], kind, name, float(mean[j]), None, None, None, None))
            else:
                ends = (float(mean[j] - half[j]), float(mean[j] + half[j]))
                numbers = float(p_values[j]), None, float(shows[j])
                rows.append(DomainDifference(labels[i], kind, name, float(mean[j]), ends, *numbers))
    return _corrected(rows)


def _corrected(rows: list[DomainDifference]) -> list[DomainDifference]:
    """With p_holm: domains together, each average by itself."""
    corrected = list(rows)
    for kind in ("domain", "micro", "macro"):
        mine = [i for i, row in enumerate(rows) if row.kind == kind and row.p_value is not None]
        if mine:
            adjusted = holm(np.array([rows[i].p_value for i in mine]))
            for i, p in zip(mine, adjusted.tolist(), strict=True):
                corrected[i] = msgspec.structs.replace(rows[i], p_holm=p)
    return corrected


def _seen(
    scored: Mapping[str, Scores], plain: CanonicalText, against: Sequence[str], normalise: str
) -> list[DomainSeen]:
    if not against:
        return []
    seen = Seen.among([canonical_text(against, normalise, "stream")], plain)
    rows = []
    for label, scores in scored.items():
        inside, outside = (float(x) if math.isfinite(x) else None for x in seen.bits_per_char(scores))
        rows.append(DomainSeen(label, seen.share, inside, outside))
    return rows

"""What do word pieces cost, by how many there are, and what does the one customary tokenization leave out?

A model of pieces of growing vocabularies beside the same model by character and by word; then, on the beginning of the test
text, the bits of the customary tokenization, of the sum over all of them, and of its estimate from a few drawn ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbench.charts.chart import Chart, Panel, Series
from lmbench.comparing.metrics import summary
from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.monitor import Monitor
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import LN2
from lmbench.scoring.tokenizations import exact_log_prob, sampled_log_prob
from lmbench.studies.study import Study, announced, at_least
from lmbench.text.canonical import CanonicalText

SIZES = (250, 500, 1000, 2000, 4000, 8000, 16000)
KINDS = ("bpe", "unigram")
NAMES = {"bpe": "byte-pair encoding", "unigram": "unigram pieces", "char": "characters", "word": "words"}
BY_CHARACTER = 2  # times the order of the others: a character says less than a piece
STRETCH = 80  # characters, each a document of its own: short enough to sample all tokenizations of it
SUMMED = 8_000  # characters of the test text whose tokenizations are summed up, in the short version


def run(
    corpus: Corpus,
    *,
    seed: int = 0,
    full: bool = False,
    monitor: Monitor,
    order: int = 3,
    level: str = "char",
    samples: int = 30,
) -> Study:
    """Kneser–Ney models of ``order`` (by character twice that) on the training text; the size is chosen on valid. level: of the
    shortest pieces, char or byte.

    order: at most 3 for the exact sum; of others only the estimate is given. samples: tokenizations drawn of each stretch of 80
    characters. full: larger vocabularies, and sums over all of the test text.
    """
    import pandas as pd

    at_least("characters of training text", corpus.train.chars, 10_000)
    at_least("characters of test text", corpus.text("test").chars, 1000)
    corpus = corpus.with_held_out()
    least = 257 if level == "byte" else len(set(corpus.train.text)) + 1
    most = len(corpus.vocab("word")) * (4 if full else 2)
    sizes = [size for size in SIZES if least < size <= most][: None if full else 5]
    if not sizes:
        raise InputError(
            f"{corpus.name} has {least - 1:,} characters and too few words for pieces between; give more text"
        )
    text = corpus.text("test")
    head = text if full else text.head(SUMMED)
    rows: list[dict[str, Any]] = []
    ways = [("char", 0), *((kind, size) for kind in KINDS for size in sizes), ("word", 0)]
    for kind, size in announced(ways, monitor, lambda way: f"{NAMES[way[0]]} {way[1] or ''}"):
        unit = f"subword:kind={kind},level={level},size={size}" if size else kind
        longest = BY_CHARACTER * order if kind == "char" else order
        scorer = Scorer.fit(make_model("kneser-ney", order=longest), corpus, unit, seed)
        scored = summary(scorer.score(text))
        row = {
            "pieces": kind,
            "size": size or None,
            "vocab_size": len(scorer.vocab),
            "tokens": scored["tokens"],
        }
        row |= {
            "valid": scorer.score(corpus.text("valid")).bits_per_char,
            "bits_per_char": scored["bits_per_char"],
        }
        row |= {"low": (scored["ci95"] or [None])[0], "high": (scored["ci95"] or [None])[-1]}
        if size:
            row |= _sums(scorer, head, samples, seed)
        rows.append(row)
    table = pd.DataFrame(rows)
    facts = {"characters_summed": head.chars, "samples": samples, "stretch": STRETCH, "order": order}
    return Study.of(table, _charts(table), _sentences(table, corpus.name, facts), facts)


def _sums(scorer: Scorer, text: CanonicalText, samples: int, seed: int) -> dict[str, float | None]:
    """Bits a character of a text: the customary tokenization, all of them; and the same of its stretches, with the estimate."""
    exact = scorer.model.reach is not None and scorer.model.reach <= 2
    whole = [sum(exact_log_prob(scorer, document) for document in text.documents())] if exact else []
    pieces = stretches(text)
    rng = np.random.default_rng(seed)
    estimates = [sampled_log_prob(scorer, piece, samples, rng) for piece in pieces]
    chars = sum(map(len, pieces))
    of_stretches = [sum(exact_log_prob(scorer, piece) for piece in pieces)] if exact else []
    return {
        "customary": -float(scorer.score(text).nats.sum()) / LN2 / text.chars,
        "summed": -whole[0] / LN2 / text.chars if exact else None,
        "stretches_customary": -sum(one.customary for one in estimates) / LN2 / chars,
        "stretches_sampled": -sum(one.log_prob for one in estimates) / LN2 / chars,
        "stretches_summed": -of_stretches[0] / LN2 / chars if exact else None,
        "effective_samples": float(np.mean([one.effective for one in estimates])),
    }


def stretches(text: CanonicalText, length: int = STRETCH, most: int = 4_000) -> list[str]:
    """Pieces of about ``length`` characters of the first ``most``, cut before blanks; documents are cut apart."""
    cut: list[str] = []
    for document in text.head(most).documents():
        begin = 0
        while begin < len(document):
            blank = max(document.rfind(mark, begin + 1, begin + length) for mark in " \n")
            end = (
                len(document)
                if len(document) - begin <= length
                else blank
                if blank > begin
                else begin + length
            )
            cut.append(document[begin:end])
            begin = end
    return cut


def _charts(table: Any) -> list[Chart]:
    by = dict(iter(table.groupby("pieces", sort=False)))
    series, sums = [], []
    for kind in KINDS:
        of = by[kind]
        x = of["vocab_size"].tolist()
        series.append(Series(NAMES[kind], x, of["bits_per_char"].tolist(), "line"))
        for column, said in (("stretches_summed", "all of them"), ("stretches_sampled", "as estimated")):
            if of[column].notna().all():
                saved = (of["stretches_customary"] - of[column]).tolist()
                sums.append(
                    Series(f"{NAMES[kind]}, {said}", x, saved, "line" if said == "all of them" else "points")
                )
    references = [(float(by[kind]["bits_per_char"].iloc[0]), NAMES[kind]) for kind in ("char", "word")]
    best = table[table["size"].notna()].nsmallest(1, "valid").iloc[0]
    title = f"{best['vocab_size']:,} pieces need least on held-out text"
    bits = Panel(title, "pieces in the vocabulary", "bits per character", series, "log", "linear", references)
    gains = Panel(
        "What other tokenizations add", "pieces in the vocabulary", "bits per character saved", sums, "log"
    )
    caption = (
        "Bits a character of Kneser–Ney over word pieces, by how many there are. Right: by how much the text costs less "
        "where all tokenizations of short stretches count, exactly and as estimated."
    )
    return [Chart("pieces", caption, [bits, gains] if sums else [bits])]


def _sentences(table: Any, name: str, facts: dict[str, Any]) -> list[str]:
    alone = {kind: table[table["pieces"] == kind].iloc[0] for kind in ("char", "word")}
    said = []
    for kind in KINDS:
        best = table[table["pieces"] == kind].nsmallest(1, "valid").iloc[0]
        said.append(
            f"On {name}, {NAMES[kind]} need least on held-out text with {best['vocab_size']:,} pieces: {best['bits_per_char']:.3f} bits a "
            f"character of test text."
        )
    said.append(
        f"The same model by character (of order {BY_CHARACTER * facts['order']}) needs {alone['char']['bits_per_char']:.3f}, by word "
        f"{alone['word']['bits_per_char']:.3f}."
    )
    best = table[table["size"].notna()].nsmallest(1, "valid").iloc[0]
    if best["summed"] is not None and best["summed"] == best["summed"]:
        said.append(
            f"The sum over all tokenizations of {facts['characters_summed']:,} characters is {best['summed']:.4f} bits a character where the "
            f"customary one is {best['customary']:.4f}: it leaves out {best['customary'] - best['summed']:.4f}."
        )
        found = best["stretches_customary"] - best["stretches_sampled"]
        there = best["stretches_customary"] - best["stretches_summed"]
        said.append(
            f"Of stretches of {facts['stretch']} characters, {facts['samples']} drawn tokenizations find {found:.4f} of the {there:.4f} bits that "
            "are to be had; an estimate's bits are, on average, an upper bound of the sum's, as those of the customary tokenization always are."
        )
    else:
        found = best["stretches_customary"] - best["stretches_sampled"]
        said.append(
            f"Of stretches of {facts['stretch']} characters, {facts['samples']} drawn tokenizations find {found:.4f} bits a character that the "
            "customary one leaves out; an estimate's bits are, on average, an upper bound of the sum's."
        )
    return said

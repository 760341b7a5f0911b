"""Small saved models of every family that can be saved: each is read and scored in milliseconds."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from readers import ARPA, CORPUS, TEXT

from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.scoring.combining import mix
from lmbench.scoring.scorer import EVERY_TOKEN, Scorer
from lmbench.text.canonical import canonical_text
from lmbench.text.vocab import Lexicon

_OTHER = canonical_text(["a c a\nc b é é\n\na b d\n"], "none", "line")
_STREAM = canonical_text(["a b c b a a b ab ba"], "letters", "stream")
_CORPORA = {
    "lines": CORPUS,
    "other": Corpus("other", _OTHER, _OTHER, _OTHER, "none", "line"),
    "stream": Corpus("stream", _STREAM, _STREAM, _STREAM, "letters", "stream"),
}


class Seed(NamedTuple):
    """A model to be saved: what it is, and on which tokens of which text.

    mixed: instead, models that are trained apart and then mixed, with these options.
    """

    model: str
    options: Mapping[str, Any] = {}
    unit: str = "word"
    corpus: str = "lines"
    lexicon: Lexicon = EVERY_TOKEN
    mixed: tuple[Seed, ...] = ()


_TINY = {"hidden": 2, "epochs": 1, "patience": None, "batch": 2, "steps": 4}
_CELL = {**_TINY, "embedding": 2, "direct": 0}
_BIGRAM = Seed("witten-bell", {"order": 2})

# kind: file: the model in it
MODELS: dict[str, dict[str, Seed]] = {
    "count": {
        "uniform": Seed("uniform"),
        "uniform-byte": Seed("uniform", unit="byte"),
        "unigram": Seed("unigram", corpus="stream"),
        "trigram": Seed("trigram", {"eps": (1, 1, 1)}),
        "kneser-ney": Seed("kneser-ney", {"order": 3}),
        "quantised": Seed("kneser-ney", {"order": 3, "bits": 8}),
        "pruned": Seed("kneser-ney", {"order": 3, "prune": (0, 1), "discounts": (0.5, 1, 1.5), "kenlm_counts": True}),
        "padded": Seed("kneser-ney", {"order": 2, "vocab_size": 4, "vocab_pad": 9, "interpolate_unigrams": False}),
        "witten-bell": Seed("witten-bell", {"order": 3}, "char", "stream"),
        "rare": Seed("witten-bell", {"order": 2}, lexicon=Lexicon(min_count=2, unk="<unk>")),
        "pieces": Seed("witten-bell", {"order": 2}, "subword:size=20"),
        "byte-pieces": Seed("laplace", {"order": 2, "eps": (0.5, 0.5)}, "subword:kind=unigram,level=byte,size=270"),
        "absolute-discounting": Seed("absolute-discounting", {"order": 2, "discounts": (0.5, 0.5)}),
        "jelinek-mercer": Seed("jelinek-mercer", {"order": 2, "buckets": 2}),
        "katz": Seed("katz", {"order": 2}),
        "stupid-backoff": Seed("stupid-backoff", {"order": 2}),
        "infini-gram": Seed("infini-gram"),
        "infini-gram-adaptive": Seed("infini-gram", {"adaptive": True, "read_valid": True}),
        "cache": Seed("cache", {"order": 2, "window": 4}),
        "context-mixing": Seed("context-mixing"),
        "context-mixing-adaptive": Seed("context-mixing", {"adaptive": True, "orders": (0, 2), "gaps": False}, "char"),
        "bit-mixing": Seed("bit-mixing", {"adaptive": True}),
        "bit-mixing-of": Seed("bit-mixing", {"of": "unigram", "adaptive": True}, corpus="stream"),
        "mixture": Seed("mixture", {"of": "witten-bell,cache"}),
        "mixture-by-context": Seed("mixture", {"of": "bigram,kneser-ney", "weights": "by-context"}),
        "mixture-geometric": Seed("mixture", {"of": "unigram,witten-bell", "pooling": "geometric", "weights": "by-entropy"}),
        "mixture-read": Seed("mixture", {"of": "unigram,infini-gram", "read_valid": True}),
        "widened": Seed("mixture", {"weights": "per-order"}, mixed=(_BIGRAM, _BIGRAM._replace(corpus="other"))),
        "word-char": Seed("word-char", {"weights": "per-order"}, mixed=(_BIGRAM, _BIGRAM._replace(unit="char"))),
    },
    "neural": {
        "rnn-scratch": Seed("rnn-scratch", {"hidden": 3, "epochs": 1}),
        "dynamic": Seed("rnn-scratch", {"hidden": 2, "epochs": 1, "dynamic": 0.001, "dynamic_steps": 3}),
        "rnn": Seed("rnn", {**_CELL, "context": "reset", "arithmetic": "float32"}, corpus="stream"),
        "gru": Seed("gru", {"hidden": 3, "embedding": 2, "epochs": 1}, "char"),
        "lstm": Seed("lstm", {**_CELL, "layers": 2, "context": "fixed:2"}),
        "lstm-dynamic": Seed("lstm", {**_CELL, "tied": True, "dynamic": 0.001}),
        "mingru": Seed("mingru", {**_TINY, "layers": 1, "direct": 0}),
        "mlp": Seed("mlp", {"hidden": 3, "epochs": 1}),
        "transformer": Seed("transformer", {"epochs": 1, "hidden": 4, "heads": 2, "layers": 2, "window": 8}),
        "transformer-pieces": Seed(
            "transformer", {"epochs": 1, "hidden": 2, "heads": 1, "layers": 1, "window": 4, "direct": 0, "dynamic": 0.001}, "subword:size=20"
        ),
        "network-mixture": Seed("mixture", {"weights": "fixed"}, mixed=(_BIGRAM, Seed("rnn-scratch", {"hidden": 2, "epochs": 1}))),
    },
}  # fmt: skip


def saved(kind: str) -> dict[str, bytes]:
    """Small saved models of a kind, ``count`` or ``neural``, by name."""
    with tempfile.TemporaryDirectory() as folder:
        found = {file: made(seed, Path(folder)) for file, seed in MODELS[kind].items()}
        if kind == "count":
            Path(folder, "a.arpa").write_text(ARPA, encoding="utf-8")
            found["arpa"] = made(Seed("arpa", {"file": f"{folder}/a.arpa"}), Path(folder))
    return found


def made(seed: Seed, folder: Path) -> bytes:
    """The file of a model, fitted anew."""
    path = folder / "model"
    fitted(seed).save(path)
    return path.read_bytes()


def fitted(seed: Seed) -> Scorer:
    if seed.mixed:
        return mix([fitted(part) for part in seed.mixed], TEXT, **seed.options)
    model, corpus = make_model(seed.model, **seed.options), _CORPORA[seed.corpus]
    parts = [Scorer.fit(make_model(label), corpus, seed.unit) for label in model.traits.components]
    return Scorer.fit(model, corpus, seed.unit, components=parts, lexicon=seed.lexicon)

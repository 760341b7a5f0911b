"""A model's scores on a corpus with the facts about it, and their file."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from lmbench.corpora.corpus import Corpus
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.scores import Scores
from lmbench.storage.files import write_whole
from lmbench.version import __version__


def signature(scorer: Scorer, corpus: Corpus, seed: int) -> dict[str, Any]:
    """What was measured: two runs compare only where the first four fields agree."""
    return {
        "corpus": corpus.name,
        "text": hashlib.sha256(corpus.text("test").text.encode()).hexdigest()[:16],
        "normalise": corpus.normalise,
        "documents": corpus.documents,
        "unit": scorer.unit.name,
        "oov": "spelled",
        "context": scorer.model.context_policy,
        "seed": seed,
        "lmbench": __version__,
    }


@dataclass(frozen=True)
class Run:
    """One model on one corpus: its scores on the held-out text and the facts beside them.

    signature: what was measured, as ordered fields (corpus, text hash, normaliser, documents, unit,
    out-of-vocabulary policy, context policy, seed, version); two runs compare only where the text is the same.
    facts: everything else that results.json tells of the run (fit_seconds, parameters, options ...).
    """

    corpus: str
    label: str
    scores: Scores
    signature: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        return int(self.signature.get("seed", 0))


def save_run(run: Run, path: Path, key: str) -> None:
    """Writes a run's scores and facts to one .npz file, whole or not at all."""
    about = {
        "key": key,
        "corpus": run.corpus,
        "label": run.label,
        "signature": run.signature,
        "facts": run.facts,
        "scalars": {f.name: getattr(run.scores, f.name) for f in fields(Scores) if f.type == "int"},
    }
    arrays = {f.name: getattr(run.scores, f.name) for f in fields(Scores) if f.type != "int"}
    stream = io.BytesIO()
    np.savez_compressed(stream, about=np.frombuffer(msgspec.json.encode(about), dtype=np.uint8), **arrays)
    write_whole(path, stream.getvalue())


def load_run(path: Path, key: str | None = None) -> Run | None:
    """A run read back; None where it is missing, damaged, or (given a key) not of the same text, model and code."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = msgspec.json.decode(stored["about"].tobytes())
            if key is not None and about["key"] != key:
                return None
            arrays = {name: stored[name] for name in stored.files if name != "about"}
    except (OSError, ValueError, KeyError, EOFError):
        return None
    return Run(
        about["corpus"],
        about["label"],
        Scores(**arrays, **about["scalars"]),
        about["signature"],
        about["facts"],
    )

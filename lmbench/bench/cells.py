"""Cells: one model on one corpus with one seed, where its result lies, and the key of all that it depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.scoring.code_hash import code_hash, own_code_hash
from lmbench.scoring.scorer import Scorer
from lmbench.storage.files import read_bytes
from lmbench.text.units import unit_sources


@dataclass(frozen=True)
class Cell:
    """One model on one corpus with one seed, and where its result lies."""

    corpus: CorpusSpec
    spec: ModelSpec
    seed: int
    extra: bool  # whether the row has been begun with another seed, whose file is called by the label alone
    components: tuple[Cell, ...] = ()
    split: int | None = None  # which of the suite's further divisions of the text; None: its own

    @property
    def label(self) -> str:
        return self.spec.label

    @property
    def stem(self) -> str:
        return f"{self.label}@{self.seed}" if self.extra else self.label

    @property
    def name(self) -> str:
        """What a progress bar calls it."""
        return f"{self.place} {self.stem}"

    @property
    def place(self) -> Path:
        """The folder of its corpus, and in it of its division."""
        return Path(self.corpus.name) / ("" if self.split is None else f"split-{self.split + 1}")

    def at_home(self) -> Cell:
        """The same with the files of its text named from the root, for a worker that was started elsewhere."""
        return replace(self, corpus=self.corpus.at_home())

    def scores_file(self, folder: Path) -> Path:
        return folder / "scores" / self.place / f"{self.stem}.npz"

    def model_file(self, folder: Path) -> Path:
        return folder / "models" / self.place / f"{self.stem}.safetensors"

    def checkpoint_file(self, folder: Path) -> Path:
        return folder / "checkpoints" / self.place / f"{self.stem}.npz"

    def scorer(self, folder: Path) -> Scorer:
        """Its fitted model, read back; the file may name such code as the suite does, and no other."""
        return Scorer.load(self.model_file(folder), trust_code=self.code)

    @property
    def code(self) -> frozenset[str]:
        """The names of the models by which the suite runs code of its own, here and in what is combined."""
        return self.spec.code.union(*(part.code for part in self.components))

    def files(self, folder: Path) -> tuple[Path, ...]:
        """All that may be written of it in a run's folder."""
        return self.scores_file(folder), self.model_file(folder), self.checkpoint_file(folder)

    def key(self, corpus: Corpus, suite: Suite) -> str:
        """Names all that the result depends on: the text, the model and its options, the seed, the code."""
        model = make_model(self.spec.model, **self.spec.options)
        facts = {
            "text": corpus.sha256,
            "normalise": corpus.normalise,
            "documents": corpus.documents,
            "model": self.spec.model,
            "options": {k: str(v) for k, v in model.options().items()},
            "sources": {
                str(p): hashlib.sha256(read_bytes(p)).hexdigest()
                for p in (*model.traits.sources, *unit_sources(self.spec.unit))
            },
            "unit": self.spec.unit,
            "unk": self.spec.unk,
            "vocab": self.spec.vocab and hashlib.sha256(read_bytes(self.spec.vocab)).hexdigest(),
            "min_count": self.spec.min_count,
            "seed": self.seed,
            "components": [c.key(corpus, suite) for c in self.components],
            "samples": msgspec.structs.asdict(suite.samples),
            "verify": suite.verify,
            "code": code_hash(),
            "own_code": own_code_hash(self.spec.model),
        }
        return hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()


def cells_of(suite: Suite, corpus: CorpusSpec, split: int | None = None) -> list[Cell]:
    """The suite's models on one corpus; what a mixture combines stands before it.

    split: on a further division of the text, where only those run that fit fast: what no seed changes, parts included.
    """
    rows: dict[str, dict[int, Cell]] = {}
    for spec in suite.models:
        model = make_model(spec.model, **spec.options)
        traits = model.traits
        if split is not None and (traits.seeded or any(label not in rows for label in traits.components)):
            continue
        parts = [rows[label] for label in traits.components]
        row = rows[spec.label] = {}
        for seed in _seeds(suite, spec, traits.seeded, parts):
            # A part that this seed has not made is the same whatever the seed, or was asked for once.
            components = tuple(part.get(seed, next(iter(part.values()))) for part in parts)
            row[seed] = Cell(corpus, spec, seed, bool(row), components, split)
    return [cell for row in rows.values() for cell in row.values()]


def _seeds(
    suite: Suite, spec: ModelSpec, seeded: bool, parts: Sequence[Mapping[int, Cell]]
) -> tuple[int, ...]:
    """The seeds of a row: its own or the suite's where the fit depends on them, or else those that its parts have."""
    varied = list(dict.fromkeys(seed for part in parts if len(part) > 1 for seed in part))
    asked = spec.seeds or (suite.seeds if seeded else tuple(varied) or suite.seeds)
    return asked if seeded or varied else asked[:1]

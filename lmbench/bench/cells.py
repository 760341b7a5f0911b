"""Cells: one model on one corpus with one seed, where its result lies, and the key of all that it depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.corpora.corpus import Corpus
from lmbench.models import LanguageModel, make_model
from lmbench.models.shared_fit import SharedFit
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
    # The stem of the first cell whose fit is the same, where there are several; nothing else tells two cells apart.
    alike: str = field(default="", compare=False)

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

    def fit_file(self, folder: Path) -> Path:
        """Where cells of one fit leave what was learnt for each other, until the last of them is done."""
        return folder / "checkpoints" / self.place / f"{self.alike}.fit"

    def shares_fit(self, other: object, folder: Path) -> bool:
        """Whether another cell has a part in its fit."""
        return (
            isinstance(other, Cell)
            and self.alike != ""
            and other != self
            and other.alike != ""
            and self.fit_file(folder) == other.fit_file(folder)
        )

    def shared_fit(self, folder: Path, corpus: Corpus) -> SharedFit | None:
        """The fit that it shares with others; None where it shares none."""
        return SharedFit(self.fit_file(folder), self.fit_key(corpus), self.stem) if self.alike else None

    def scorer(self, folder: Path) -> Scorer:
        """Its fitted model, read back; the file may name such code as the suite does, and no other."""
        return Scorer.load(self.model_file(folder), trust_code=self.code)

    @property
    def code(self) -> frozenset[str]:
        """The names of the models by which the suite runs code of its own, here and in what is combined."""
        return self.spec.code.union(*(part.code for part in self.components))

    def key(self, corpus: Corpus, suite: Suite) -> str:
        """Names all that the result depends on: the text, the model and its options, the seed, the code."""
        model = self._model()
        facts = self._of_row(model, model.options()) | self._of_files(corpus, model)
        components = [c.key(corpus, suite) for c in self.components]
        samples = msgspec.structs.asdict(suite.samples)
        return _digest(facts | {"components": components, "samples": samples, "verify": suite.verify})

    def fit_key(self, corpus: Corpus) -> str:
        """Names all that the fit depends on, of a model that combines no others."""
        model = self._model()
        return _digest(self._of_row(model, model.fit_options()) | self._of_files(corpus, model))

    def fit_group(self) -> str:
        """The same of those cells of one text of which ``fit_key`` is the same."""
        model = self._model()
        return _digest(self._of_row(model, model.fit_options()))

    def _model(self) -> LanguageModel:
        return make_model(self.spec.model, **self.spec.options)

    def _of_row(self, model: LanguageModel, options: Mapping[str, Any]) -> dict[str, Any]:
        """What the suite says of the row, and the seed: all in which cells of one text that combine no others differ."""
        return {
            "model": self.spec.model,
            "options": {k: str(v) for k, v in options.items()},
            "held_out": model.traits.held_out != "no",
            "unit": self.spec.unit,
            "unk": self.spec.unk,
            "vocab": self.spec.vocab,
            "min_count": self.spec.min_count,
            "seed": self.seed,
        }

    def _of_files(self, corpus: Corpus, model: LanguageModel) -> dict[str, Any]:
        """What stands in the files that it names, and the code; of the vocabulary in place of its name."""
        return {
            "text": corpus.sha256,
            "normalise": corpus.normalise,
            "documents": corpus.documents,
            "sources": {
                str(p): hashlib.sha256(read_bytes(p)).hexdigest()
                for p in (*model.traits.sources, *unit_sources(self.spec.unit))
            },
            "vocab": self.spec.vocab and hashlib.sha256(read_bytes(self.spec.vocab)).hexdigest(),
            "code": code_hash(),
            "own_code": own_code_hash(self.spec.model),
        }


def _digest(facts: Mapping[str, Any]) -> str:
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
    return _with_alike([cell for row in rows.values() for cell in row.values()])


def _with_alike(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of one text, those told whose fit is the same though their options are not."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        if not cell.components:
            groups.setdefault(cell.fit_group(), []).append(cell)
    first = {id(cell): group[0].stem for group in groups.values() if len(group) > 1 for cell in group}
    return [replace(cell, alike=first.get(id(cell), "")) for cell in cells]


def _seeds(
    suite: Suite, spec: ModelSpec, seeded: bool, parts: Sequence[Mapping[int, Cell]]
) -> tuple[int, ...]:
    """The seeds of a row: its own or the suite's where the fit depends on them, or else those that its parts have."""
    varied = list(dict.fromkeys(seed for part in parts if len(part) > 1 for seed in part))
    asked = spec.seeds or (suite.seeds if seeded else tuple(varied) or suite.seeds)
    return asked if seeded or varied else asked[:1]

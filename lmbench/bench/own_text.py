"""A suite for a text that nobody has described: the default models, as far as they suit its size and its script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.bench.suite_file import load_suite, to_toml
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.formats import stem_of
from lmbench.corpora.inputs import is_described
from lmbench.models import make_model
from lmbench.text.scripts import is_unsegmented

# Training characters: below, a network learns less than the count models in more time.
LEAST_FOR_NETWORKS = 20_000
MOST_FOR_NETWORKS = 8_000_000  # above, an epoch alone takes many minutes of two cores
# Context mixing learns from some 20,000 characters a second, with some 2 kB of memory for each.
MOST_FOR_MIXING = 2_000_000
LEARNT = {"lstm": 2_400_000, "rnn-scratch": 1_800_000}  # characters read in all epochs, as in the default run
BY_WORD = ("tails",)  # studies of the default run that are asked of words


def spec_of(
    places: Sequence[str],
    normalise: str | None = None,
    documents: str | None = None,
    field: str | None = None,
) -> CorpusSpec:
    """What a suite says of texts that are named on the command line; several files are one text."""
    one = places[0] if len(places) == 1 else None
    if one is not None and is_described(one) and not one.endswith(".toml"):
        return CorpusSpec(one, normalise, documents)
    name = re.sub(r"[^\w.-]+", "-", stem_of(list(places))).strip("-.") or "text"
    return CorpusSpec(name, normalise, documents, train=one or tuple(places), field=field)


def suite_for(spec: CorpusSpec, corpus: Corpus) -> tuple[Suite, list[str]]:
    """The default models on one text, and a sentence for each that was left out or changed."""
    default = load_suite("default")
    rows, said = suitable(default.models, corpus)
    studies = list(default.studies)
    if is_unsegmented(corpus.train.text):
        studies = [name for name in studies if name not in BY_WORD]
        said.append(f"left out the question {', '.join(BY_WORD)}: it is asked of words")
    stands = default.samples.prompt in corpus.train.text
    samples = default.samples if stands else msgspec.structs.replace(default.samples, prompt="")
    suite = msgspec.structs.replace(
        default,
        name=spec.name,
        title=f"{spec.name}: the default models",
        cost="",
        corpora=[spec],
        models=rows,
        studies=studies,
        samples=samples,
    )
    return suite, said


def suitable(rows: Sequence[ModelSpec], corpus: Corpus) -> tuple[list[ModelSpec], list[str]]:
    """Of some models those that suit a text, and why the others do not."""
    chars = corpus.train.chars
    kept, said = list(rows), []

    def drop(which: Sequence[ModelSpec], why: str) -> None:
        labels = [row.label for row in which]
        kept[:] = [row for row in kept if row.label not in labels]
        if labels:
            said.append(f"left out {', '.join(labels)}: {why}")

    if is_unsegmented(corpus.train.text):
        words = [row for row in kept if row.unit == "word"]
        drop(words, "the text does not divide words by blanks, so models by word would see whole sentences")
    else:
        types = len(corpus.vocab("word"))
        limited = [r for r in kept if r.unit == "word" and int(r.options.get("vocab_size", 0)) >= types]
        drop(limited, f"the text has {types:,} words, no more than their limit")
    networks = [row for row in kept if row.model in LEARNT]
    if chars < LEAST_FOR_NETWORKS:
        drop(networks, f"{chars:,} characters are too few to train a network on")
    elif chars > MOST_FOR_NETWORKS:
        drop(networks, f"an epoch of {chars:,} characters takes too long for a first look")
    if chars > MOST_FOR_MIXING:
        slow = [row for row in kept if row.model == "context-mixing"]
        drop(slow, f"it reads {chars:,} characters too slowly for a first look")
    kept = [_in_reach(row, chars) for row in kept]
    return _parts_that_are_there(kept), said


def _in_reach(row: ModelSpec, chars: int) -> ModelSpec:
    """A network's row with fewer epochs where the text is long."""
    if row.model not in LEARNT or "epochs" not in row.options:
        return row
    epochs = min(row.options["epochs"], max(1, round(LEARNT[row.model] / chars)))
    return msgspec.structs.replace(row, options={**row.options, "epochs": epochs})


def _parts_that_are_there(rows: Sequence[ModelSpec]) -> list[ModelSpec]:
    """Mixtures of the rows that are left; those of fewer than two are none."""
    kept: list[ModelSpec] = []
    for row in rows:
        parts = make_model(row.model, **row.options).traits.components
        if parts:
            left = [label for label in parts if label in [other.label for other in kept]]
            if len(left) < 2:
                continue
            row = msgspec.structs.replace(row, options={**row.options, "of": left})
        kept.append(row)
    return kept


def commented(suite: Suite, said: Sequence[str]) -> str:
    """The suite as a TOML file to start from, which says at each place what else may stand there."""
    head, _, rows = to_toml(suite).partition("\n[[models]]")
    notes = "".join(f"# {sentence}\n" for sentence in said)
    place = Path("reports") / suite.name
    return (
        f"# `lmbench run THIS_FILE` trains these models, writes {place}/report.html, and keeps what is unchanged.\n"
        "# corpora: registered names (`lmbench corpora list`), files, or tables with name, train and, where the text is\n"
        "#   divided already, valid and test (or shares of it: test = 0.1); normalise = none, whitespace, sentences or letters;\n"
        "#   documents = stream or line; field = the field of JSON lines or Parquet that is the text.\n"
        "# seeds = 3 trains three times what depends on seeds; verify = 500 codes and decodes so many tokens.\n"
        f"{head}\n"
        "# A table a model: `lmbench models` lists them, `lmbench models NAME` their options; unit = char, word or byte.\n"
        "# Options were chosen on other texts: held-out text, never the test text, is there to choose them on.\n"
        f"{notes}"
        f"\n[[models]]{rows}"
    )

"""A model's scores on a corpus with the facts about it, and their file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta

from lmbench.charts.card import Card
from lmbench.corpora.corpus import Corpus
from lmbench.scoring.scores import Scores
from lmbench.version import __version__


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured: two runs compare only where the text is the same and was made alike.

    corpus: its name. text: 16 hexadecimal digits that name the canonical test text. normalise, documents: how it was made. unit: the
    model's tokens. oov: what tokens outside the vocabulary are charged. context: what a prediction rests on, ``adaptive`` where scoring
    learns from the text. train, valid: name the texts that the model learnt from, '' where that is not known or there was none.
    seed: of the fit. lmbench: the version.

    >>> str(Signature(corpus="c", text="ab", normalise="none", documents="line", unit="char", context="document", lmbench="1"))
    'corpus:c|text:ab|normalise:none|documents:line|unit:char|oov:spelled|context:document|seed:0|lmbench:1'
    """

    corpus: str
    text: str = ""
    normalise: str = "none"
    documents: str = "stream"
    unit: str = "token"
    oov: str = "spelled"
    context: str = "undeclared"
    train: str = ""
    valid: str = ""
    seed: int = 0
    lmbench: str = __version__

    @classmethod
    def of(
        cls, corpus: Corpus, unit: str, context: str, seed: int, train: str = "", valid: str = ""
    ) -> Signature:
        """Of scores of a corpus's test text."""
        return cls(
            corpus=corpus.name,
            text=corpus.text("test").fingerprint,
            normalise=corpus.normalise,
            documents=corpus.documents,
            unit=unit,
            context=context,
            train=train,
            valid=valid,
            seed=seed,
        )

    def __str__(self) -> str:
        """All of it as one string, ``field:value|field:value``; fields that are not known are left out."""
        return "|".join(
            f"{key}:{value}" for key, value in msgspec.structs.asdict(self).items() if value != ""
        )


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """A pass over the training text: what a learning curve is drawn of.

    epoch: 1 for the first. tokens: predicted so far. seconds: since training began. train_bits, valid_bits: a token, of the training
    text while it was learnt and of the held-out text after it.
    """

    epoch: float | None = None
    tokens: float | None = None
    seconds: float | None = None
    train_bits: float | None = None
    valid_bits: float | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A text that a model wrote.

    prompt: what it was to go on with. text: with the prompt before it. temperature: > 0; 1 draws from the model as it is.
    """

    prompt: str = ""
    temperature: float = 1.0
    text: str = ""


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A claim held against a file: a text coded by the model, and decoded again.

    tokens: of the text's beginning. file_bits: of the file. claimed_bits: what the scores say. identical: the decoded text is the text. holds: identical, and the file
    is as short as claimed. verdict: what came of it, in words.
    """

    tokens: int
    file_bits: int
    claimed_bits: float
    identical: bool
    holds: bool
    verdict: str = ""


EACH_SEED = Meta(extra={"each seed": True})  # measured anew with each seed of training; over seeds, the mean
Amount = Annotated[float, Meta(ge=0)] | None
Count = Annotated[int, Meta(ge=0)] | None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run beside its scores; None where it is not known or does not apply.

    model: its registered name. options: the model's own, by name. unit: of its tokens. adaptive: scoring learns from the text.
    unranked_reason: why the run may not be ranked.
    fit_seconds, score_seconds: wall-clock time. parts: seconds that each model which this one combines took to fit, by label.
    parameters: numbers that training sets. model_bytes: of the model in memory.
    train_bits_per_char, train_perplexity: of as much of the training text as there is of the test text, once trained.
    training_flops: floating-point operations of matrix products to learn from one token. training_tokens: learnt from, over all passes.
    training_seconds: held-out evaluations included. peak_flops: a second, of large single-precision products on the same threads.
    arithmetic: that of the training. tokens_per_second, flops_per_second: over all of the training. share_of_peak: of the matrix
    products that the machine can do in that time, the share that was needed, 0 to 1 (more is possible in bfloat16).
    verified: a claim held against a file. notes: what a reader should know. history: an entry an epoch. samples: texts that it wrote.
    """

    model: str = ""
    options: dict[str, Any] = {}
    unit: str = "token"
    adaptive: bool = False
    unranked_reason: str | None = None
    fit_seconds: Annotated[Amount, EACH_SEED] = None
    score_seconds: Annotated[Amount, EACH_SEED] = None
    parts: dict[str, float] = {}
    parameters: Count = None
    model_bytes: Count = None
    train_bits_per_char: Annotated[Amount, EACH_SEED] = None
    train_perplexity: Annotated[Amount, EACH_SEED] = None
    training_flops: Amount = None
    training_tokens: Annotated[Amount, EACH_SEED] = None
    training_seconds: Annotated[Amount, EACH_SEED] = None
    peak_flops: Annotated[Amount, EACH_SEED] = None
    arithmetic: str | None = None
    tokens_per_second: Annotated[Amount, EACH_SEED] = None
    flops_per_second: Annotated[Amount, EACH_SEED] = None
    share_of_peak: Annotated[Amount, EACH_SEED] = None
    verified: Verified | None = None
    notes: list[str] = []
    history: list[Epoch] = []
    samples: list[Sample] = []

    @property
    def total_fit_seconds(self) -> float | None:
        """Seconds to fit a model and all that it combines; None of scores that came from elsewhere."""
        return None if self.fit_seconds is None else self.fit_seconds + sum(self.parts.values())


def measured_each_seed() -> list[str]:
    """The facts that each seed of training measures anew."""
    hints = get_type_hints(Facts, include_extras=True)
    return [name for name, hint in hints.items() if EACH_SEED in getattr(hint, "__metadata__", ())]


@dataclass(frozen=True, repr=False)
class Run(Card):
    """One model on one corpus: its scores on the held-out text and the facts beside them.

    signature: what was measured. facts: everything else that results.json tells of the run (fit_seconds, parameters, options ...).
    """

    corpus: str
    label: str
    scores: Scores
    signature: Signature
    facts: Facts = field(default_factory=Facts)

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        facts = self.facts
        said = [
            ("corpus", self.corpus),
            ("unit", facts.unit),
            ("bits per character", f"{self.scores.bits_per_char:.4f}"),
        ]
        if facts.train_bits_per_char is not None:
            said.append(("on training text", f"{facts.train_bits_per_char:.4f}"))
        said.append(("perplexity", f"{self.scores.perplexity:.4g} a token"))
        if facts.fit_seconds is not None:
            said.append(("seconds to fit", f"{facts.fit_seconds:.3g}"))
        if facts.adaptive:
            said.append(("adaptive", "goes on learning from the text that it scores"))
        if facts.unranked_reason is not None:
            said.append(("not ranked", facts.unranked_reason))
        return f"Run {self.label}", said

    @property
    def seed(self) -> int:
        return self.signature.seed

    @property
    def ranked(self) -> bool:
        """Whether the run may be ranked beside others."""
        return self.facts.unranked_reason is None

    def with_facts(self, **changed: Any) -> Run:
        """The run with some of its facts told anew."""
        return Run(
            self.corpus,
            self.label,
            self.scores,
            self.signature,
            msgspec.structs.replace(self.facts, **changed),
        )


@dataclass(frozen=True)
class Outline:
    """What is known of a run before its scores are read. tokens, documents: how many its text has; chars: their characters."""

    corpus: str
    label: str
    signature: Signature
    tokens: int
    documents: int
    chars: int

"""results.json, all of it, as types: what stands here is written, read, checked and documented.

The docstrings say what each key means and in which unit; ``documentation`` makes the reference of them.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from lmbench.comparing.compressors import Baseline
from lmbench.comparing.pairs import WORTHWHILE, Comparison
from lmbench.comparing.ranks import Across
from lmbench.comparing.splits import Splits
from lmbench.results.made import Made
from lmbench.scoring.run import Amount, Count, Facts

SCHEMA_VERSION = 3
LOSSES = ("bits_per_char", "bits_per_byte", "bits_per_word", "perplexity")

Ends = tuple[float | None, float | None]  # low, high; None: without end, or not known
Probability = Annotated[float, Meta(ge=0, le=1)]


class Result(Facts, frozen=True, kw_only=True):
    """A row: one model on one corpus with one seed, or the mean of several.

    corpus, label, seed: which. status: ok, or why it has no scores. signature: what exactly was measured. normalise, documents: how the
    text was made. groups: letters; models that share one cannot be told apart. best_for: the costs for which no ranked row with fewer
    bits costs less or the same.

    vocab_size: tokens that the model knows, <unk> among them. tokens, oov: of the test text, and those outside the vocabulary. chars,
    bytes, words: of the test text, in UTF-8 bytes and runs of non-blank characters. log_prob: total nats of the token sequence, <unk>
    charged as <unk>. spelling_log_prob: nats spent on spelling what is outside the vocabulary. perplexity: a token, from log_prob alone.
    perplexity_excluding_oov: of the tokens in the vocabulary. bits_per_char, bits_per_byte, bits_per_word: of the whole charge; null
    beside infinite_tokens > 0 is infinity. infinite_tokens: those that were given probability 0.

    ci95, ci95_bits_per_byte, ci95_bits_per_word, ci95_perplexity: 95% intervals, low and high, of the mean over all text of the same
    documents or process. ci95_note: why there are none. prediction95: for bits_per_char of another text of this length and make.
    standard_error: of bits_per_char. resolvable_difference: the smallest that a text of this size shows four times in five, in bits per
    character, when nothing is paired. n_eff: so many independent tokens would give the same error. ci95_method: what the error rests on,
    documents or stream. effective_documents: so many of one length would say as much.

    bits_per_char_seen, bits_per_char_unseen: on what stands in the training or valid text, as stretches of 30 characters or passages with few
    words changed, and elsewhere; ci95_bits_per_char_unseen: the interval of the latter. regret_bits_per_char: above what the source that
    wrote the text spends on it, where that is known; ci95_regret: its paired interval.
    total_fit_seconds: to fit the model and all that it combines. last_epoch_perplexity: of the training text while it was learnt for the
    last time.

    seeds: of training, of which this row tells the mean; none in a row of one seed. bits_per_char_of_seeds: of each.
    bits_per_char_sd: their standard deviation, over n - 1.
    """

    corpus: str
    label: str
    seed: int = 0
    status: str = "ok"
    signature: str = ""
    normalise: str | None = None
    documents: str | None = None
    groups: str = ""
    best_for: list[str] = msgspec.field(default_factory=list)
    vocab_size: Count = None
    tokens: Count = None
    oov: Count = None
    chars: Count = None
    bytes: Count = None
    words: Count = None
    log_prob: float | None = None
    spelling_log_prob: float | None = None
    perplexity: Amount = None
    perplexity_excluding_oov: Amount = None
    bits_per_char: Amount = None
    bits_per_byte: Amount = None
    bits_per_word: Amount = None
    infinite_tokens: Annotated[int, Meta(ge=0)] = 0
    ci95: Ends | None = None
    ci95_bits_per_byte: Ends | None = None
    ci95_bits_per_word: Ends | None = None
    ci95_perplexity: Ends | None = None
    ci95_note: str = ""
    prediction95: Ends | None = None
    standard_error: Amount = None
    resolvable_difference: Amount = None
    n_eff: Amount = None
    ci95_method: str | None = None
    effective_documents: Amount = None
    bits_per_char_seen: Amount = None
    bits_per_char_unseen: Amount = None
    ci95_bits_per_char_unseen: Ends | None = None
    regret_bits_per_char: float | None = None
    ci95_regret: Ends | None = None
    total_fit_seconds: Amount = None
    last_epoch_perplexity: Amount = None
    seeds: list[int] = msgspec.field(default_factory=list)
    bits_per_char_of_seeds: list[float | None] = msgspec.field(default_factory=list)
    bits_per_char_sd: Amount = None

    @property
    def scored(self) -> bool:
        """Whether the model has scores: bits, though they may be infinite."""
        return self.status == "ok"

    @property
    def reason(self) -> str | None:
        """Why the row has no rank; None where it has one."""
        return self.unranked_reason if self.scored else self.status

    def value(self, name: str) -> Any:
        """A field by its name; a loss is inf where the model gave some token probability 0, which JSON cannot say."""
        value = getattr(self, name)
        if value is None and name in LOSSES and self.scored and self.infinite_tokens:
            return math.inf
        return value


class Part(Struct, frozen=True, kw_only=True):
    """A part of a corpus.

    chars, bytes, words, documents: so many.
    """

    chars: int
    bytes: int | None = None
    words: int
    documents: int


class Overlap(Struct, frozen=True, kw_only=True):
    """Stretches of the test text that stand in the training or valid text word for word.

    unit, length: how long the stretches are that were looked for. share: of all stretches of the test text, 0 to 1.
    """

    unit: str
    length: int
    share: Probability


class CorpusResult(Struct, frozen=True, kw_only=True):
    """A text and its division.

    name, title, licence, homepage: of the corpus. sha256: of its canonical texts. chars, bytes, words: of the test text. normalise,
    documents: how the texts were made. split: the parts by name. division: how they were divided. entropy_rate: bits a character between which the source's lies, where
    it is known. source_bits_per_char: what the source itself spends on this test text. baselines: compressors. contamination: what stands in the training or valid text
    already. copied: of the test text's characters, the share in passages that stand there with few words changed.
    order_on_unseen: what the headline has to add, where another model is first on the rest. resolvable: the median over pairs of
    models of the difference that this text shows four times in five, in bits per character.
    """

    name: str
    sha256: str = ""
    chars: int | None = None
    bytes: int | None = None
    words: int | None = None
    normalise: str | None = None
    documents: str | None = None
    split: dict[str, Part] = {}
    entropy_rate: tuple[float, float] | None = None
    source_bits_per_char: Amount = None
    title: str | None = None
    licence: str | None = None
    homepage: str | None = None
    division: str | None = None
    baselines: list[Baseline] = []
    contamination: list[Overlap] = []
    copied: Probability | None = None
    order_on_unseen: str | None = None
    resolvable: float | None = None

    @property
    def truth(self) -> float | None:
        """A source's entropy rate, bits a character, where it is known: the middle of what holds it."""
        return None if self.entropy_rate is None else sum(self.entropy_rate) / 2


class Ranks(Struct, frozen=True, kw_only=True):
    """Average ranks over corpora.

    labels: best first. average_ranks: 1 is best. corpora: those that have them all. p_value: Friedman's test that all rank alike.
    critical_difference: Nemenyi's; average ranks further apart than it differ. alike: the largest sets of two labels or more, none of which differ.
    """

    labels: list[str]
    average_ranks: list[float]
    corpora: list[str]
    p_value: Probability
    critical_difference: float
    alike: list[list[str]] = []


FittedLaw = dict[str, float | str | None]  # a fitted law's parameters by their names


class ZipfResult(Struct, frozen=True, kw_only=True):
    """The laws fitted to a corpus's n-grams; see ``lmbench.zipf``.

    corpus, unit, order: which n-grams. tokens, types, hapaxes: how many, how many unlike, how many that occur once. ols: the line through
    log count and log rank. rank_mle: a power law of ranks by likelihood. zipf_mandelbrot: the same with a shift. frequency_mle: a power
    law of counts from xmin on. notes: what a reader should know.
    """

    corpus: str
    unit: str
    order: int
    tokens: int
    types: int
    hapaxes: int
    ols: FittedLaw = {}
    rank_mle: FittedLaw = {}
    zipf_mandelbrot: FittedLaw = {}
    frequency_mle: FittedLaw = {}
    notes: list[str] = []


class StudyResult(Struct, frozen=True, kw_only=True):
    """A study's answer on a corpus.

    study, question, corpus, seed, full: what was asked, of what, in which version. sentences: the answer. facts: the numbers in it.
    figures: their names.
    """

    study: str
    question: str
    corpus: str
    seed: int = 0
    full: bool = False
    sentences: list[str] = []
    facts: dict[str, Any] = {}
    figures: list[str] = []


class Results(Struct, frozen=True, kw_only=True):
    """What a run found.

    schema_version: of this document. suite, title: what was run. worthwhile: bits per character, the least difference of practical size.
    signature: the program and the texts. environment: versions, processor
    and threads. made: when, where, of which state of the code. corpora: the texts. results: a row a model, corpus and seed. over_seeds: a row a model that was trained with several
    seeds. comparisons: a row a pair of models. across: the models over all texts, where there are two or more. ranks: over corpora, where there are five or more. zipf: a row a corpus and order. studies:
    a row a question and corpus. splits: a row a corpus that was divided further times.
    """

    schema_version: int = SCHEMA_VERSION
    suite: str = "run"
    title: str = ""
    worthwhile: Annotated[float, Meta(gt=0)] = WORTHWHILE
    signature: str = ""
    environment: dict[str, Any] = {}
    made: Made = Made()
    corpora: list[CorpusResult] = []
    results: list[Result] = []
    over_seeds: list[Result] = []
    comparisons: list[Comparison] = []
    across: Across | None = None
    ranks: Ranks | None = None
    zipf: list[ZipfResult] = []
    studies: list[StudyResult] = []
    splits: list[Splits] = []

"""A text word by word, for studies of reading: what each word costs, its end counted, and how uncertain the model was before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from lmbench.errors import InputError
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.word_charges import charges_of_words
from lmbench.scoring.word_ends import End, Punctuation, WordEnds, Words
from lmbench.text.canonical import CanonicalText, canonical_text

if TYPE_CHECKING:
    import pandas as pd

BATCH = 1 << 16  # characters of documents that are read together
ROWS = 1 << 14  # rows of a table that are objects at once


class Word(msgspec.Struct, frozen=True):
    """What a model charges for a word.

    document, sentence, word: from 0; a document is a file or a row of JSON lines, a sentence one of its lines, and words are counted in
    their sentence. start, end: its characters in the document as it was given, end exclusive; text: those characters.

    bits: -log2 of the probability of what stands between the end of the word before and the end of this one, both ends told (in bits, ≥ 0).
    The bits of all rows add up to those of the text, for what stands behind the last word of a document (its line feed, say) is a row of
    its own, whose text is blank. tokens: those that end in it or in the blanks before it. oov: whether one of these is outside the vocabulary.
    uncorrected: the bits of these tokens as they stand, which count a word's end as the next word's.

    token_entropy: of the word's first token, the one that brings its first letter, before it is read (in bits): the uncertainty of the word itself in
    a model by word, ``<unk>`` being one of its words; of another at most that. token_entropy_reduction: by how much it is more than
    before the next word. None where there is none: behind the last word, and of tokens that begin in the word before.
    """

    document: int
    sentence: int
    word: int
    start: int
    end: int
    text: str
    bits: float
    tokens: int
    oov: bool
    uncorrected: float
    token_entropy: float | None
    token_entropy_reduction: float | None


PLACE = ("document", "sentence", "word", "start", "end", "text")  # of a word, whatever the model
CHARGE = tuple(name for name in Word.__struct_fields__ if name not in PLACE)


def words_of(
    scorer: Scorer,
    texts: Sequence[str],
    *,
    documents: str | None = None,
    punctuation: Punctuation = "joined",
    end: End = "blank",
) -> Iterator[Word]:
    """The words of some texts, in order, with what stands behind the last word of each document.

    documents: ``line``: each line is read as if nothing stood before it; ``stream``: each text in one; default: as the model was
    trained. punctuation: ``joined`` to its word, or ``apart`` as a word of its own (apostrophes and hyphens belong to words). end: what ends a
    word, see ``WordEnds``. Where there are several texts, each ends in a line feed, as in ``score``. Raises InputError where a model by word
    cannot tell a word from what is joined to it, or reads another text than is given.

    >>> from lmbench.corpora.corpus import Corpus, Documents
    >>> from lmbench.models import make_model
    >>> scorer = Scorer.fit(make_model("uniform"), Corpus.of(Documents(["abc d" * 9]), test=0.0, valid=0.0))
    >>> for word in words_of(scorer, ["ab cd"]):  # 6 symbols; the blank is one, and <unk> may be one, too
    ...     print(word.text, round(word.bits, 3), round(word.uncorrected, 3), round(word.token_entropy, 3))
    ab 7.686 5.17 2.585
    cd 5.239 7.755 2.585
    """
    mode = documents or scorer.documents
    ends = WordEnds(scorer, punctuation, end)
    read = [canonical_text([text], scorer.normalise, mode) for text in texts]
    if len(texts) > 1:
        read = [part.ended() if part.text else part for part in read]
    everything = scorer.model.traits.adaptive
    group: list[int] = []
    for i in range(len(read)):
        group.append(i)
        if i + 1 == len(read) or (not everything and sum(read[j].chars for j in group) >= BATCH):
            yield from _words(ends, [texts[j] for j in group], [read[j] for j in group], group[0])
            group = []


def surprisal(
    models: Scorer | Sequence[Scorer] | Mapping[str, Scorer],
    texts: str | Sequence[str],
    *,
    documents: str | None = None,
    punctuation: Punctuation = "joined",
    end: End = "blank",
) -> pd.DataFrame:
    """A row a word of a text or of several, with the fields of ``Word`` as columns.

    models: one; or several, by label or each by its own name: then a column ``bits.LABEL`` (``tokens.LABEL`` ...) for each. The others are as
    for ``words_of``. Raises InputError as that does, and where models read the text in other words.

    >>> from lmbench.corpora.corpus import Corpus, Documents
    >>> from lmbench.models import make_model
    >>> corpus = Corpus.of(Documents(["a b a c " * 9]), test=0.0, valid=0.0)
    >>> fitted = {unit: Scorer.fit(make_model("witten-bell", order=2), corpus, unit) for unit in ("char", "word")}
    >>> surprisal(fitted, "a b")[["text", "bits.char", "bits.word"]].round(2)
      text  bits.char  bits.word
    0    a       2.05       1.12
    1    b       2.02       1.08
    """

    labelled = _labelled(models)
    if (
        len(labelled) > 1
        and documents is None
        and len({scorer.documents for scorer in labelled.values()}) > 1
    ):
        raise InputError(
            "some of the models read lines and some whole texts; say which: documents=line or stream"
        )
    texts = [texts] if isinstance(texts, str) else list(texts)
    table: pd.DataFrame | None = None
    for label, scorer in labelled.items():
        one = _table(words_of(scorer, texts, documents=documents, punctuation=punctuation, end=end))
        if len(labelled) > 1:
            one = one.rename(columns={name: f"{name}.{label}" for name in CHARGE})
        if table is not None and not table[list(PLACE)].equals(one[list(PLACE)]):
            raise InputError(
                f"{label} and {next(iter(labelled))} read the text in other words; give models of one normaliser"
            )
        table = one if table is None else table.join(one.drop(columns=list(PLACE)))
    if table is None:
        raise InputError("there is no model; give one or more")
    return table


def _table(words: Iterator[Word]) -> pd.DataFrame:
    """Made of some thousand rows at a time: a row of Python's objects takes ten times the memory of the table's."""
    import pandas as pd

    parts: list[pd.DataFrame] = []
    while (rows := list(islice(words, ROWS))) or not parts:
        part = pd.DataFrame({name: [getattr(row, name) for row in rows] for name in Word.__struct_fields__})
        parts.append(part.astype(dict.fromkeys(("token_entropy", "token_entropy_reduction"), "float64")))
    return pd.concat(parts, ignore_index=True)


def _labelled(models: Scorer | Sequence[Scorer] | Mapping[str, Scorer]) -> dict[str, Scorer]:
    if isinstance(models, Mapping):
        return dict(models)
    several = [models] if isinstance(models, Scorer) else list(models)
    named = {scorer.model.name: scorer for scorer in several}
    if len(named) < len(several):
        raise InputError("two of the models have one name; give them as a dict, by label")
    return named


# One batch of documents ------------------------------------------------------------------------------


def _words(ends: WordEnds, raw: Sequence[str], read: Sequence[CanonicalText], first: int) -> Iterator[Word]:
    """The words of some documents, of which the first has this number."""
    offsets = np.cumsum([0, *(part.chars for part in read)])
    starts = np.concatenate([part.starts + at for part, at in zip(read, offsets.tolist(), strict=False)])
    canonical = CanonicalText("".join(part.text for part in read), starts.astype(np.int64))
    if not canonical.text:
        return
    scorer = ends.scorer
    encoded = scorer.encode(canonical)
    if encoded.canonical.text != canonical.text:
        raise InputError(
            "the model reads another text than is given; normalise the text first, and leave as_read out"
        )
    words = Words.of(canonical.text, canonical.starts, ends.vocabulary.punctuation)
    charges = charges_of_words(ends, encoded, scorer.score(encoded), words)
    edges = np.append(canonical.starts, canonical.chars).tolist()
    which, aligned, sentence, number = -1, None, 0, 0
    begins, stops = words.spans
    for document in range(len(canonical.starts)):
        if (new := int(np.searchsorted(offsets, edges[document], side="right")) - 1) != which:
            which, sentence, number, seen = new, 0, 0, int(offsets[new])
            aligned = _Aligned.of(raw[which], read[which].text, scorer.normalise)
        assert aligned is not None
        for i in range(words.first[document], words.first[document + 1]):
            if lines := canonical.text.count("\n", seen, begins[i]):
                sentence, number = sentence + lines, 0
            seen = begins[i]
            start, end = aligned.span(begins[i] - int(offsets[which]), stops[i] - int(offsets[which]))
            last = i + 1 == words.first[document + 1]
            entropy = charges.entropies[i]
            after = math.nan if last else charges.entropies[i + 1]
            yield Word(
                first + which,
                sentence,
                number,
                start,
                end,
                raw[which][start:end],
                float(charges.bits[i]),
                int(charges.tokens[i]),
                bool(charges.oov[i]),
                float(charges.uncorrected[i]),
                None if math.isnan(entropy) else float(entropy),
                None if math.isnan(entropy - after) else float(entropy - after),
            )
            number += 1
        behind = (
            stops[words.first[document + 1] - 1]
            if words.first[document + 1] > words.first[document]
            else edges[document]
        )
        if behind < edges[document + 1]:
            place = aligned.behind(behind - int(offsets[which]))
            rest = float(charges.rest_bits[document]), int(charges.rest_tokens[document])
            text = canonical.text[behind : edges[document + 1]]
            uncorrected = float(charges.rest_uncorrected[document])
            yield Word(
                first + which,
                sentence,
                number,
                place,
                place + len(text),
                text,
                *rest,
                False,
                uncorrected,
                None,
                None,
            )
            sentence, number, seen = sentence + text.count("\n"), 0, edges[document + 1]


# Places in the text as it was given ------------------------------------------------------------------


@dataclass(frozen=True)
class _Aligned:
    """Where the characters of a normalised document stand in the given one.

    before: (N + 1,) int64, how many characters that are kept stand before each of the normalised text; places: (M,) int64, where these stand in
    the given one, of M. None: both texts are the same.
    """

    before: np.ndarray | None
    places: np.ndarray | None

    @classmethod
    def of(cls, raw: str, text: str, normalise: str) -> _Aligned:
        if text in (raw, raw + "\n"):
            return cls(None, None)
        kept = np.array(
            [c.isascii() and c.isalpha() if normalise == "letters" else not c.isspace() for c in raw]
        )
        places = np.flatnonzero(kept)
        before = np.append(0, np.cumsum([not c.isspace() for c in text]))
        if before[-1] != len(places):
            raise InputError(
                f"the normaliser {normalise!r} leaves no trace of where the words stood; score the normalised text"
            )
        return cls(before, places)

    def span(self, start: int, end: int) -> tuple[int, int]:
        if self.before is None or self.places is None:
            return start, end
        return int(self.places[self.before[start]]), int(self.places[self.before[end] - 1]) + 1

    def behind(self, end: int) -> int:
        """Where what follows the normalised text's first ``end`` characters begins."""
        if self.before is None or self.places is None:
            return end
        return int(self.places[self.before[end] - 1]) + 1 if self.before[end] else 0

"""A model of words and a model of characters, mixed over whole words, as one model of characters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel, Part, Stepper, Traits, learned
from lmbench.models.mixing.parts import exactly, pack_parts, unpack_parts
from lmbench.models.mixing.spelled_words import Segment, SpelledWords, most_words, one_longer
from lmbench.models.mixing.weights import Weights, groups
from lmbench.models.mixing.widened import Widened
from lmbench.models.mixing.word_char_stepper import WordCharStepper
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.saved import saved_array
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import Vocab

_ROWS = 256  # words whose distributions are in memory at once


class _Spelled(NamedTuple):
    """What the model of words says of a segment, before it is known.

    masses: p of a word that begins as the first 0, 1, ... characters do; masses[0] is of any known word, and of a line feed where a line
    begins. unknown: the rest. whole: p of the word of exactly these characters. newline: p of a line feed in place of a word.
    ends: nats, ln p of the whole segment, once its end is known.
    """

    masses: list[float]
    unknown: float
    whole: float
    newline: float
    ends: float

    @classmethod
    def none(cls, length: int = 0) -> _Spelled:
        return cls([0.0] * (length + 1), 1.0, 0.0, 0.0, -np.inf)


class Begun(NamedTuple):
    """Words, (V,) what the model of words gives each that may come next, and the weights of both models there."""

    words: Sequence[int]
    p: np.ndarray
    of_words: float
    of_characters: float


class _Read(NamedTuple):
    """A document: its first token in the text, its segments, what either model says, and the groups of the weights."""

    first: int
    segments: list[Segment]
    spelled: list[_Spelled]
    characters: np.ndarray
    levels: list[np.ndarray]


def _joint(spelled: _Spelled, own: np.ndarray, words: float, characters: float) -> np.ndarray:
    """ln J of each beginning of a segment, the empty one first; own: (L + 1,) nats of these by the model of characters."""
    masses = np.array(spelled.masses)
    with np.errstate(divide="ignore"):
        of_words = np.log(words * masses)
        if len(own) > len(masses):  # and of all of it
            of_words = np.append(of_words, np.log(words) + spelled.ends)
        joint: np.ndarray = np.logaddexp(of_words, np.log(words * spelled.unknown + characters) + own)
    return joint


@dataclass(kw_only=True, eq=False)
class WordChar(LanguageModel):
    r"""P(word · end | h) = λ P_words(word · end | h) + (1 - λ) P_characters(word · end | h), character by character.

    A segment is a word and the space or line feed that ends it. The model of words is turned into one of characters by
    summing over all of its words that begin alike, so that

        p(c | h r) = J(r c) / J(r),   J(r) = λ Σ_{w begins with r} P_words(w | h) + (λ u + 1 - λ) Π_i P_characters(r_i | h r_<i)

    is a distribution at every character: J carries, within a word, how much is believed of either (Bayes' rule), and each word
    begins anew with λ. u is what the model of words leaves for words that it does not know: the model of characters spells
    them, and any other string. λ is learnt on held-out text by expectation–maximisation. After a beginning that neither model thinks possible,
    J(r) = 0, the model of characters goes on alone, to the end of the word.
    """

    of: tuple[str, ...] = option((), "labels of two models, the first by word, the second by character")
    by: Literal["fixed", "per-order"] = option(
        "fixed",
        "λ: the same everywhere, or by the longest context that the model of words knows",
        name="weights",
    )

    spelled: SpelledWords = learned()
    shares: Weights = learned()  # of the models; of the words first

    def __post_init__(self) -> None:
        if len(self.of) != 2 or not all(self.of):
            raise InputError(
                "option of: name a model by word and one by character, for instance of=kneser-ney-word,kneser-ney"
            )

    @property
    def traits(self) -> Traits:
        # Sums over the whole vocabulary, a quotient of two that may be tiny; and what the models are off themselves.
        precision = max([1e-8, *(component.traits.precision for component in self.components)])
        return Traits(
            held_out="needed", precision=precision, components=self.of, component_units=("word", "char")
        )

    def joined(self, vocab: Vocab, parts: Sequence[Part]) -> list[LanguageModel]:
        for part, unit in zip(parts, ("word", "char"), strict=True):
            if part.unit != unit:
                raise InputError(f"{part.model.name} is a model by {part.unit}; here one by {unit} belongs")
            if part.model.traits.adaptive:
                raise InputError(
                    f"{part.model.name} learns as it reads; only models that do not can be mixed over words"
                )
            if not part.model.traits.normalised:
                raise InputError(f"{part.model.name} gives scores, not probabilities; it cannot be mixed")
        words, characters = parts
        self.spelled = SpelledWords.of(words.vocab, vocab)
        same = characters.vocab.tokens == vocab.tokens
        return [words.model, characters.model if same else Widened.of(characters, vocab)]

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        assert valid is not None  # fit has seen to it
        if "spelled" not in self.__dict__:
            raise InputError(
                "a model of words and characters is fitted with the vocabularies of both: use Scorer.fit"
            )
        self.shares = Weights((np.zeros(1, dtype=np.int64),), (np.full((1, 2), 0.5),))
        words, characters, levels = [], [], []
        for read in self._read(valid):
            own = [read.characters[s.begin : s.end].sum() for s in read.segments]
            for segment, spelled, alone in zip(read.segments, read.spelled, own, strict=True):
                if segment.closed:
                    with np.errstate(divide="ignore"):
                        words.append(np.logaddexp(spelled.ends, np.log(spelled.unknown) + alone))
                    characters.append(alone)
            closed = [s.closed for s in read.segments]
            levels.append([level[closed] for level in read.levels])
        if not words:
            raise InputError("the held-out text has no word that ends; give more")
        joined = [np.concatenate(level) for level in zip(*levels, strict=True)]
        self.shares = Weights.learnt(np.array([words, characters]), joined)
        weight = self.shares.values[0][0]
        self.notes.append(f"weights {self.of[0]} {weight[0]:.4f}, {self.of[1]} {weight[1]:.4f}")

    # Reading texts ------------------------------------------------------------------------------------

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        result = np.empty(len(tokens))
        for read in self._read(tokens):
            weights = self.shares.at(read.levels)
            for segment, spelled, (words, characters) in zip(
                read.segments, read.spelled, weights.tolist(), strict=True
            ):
                own = np.append(0.0, np.cumsum(read.characters[segment.begin : segment.end]))
                joint = _joint(spelled, own, words, characters)
                alone = read.characters[segment.begin : segment.end]
                with np.errstate(invalid="ignore"):
                    nats = np.where(np.isneginf(joint[:-1]), alone, np.diff(joint))
                result[read.first + segment.begin : read.first + segment.end] = nats
        return result

    def _read(self, tokens: Tokens) -> Iterator[_Read]:
        """Documents one after another, all that the mixture needs of them."""
        log_probs = self.components[1].log_probs(tokens)
        ends = np.append(tokens.starts[1:], len(tokens)).tolist()
        documents = [
            (a, b, *self.spelled.segments(tokens.ids[a:b]))
            for a, b in zip(tokens.starts.tolist(), ends, strict=True)
        ]
        # Many short documents are asked for together.
        begin = 0
        while begin < len(documents):
            end, size = begin, 0
            while end < len(documents) and (size < _ROWS or end == begin):
                size += len(documents[end][3]) + 1
                end += 1
            some = documents[begin:end]
            stream = one_longer([words for *_, words in some], self.spelled.word_newline)
            levels = groups(self.by, [self.components[0]], stream)
            rows = [_Spelled.none()] * len(stream)
            wanted = {
                int(first) + segment.row: segment
                for first, (_, _, segments, _) in zip(stream.starts, some, strict=True)
                for segment in segments
            }
            newline = self._spell(stream, wanted, rows)
            for first, (a, b, segments, _) in zip(stream.starts.tolist(), some, strict=True):
                begun = [first + segment.row for segment in segments]
                spelled = [
                    self._ended(rows[row], segment, tokens.ids[a:b], newline, row)
                    for row, segment in zip(begun, segments, strict=True)
                ]
                yield _Read(a, segments, spelled, log_probs[a:b], [level[begun] for level in levels])
            begin = end

    def _spell(self, stream: Tokens, wanted: Mapping[int, Segment], rows: list[_Spelled]) -> np.ndarray:
        """Fills in what the model of words says of the segments that begin at some of its tokens; (T,) p of a line feed."""
        newline = np.zeros(len(stream))
        for places, log_probs in self._word_rows(stream):
            p = np.exp(log_probs)
            if self.spelled.word_newline >= 0:
                newline[places] = p[:, self.spelled.word_newline]
            ordered = p[:, self.spelled.words]
            for row, place in zip(ordered, places.tolist(), strict=True):
                if place in wanted:
                    rows[place] = self._of_row(row, newline[place], wanted[place])
        return newline

    def _of_row(self, row: np.ndarray, newline: float, segment: Segment) -> _Spelled:
        """Of a segment and (W,) p of the spelled words in their order."""
        ranges = self.spelled.intervals(segment.key)
        bounds = [low for low, _ in ranges] + [high for _, high in reversed(ranges)]
        # The parts between the bounds, from which the sums of nested ranges are made from the inside out.
        parts = [0.0] * max(len(bounds) - 1, 0)
        if bounds:
            sums = np.add.reduceat(np.append(row, 0.0), bounds).tolist()
            parts = [s if a < b else 0.0 for s, a, b in zip(sums, bounds, bounds[1:], strict=False)]
        depth = len(ranges)
        masses = [0.0] * (len(segment.key) + 1)
        total = 0.0
        for k in reversed(range(depth)):
            total += parts[k] if k == depth - 1 else parts[k] + parts[2 * depth - 2 - k]
            masses[k] = total
        place = self.spelled.place(segment.key)
        whole = float(row[place]) if place >= 0 else 0.0
        if segment.opens:
            masses[0] += newline
            left = 1.0
        else:  # a space has been read: what comes is no line feed
            left = 1.0 - newline
        if left <= 0:
            return _Spelled.none(len(segment.key))
        masses = [mass / left for mass in masses]
        return _Spelled(masses, max(0.0, 1.0 - masses[0]), whole / left, newline, -np.inf)

    def _ended(
        self, spelled: _Spelled, segment: Segment, ids: np.ndarray, newline: np.ndarray, row: int
    ) -> _Spelled:
        """With ln p of the whole segment, its end included, where it is closed."""
        if not segment.closed:
            return spelled
        at_newline = ids[segment.end - 1] == self.spelled.newline
        if segment.opens and not segment.key:
            p = spelled.newline if at_newline else spelled.whole
        else:
            after = newline[row + 1] if spelled.whole else 0.0
            p = spelled.whole * (after if at_newline else 1 - after)
        with np.errstate(divide="ignore"):
            return spelled._replace(ends=float(np.log(p)))

    def _word_rows(self, stream: Tokens) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Some tokens of a stream of words, and their (N, V) distributions in nats, until all are done."""
        model = self.components[0]
        if model.reach is None:
            yield np.arange(len(stream)), model.distributions(stream)
            return
        position = stream.positions()
        for first in range(0, len(stream), _ROWS):
            places = np.arange(first, min(first + _ROWS, len(stream)))
            contexts = [stream.ids[t - min(position[t], model.reach) : t] for t in places]
            yield places, model.next_log_probs(contexts, stream.bos)

    # Foretelling --------------------------------------------------------------------------------------

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        rows = self.components[1].next_log_probs(contexts, bos)
        result = []
        for row, context in zip(rows, contexts, strict=True):
            begin = self._word_begin(context)
            segments, words = self.spelled.segments(context)
            key = segments[-1].key if len(context) > begin else ""
            opens = begin == 0 or bool(context[begin - 1] == self.spelled.newline)
            result.append(self._foretell(self._begun(words), key, opens, row, self._own(context, begin, bos)))
        return np.stack(result)

    def _stepper(self, bos: int) -> Stepper:
        # The model of words is asked for what comes after some words: by all of them, each anew, where it looks back on all.
        return super()._stepper(bos) if self.components[0].reach is None else WordCharStepper(self, bos)

    def _begun(self, words: Sequence[int]) -> Begun:
        """What the model of words says before a word, and after words (and what else stands in their place)."""
        p = self._after_words(words)
        levels = groups(self.by, [self.components[0]], one_longer([words], self.spelled.word_newline))
        return Begun(words, p, *self.shares.at([level[-1:] for level in levels])[0].tolist())

    def _after_words(self, words: Sequence[int]) -> np.ndarray:
        """(V,) p of what comes after words."""
        model = self.components[0]
        kept = words if model.reach is None else words[max(0, len(words) - model.reach) :]
        p: np.ndarray = np.exp(
            model.next_log_probs([np.array(kept, dtype=np.int32)], self.spelled.word_newline)[0]
        )
        return p

    def _foretell(self, begun: Begun, key: str, opens: bool, row: np.ndarray, own: np.ndarray) -> np.ndarray:
        """(V,) nats: the distribution inside of a word. row: (V,) nats by the model of characters; own: (L + 1,) nats (see ``_own``)."""
        mark = self.spelled.word_newline
        newline = float(begun.p[mark]) if mark >= 0 else 0.0
        ordered = begun.p[self.spelled.words]
        spelled = self._of_row(ordered, newline, Segment(0, len(key), False, 0, opens, key))
        joint = _joint(spelled._replace(ends=-np.inf), own, begun.of_words, begun.of_characters)
        if np.isneginf(joint[len(key)]):
            return row
        masses = np.zeros(self.vocab_size)
        left = 1.0 if opens else 1.0 - newline
        if left > 0:
            places, symbols = self.spelled.following(key)
            np.add.at(masses, symbols, ordered[places] / left)
            place = self.spelled.place(key)
            if opens and not key:
                at_newline, at_space = newline, spelled.whole
            else:
                ends = 0.0
                if place >= 0 and mark >= 0:
                    ends = float(self._after_words([*begun.words, int(self.spelled.words[place])])[mark])
                at_newline, at_space = spelled.whole * ends, spelled.whole * (1 - ends)
            for symbol, mass in ((self.spelled.newline, at_newline), (self.spelled.space, at_space)):
                if symbol >= 0:
                    masses[symbol] += mass
        with np.errstate(divide="ignore"):
            believed = np.log(begun.of_words * spelled.unknown + begun.of_characters) + own[-1]
            nats: np.ndarray = np.logaddexp(np.log(begun.of_words * masses), believed + row) - joint[len(key)]
        return nats

    def _word_begin(self, context: np.ndarray) -> int:
        """Where the word that goes on at the end of a context begins."""
        stops = np.flatnonzero((context == self.spelled.space) | (context == self.spelled.newline))
        return int(stops[-1]) + 1 if len(stops) else 0

    def _own(self, context: np.ndarray, begin: int, bos: int) -> np.ndarray:
        """(L + 1,) nats: what the model of characters gives the L characters from ``begin`` on, summed up from none to all."""
        model = self.components[1]
        if begin == len(context):
            return np.zeros(1)
        first = 0 if model.reach is None else max(0, begin - model.reach)
        read = model.log_probs(Tokens.of(context[first:], bos))
        return np.append(0.0, np.cumsum(read[begin - first :]))

    # Saving -------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, np.ndarray]:
        return {**self.spelled.state(), **self.shares.state(), **pack_parts(self.components)}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None:
        spelled = len(saved_array(state, "words", (None,), "i"))
        self.components = unpack_parts(state, [range(1, most_words(spelled) + 1), exactly(self.vocab_size)])
        self.spelled = SpelledWords.saved(state, self.vocab_size, self.components[0].vocab_size)
        self.shares = Weights.saved(state, 2, 1 + (self.by != "fixed"))

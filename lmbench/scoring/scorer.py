"""A fitted model with what it needs to read a text: scores, samples, and one file on disk."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self, overload

import msgspec
import numpy as np

from lmbench.corpora.corpus import Corpus
from lmbench.corpora.shards import ShardedText
from lmbench.counts.files import WordCounts
from lmbench.counts.ngrams import NgramCounts
from lmbench.errors import InputError, check_seed
from lmbench.models import LanguageModel, Monitor, make_model
from lmbench.models.base import Part
from lmbench.models.trust import Trust
from lmbench.scoring.generation import generate
from lmbench.scoring.saving import read_scorer, save_scorer
from lmbench.scoring.scores import Scores
from lmbench.scoring.speller import Speller
from lmbench.storage.memory import limit_of
from lmbench.storage.tasks import Run
from lmbench.text.canonical import CanonicalText, canonical_text
from lmbench.text.interning import WordFinder
from lmbench.text.tokens import EncodedText, Tokens, encode, encode_lines, occurrences
from lmbench.text.units import Unit, check_tokens, unit_named
from lmbench.text.vocab import UNK, Lexicon, Vocab
from lmbench.version import __version__

EVERY_TOKEN = Lexicon()  # those of the training text


@dataclass
class Scorer:
    """A fitted model with all that it takes to score a text: unit, vocabulary, speller, and how texts are made.

    types: the distinct tokens from which the speller learns: those of the training text, or, where the model learns from
    none, its own. unk: the token of the text that is the unknown one, if one is; unk_share: the probability that an unknown
    token is it, (1 + its number) / (2 + the number of unknown tokens) in the training text.
    """

    model: LanguageModel
    unit: Unit
    vocab: Vocab
    normalise: str
    documents: str
    types: Collection[str] = field(repr=False)
    about: dict[str, Any] = field(default_factory=dict)  # where it was trained, for whoever loads it
    unk: str = ""
    unk_share: float = 0.5

    @classmethod
    def fit(
        cls,
        model: LanguageModel,
        corpus: Corpus,
        unit: str = "char",
        seed: int = 0,
        monitor: Monitor | None = None,
        components: Sequence[Scorer] = (),
        lexicon: Lexicon = EVERY_TOKEN,
    ) -> Self:
        """Trains a model on a corpus's training text; valid, where there is one, is for its settings.

        components: the fitted scorers that the model combines, in the order of its ``traits.components``. lexicon: the vocabulary,
        and the token of the text that is the unknown one, where the training text is not to decide.
        A model that learns from none may be given a corpus whose training text is empty. Raises InputError where the model does
        not suit the text.
        """
        types = corpus.vocab(unit) if corpus.train.text or model.traits.learns_from != 0 else Vocab()
        cut = model.own_unit or corpus.unit(unit)
        vocab = _vocabulary(model, types, cut, lexicon)
        alike = [component for component in components if component.unit.spec == cut.spec]
        vocab = vocab.joined([component.vocab for component in alike])
        own = vocab is not types
        learns = model.traits.learns_from != 0  # else its training text need not even suit it
        encoded = {
            split: encode(corpus.text(split), cut, vocab) if own else corpus.encoded(unit, split)
            for split in ("train", "valid")
            if learns and (split == "train" or corpus.valid is not None)
        }
        valid = encoded["valid"].tokens if "valid" in encoded else None
        train = encoded["train"].tokens if learns else Tokens.of(())
        rng, parts = (
            np.random.default_rng(check_seed(seed)),
            model.joined(vocab, [c.part for c in components]),
        )
        model.fit(train, valid, len(vocab), rng, monitor, parts)
        about = {"corpus": corpus.name, "sha256": corpus.sha256, "seed": seed}
        about |= {"train": corpus.train.fingerprint if learns else ""}
        about |= {"valid": corpus.valid.fingerprint if learns and corpus.valid is not None else ""}
        seen = types if learns else vocab  # a speller learns from what its model has seen
        share = 0.5
        if lexicon and learns:
            unknown = int(np.count_nonzero(train.ids == 0))
            stands = occurrences(corpus.train, cut, lexicon.unk)
            share = (1 + stands) / (2 + unknown)
            model.notes += lexicon.notes(len(vocab), len(train), stands, unknown)
        names = corpus.normalise, corpus.documents
        known = list(dict.fromkeys(chain(seen.tokens[1:], *(component.types for component in alike))))
        return cls(model, cut, vocab, *names, known, about, lexicon.unk, share)

    @property
    def part(self) -> Part:
        """The model as one that another combines."""
        return Part(self.model, self.unit.spec, self.vocab, lambda tokens: self.speller.log_probs(tokens))

    @classmethod
    def of_counts(
        cls, model: LanguageModel, counts: WordCounts, corpus: Corpus, lexicon: Lexicon = EVERY_TOKEN
    ) -> Self:
        """Trains a count model on counts of n-grams of words, as ``fit`` does on the text that they are of.

        corpus: for its held-out text, and for how texts are read; its training text may be empty. The word ``<unk>`` of the counts is the
        unknown one. Raises InputError where the model needs more than counts.
        """
        types = counts.vocab()
        if UNK in counts.words and not lexicon.unk:
            lexicon = replace(lexicon, unk=UNK)
        cut = unit_named("word")
        vocab = _vocabulary(model, types, cut, lexicon)
        valid = None if corpus.valid is None else encode(corpus.valid, cut, vocab).tokens
        said: list[str] = []

        def ngrams(order: int) -> NgramCounts:
            found, notes = counts.ngrams(vocab, order)
            unknown, tokens = int(found.counts[1][0]), int(found.counts[0][0])
            said.extend([*notes, *(lexicon.notes(len(vocab), tokens, stands, unknown) if lexicon else ())])
            return found

        stands = counts.number(lexicon.unk)
        model.fit_counts(ngrams, valid)
        model.notes += said
        unknown = sum(
            counts.number(word) for word in {*types.tokens[1:], UNK, lexicon.unk} if not vocab[word]
        )
        about = {"corpus": corpus.name, "sha256": corpus.sha256, "train": counts.digest}
        about |= {"valid": "" if corpus.valid is None else corpus.valid.fingerprint}
        names = corpus.normalise, corpus.documents
        share = (1 + stands) / (2 + unknown)
        return cls(model, cut, vocab, *names, types.tokens[1:], about, lexicon.unk, share)

    @classmethod
    def fit_shards(
        cls,
        model: LanguageModel,
        text: ShardedText,
        name: str,
        valid: CanonicalText | None = None,
        seed: int = 0,
        run: Run | None = None,
        lexicon: Lexicon = EVERY_TOKEN,
    ) -> Self:
        """``fit`` on a training text that lies in token shards (``read_shards``); the model is the same, bit for bit.

        valid: read as the training text was (``text.reading``). run: where the work is done, default here. What has been done is kept
        in ``text.folder`` and is not done again when the same model is asked for. Raises InputError as ``fit`` does, and of a
        model that does not learn from counts.
        """
        reading = text.reading
        unit, limit = unit_named(reading.unit), limit_of(model.options().get("memory_limit", ""))
        # A vocabulary that is given needs none of the text's tokens; one is the least that a text has.
        first = 1 if lexicon.file else model.most_tokens or (sys.maxsize - 1 if lexicon.min_count else 0)
        # Where the unknown word is left out, one more is needed.
        ranked = text.ranked(first + 1, limit, lexicon.unk, lexicon.min_count) if first and limit else None
        seen = Vocab(text.counts if ranked is None else ranked.counts)
        vocab = _vocabulary(model, seen, unit, lexicon)
        held_out = None if valid is None else encode(valid, unit, vocab).tokens
        facts = [model.name, model.options(), vocab.tokens, "" if valid is None else valid.fingerprint]
        key = hashlib.sha256(msgspec.json.encode([*facts, __version__], order="deterministic"))
        folder = text.folder / key.hexdigest()[:16]
        folder.mkdir(exist_ok=True)
        tokens, unigrams = text.numbered(vocab, folder)
        model.fit_shards(tokens, unigrams, held_out, run)
        about = {"corpus": name, "sha256": text.digest, "seed": seed, "train": text.digest}
        about |= {"valid": "" if valid is None else valid.fingerprint}
        share = 0.5
        if lexicon:
            stands = text.counts[lexicon.unk] if ranked is None else ranked.number(lexicon.unk)
            unknown = int(unigrams[0])
            share = (1 + stands) / (2 + unknown)
            model.notes += lexicon.notes(len(vocab), len(tokens), stands, unknown)
        names = reading.normalise, reading.documents
        types = seen.tokens[1:] if ranked is None else ranked.types
        return cls(model, unit, vocab, *names, types, about, lexicon.unk, share)

    @cached_property
    def speller(self) -> Speller:
        """Made when the first unknown token is met."""
        return Speller.fit(self.vocab, self.unit.name, self.types, self.unk, self.unk_share)

    @cached_property
    def brings(self) -> list[bytes]:
        """(V,) the text that each token of the vocabulary brings, in UTF-8; nothing of ``<unk>`` and others that stand for none."""
        reserved = len(self.vocab.reserved)
        return [b"" if i < reserved else self.unit.brings(name) for i, name in enumerate(self.vocab.tokens)]

    @cached_property
    def _words(self) -> WordFinder:
        return WordFinder(self.vocab.tokens[1:])

    def encode_lines(self, text: CanonicalText) -> EncodedText:
        """A text that is one of many of lines, each looked up in the time that its own length takes."""
        if self.unit.name != "word" or self.vocab.newline < 0 or len(self.vocab.reserved) > 1:
            return self.encode(text)
        return encode_lines(text, self.unit, self.vocab, self._words)

    def encode(self, text: CanonicalText | EncodedText) -> EncodedText:
        """A text in this model's unit and vocabulary."""
        if isinstance(text, CanonicalText):
            return encode(text, self.unit, self.vocab)
        return text if text.vocab is self.vocab else encode(text.canonical, self.unit, self.vocab)

    def read(self, text: str, ended: bool = True) -> CanonicalText:
        """A string normalised and divided as the training text was.

        ended: whether the last line of a model of lines is ended, where the string does not end it.
        """
        canonical = canonical_text([text], self.normalise, self.documents)
        if ended or text.endswith("\n") or not canonical.text.endswith("\n"):
            return canonical
        return CanonicalText(canonical.text[:-1], canonical.starts)

    @overload
    def score(self, text: str | CanonicalText | EncodedText) -> Scores: ...

    @overload
    def score(self, text: list[str] | tuple[str, ...]) -> list[Scores]: ...

    def score(
        self, text: str | CanonicalText | EncodedText | list[str] | tuple[str, ...]
    ) -> Scores | list[Scores]:
        """Charges the model for every character of a text; of a list of texts, for each by itself.

        Strings are read as the training text was (``read``); a canonical or encoded text is taken as it stands. An empty text
        has no tokens, and its bits per character are nan. Many lines at once: ``scoring.lines.score_each_line``.

        >>> from lmbench.corpora.corpus import Documents
        >>> scorer = Scorer.fit(make_model("uniform"), Corpus.of(Documents(["abc " * 9]), test=0.0, valid=0.0))
        >>> round(scorer.score("cab").perplexity, 9), [len(scores) for scores in scorer.score(["a", "bc", ""])]
        (5.0, [1, 2, 0])
        """
        if isinstance(text, str):
            return self._score(self.encode(self.read(text)))
        if isinstance(text, (CanonicalText, EncodedText)):
            return self._score(self.encode(text))
        return [self._score(self.encode(self.read(one))) for one in text]

    def _score(self, encoded: EncodedText) -> Scores:
        return self.charged(encoded, self.model.log_probs(encoded.tokens))

    def charged(self, encoded: EncodedText, log_probs: np.ndarray) -> Scores:
        """The scores of a text whose tokens' log-probabilities (T,) are known: with the spelling of the unknown ones."""
        canonical, spelling = encoded.canonical, self._spelling(encoded)
        return Scores(
            log_probs,
            encoded.ends,
            encoded.oov,
            spelling,
            encoded.tokens.starts,
            canonical.chars,
            canonical.bytes,
            canonical.words,
            len(self.vocab),
        )

    def nats(self, encoded: EncodedText) -> tuple[np.ndarray, np.ndarray]:
        """(T,) float64, nats ≤ 0, of each token; (T,) what its spelling costs besides, 0 within the vocabulary."""
        return self.model.log_probs(encoded.tokens), self._spelling(encoded)

    def _spelling(self, encoded: EncodedText) -> np.ndarray:
        spelling = np.zeros(len(encoded.tokens))
        unknown = np.flatnonzero(encoded.oov)
        if len(unknown):
            spelling[unknown] = self.speller.log_probs(encoded.surface_at(unknown))
        return spelling

    def next_tokens(self, prompt: str = "", top: int = 10) -> list[tuple[str, float]]:
        """The likeliest tokens after a prompt, and ln p of each (nats ≤ 0); ``<unk>`` stands for every unknown one.

        The prompt is read as the training text was; a blank at its end stays for a model by character or byte, and to one
        by word says nothing, since a word brings the blank before it.

        >>> from lmbench.corpora.corpus import Documents
        >>> corpus = Corpus.of(Documents(["a b a b a c " * 9]), test=0.0, valid=0.0)
        >>> scorer = Scorer.fit(make_model("kneser-ney", order=2), corpus, "word")
        >>> [token for token, _ in scorer.next_tokens("a b a ", top=2)]
        ['b', 'c']
        """
        text = self.read(prompt, ended=False).text
        if prompt[-1:].isspace() and text and not text[-1].isspace():
            text += " "
        ids = self.vocab.encode(self.unit.split(text.rstrip(" ") if self.unit.name == "word" else text))
        newline = self.vocab.newline
        if self.documents == "line" and newline >= 0:
            ids = ids[np.flatnonzero(np.append(newline, ids) == newline)[-1] :]
        row = self.model.next_log_probs(ids, newline)
        best = np.argsort(-row, kind="stable")[:top].tolist()
        return [(self.vocab.tokens[i], float(row[i])) for i in best]

    def generate(
        self,
        rng: np.random.Generator,
        length: int,
        prompt: str = "",
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
    ) -> str:
        """``length`` tokens that continue the prompt, as text after it; ``<unk>`` is never drawn."""
        ids = self.vocab.encode(self.unit.split(prompt))
        newline = self.vocab.newline
        end = newline if self.documents == "line" and newline >= 0 else None
        drawn = generate(self.model, rng, length, ids, temperature, top_k, top_p, newline, end, exclude=[0])
        tokens = [*self.unit.split(prompt), *(self.vocab.tokens[i] for i in drawn.tolist())]
        return self.unit.join(tokens)

    # Saving -------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Writes all of it to one file, whole or not at all; to ``.arpa`` or ``.arpa.gz`` the n-grams alone.

        Raises InputError where it cannot be written.
        """
        if str(path).endswith((".arpa", ".arpa.gz")):
            from lmbench.models.smoothing.arpa import save_arpa

            return save_arpa(path, self.model, self.vocab)
        save_scorer(self, path)

    @classmethod
    def load(cls, path: str | Path, check: bool = False, trust_code: Trust = False) -> Self:
        """Reads a saved scorer back, bit for bit. Raises InputError where the file is foreign or damaged.

        trust_code: whether a class that the file names (``package.module:Class``) may be imported, or the names of those that may;
        without, it is only where this program has imported it already.

        The n-grams of a count model stay in the file, and each part of it is checked when it is first read; check:
        everything at once, now. An ARPA file (``.arpa``, ``.arpa.gz``) is read as its toolkit meant it: lines of words, which
        blanks of every kind divide, without sentence marks around them.
        """
        if str(path).endswith((".arpa", ".arpa.gz")):
            return cls._of_arpa(path)
        return read_scorer(cls, path, check, trust_code)

    @classmethod
    def _of_arpa(cls, path: str | Path) -> Self:
        nothing = CanonicalText("", np.zeros(0, dtype=np.int64))
        corpus = Corpus(Path(path).stem, nothing, None, None, "sentences", "line")
        return cls.fit(make_model("arpa", file=str(path)), corpus, "word")


def _vocabulary(model: LanguageModel, types: Vocab, unit: Unit, lexicon: Lexicon) -> Vocab:
    """The vocabulary that a model works with. Raises InputError where the unknown word is one of its own, or one is no token of the unit."""
    vocab = model.vocabulary(lexicon.of(types, unit.name))
    if vocab is not types and model.own_unit is None:
        check_tokens(unit, vocab.tokens[len(vocab.reserved) :])
    if lexicon.unk and vocab[lexicon.unk] != 0:
        raise InputError(
            f"unk={lexicon.unk} is a word like others in the vocabulary of {model.name}; leave it out"
        )
    return vocab


def load_model(path: str | Path, check: bool = False, unk: str = "", trust_code: Trust = False) -> Scorer:
    """A model saved by ``lmbench fit --save``, ready to score and to write text. check: all of the file at once.

    unk: the token of the texts to score that is the unknown one, where the file does not say (an ARPA file cannot).
    trust_code: whether a class of another package that the file names may be imported.
    Raises InputError as ``Scorer.load`` does, and where unk is a token like others.

    >>> import tempfile
    >>> from lmbench.corpora import make_source
    >>> from lmbench.models import make_model
    >>> corpus = Corpus.of(make_source("golden-mean"), length=5000)
    >>> scorer = Scorer.fit(make_model("bigram"), corpus)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scorer.save(f"{folder}/coins.model")
    ...     again = load_model(f"{folder}/coins.model")
    >>> again.score("abab").bits_per_char == scorer.score("abab").bits_per_char
    True
    """
    scorer = Scorer.load(path, check, trust_code)
    if not unk:
        return scorer
    if scorer.vocab[unk] != 0:
        raise InputError(f"unk={unk} is a word like others in the vocabulary of {path}; leave it out")
    return replace(scorer, unk=unk)

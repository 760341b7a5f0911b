"""The contract of a language model: one probability distribution over token sequences.

A model is a dataclass: its ``option`` fields are what ``-o KEY=VALUE`` and suites may set; what it learns is
set by ``_fit``. A subclass writes four methods, ``_fit``, ``_log_probs``, ``_next_log_probs`` and the pair
``_state``/``_restore`` for saving, and ``_stepper`` where it can go through a text token by token without reading anew what
stands before each; the public methods here check, the underscore methods compute.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from lmbench.counts.ngrams import NgramCounts
from lmbench.errors import InputError
from lmbench.models.asked import check_places, check_tokens
from lmbench.models.monitor import Monitor
from lmbench.models.options import option as option
from lmbench.models.options import option_fields
from lmbench.models.stepping import Reading, Rereading
from lmbench.models.stepping import Stepper as Stepper
from lmbench.models.traits import Traits as Traits
from lmbench.storage.mapped import MappedArray
from lmbench.storage.tasks import Run
from lmbench.text.shards import TokenShards
from lmbench.text.tokens import Tokens
from lmbench.text.units import Unit
from lmbench.text.vocab import NOTHING, Vocab

LEAST = -1e100  # nats; of less the squares are no numbers
CELLS = 1 << 20  # probabilities that are asked of ``_next_log_probs`` at once


class Part(NamedTuple):
    """A fitted model that another combines, with its unit and vocabulary.

    spelling: (N,) nats of N tokens outside its vocabulary, given that a token is.
    """

    model: LanguageModel
    unit: str
    vocab: Vocab
    spelling: Callable[[Sequence[str]], np.ndarray]


def learned() -> Any:
    """A dataclass field that ``fit`` sets."""
    return dataclasses.field(init=False, repr=False, compare=False)


@dataclasses.dataclass(kw_only=True, eq=False)
class LanguageModel(ABC):
    """A distribution over sequences of V token ids; every document is a sequence of its own.

    ``components``: the fitted models that this one combines. ``notes``: sentences about the fit, for the reader of its
    results. ``history``: what was measured on the way, an entry an epoch.

    ``costs``: what a fit that multiplies matrices has measured of its work: training_flops (floating-point operations to
    learn from one token), training_tokens (learnt from, over all passes), training_seconds (before an interruption,
    too), peak_flops (a second, of single-precision products on this machine with the same threads), arithmetic (that of
    the training). Models that count have none. ``monitor``: what a long scoring tells of how far it is.
    """

    registered: str = dataclasses.field(init=False, default="", repr=False)
    vocab_size: int = dataclasses.field(init=False, default=0, repr=False)
    components: list[LanguageModel] = dataclasses.field(init=False, default_factory=list, repr=False)
    notes: list[str] = dataclasses.field(init=False, default_factory=list, repr=False)
    history: list[dict[str, float]] = dataclasses.field(init=False, default_factory=list, repr=False)
    costs: dict[str, Any] = dataclasses.field(init=False, default_factory=dict, repr=False)
    monitor: Monitor = dataclasses.field(init=False, default_factory=Monitor, repr=False)
    # What was read to answer the last question about what comes next, which the next question may go on from.
    reading: Reading | None = dataclasses.field(init=False, default=None, repr=False)

    @property
    def traits(self) -> Traits:
        """What holds of this model, fitted or not; a subclass of which other things hold overrides it."""
        return Traits()

    # What a subclass writes -------------------------------------------------------------------------

    @abstractmethod
    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        """Learns from train; chooses settings on valid alone. ``self.vocab_size`` is set."""

    def _settle(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator) -> None:
        """What is left to do after ``_fit``, by the options on which that does not depend (``option(fits=False)``)."""
        return

    def _take_up(self, state: Mapping[str, np.ndarray]) -> None:
        """Makes this model what ``_fit`` would, of the ``_state`` that it left in one of the same options, those aside that it does not
        depend on."""
        self._restore(state)

    @abstractmethod
    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        """(T,) float64, nats: entry t is ln p(x_t | the tokens before it in its document)."""

    @abstractmethod
    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        """(B, V) float64, nats: the next token's distribution after each context.

        A context holds the document so far, from its first token (empty: a document begins).
        """

    def _distributions(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        """(P, V) float64, nats: the distributions of the tokens at ascending places (P,), P > 0, each after those before
        it in its document.

        Asks for one prefix after another; a model that reads a text in one go overrides it.
        """
        if self.traits.adaptive:
            return np.stack([self._after(tokens.before(t)) for t in places.tolist()])
        begins = places - tokens.positions()[places]
        rows = np.empty((len(places), self.vocab_size))
        size = min(256, max(1, CELLS // self.vocab_size))
        for part in np.array_split(np.arange(len(places)), -(-len(places) // size)):
            prefixes = [tokens.ids[begins[i] : places[i]] for i in part]
            rows[part] = self._next_log_probs(prefixes, tokens.bos)
        return rows

    def _next_after(self, tokens: Tokens) -> np.ndarray:
        """(V,) float64, nats: the distribution of the token that comes after these documents, the last of which goes on.

        For models that have no ``_stepper``. An adaptive one is asked for each candidate's score, unless it overrides this.
        """
        if not self.traits.adaptive:
            return self._next_log_probs([tokens.ids[tokens.starts[-1] :]], tokens.bos)[0]
        ids = np.append(tokens.ids, np.int32(0))
        row = np.empty(self.vocab_size)
        for candidate in range(self.vocab_size):
            ids[-1] = candidate
            row[candidate] = self._log_probs(Tokens(ids, tokens.starts, tokens.bos))[-1]
        return row

    def _stepper(self, bos: int) -> Stepper:
        """A way through a text from its beginning, token by token. Here each token is foretold from all that stands before, read anew."""
        return Rereading(self, bos)

    def _after(self, tokens: Tokens) -> np.ndarray:
        """(V,) float64, nats: the distribution after these documents, the last of which goes on; a text of which one token after
        another is asked for is read once."""
        if self.reading is None or not self.reading.goes_on_in(tokens):
            self.reading = Reading(self._stepper(tokens.bos))
        return self.reading.next(tokens)

    def _likeliest(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        """(n,) bool: whether each of the tokens at some places is the likeliest there."""
        best: np.ndarray = self.distributions(tokens, places).argmax(axis=1) == tokens.ids[places]
        return best

    @property
    def reach(self) -> int | None:
        """A prediction rests on so many tokens before it at most, the document's beginning counted as one; None: on all of them."""
        return None

    def seen(self, tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
        """What the model knows of the context of each token: (T,) int64, the tokens of the longest one that it has seen go on, and
        (T,) int64, how many kinds of tokens it has seen after it; 0 of a model that does not count."""
        return np.zeros(len(tokens), dtype=np.int64), np.zeros(len(tokens), dtype=np.int64)

    def ngrams(self) -> list[np.ndarray] | None:
        """For each order k from 1, (N_k, k) int32: the n-grams of which the model is made; None of one that is made of others."""
        return None

    def backed_off(self) -> LanguageModel:
        """A model of n-grams with backoff weights that says the same, or nearly; this one itself where there is none."""
        return self

    def read_on(self, tokens: Tokens) -> Self:
        """A model that has learnt from more text, its settings as they are; this one itself where it cannot go on."""
        other = copy.copy(self)
        other.reading = None
        return other if other._read_on(tokens) else self

    def _read_on(self, tokens: Tokens) -> bool:
        """Learns from more text, and says whether it can; what was learnt before is not changed in place."""
        return False

    def retraced(self, train: Tokens, size: int) -> Iterator[np.ndarray] | None:
        """What a model that learns as it reads says of its own training text, each token after those before it alone: (n, V) float64,
        nats, of ``size`` tokens at a time. None of a model that knows the text only as a whole."""
        return None

    def joined(self, vocab: Vocab, parts: Sequence[Part]) -> list[LanguageModel]:
        """The models that ``fit`` combines, over this one's vocabulary, made of fitted ones. Raises InputError where they do not suit."""
        for part in parts:
            if part.vocab.tokens != vocab.tokens:
                raise InputError(f"{part.model.name} has a vocabulary of its own; it cannot be combined")
        return [part.model for part in parts]

    @property
    def scores_candidates(self) -> bool:
        """Whether ``next_log_probs`` reads the text before once for every symbol of the vocabulary.

        So it is where the model is adaptive and has neither ``_stepper`` nor ``_next_after`` of its own.
        """
        kind = type(self)
        own = kind._stepper is not LanguageModel._stepper or kind._next_after is not LanguageModel._next_after
        return self.traits.adaptive and not own

    @abstractmethod
    def _state(self) -> dict[str, np.ndarray]:
        """What was learnt, as named arrays; ``_restore`` makes the fitted model of them, bit for bit."""

    @abstractmethod
    def _restore(self, state: Mapping[str, np.ndarray]) -> None: ...

    def _open(self, columns: Mapping[str, MappedArray]) -> None:
        """``_restore`` of arrays that lie in a file; a model that can leave them there does so."""
        self._restore({name: np.array(column) for name, column in columns.items()})

    @property
    def context_policy(self) -> str:
        """What a prediction rests on, as a few words of every signature."""
        return "adaptive" if self.traits.adaptive else "document"

    @property
    def own_unit(self) -> Unit | None:
        """The unit of a model that brings its own tokens; None of one that works with what is asked for."""
        return None

    # Of the tokens of a corpus ``vocabulary`` keeps so many at most, the most frequent; 0: all.
    most_tokens = 0

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        """The vocabulary that this model works with: the corpus's, unless the model limits or brings its own.

        Called before ``fit``. Raises InputError where the options do not suit the vocabulary.
        """
        return corpus_vocab

    def vocabulary_of(self, tokens: Sequence[str], reserved: int) -> Vocab:
        """A saved model's vocabulary, of which the first ``reserved`` tokens stand for no text."""
        return Vocab.from_list(tokens, reserved)

    # What callers use -------------------------------------------------------------------------------

    def fit(
        self,
        train: Tokens | Sequence[int] | np.ndarray,
        valid: Tokens | Sequence[int] | np.ndarray | None = None,
        vocab_size: int | None = None,
        rng: np.random.Generator | None = None,
        monitor: Monitor | None = None,
        components: Sequence[LanguageModel] = (),
    ) -> Self:
        """Learns from training tokens; returns self.

        vocab_size: V, ``<unk>`` included (default: one more than the largest id). rng: all randomness of the fit
        (default: seed 0). components: the fitted models that this one combines, in the order of ``traits.components``.
        Raises InputError for empty text, ids outside 0..V-1, missing held-out text or components.

        >>> from lmbench.models import make_model
        >>> bigram = make_model("bigram", eps="1,1").fit([1, 2, 1, 2, 1], vocab_size=3)
        >>> np.exp(bigram.log_probs([1, 2])).round(3)
        array([0.556, 0.796])
        """
        train = Tokens.of(train)
        if len(train) == 0 and self.traits.learns_from != 0:
            raise InputError("the training text has no tokens; give more text")
        self.vocab_size = int(train.ids.max()) + 1 if vocab_size is None else vocab_size
        self._check(train)
        held_out = self._held_out(valid)
        if len(components) != len(self.traits.components):
            raise InputError(
                f"{self.name} needs its components fitted first: {', '.join(self.traits.components)}"
            )
        self._forget()
        self.components = list(components)
        rng = np.random.default_rng(0) if rng is None else rng
        untouched = rng.bit_generator.state
        monitor, began = monitor or Monitor(), time.perf_counter()
        shared = monitor.shared
        if shared is None or not shared.take(self, rng):
            self._fit(train, held_out, rng, monitor)
            if shared is not None:
                shared.keep(self, rng, time.perf_counter() - began)
        self._settle(train, held_out, rng)
        if not self.traits.seeded and rng.bit_generator.state != untouched:
            self.notes.append(
                "the fit draws random numbers, but the class does not say so: give it traits with seeded=True"
            )
        return self

    def fit_counts(
        self,
        counts: Callable[[int], NgramCounts],
        valid: Tokens | Sequence[int] | np.ndarray | None = None,
    ) -> Self:
        """Learns from the counts of a training text what it would learn from the text; returns self.

        counts: given an order, those of the n-grams up to it. Raises InputError where a model needs more than counts.
        """
        raise InputError(f"{self.name} learns from a text, not from counts; give --train, or a count model")

    def _forget(self) -> None:
        """Nothing is left of what was said of an earlier fit, or read by it."""
        self.notes, self.history, self.costs, self.reading = [], [], {}, None

    def _held_out(self, valid: Tokens | Sequence[int] | np.ndarray | None) -> Tokens | None:
        """The held-out text. Raises InputError where there has to be one and is none."""
        held_out = None if valid is None else Tokens.of(valid)
        if held_out is not None and len(held_out):
            self._check(held_out)
        elif self.traits.held_out == "needed":
            raise InputError(
                f"{type(self).__name__} needs held-out text to choose its settings; give --valid FILE"
            )
        return held_out

    def fit_shards(
        self, train: TokenShards, unigrams: np.ndarray, valid: Tokens | None = None, run: Run | None = None
    ) -> Self:
        """``fit``, bit for bit, on a training text that lies in files, for models that learn from counts; returns self.

        unigrams: (V,) int64, how often each word of the vocabulary occurs in it. run: where the work is done, default here.
        Raises InputError as ``fit`` does, and of a model that reads the text itself.
        """
        self.vocab_size = len(unigrams)
        held_out = self._held_out(valid)
        self._forget()
        self._fit_shards(train, unigrams, held_out, run)
        return self

    def _fit_shards(
        self, train: TokenShards, unigrams: np.ndarray, valid: Tokens | None, run: Run | None
    ) -> None:
        raise InputError(
            f"{self.name} learns from the text itself, not from counts of it; leave --jobs, --cluster and --work out"
        )

    @property
    def learns_from_counts(self) -> bool:
        """Whether ``fit_shards`` can fit it."""
        return type(self)._fit_shards is not LanguageModel._fit_shards

    def log_probs(self, tokens: Tokens | Sequence[int] | np.ndarray) -> np.ndarray:
        """(T,) float64, nats, ≤ 0: entry t is ln p(x_t | x_<t) inside its document; -inf where p = 0.

        Raises InputError for ids outside 0..V-1, documents that are empty or out of order, a model that is not fitted, or one
        whose numbers are wrong: a probability that is NaN, below e^``LEAST`` and not 0, or, by more than ``traits.precision``, above 1.
        """
        tokens = Tokens.of(tokens)
        self._check(tokens)
        if len(tokens) == 0:
            return np.zeros(0)
        return self.at_most_one(self._log_probs(tokens))

    def likeliest(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        """(n,) bool: whether each of the tokens at some ascending places is the likeliest there. Raises InputError as ``log_probs``
        does."""
        self._check(tokens)
        return self._likeliest(tokens, places)

    def distributions(
        self, tokens: Tokens | Sequence[int] | np.ndarray, places: Sequence[int] | np.ndarray | None = None
    ) -> np.ndarray:
        """(T, V) float64, nats: row t is the distribution that entry t of ``log_probs`` is taken from.

        places: (P,) ascending, the only tokens of which it is asked; then (P, V). It needs 8 V bytes a row. Raises InputError
        as ``log_probs`` does, and of places that do not ascend or are none of the text's.

        >>> from lmbench.models import make_model
        >>> np.exp(make_model("uniform").fit([1, 2], vocab_size=4).distributions([1])).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
        """
        tokens = Tokens.of(tokens)
        self._check(tokens)
        asked = np.arange(len(tokens)) if places is None else np.asarray(places)
        if len(asked) == 0:
            return np.zeros((0, self.vocab_size))
        check_places(asked, tokens)
        return self.at_most_one(self._distributions(tokens, asked.astype(np.int64, copy=False)))

    def next_log_probs(
        self,
        context: Tokens | Sequence[int] | np.ndarray | Sequence[Sequence[int] | np.ndarray],
        bos: int = NOTHING,
    ) -> np.ndarray:
        """(V,) float64, nats: the distribution of the token after ``context``, the document so far.

        A list of contexts gives (B, V). Tokens are documents of which the last goes on (``Tokens.before``), those before it
        for models that learn while they read. bos: the id as if which a document begins, or ``NOTHING`` (``Tokens.bos``). Raises InputError
        as ``log_probs`` does.
        """
        if isinstance(context, Tokens):
            self._check(context, goes_on=True)
            return self._after(context)
        given: Any = context  # one, or several
        if not (len(given) > 0 and np.ndim(given[0]) == 1):
            return self.next_log_probs(Tokens.of(given, bos))
        contexts = [Tokens.of(one, bos) for one in given]
        for one in contexts:
            self._check(one)
        return self.at_most_one(self._next_log_probs([one.ids for one in contexts], bos))

    def stepper(self, bos: int = NOTHING) -> Stepper:
        """A way through a text from its beginning, a token at a time: what comes next is asked for before it is read.

        bos: the id as if which each document begins, or ``NOTHING``. Raises InputError of a model that is not fitted, and of another bos.
        """
        self._check(Tokens.of((), bos))
        return self._stepper(bos)

    @property
    def name(self) -> str:
        """The name that makes such a model anew: a registered one, or ``package.module:Class``."""
        return self.registered or f"{type(self).__module__}:{type(self).__qualname__}"

    def state(self) -> dict[str, np.ndarray]:
        """What was learnt, as named arrays, of which ``restore`` makes the model again, bit for bit."""
        return self._state()

    def restore(
        self,
        state: Mapping[str, np.ndarray] | Mapping[str, MappedArray],
        vocab_size: int,
        notes: Sequence[str] = (),
        history: Sequence[dict[str, float]] = (),
    ) -> Self:
        """Makes this model, its options as they were, the fitted one whose ``state`` is given; returns self.

        Arrays that lie in a file may stay there. Raises InputError where they are not those of such a model.
        """
        self._forget()
        self.vocab_size, self.notes, self.history = vocab_size, list(notes), list(history)
        mapped = {name: column for name, column in state.items() if isinstance(column, MappedArray)}
        if mapped:
            self._open(mapped)
        else:
            self._restore({name: np.asarray(array) for name, array in state.items()})
        return self

    @property
    def parameters(self) -> int:
        """How many numbers the model keeps."""
        return sum(int(a.size) for a in self._state().values())

    @property
    def model_bytes(self) -> int:
        """How many bytes those numbers take."""
        return sum(int(a.nbytes) for a in self._state().values())

    def options(self) -> dict[str, Any]:
        """The options as set, defaults included."""
        return {name: getattr(self, f.name) for name, f in option_fields(type(self)).items()}

    def fit_options(self) -> dict[str, Any]:
        """Those of the options on which the fit depends."""
        fields = option_fields(type(self))
        return {
            name: value for name, value in self.options().items() if fields[name].metadata.get("fits", True)
        }

    def harness_view(self) -> Any:
        """How lm-evaluation-harness asks this model, where it has conventions of its own for such; None: as any other."""
        return None

    def saved_options(self) -> dict[str, Any]:
        """The options from which a saved model is made again, wherever that is done."""
        return self.options()

    def _check(self, tokens: Tokens, goes_on: bool = False) -> None:
        """Raises InputError where the model is not fitted, or cannot be asked of such tokens (see ``check_tokens``)."""
        if not self.vocab_size:
            raise InputError(f"this {type(self).__name__} is not fitted; call fit() first")
        check_tokens(tokens, self.vocab_size, goes_on)

    def at_most_one(self, log_probs: np.ndarray) -> np.ndarray:
        """Log-probabilities of a sound model, ``LEAST`` to 0 or -inf; raises InputError where it is not."""
        highest, lowest = float(log_probs.max(initial=-math.inf)), float(log_probs.min(initial=0.0))
        if lowest < LEAST:
            lowest = float(log_probs.min(initial=0.0, where=log_probs > -math.inf))
        if highest <= self.traits.precision and not lowest < LEAST:
            return log_probs if highest <= 0 else np.minimum(log_probs, 0.0)
        where = "".join(f" ({path})" for path in self.traits.sources)
        wrong = f"e^{lowest:.6g}, which nothing has" if lowest < LEAST else f"e^{highest:.6g}, above 1"
        what = "NaN" if highest != highest else wrong
        raise InputError(
            f"{self.name}{where} gives a probability of {what}: its numbers are wrong; fit it or get it anew"
        )

"""A model behind an OpenAI-compatible server that says how probable the tokens of a text are."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

from lmbench.errors import InputError, unknown
from lmbench.models.base import LanguageModel, Traits, learned
from lmbench.models.monitor import Monitor
from lmbench.models.options import option
from lmbench.models.outside.completions import Completions
from lmbench.text.canonical import CanonicalText
from lmbench.text.cut import Cut
from lmbench.text.tokens import Tokens
from lmbench.text.units import Unit
from lmbench.text.vocab import UNK, Vocab

LONGEST = 4096  # characters of a window where no option names another length
BYTE = 8 * np.log(2.0)  # nats of a byte, and of a length below 256
UNTOLD = "the server says nothing of"
_BLANK_AFTER_WORD = re.compile(r"(?<=\w)(?= )")


class _Document(NamedTuple):
    """A document's tokens as stretches of its text, which they divide, and what is charged for each.

    nats: (T,) float64. likeliest: (T,) bool. untold: how many the server said nothing of.
    """

    pieces: list[str]
    nats: np.ndarray
    likeliest: np.ndarray
    untold: int


@dataclass(kw_only=True, eq=False)
class Server(LanguageModel):
    """A model behind a server: vLLM, SGLang, llama-cpp-python's, or any that answers ``/v1/completions`` with ``echo`` and ``logprobs``.

    The server cuts the text with its own tokenizer and says ln p of each token after those before it. A document is sent whole as long
    as it fits the window, in characters; a longer one in windows that move on by ``stride``, each cut before a blank where
    there is one near, and each token is charged by the first window that holds it. Where two windows cut the text
    otherwise, the later one counts from the last place at which both end a token. ``bos`` stands before every
    window. A token of which nothing is said, as of a text's first one where the server puts nothing before it, is charged 8
    bits a byte and 8 bits for their number: a distribution over all strings of up to 256 bytes. Distributions are not to be had, so
    that Σ p = 1 cannot be looked at and the model has no rank.
    """

    url: str = option("", "the server's address up to /v1; plain http for this machine alone", kind="host")
    model: str = option("", "the model's name there; none: the only one that it has")
    bos: str = option(
        "", "text before every window, for instance <|endoftext|>; none: what the server puts there"
    )
    window: int | None = option(
        None,
        f"characters that a prediction may rest on; none: as many as the server says it takes tokens, at most {LONGEST}",
    )
    stride: int | None = option(None, "by how many characters a full window moves on; none: half of it")
    parallel: int = option(4, "texts that the server is sent at once")
    timeout: float = option(120.0, "seconds that it may take to answer")
    retries: int = option(4, "repetitions where it is busy or the connection breaks")
    key: str = option(
        "LMBENCH_API_KEY", "the environment variable that holds a key, if the server asks for one"
    )

    _vocab: Vocab = learned()

    def __post_init__(self) -> None:
        if not self.url:
            raise InputError("option url: name a server, for instance -o url=http://127.0.0.1:8000/v1")
        for name, least in (
            ("window", 16),
            ("stride", 1),
            ("parallel", 1),
            ("timeout", 0.001),
            ("retries", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"option {name}={value} is to be {least} or more")
        self._vocab = _Pieces([])
        self._kept: dict[str, _Document] = {}

    @functools.cached_property
    def _server(self) -> Completions:
        return Completions(self.url, self.key, self.timeout, self.retries)

    @functools.cached_property
    def _model(self) -> tuple[str, int | None]:
        """The model's name, and how many tokens it takes, where that is said."""
        offered = {one.id: one for one in self._server.models()}
        if not self.model and len(offered) != 1:
            names = ", ".join(offered) or "none"
            raise InputError(f"option model: {self.url} has {len(offered)} models; name one of {names}")
        if offered and self.model and self.model not in offered:
            raise unknown("model of the server", self.model, offered)
        name = self.model or next(iter(offered))
        return name, offered[name].tokens if name in offered else None

    @functools.cached_property
    def _reach(self) -> tuple[int, int]:
        """The window's length and stride in characters."""
        most = self._model[1]
        window = self.window or min(LONGEST, LONGEST if most is None else most)
        stride = self.stride or max(1, window // 2)
        if stride >= window:
            raise InputError(f"option stride={stride} is to be less than the window, {window} characters")
        return window, stride

    # What it brings -----------------------------------------------------------------------------------

    @property
    def own_unit(self) -> Unit:
        return self._unit

    @functools.cached_property
    def _unit(self) -> _ServersUnit:
        return _ServersUnit(self)

    def vocabulary(self, corpus_vocab: Vocab) -> Vocab:
        """The tokens met so far: the server does not say what else it has."""
        return self._vocab

    def vocabulary_of(self, tokens: Sequence[str], reserved: int) -> Vocab:
        self._vocab = _Pieces(tokens[1:])
        return self._vocab

    @property
    def context_policy(self) -> str:
        window, stride = self._reach
        bos = f",bos={self.bos},bos_in=window" if self.bos else ""
        return f"document,server={self._model[0]}{bos},window={window}chars,stride={stride}chars,untold=bytes"

    @property
    def traits(self) -> Traits:
        return Traits(learns_from=0, precision=0.02, distributions=False)

    # The contract -------------------------------------------------------------------------------------

    def _fit(self, train: Tokens, valid: Tokens | None, rng: np.random.Generator, monitor: Monitor) -> None:
        name, _ = self._model
        _ = self._reach
        self._check_causal()
        self.notes.append(
            f"{name} at {urlsplit(self.url).netloc} was trained elsewhere: whether it has read the test text is not known"
        )

    def _check_causal(self) -> None:
        """Raises InputError where a token's probability rests on what follows it, or nothing is said of a text."""
        beginning = "The ferry left at"
        one, other = (
            self._server.said(self._model[0], self.bos, f"{beginning} {end}") for end in ("nine", "ten")
        )
        least = min(len(one.ends), len(other.ends))
        same = (one.ends[:least] == other.ends[:least]) & (one.ends[:least] <= len(beginning))
        a, b = one.nats[:least][same], other.nats[:least][same]
        if not np.allclose(a, b, rtol=0, atol=0.1, equal_nan=True):
            raise InputError(
                f"{self._model[0]} at {self.url} says otherwise of the same tokens when others come after: what it says is "
                "no probability of a text"
            )

    def _check(self, tokens: Tokens, goes_on: bool = False) -> None:
        self.vocab_size = len(self._vocab)
        super()._check(tokens, goes_on)

    def _log_probs(self, tokens: Tokens) -> np.ndarray:
        texts = ["".join(self._vocab.to_tokens(ids)) for ids in tokens.documents()]
        documents = self._read(texts)
        for ids, document in zip(tokens.documents(), documents, strict=True):
            if self._vocab.encode(document.pieces).tolist() != ids.tolist():
                raise InputError(f"{self._model[0]} at {self.url} cuts a text into other tokens than these")
        untold = sum(document.untold for document in documents)
        self.notes = [note for note in self.notes if UNTOLD not in note]
        if untold:
            self.notes.append(
                f"{UNTOLD} {untold:,} of {len(tokens):,} tokens, which are charged by their bytes"
            )
        return np.concatenate([document.nats for document in documents])

    def _likeliest(self, tokens: Tokens, places: np.ndarray) -> np.ndarray:
        documents = self._read(["".join(self._vocab.to_tokens(ids)) for ids in tokens.documents()])
        return np.concatenate([document.likeliest for document in documents])[places]

    def _next_log_probs(self, contexts: Sequence[np.ndarray], bos: int) -> np.ndarray:
        raise InputError(
            f"{self.url} says how probable tokens are that stand in a text, not what else may come; this cannot be asked of it"
        )

    def _state(self) -> dict[str, np.ndarray]:
        """Nothing: the weights are the server's."""
        return {}

    def _restore(self, state: Mapping[str, np.ndarray]) -> None: ...

    # Texts --------------------------------------------------------------------------------------------

    def _read(self, texts: Sequence[str]) -> list[_Document]:
        """What is charged for each of some documents; those of the last texts are kept, since spans and charges are asked apart."""
        missing = list(dict.fromkeys(text for text in texts if text not in self._kept))
        windows = [(text, begin, end) for text in missing for begin, end in self._windows(text)]
        answers = []
        with ThreadPoolExecutor(self.parallel) as pool:
            for answer in pool.map(self._said, windows):
                answers.append(answer)
                self.monitor.progress(len(answers), len(windows), "windows scored")
        said = iter(answers)
        fresh = {text: _joined(text, [next(said) for _ in self._windows(text)]) for text in missing}
        documents = [fresh[text] if text in fresh else self._kept[text] for text in texts]
        if missing:
            self._kept = dict(zip(texts, documents, strict=True))
        return documents

    def _windows(self, text: str) -> list[tuple[int, int]]:
        """Characters ``begin`` to ``end`` of each window of a document."""
        window, stride = self._reach
        windows = [(0, _before_blank(text, window, stride))]
        while windows[-1][1] < len(text):
            begin = len(windows) * stride
            windows.append((_before_blank(text, begin, stride), _before_blank(text, begin + window, stride)))
        return windows

    def _said(self, window: tuple[str, int, int]) -> _Window:
        text, begin, end = window
        said = self._server.said(self._model[0], self.bos, text[begin:end])
        return _Window(begin, said.ends + begin, said.nats, said.likeliest)


class _Window(NamedTuple):
    """Of the tokens from character ``begin`` on: where each ends in the document, what is said of it."""

    begin: int
    ends: np.ndarray
    nats: np.ndarray
    likeliest: np.ndarray


def _before_blank(text: str, place: int, stride: int) -> int:
    """The last place up to a quarter of a stride before ``place`` where a blank follows a word, or else that place."""
    if place >= len(text):
        return len(text)
    begin = max(place - max(1, stride // 4), 0)
    found = [match.start() for match in _BLANK_AFTER_WORD.finditer(text, begin, place + 1)]
    return found[-1] if found else place


def _joined(text: str, windows: Sequence[_Window]) -> _Document:
    """A document's tokens: of each window those after the last place where it and the one before end a token."""
    ends, nats, likeliest = windows[0].ends, windows[0].nats, windows[0].likeliest
    for window in windows[1:]:
        common = np.intersect1d(ends[ends >= window.begin], [window.begin, *window.ends])
        if not len(common):
            raise InputError(
                f"two windows cut the text before character {int(ends[-1]) + 1} into tokens that nowhere end together; a "
                "longer window may do: -o window=N characters"
            )
        old, new = ends <= common[-1], window.ends > common[-1]
        ends = np.append(ends[old], window.ends[new])
        nats = np.append(nats[old], window.nats[new])
        likeliest = np.append(likeliest[old], window.likeliest[new])
    places = [0, *ends.tolist()]
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    untold = np.isnan(nats)
    lengths = np.array([len(piece.encode("utf-8", "surrogatepass")) for piece in pieces])
    return _Document(pieces, np.where(untold, -BYTE * (lengths + 1), nats), likeliest, int(untold.sum()))


class _Pieces(Vocab):
    """A vocabulary that takes up whatever it is asked for: a server does not say what tokens it has."""

    def __init__(self, tokens: Sequence[str]) -> None:
        super().__init__()
        self._tokens = [UNK, *tokens]
        self._of_text = {token: i for i, token in enumerate(self._tokens) if i}

    def encode(self, tokens: Sequence[str]) -> np.ndarray:
        for token in tokens:
            if token not in self._of_text:
                self._of_text[token] = len(self._tokens)
                self._tokens.append(token)
        return super().encode(tokens)


class _ServersUnit(Unit):
    """A document's tokens as stretches of its text: where the server's own end."""

    name = spec = "subword"

    def __init__(self, server: Server) -> None:
        self._server = server

    def split(self, text: str) -> list[str]:
        return self._server._read([text])[0].pieces if text else []

    def join(self, tokens: Iterable[str]) -> str:
        return "".join(tokens)

    def types(self, text: str) -> tuple[list[str], np.ndarray]:
        return _types(self.split(text))

    def ends(self, text: str) -> np.ndarray:
        return np.cumsum([len(piece) for piece in self.split(text)], dtype=np.int64)

    def cut(self, text: CanonicalText) -> Cut:
        documents = [document.pieces for document in self._server._read(text.documents())]
        lengths = np.array([len(pieces) for pieces in documents], dtype=np.int64)
        pieces = [piece for document in documents for piece in document]
        types, which = _types(pieces)
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
        return Cut(text, types, which, np.cumsum(lengths) - lengths, ends)


def _types(pieces: Sequence[str]) -> tuple[list[str], np.ndarray]:
    places: dict[str, int] = {}
    which = np.array([places.setdefault(piece, len(places)) for piece in pieces], dtype=np.int32)
    return list(places), which

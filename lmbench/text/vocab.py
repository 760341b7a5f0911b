"""Vocabularies: tokens and their indices, of a training text or given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np

from lmbench.errors import InputError, shown
from lmbench.storage.files import read_text
from lmbench.text.canonical import CanonicalText
from lmbench.text.units import Unit

UNK = "<unk>"
MARKS = (UNK, "<s>", "</s>")  # what toolkits write into vocabularies beside words
NOTHING = -1  # in place of an id: no token stands there


class Vocab:
    """Tokens and their indices: 0 is ``<unk>``, then reserved tokens, then by falling frequency.

    tokens: a list of tokens, a list of lists, or a Counter. min_count: rarer tokens are left out; max_size: at
    most so many entries in all. Ties are ordered by first appearance. Raises ValueError on duplicates
    among the reserved tokens.

    A token of the *text* that happens to read ``<unk>`` (Penn Treebank has them) or like a reserved
    token is an ordinary word with an index of its own; ``vocab['<unk>']`` is always 0.

    >>> vocab = Vocab([["the", "time"], ["the", "machine"]])
    >>> vocab.tokens, vocab["the"], vocab[["time", "never"]], vocab.to_tokens([1, 0])
    (['<unk>', 'the', 'time', 'machine'], 1, [2, 0], ['the', '<unk>'])
    """

    def __init__(
        self,
        tokens: Iterable[str] | Iterable[list[str]] | Counter[str] = (),
        min_count: int = 0,
        reserved: Sequence[str] = (),
        max_size: int | None = None,
    ) -> None:
        counts = tokens if isinstance(tokens, Counter) else Counter(_flat(tokens))
        self.reserved = (UNK, *reserved)
        if len(set(self.reserved)) != len(self.reserved):
            raise ValueError(f"reserved tokens repeat: {', '.join(self.reserved)}")
        ranked = sorted(counts.items(), key=lambda item: -item[1])
        kept = [(token, n) for token, n in ranked if n >= min_count]
        if max_size is not None:
            kept = kept[: max(0, max_size - len(self.reserved))]
        self.token_freqs: list[tuple[str, int]] = kept
        self._tokens = [*self.reserved, *(token for token, _ in kept)]
        self._of_text = {
            token: i for i, token in enumerate(self._tokens[len(self.reserved) :], len(self.reserved))
        }

    @classmethod
    def from_list(cls, tokens: Sequence[str], reserved: int = 1) -> Vocab:
        """A vocabulary read back: the first ``reserved`` entries are ``<unk>`` and the reserved tokens."""
        vocab = cls(reserved=tokens[1:reserved])
        vocab._tokens = list(tokens)
        vocab._of_text = {token: i for i, token in enumerate(tokens) if i >= reserved}
        return vocab

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._of_text or token in self.reserved

    def __getitem__(self, token: str | Sequence[str]) -> int | list[int]:
        """The index of a token, or the indices of a list of tokens (nested lists too)."""
        if isinstance(token, str):
            return self.index(token)
        return [self[t] for t in token]  # type: ignore[misc]

    def index(self, token: str) -> int:
        if token in self.reserved:
            return self.reserved.index(token)
        return self._of_text.get(token, 0)

    def to_tokens(self, indices: int | Sequence[int] | np.ndarray) -> str | list[str]:
        """The token of an index, or the tokens of a list of indices."""
        if isinstance(indices, (int, np.integer)):
            return self._tokens[indices]
        return [self._tokens[int(i)] for i in indices]

    def joined(self, others: Sequence[Vocab]) -> Vocab:
        """With the tokens that others have besides, in their order, after its own; itself where there are none.

        >>> Vocab(["a", "b"]).joined([Vocab(["b", "c"])]).tokens
        ['<unk>', 'a', 'b', 'c']
        """
        theirs = chain.from_iterable(other.tokens[len(other.reserved) :] for other in others)
        more = [token for token in dict.fromkeys(theirs) if token not in self._of_text]
        return Vocab.from_list([*self._tokens, *more], len(self.reserved)) if more else self

    @property
    def tokens(self) -> list[str]:
        """All entries, by index."""
        return list(self._tokens)

    @property
    def newline(self) -> int:
        r"""The index of ``\n``, as if which every document begins; ``NOTHING`` where the text has none."""
        return self._of_text.get("\n", NOTHING)

    def encode(self, tokens: Sequence[str]) -> np.ndarray:
        """(T,) int32 indices of tokens of a text; unknown ones are 0."""
        return np.fromiter(map(self._of_text.get, tokens, repeat(0)), dtype=np.int32, count=len(tokens))


def _flat(tokens: Iterable[str] | Iterable[list[str]]) -> Iterable[str]:
    return chain.from_iterable([t] if isinstance(t, str) else t for t in tokens)


def build_vocab(
    canonical: CanonicalText, unit: Unit, min_count: int = 0, reserved: Sequence[str] = ()
) -> Vocab:
    """The vocabulary of a text: its tokens by falling frequency, then what else the unit knows.

    Raises InputError where the text is empty.

    >>> from lmbench.text.canonical import CanonicalText
    >>> from lmbench.text.units import unit_named
    >>> build_vocab(CanonicalText.of(["the cat and the dog"]), unit_named("word"))["the"]  # the commonest, after <unk>
    1
    """
    if not canonical.text:
        raise InputError(
            "the training text is empty after normalising; give more text or another --normalise"
        )
    types, which = canonical.types(unit)
    counts = dict(zip(types, np.bincount(which).tolist(), strict=True))
    return Vocab(
        Counter(counts | {token: 0 for token in unit.tokens if token not in counts}), min_count, reserved
    )


# Vocabularies that the training text does not decide --------------------------------------------------


@dataclass(frozen=True)
class Lexicon:
    """Which tokens a model knows, and which of them is the unknown one, where the training text is not to say.

    unk: this token of the text stands for those unknown, as ``<unk>`` does in the Penn Treebank: its index is 0. file: a
    vocabulary, a token a line; what follows a blank in a line by word (a count, a number) and the marks ``<unk>``, ``<s>`` and
    ``</s>`` are passed over. Tokens of the training text that it lacks are unknown; the line feed always stays. min_count: tokens that
    the training text has fewer times are unknown (0: none for that). Raises InputError where there are a file and min_count, or it is negative.
    """

    unk: str = ""
    file: str = ""
    min_count: int = 0

    def __post_init__(self) -> None:
        if "\n" in self.unk and self.unk != "\n":
            raise InputError(
                f"unk={shown(self.unk)} holds a line feed, which is a token by itself; name one token"
            )
        if self.min_count < 0:
            raise InputError(
                f"min_count={self.min_count}: give a count of 1 or more, or 0 to keep every token"
            )
        if self.file and self.min_count:
            raise InputError(f"vocabulary {self.file} says which tokens are known; leave min_count out")

    def __bool__(self) -> bool:
        return bool(self.unk or self.file or self.min_count)

    def of(self, vocab: Vocab, unit: str) -> Vocab:
        """The vocabulary in place of a training text's. Raises InputError where the file is none.

        >>> Lexicon(unk="<unk>").of(Vocab(["a", "<unk>", "a"]), "word").tokens
        ['<unk>', 'a']
        >>> Lexicon(min_count=2).of(Vocab(["a", "b", "a"]), "word").tokens
        ['<unk>', 'a']
        """
        if not self:
            return vocab
        reserved = len(vocab.reserved)
        # What counts 0 times is none of the text's tokens, but of the unit's, which can cut any text by them.
        rare = {token for token, n in vocab.token_freqs if 0 < n < self.min_count} - {"\n"}
        tokens = [token for token in vocab.tokens[reserved:] if token not in rare]
        if self.file:
            tokens = self._listed(unit) + ["\n"] * (vocab.newline >= 0)
        return Vocab.from_list([*vocab.reserved, *(t for t in tokens if t != self.unk)], reserved)

    def notes(self, size: int, tokens: int, stands: int, unknown: int) -> list[str]:
        """What to say of a vocabulary of ``size`` where ``unknown`` training tokens are outside it, ``stands`` of them ``unk``."""
        said = []
        if self.unk and not stands:
            said.append(f"unk={self.unk}: no token of the training text reads so")
        elif self.unk:
            said.append(f"unk={self.unk}: {stands:,} of {tokens:,} training tokens are the unknown one")
        if self.file:
            said.append(
                f"vocabulary {self.file}: {size:,} types; {unknown - stands:,} of {tokens:,} training tokens are outside it"
            )
        if self.min_count:
            said.append(
                f"min_count={self.min_count}: {size:,} types; {unknown - stands:,} of {tokens:,} training tokens are rarer"
            )
        return said

    def _listed(self, unit: str) -> list[str]:
        lines = [line.removesuffix("\r") for line in read_text(self.file).split("\n")]
        if unit == "word":
            lines = [words[0] for line in lines if (words := line.split(maxsplit=1))]
        tokens = list(dict.fromkeys(line for line in lines if line and line.lower() not in MARKS))
        if not tokens:
            raise InputError(f"vocabulary {self.file} has no tokens; give one a line")
        return tokens

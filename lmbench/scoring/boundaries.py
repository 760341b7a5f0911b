"""Places of a text inside a token: what a token brings before one, and what else the text may have had up to there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lmbench.models.base import LanguageModel
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import EncodedText, Tokens


def token_begun(scorer: Scorer, encoded: EncodedText, token: int, end: int) -> bytes:
    """What a token brings of the text up to the character ``end``, which is inside the token."""
    data = scorer.brings[encoded.tokens.ids[token]]
    behind = len(encoded.canonical.text[end : int(encoded.ends[token])].encode())
    return data[: len(data) - behind]


def other_tokens(scorer: Scorer, encoded: EncodedText, token: int, end: int) -> np.ndarray:
    """(n,) int32: the tokens that the document up to ``end`` has by itself in place of one that goes on beyond; none where it differs before that."""
    tokens = encoded.tokens
    document = int(np.searchsorted(tokens.starts, token, side="right")) - 1
    first, begin = int(tokens.starts[document]), int(encoded.canonical.starts[document])
    ids = scorer.encode(CanonicalText.of([encoded.canonical.text[begin:end]])).tokens.ids
    shared = token - first
    same = len(ids) > shared and np.array_equal(ids[:shared], tokens.ids[first:token])
    return ids[shared:] if same else ids[:0]


def following(model: LanguageModel, tokens: Tokens, after: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """(n, V) nats: the distributions after the tokens before a place, and some more of the same document, for each of ``after``."""
    texts = []
    for place, more in after:
        before = tokens.before(place)
        ids = np.concatenate([before.ids, more]).astype(np.int32)
        texts.append(Tokens(ids, before.starts, tokens.bos))
    if not texts:
        return np.zeros((0, model.vocab_size))
    if model.traits.adaptive:
        return np.stack([model.next_log_probs(text) for text in texts])
    return model.next_log_probs([text.ids[text.starts[-1] :] for text in texts], tokens.bos)


def path(
    model: LanguageModel, tokens: Tokens, place: int, row: np.ndarray, rest: np.ndarray
) -> tuple[float, np.ndarray]:
    """Nats of some tokens in place of those from a place on, and (V,) nats of what follows them; row: (V,) nats at the place."""
    rows = [row, *following(model, tokens, [(place, rest[: n + 1]) for n in range(len(rest))])]
    return sum(float(each[token]) for each, token in zip(rows, rest.tolist(), strict=False)), rows[-1]

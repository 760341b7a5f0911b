"""What a model may be asked of: tokens of its vocabulary in documents, and places in them."""

from __future__ import annotations

import numpy as np

from lmbench.errors import InputError
from lmbench.text.tokens import Tokens
from lmbench.text.vocab import NOTHING


def check_tokens(tokens: Tokens, vocab_size: int, goes_on: bool = False) -> None:
    """Raises InputError where ids or ``bos`` are none of the V of the vocabulary, or documents are empty or out of order.

    goes_on: the last document may have none of its tokens yet (``Tokens.before``).

    >>> check_tokens(Tokens(np.array([0, 2, 1]), np.array([0, 2])), 3)
    """
    ids, starts, last = tokens.ids, tokens.starts, vocab_size - 1
    if len(ids) and (int(ids.min()) < 0 or int(ids.max()) > last):
        worst = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
        raise InputError(f"token id {worst} is outside the vocabulary 0..{last}")
    if not (tokens.bos == NOTHING or 0 <= tokens.bos <= last):
        raise InputError(f"bos={tokens.bos} is outside the vocabulary 0..{last}; {NOTHING} stands for none")
    # A text without tokens may have one document or none.
    if len(ids) and not (len(starts) and starts[0] == 0 and starts[-1] < len(ids) + goes_on):
        raise InputError("documents begin at tokens of the text, the first at 0; leave empty ones out")
    if (starts[1:] <= starts[:-1]).any():
        raise InputError(
            "documents begin one after another, each with a token at least; leave empty ones out"
        )


def check_places(places: np.ndarray, tokens: Tokens) -> None:
    """Raises InputError where places (P,), P > 0, do not ascend, or are none of the tokens.

    >>> check_places(np.array([0, 2]), Tokens.of([5, 6, 7]))
    """
    if places.dtype.kind not in "iu" or (places[1:] <= places[:-1]).any():
        raise InputError("places are whole numbers that ascend; give each once")
    if not 0 <= places[0] <= places[-1] < len(tokens):
        raise InputError(f"places {places[0]} to {places[-1]} are not all among the {len(tokens)} tokens")

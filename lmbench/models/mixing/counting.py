"""What followed each context of a text, counted token by token."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmbench.models.compiled import compiled


class Counted(NamedTuple):
    """What followed each of C contexts, in N entries: those of context c are first[c] up to beyond[c], by ascending symbols.

    first, beyond: (C,) int64. symbols, numbers: (N,) int32. total: (C,) int64. last: (C,) int32, the symbol that followed
    latest, -1 for none. run: (C,) int32, how often it has followed in a row. when: (C,) int64, at which token.
    """

    first: np.ndarray
    beyond: np.ndarray
    symbols: np.ndarray
    numbers: np.ndarray
    total: np.ndarray
    last: np.ndarray
    run: np.ndarray
    when: np.ndarray


class Text(NamedTuple):
    """T tokens and their K contexts, as places in two tables.

    ids: (T,) int32. contexts, slots: (K, T) int32, the context's number in the text's own table and the entry of the symbol
    that came. places: (T,) int64, position in the word. past: (C,) int32, the number of each context of the text in the table of
    what was learnt before, -1 where it has none.
    """

    ids: np.ndarray
    contexts: np.ndarray
    slots: np.ndarray
    places: np.ndarray
    past: np.ndarray


@compiled()
def count(text: Text, past: Counted, here: Counted, orders: int, t: int, now: int, times: int) -> None:
    """Counts token t, standing at ``now``, after each of its contexts; after an order below the longest only where the pair
    is new to the next longer one, as in Kneser–Ney smoothing."""
    symbol = text.ids[t]
    for k in range(len(text.contexts)):
        c = text.contexts[k, t]
        before = text.past[c]
        new = True
        if k + 1 < orders:
            new = here.numbers[text.slots[k + 1, t]] == 0
            longer = text.past[text.contexts[k + 1, t]]
            if new and longer >= 0:
                for j in range(past.first[longer], past.beyond[longer]):
                    if past.symbols[j] == symbol:
                        new = False
                        break
        if new:
            here.numbers[text.slots[k, t]] += times
            here.total[c] += times
        if here.last[c] < 0 and before >= 0:
            here.last[c], here.run[c] = past.last[before], past.run[before]
        here.run[c] = here.run[c] + 1 if here.last[c] == symbol else 1
        here.last[c] = symbol
        here.when[c] = now


@compiled()
def count_all(text: Text, past: Counted, here: Counted, orders: int, begin: int, end: int, now: int) -> None:
    """Counts tokens begin up to end of a training text, each once; the first of them stands at ``now``."""
    for t in range(begin, end):
        count(text, past, here, orders, t, now + t - begin, 1)

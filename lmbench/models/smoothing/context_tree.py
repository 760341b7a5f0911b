"""All contexts of a text, of any length, in a tree that grows with every token read.

The suffix automaton (Blumer et al. 1985) is such a tree: a state is a context that has been seen after two different tokens, or
at a beginning, together with those that are seen nowhere but at its end; its suffix link leads to the next shorter one, and
its edges to what has followed it. A text of T tokens has 2 T states and 3 T edges at most, and is read in time that grows like T.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np

from lmbench.models.compiled import compiled
from lmbench.models.logs import LEAST

whole: Any = np.int64  # as compiled functions take numbers: of one width
DEEPEST = 64  # contexts that a prediction rests on, the longest first; then comes the empty one
# Bounds of the classes that a discount rests on, each class beginning with one of them.
LENGTHS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 16, 24, 40])
RATIOS = np.array([0, 1.01, 1.5, 2, 3, 5, 10, 30])
KINDS = 8
COLUMNS = 10  # of evidence: five places of settings, then c, N, and how many tokens have been counted once, twice and at all
# Where the settings of each class begin: of length, kinds, step to the next shorter context, being cut short, count a kind.
PLACES = np.cumsum([0, len(LENGTHS), KINDS, len(LENGTHS), 2, len(RATIOS)])
SETTINGS = int(PLACES[-1]) + 2  # and what two and three sightings give away, beside what one does


class ContextTree(NamedTuple):
    """S states and E edges, with room for more, as arrays that are written in place.

    link, length: (S,) the next shorter context, -1 of the empty one, and the tokens of the longest context of the state.
    head: (S,) its latest edge, -1 for none. total, kinds, ones, twos: (S,) what was counted after it: all, different tokens,
    those counted once, and twice. owner, symbol, target, number, following: (E,) an edge's state, its token, where it
    leads, the token's count, and the next edge of the state. slots: (H,) edges by state and token, -1 where none is.
    sizes: (2,) states and edges that there are.
    """

    link: np.ndarray
    length: np.ndarray
    head: np.ndarray
    total: np.ndarray
    kinds: np.ndarray
    ones: np.ndarray
    twos: np.ndarray
    owner: np.ndarray
    symbol: np.ndarray
    target: np.ndarray
    number: np.ndarray
    following: np.ndarray
    slots: np.ndarray
    sizes: np.ndarray

    @classmethod
    def empty(cls, tokens: int) -> Self:
        """With room for so many tokens, a document's beginning counted as one: the empty context alone."""
        states, edges = 2 * tokens + 2, 3 * tokens + 2
        of_states = [np.full(states, fill, dtype=np.int32) for fill in (-1, 0, -1)]
        of_states += [np.zeros(states, dtype=np.int32) for _ in range(4)]
        of_edges = [np.zeros(edges, dtype=np.int32) for _ in range(5)]
        slots = np.full(1 << (2 * edges - 1).bit_length(), -1, dtype=np.int32)
        return cls._make([*of_states, *of_edges, slots, np.array([1, 0])])

    def grown(self, tokens: int) -> Self:
        """A copy with room for so many tokens in all."""
        states, edges = self.sizes.tolist()
        made = self.empty(tokens)
        for new, old in zip(made[:7], self[:7], strict=True):
            new[:states] = old[:states]
        for new, old in zip(made[7:12], self[7:12], strict=True):
            new[:edges] = old[:edges]
        made.sizes[:] = self.sizes
        if len(made.slots) == len(self.slots):
            made.slots[:] = self.slots
        else:
            index(made)
        return made


@compiled()
def find(tree: ContextTree, state: int, symbol: int) -> int:
    """The edge of a state for a token; where it has none -1 - h, h the slot in which it would be."""
    h = np.uint64(state) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(symbol) * np.uint64(0xC2B2AE3D27D4EB4F)
    place = whole((h ^ (h >> np.uint64(29))) & np.uint64(len(tree.slots) - 1))
    while True:
        edge = tree.slots[place]
        if edge < 0:
            return -1 - place
        if tree.owner[edge] == state and tree.symbol[edge] == symbol:
            return whole(edge)
        place = (place + 1) & (len(tree.slots) - 1)


@compiled()
def index(tree: ContextTree) -> None:
    """Fills the slots anew."""
    for edge in range(tree.sizes[1]):
        tree.slots[-1 - find(tree, tree.owner[edge], tree.symbol[edge])] = edge


@compiled()
def add(tree: ContextTree, state: int, symbol: int, target: int, slot: int) -> None:
    """A new edge, of count 1."""
    edge = tree.sizes[1]
    tree.sizes[1] += 1
    tree.owner[edge], tree.symbol[edge], tree.target[edge], tree.number[edge] = state, symbol, target, 1
    tree.following[edge], tree.head[state] = tree.head[state], edge
    tree.slots[slot] = edge
    tree.total[state] += 1
    tree.kinds[state] += 1
    tree.ones[state] += 1


@compiled()
def count_again(tree: ContextTree, state: int, edge: int) -> None:
    """One more sighting of an edge's token."""
    if tree.number[edge] == 1:
        tree.ones[state] -= 1
        tree.twos[state] += 1
    elif tree.number[edge] == 2:
        tree.twos[state] -= 1
    tree.number[edge] += 1
    tree.total[state] += 1


@compiled()
def divide(tree: ContextTree, state: int, symbol: int, target: int) -> int:
    """The context of ``state`` with ``symbol``, which was a part of ``target``, as a state of its own: what followed that one
    counts once here, as of one longer context."""
    part = tree.sizes[0]
    tree.sizes[0] += 1
    tree.length[part] = tree.length[state] + 1
    edge = tree.head[target]
    while edge >= 0:
        y = tree.symbol[edge]
        add(tree, part, y, tree.target[edge], -1 - find(tree, part, y))
        edge = tree.following[edge]
    tree.link[part], tree.link[target] = tree.link[target], part
    while state >= 0:
        edge = find(tree, state, symbol)
        if edge < 0 or tree.target[edge] != target:
            break
        tree.target[edge] = part
        state = tree.link[state]
    return part


@compiled()
def extend(tree: ContextTree, last: int, symbol: int) -> int:
    """Counts a token after the context of the state ``last`` and its shorter ones, the longest first, up to the first that had seen it
    already; the state of the context with the token."""
    edge = find(tree, last, symbol)
    if edge >= 0:
        count_again(tree, last, edge)
        target = whole(tree.target[edge])
        if tree.length[target] == tree.length[last] + 1:
            return target
        return whole(divide(tree, last, symbol, target))
    new = whole(tree.sizes[0])
    tree.sizes[0] += 1
    tree.length[new] = tree.length[last] + 1
    state = last
    while state >= 0:
        edge = find(tree, state, symbol)
        if edge >= 0:
            break
        add(tree, state, symbol, new, -1 - edge)
        state = whole(tree.link[state])
    if state < 0:
        tree.link[new] = 0
        return new
    count_again(tree, state, edge)
    target = whole(tree.target[edge])
    if tree.length[target] == tree.length[state] + 1:
        tree.link[new] = target
    else:
        tree.link[new] = divide(tree, state, symbol, target)
    return new


@compiled()
def read(
    tree: ContextTree,
    ids: np.ndarray,
    starts: np.ndarray,
    place: np.ndarray,
    learns: bool,
    settings: np.ndarray,
    vocab_size: int,
    log_probs: np.ndarray,
    rows: np.ndarray,
    wanted: np.ndarray,
    evidence: np.ndarray,
    offsets: np.ndarray,
    lengths: np.ndarray,
    ratios: np.ndarray,
    places: np.ndarray,
) -> None:
    """Reads tokens, which the tree learns if ``learns``.

    starts: ascending, the tokens that begin documents. place: (3,) int64, state and tokens of the context that has been matched, and the state in
    which documents begin; written anew. log_probs: (T,), or none if they are not asked for. rows: (R, V) float64, the
    distributions of the tokens ``wanted`` (R,), ascending. evidence: (., COLUMNS) int32, what the predictions rest on, those of token t in rows
    offsets[t] up to offsets[t + 1], the longest context first; none if it is not asked for. lengths, ratios, places: as above.
    """
    chain = np.empty(DEEPEST + 2, dtype=np.int64)
    discounts, give, own = np.empty(DEEPEST + 2), np.empty(DEEPEST + 2), np.empty(DEEPEST + 2)
    # What a token counted 0, 1, 2 and 3 times or more gives away, in discounts.
    away = np.array([0.0, 1.0, 2.0 / (1.0 + np.exp(-settings[-2])), 3.0 / (1.0 + np.exp(-settings[-1]))])
    state, matched = place[0], place[1]
    document, row, entries = 0, 0, 0
    for t in range(len(ids)):
        if document < len(starts) and starts[document] == t:
            document += 1
            state = place[2]
            matched = whole(tree.length[state])
        symbol = ids[t]
        asked = row < len(wanted) and wanted[row] == t
        if len(log_probs) or asked or len(evidence):
            depth = 0
            at = state
            while at >= 0:
                if tree.total[at] > 0:
                    chain[depth] = at
                    depth += 1
                at = whole(tree.link[at])
                if depth == DEEPEST and at > 0:
                    at = whole(0)
            for k in range(depth):
                at = chain[k]
                total, kinds, ones, twos = tree.total[at], tree.kinds[at], tree.ones[at], tree.twos[at]
                length = whole(tree.length[at])
                cut = at == state and matched < length
                if cut:
                    length = matched
                step = length - tree.length[tree.link[at]] - 1 if at > 0 else 0
                kind = 7
                if kinds == 1:
                    kind = 0 if total == 1 else 1 if total == 2 else 2 if total < 5 else 3
                elif kinds == 2:
                    kind = 4
                elif kinds <= 4:
                    kind = 5
                elif kinds <= 8:
                    kind = 6
                first = places[0] + np.searchsorted(lengths, length, side="right") - 1
                third = places[2] + np.searchsorted(lengths, step, side="right") - 1
                fifth = places[4] + np.searchsorted(ratios, total / kinds, side="right") - 1
                edge = find(tree, at, symbol)
                number = tree.number[edge] if edge >= 0 else 0
                if len(evidence):
                    line = evidence[entries]
                    line[0], line[1], line[2], line[3] = first, places[1] + kind, third, places[3] + int(cut)
                    line[4], line[5], line[6] = fifth, number, total
                    line[7], line[8], line[9] = ones, twos, kinds
                    entries += 1
                z = settings[first] + settings[places[1] + kind] + settings[third]
                z += settings[places[3] + int(cut)] + settings[fifth]
                discounts[k] = 1.0 / (1.0 + np.exp(-z))
                give[k] = discounts[k] * (ones + away[2] * twos + away[3] * (kinds - ones - twos)) / total
                own[k] = (number - discounts[k] * away[min(number, 3)]) / total
            if len(log_probs):
                p = 1.0 / vocab_size
                for k in range(depth - 1, -1, -1):
                    p = own[k] + give[k] * p
                log_probs[t] = np.log(max(p, LEAST))
            if asked:
                rows[row] = 1.0 / vocab_size
                for k in range(depth - 1, -1, -1):
                    rows[row] *= give[k]
                    edge = tree.head[chain[k]]
                    while edge >= 0:
                        number = tree.number[edge]
                        kept = number - discounts[k] * away[min(number, 3)]
                        rows[row, tree.symbol[edge]] += kept / tree.total[chain[k]]
                        edge = tree.following[edge]
                row += 1
        if learns:
            state = extend(tree, state, symbol)
            matched = whole(tree.length[state])
        else:
            edge = find(tree, state, symbol)
            while edge < 0 and state > 0:
                state = whole(tree.link[state])
                matched = whole(tree.length[state])
                edge = find(tree, state, symbol)
            if edge >= 0:
                state = whole(tree.target[edge])
                matched += 1
            else:
                matched = whole(0)
        if len(offsets):
            offsets[t + 1] = entries
    place[0], place[1] = state, matched

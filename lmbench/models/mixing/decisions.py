"""Symbols as ways through a tree of binary decisions: first what kind a symbol is of, then which one of its kind."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Kinds of symbols, as their spellings tell.
SPACE, NEWLINE, SMALL, CAPITAL, DIGIT, OPENING, CLOSING, QUOTE, STOP, COMMA, OTHER = range(11)
KINDS = 11
_MARKS = {OPENING: "([{<", CLOSING: ")]}>", QUOTE: "\"'“”‘’`", STOP: ".!?", COMMA: ",;:"}
_VOWELS = "aeiouy"


class Decisions(NamedTuple):
    """A binary tree of V - 1 decisions, numbered from the root so that none stands before the one above it, with V symbols as leaves.

    path: (V, D + 1) int64, the decisions on the way to each symbol, -1 behind the last. bit: (V, D + 1) int64, how they turn out.
    length: (V,) int64. above, turn, depth: (V - 1,) int64, for each decision the one above it (-1: none), how that has turned out,
    and how many stand above it.
    """

    path: np.ndarray
    bit: np.ndarray
    length: np.ndarray
    above: np.ndarray
    turn: np.ndarray
    depth: np.ndarray


def kinds_of(spellings: Sequence[str], vocab_size: int, separator: int, newline: int) -> np.ndarray:
    """(V,) int64: what kind each symbol is of; without spellings the separator and the end of lines alone are told apart."""
    kinds = np.full(vocab_size, OTHER)
    for i, spelling in enumerate(spellings if len(spellings) == vocab_size else ()):
        if len(spelling) == 1:
            kinds[i] = _kind(spelling)
    if not (kinds == SPACE).any():
        kinds[separator] = SPACE
    if newline >= 0:
        kinds[newline] = NEWLINE
    return kinds


def _kind(character: str) -> int:
    if character.isspace():
        return NEWLINE if character == "\n" else SPACE
    if character.isalpha():
        return CAPITAL if character.isupper() else SMALL
    if character.isdigit():
        return DIGIT
    return next((kind for kind, marks in _MARKS.items() if character in marks), OTHER)


def decisions_of(counts: np.ndarray, kinds: np.ndarray, spellings: Sequence[str]) -> Decisions:
    """A tree in which the symbols of each kind hang together; among them, and among the kinds, that of Huffman (1952).

    counts: (V,) how often each occurs. Blanks are one kind, vowels and other small letters two.

    >>> tree = decisions_of(np.array([4, 2, 1]), np.array([OTHER, OTHER, OTHER]), "")
    >>> tree.length.tolist(), tree.path.tolist()
    ([1, 2, 2], [[0, -1, -1], [0, 1, -1], [0, 1, -1]])
    """
    size = len(counts)
    groups = kinds.copy()
    groups[kinds == NEWLINE] = SPACE
    for i, spelling in enumerate(spellings if len(spellings) == size else ()):
        if kinds[i] == SMALL and spelling in _VOWELS:
            groups[i] = KINDS
    children: dict[int, tuple[int, int]] = {}
    weight = {i: counts[i] + 0.5 for i in range(size)}
    tops = [
        _huffman(np.flatnonzero(groups == group).tolist(), weight, children, size)
        for group in np.unique(groups)
    ]
    return _ways(_huffman(tops, weight, children, size), children, size)


def _huffman(
    items: list[int], weight: dict[int, float], children: dict[int, tuple[int, int]], size: int
) -> int:
    """Joins the items, two of the lightest at a time; returns what joins all."""
    heap = [(weight[item], item) for item in items]
    heapq.heapify(heap)
    while len(heap) > 1:
        (light, one), (heavy, other) = heapq.heappop(heap), heapq.heappop(heap)
        both = size + len(children)
        children[both], weight[both] = (other, one), light + heavy
        heapq.heappush(heap, (light + heavy, both))
    return heap[0][1]


def _ways(root: int, children: dict[int, tuple[int, int]], size: int) -> Decisions:
    ways: dict[int, tuple[list[int], list[int]]] = {}
    above: list[int] = []
    turn: list[int] = []
    depth: list[int] = []
    open_: list[tuple[int, list[int], list[int]]] = [(root, [], [])]
    while open_:
        item, path, bits = open_.pop()
        if item < size:
            ways[item] = (path, bits)
            continue
        number = len(above)
        above.append(path[-1] if path else -1)
        turn.append(bits[-1] if bits else 0)
        depth.append(len(path))
        for bit in (1, 0):
            open_.append((children[item][bit], [*path, number], [*bits, bit]))
    width = max(len(path) for path, _ in ways.values()) + 1
    paths, turns = np.full((size, width), -1), np.zeros((size, width), dtype=np.int64)
    length = np.array([len(ways[symbol][0]) for symbol in range(size)])
    for symbol, (path, bits) in ways.items():
        paths[symbol, : len(path)], turns[symbol, : len(path)] = path, bits
    columns = (np.array(column, dtype=np.int64) for column in (above, turn, depth))
    return Decisions(paths, turns, length, *columns)

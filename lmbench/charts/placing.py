"""Where names stand beside points: near, inside the frame, and over no point, line or other name.

adjustText 1.4.0 was tried in its stead, on 40 named points and on a stair of nine: it took as long, drew leaders through
names, and left names on marks and on the stair.
"""

from __future__ import annotations

import math

import numpy as np

ANGLES = np.radians([45, -45, 135, -135, 0, 180, 90, -90, 20, -20, 160, -160, 70, -70, 110, -110])
RINGS = (7.0, 15.0, 26.0, 38.0, 52.0, 68.0)  # from the point to the name's nearest edge, in points
MARK = 5.0  # half a marker's width, in points
ROUNDS = 12
# Prices: a square point of a name that something covers, or that lies outside; a leader that crosses; a step away.
COVERED, OUTSIDE, CROSSED, AWAY = 4.0, 20.0, 150.0, 1.2


def place(points: np.ndarray, sizes: np.ndarray, frame: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """(K, 2) float64: the lower left corner of each name. All in one unit, points of 1/72 inch.

    points: (K, 2) marks. sizes: (K, 2) width and height of the names. frame: (2, 2) the lower left and upper right
    corner of where names may stand. segments: (S, 2, 2) lines that are better not covered.

    Names are placed one by one, the most crowded first, each where it costs least; then each is moved again, given the
    others, until none gains.
    """
    if not len(points):
        return np.zeros((0, 2))
    spots = [_spots(p, size) for p, size in zip(points, sizes, strict=True)]
    fixed = [_fixed_costs(i, spots[i], sizes[i], points, frame, segments) for i in range(len(points))]
    gaps = np.linalg.norm(points[:, None] - points, axis=-1)
    order = np.argsort(np.sort(gaps, axis=1)[:, 1 : min(4, len(points))].sum(axis=1), kind="stable")
    chosen: dict[int, int] = {}
    for _ in range(ROUNDS):
        moved = False
        for i in order.tolist():
            others = [j for j in chosen if j != i]
            costs = fixed[i] + _among(i, others, spots, chosen, points, sizes)
            best = int(np.argmin(costs))
            if i not in chosen or costs[best] < costs[chosen[i]] - 1e-9:
                chosen[i], moved = best, True
        if not moved:
            break
    return np.array([spots[i][chosen[i]] for i in range(len(points))])


def _spots(point: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(C, 2): the lower left corners that a name may have, nearest rings first."""
    corners = []
    for ring in RINGS:
        for angle in ANGLES:
            across, up = math.cos(angle), math.sin(angle)
            corner = point + ring * np.array([across, up])
            # The name grows away from its point: centred above and below, beside it to the left and right.
            left = 0.0 if across > 0.25 else 1.0 if across < -0.25 else 0.5
            low = 0.0 if up > 0.25 else 1.0 if up < -0.25 else 0.5
            corners.append(corner - np.array([left, low]) * size)
    return np.array(corners)


def leader(point: np.ndarray, corner: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(2, 2): from the point to the nearest place on the name's box."""
    return np.array([point, np.clip(point, corner, corner + size)])


def _fixed_costs(
    i: int, spots: np.ndarray, size: np.ndarray, points: np.ndarray, frame: np.ndarray, segments: np.ndarray
) -> np.ndarray:
    """(C,): what each spot costs whatever the other names do."""
    boxes = np.stack([spots, spots + size], axis=1)
    marks = np.stack([points - MARK, points + MARK], axis=1)
    costs = COVERED * _overlaps(boxes, marks).sum(axis=1)
    costs += OUTSIDE * (size.prod() - _overlaps(boxes, frame[None])[:, 0])
    costs += 0.3 * COVERED * size[1] * _inside(segments, boxes)
    nearest = np.clip(points[i], boxes[:, 0], boxes[:, 1])
    costs += AWAY * np.linalg.norm(nearest - points[i], axis=1)
    costs += 0.05 * (np.arange(len(spots)) % len(ANGLES))  # of equal ones, the first angle
    others = np.delete(points, i, axis=0)
    leaders = np.stack([np.broadcast_to(points[i], nearest.shape), nearest], axis=1)
    for other in others:
        costs += CROSSED * (_distance(other, leaders) < MARK)
    return costs


def _among(
    i: int,
    others: list[int],
    spots: list[np.ndarray],
    chosen: dict[int, int],
    points: np.ndarray,
    sizes: np.ndarray,
) -> np.ndarray:
    """(C,): what each spot of name i costs beside the names that stand already."""
    if not others:
        return np.zeros(len(spots[i]))
    boxes = np.stack([spots[i], spots[i] + sizes[i]], axis=1)
    corners = np.array([spots[j][chosen[j]] for j in others])
    taken = np.stack([corners, corners + sizes[others]], axis=1)
    costs = COVERED * 3 * _overlaps(boxes, taken).sum(axis=1)
    leaders = np.array([leader(points[j], c, sizes[j]) for j, c in zip(others, corners, strict=True)])
    mine = np.stack(
        [np.broadcast_to(points[i], spots[i].shape), np.clip(points[i], *boxes.swapaxes(0, 1))], 1
    )
    for line, box in zip(leaders, taken, strict=True):
        costs += CROSSED * _crosses(mine, line)
        costs += CROSSED * (_inside(mine, box[None], each=True) > 0)
        costs += CROSSED * (_inside(line[None], boxes) > 0)
    return costs


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(B, O): the areas that boxes (B, 2, 2) share with others (O, 2, 2)."""
    low = np.maximum(boxes[:, None, 0], others[None, :, 0])
    high = np.minimum(boxes[:, None, 1], others[None, :, 1])
    shared: np.ndarray = np.clip(high - low, 0, None).prod(axis=-1)
    return shared


def _inside(segments: np.ndarray, boxes: np.ndarray, each: bool = False) -> np.ndarray:
    """How much of the segments (S, 2, 2) lies in each of the boxes (B, 2, 2), as lengths summed over segments, (B,).

    each: over boxes instead, (S,). Measured at 41 points along each segment.
    """
    if not len(segments):
        return np.zeros(0 if each else len(boxes))
    share = np.linspace(0, 1, 41)[:, None]
    along = segments[:, None, 0] * (1 - share) + segments[:, None, 1] * share  # (S, 41, 2)
    within = (along[None] >= boxes[:, None, None, 0]) & (along[None] <= boxes[:, None, None, 1])
    lengths = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=-1)
    lengths_inside: np.ndarray = within.all(axis=-1).mean(axis=-1) * lengths  # (B, S)
    return lengths_inside.sum(axis=0 if each else 1)


def _distance(point: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """(S,): from a point to each segment (S, 2, 2)."""
    begin, way = segments[:, 0], segments[:, 1] - segments[:, 0]
    square = np.maximum((way**2).sum(axis=1), 1e-12)
    share = np.clip(((point - begin) * way).sum(axis=1) / square, 0, 1)
    distances: np.ndarray = np.linalg.norm(begin + share[:, None] * way - point, axis=1)
    return distances


def _crosses(segments: np.ndarray, line: np.ndarray) -> np.ndarray:
    """(S,) bool: which segments (S, 2, 2) cross the line (2, 2)."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        u, v = b - a, c - a
        crossing: np.ndarray = np.sign(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])
        return crossing

    a, b = segments[:, 0], segments[:, 1]
    crossing: np.ndarray = (side(a, b, line[0]) * side(a, b, line[1]) < 0) & (
        side(line[0], line[1], a) * side(line[0], line[1], b) < 0
    )
    return crossing

"""Names beside points: inside the frame, over nothing, where there is room for all."""

import numpy as np
import pytest

from lmbench.charts.placing import MARK, leader, place

FRAME = np.array([[0.0, 0.0], [560.0, 300.0]])
NO_LINES = np.zeros((0, 2, 2))


def covers(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((np.minimum(a[1], b[1]) - np.maximum(a[0], b[0]) > 1e-9).all())


def boxes(points, sizes, lines=NO_LINES):
    corners = place(points, sizes, FRAME, lines)
    return np.stack([corners, corners + sizes], axis=1)


def test_no_points_no_names() -> None:
    assert place(np.zeros((0, 2)), np.zeros((0, 2)), FRAME, NO_LINES).shape == (0, 2)


@pytest.mark.parametrize("seed", range(8))
def test_twenty_names_cover_no_point_and_no_other(seed) -> None:
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.uniform(20, 540, 20), rng.uniform(20, 280, 20)])
    sizes = np.column_stack([rng.uniform(20, 110, 20), np.full(20, 11.0)])
    found = boxes(points, sizes)
    marks = np.stack([points - MARK / 2, points + MARK / 2], axis=1)
    assert not any(covers(a, b) for i, a in enumerate(found) for b in found[:i])
    assert not any(covers(a, mark) for a in found for mark in marks)
    assert (found[:, 0] >= FRAME[0] - 1e-9).all()
    assert (found[:, 1] <= FRAME[1] + 1e-9).all()


def test_a_crowd_is_told_apart_by_leaders() -> None:
    points = np.array([[280.0, 150.0]]) + np.random.default_rng(1).normal(0, 9, (7, 2))
    sizes = np.tile([70.0, 11.0], (7, 1))
    found = boxes(points, sizes)
    assert not any(covers(a, b) for i, a in enumerate(found) for b in found[:i])


def test_a_name_stays_off_a_line_and_close_to_its_point() -> None:
    points, sizes = np.array([[100.0, 100.0]]), np.array([[60.0, 11.0]])
    line = np.array([[[0.0, 110.0], [560.0, 110.0]]])  # through where the name would stand
    (box,) = boxes(points, sizes, line)
    assert not (box[0, 1] < 110 < box[1, 1])
    assert np.linalg.norm(leader(points[0], box[0], sizes[0])[1] - points[0]) < 16

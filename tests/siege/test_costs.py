"""What the worst inputs cost, in small: statuses and memory; seconds are for the program, ``costs.py``."""

import costs
import pytest

SIZE = 400_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("costs")
    costs.prepared(place)
    start, _ = costs.given("read", costs.plain, 400, place)
    return place, costs.cost(start, place).memory


@pytest.mark.parametrize(
    ("task", "kind", "status"),
    [
        ("fit by word", "distinct words", 0),
        ("counts", "line feeds", 0),
        ("fit by pieces", "one word", 0),
        ("score by char", "combining marks", 0),
        ("run", "distinct words", 0),
        ("suite", "deep TOML", 2),
        ("suite", "a long dotted key", 2),
        ("results", "deep JSON", 2),
        ("results", "a long number", 2),
        ("saved model", "deep JSON", 2),
        ("ARPA", "an ARPA file of many words", 0),
    ],
)
def test_no_input_takes_more_memory_than_its_length_allows(folder, task, kind, status):
    place, start = folder
    argv, length = costs.given(task, costs.TASKS[task][1][kind], SIZE, place)
    cost = costs.cost(argv, place)
    assert cost.status == status, cost.said
    assert "Traceback" not in cost.said
    # Beyond what the smallest input takes: libraries that one command needs and the other does not are 120 MB.
    assert (cost.memory - start - (120 << 20)) / length < costs.MEMORY


def test_what_is_beyond_the_bounds_is_said():
    row = costs.Row("t", "i", 10, 0, 1.0, 20.0, 1.0, "")
    assert row.wrong == ""
    assert costs.Row("t", "i", 10, 0, 1.0, 201.0, 1.0, "").wrong == "memory"
    assert costs.Row("t", "i", 10, 0, 1.0, 20.0, 1.9, "").wrong == "time"
    assert costs.Row("t", "i", 10, -9, 1.0, 20.0, 1.0, "").wrong == "status -9"
    assert costs.Row("t", "i", 10, 1, 1.0, 20.0, 1.0, "Traceback (most recent").wrong == "status 1"
    assert "1.90  time" in costs.table([costs.Row("t", "i", 10, 0, 1.0, 20.0, 1.9, "")])

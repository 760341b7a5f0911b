"""Two thousand inputs of the fuzz campaign, some of every value at every place, and that the campaign finds, keeps and makes small what is wrong."""

import fuzz
import numpy as np
import pytest
from command_kinds import lay_out
from exhaustive import PARTS, faults, untried
from kinds import KINDS
from promises import command

from lmbench.bench.progress import Standing

INPUTS = {
    **{
        "arpa": 460,
        "count-model": 350,
        "neural-model": 100,
        "suite": 250,
        "suite-run": 4,
        "description": 200,
    },
    **{
        "results": 10,
        "stored-run": 66,
        "scores": 500,
        "text": 30,
        "command-line": 30,
        "side-file": 40,
        "run-folder": 10,
    },
}


@pytest.mark.parametrize("name", INPUTS)
def test_nothing_that_comes_from_outside_leaves_a_traceback(name):
    kind = KINDS[name]
    seeds = dict(kind.seeds())
    begin = 10_000_000  # inputs that no campaign has tried
    for number in [*range(min(len(seeds), 6)), *range(begin, begin + INPUTS[name])]:
        found = fuzz.fault(kind.check, fuzz.made(kind, seeds, name, number), seconds=0)
        assert found is None, f"{name} {number}: {found}"


def test_a_fault_is_named_and_made_small(tmp_path):
    def check(data, folder):
        assert folder.is_dir()
        if b"x" in data:
            int(data)

    assert fuzz.fault(check, b"12", seconds=0) is None
    name, text = fuzz.fault(check, b"aa\nbbxbb", seconds=0)
    assert name.startswith("ValueError-property")
    assert "Traceback" in text
    assert len(fuzz.smallest(check, b"12345x67", fuzz.fault(check, b"12345x67", 0)[0])) < 8


def test_a_campaign_goes_on_where_it_was(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(fuzz, "_watch", lambda name, begin, end, folder: work(name, begin, end, folder))

    def work(name, begin, end, folder):
        tried.extend(range(begin, end))
        (folder / f"{name}.at").write_bytes(end.to_bytes(8, "little"))

    assert fuzz.table(tmp_path).split("\n")[-1].split()[:3] == ["all", "0", "0"]
    fuzz.campaign(tmp_path, 70, ["scores"], batch=10)
    fuzz.campaign(tmp_path, 90, ["scores"], batch=10)
    assert tried == list(range(90))
    assert "scores                 90" in fuzz.table(tmp_path)


def test_an_input_is_made_of_its_number(tmp_path):
    kind = KINDS["suite"]
    seeds = dict(kind.seeds())
    once, again = ([fuzz.made(kind, seeds, "suite", n) for n in range(40)] for _ in range(2))
    assert once == again
    assert len(set(once)) > 35


# Every value at every place ------------------------------------------------------------


def test_every_option_of_every_command_is_tried():
    assert untried() == []


# One case of so many; those of runs and of what hardly differs take long.
STRIDES = {
    "lines": 151,
    "environment": 61,
    "model-options": 91,
    "suites": 211,
    "descriptions": 97,
    "results": 997,
}


@pytest.mark.parametrize("part", STRIDES)
def test_no_value_at_any_place_leaves_a_traceback(part, tmp_path, monkeypatch):
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("BROWSER", "true")
    cases = (case for number, case in enumerate(PARTS[part]()) if number % STRIDES[part] == 7)
    wrong = [(name, found) for name, found in faults(cases, seconds=0) if found is not None]
    assert wrong == []


@pytest.mark.parametrize("name", ["\x1b]0;title\x07", "\x1b[31mx", "\u202ex"])
@pytest.mark.parametrize(
    "line",
    [
        "fit --model unigram --train t.txt --save NAME",
        "export run --format csv --out NAME",
        "diff run run2 --html NAME",
        "counts t.txt --orders 1 --out NAME",
    ],
)
def test_the_names_of_files_are_no_commands_to_a_terminal(name, line, tmp_path):
    lay_out(tmp_path)
    assert command([word.replace("NAME", name) for word in line.split()], tmp_path, screen=True) == 0
    assert (tmp_path / name).is_file()


@pytest.mark.parametrize(
    "facts",
    [
        "[]",
        "3",
        '{"history": 1}',
        '{"history": [1]}',
        '{"history": [{"valid_bits": "x"}]}',
        "[" * 100_000,
        "{",
    ],
)
def test_a_run_is_watched_whatever_its_checkpoints_hold(facts, tmp_path):
    lay_out(tmp_path)
    place = tmp_path / "half-done/checkpoints/t/rnn-scratch.npz"
    curve = Standing.of(tmp_path / "half-done").curves
    assert [len(bits) for bits in curve.values()] == [1]
    for held in (np.array(facts), np.array([1, 2]), np.array(b"x")):
        place.unlink()
        np.savez(place, facts=held)
        assert Standing.of(tmp_path / "half-done").curves == {}
    place.unlink()
    np.savez(
        place, facts=np.array('{"history": [{"valid_bits": 2}, {"valid_bits": Infinity}, {"epoch": 3}]}')
    )
    assert list(Standing.of(tmp_path / "half-done").curves.values()) == [[2.0]]
    assert command(["watch", "half-done", "--once"], tmp_path) == 0

"""Two thousand inputs of the fuzz campaign, and that the campaign finds, keeps and makes small what is wrong."""

import fuzz
import pytest
from kinds import KINDS

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

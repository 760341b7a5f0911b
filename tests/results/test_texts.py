"""What is said of a text itself comes back from its file as it went in, and is made anew when the text is another."""

import json

import numpy as np
import pytest

import lmbench as lb
from lmbench.results.texts import TextFacts


@pytest.fixture
def corpus(tmp_path):
    rng = np.random.default_rng(0)
    lines = [" ".join(f"w{i}" for i in rng.zipf(1.7, 12) % 400) for _ in range(300)]
    lines[-1] = lines[3]  # seen in training
    (tmp_path / "t.txt").write_text("\n".join(lines))
    return lb.Corpus.of(str(tmp_path / "t.txt"), name="t")


def test_facts_come_back_from_their_file(corpus, tmp_path):
    facts, key = TextFacts.of("t", corpus, [1]), TextFacts.key("t", corpus, [1])
    length = len(corpus.text("test").text)
    facts.save(tmp_path / "t.json", key)
    read = TextFacts.load(tmp_path / "t.json", key, length)
    assert facts.seen.chars.covered.any()
    for name in ("words", "chars"):
        one, other = getattr(facts.seen, name), getattr(read.seen, name)
        assert np.array_equal(one.covered, other.covered)
        assert (one.share, one.matches) == (other.share, other.matches)
    assert np.array_equal(facts.seen.copies.spans, read.seen.copies.spans)
    assert np.array_equal(facts.seen.covered, read.seen.covered)
    assert (facts.baselines, facts.zipf) == (read.baselines, read.zipf)
    assert [len(s.x) for s in read.charts[0].panels[0].series] == [
        len(s.x) for s in facts.charts[0].panels[0].series
    ]
    assert TextFacts.load(tmp_path / "t.json", TextFacts.key("t", corpus, [1, 2]), length) is None
    assert TextFacts.load(tmp_path / "t.json", key, length + 1) is None
    (tmp_path / "t.json").write_bytes((tmp_path / "t.json").read_bytes()[:-9])
    assert TextFacts.load(tmp_path / "t.json", key, length) is None
    assert TextFacts.load(tmp_path / "none.json", key, length) is None


def test_progress_goes_from_nothing_to_all(corpus):
    told = []
    TextFacts.of("t", corpus, [1], lambda *step: told.append(step))
    assert [done for done, _, _ in told] == list(range(6))
    assert {total for _, total, _ in told} == {5}


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["seen"]["chars"]["covered"].update(size=10**18),
        lambda facts: facts["seen"]["chars"]["covered"].update(turns=[10**30]),
        lambda facts: facts["seen"]["chars"]["covered"].update(size=10, turns=[]),
        lambda facts: facts["seen"]["copies"].update(spans=[[10**30, 1]]),
        lambda facts: facts["seen"]["copies"].update(spans=[["a", 1]]),
        lambda facts: facts["seen"]["chars"].update(covered={}),
    ],
)
def test_damaged_facts_are_made_anew(corpus, tmp_path, change):
    facts, key = TextFacts.of("t", corpus, [1]), TextFacts.key("t", corpus, [1])
    facts.save(tmp_path / "t.json", key)
    stored, written = json.loads((tmp_path / "t.json").read_bytes())
    change(written)
    (tmp_path / "t.json").write_text(json.dumps([stored, written]))
    assert TextFacts.load(tmp_path / "t.json", key, len(corpus.text("test").text)) is None

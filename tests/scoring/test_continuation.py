"""ln p(continuation | context), beside the sum of next-token probabilities one by one."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from paths import GOLDEN

from lmbench.cli import lmbench
from lmbench.corpora.corpus import Corpus
from lmbench.models import make_model
from lmbench.scoring.continuation import continuation
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import canonical_text

TRAIN = "привет мир 日本 мир 日本語\nпри日 a b c\nhello world 😀\n" * 3


def scorer_of(unit, name="kneser-ney", documents="stream", **options):
    text = canonical_text([TRAIN], "none", documents)
    options = options or ({"order": 4} if name == "kneser-ney" else {})
    return Scorer.fit(make_model(name, **options), Corpus("own", text, None, None, "none", documents), unit)


def one_by_one(scorer, context, text):
    """The next-token distribution after each token of the context and of what has come of the continuation."""
    before, ids = (scorer.vocab.encode(scorer.unit.split(part)) for part in (context, text))
    whole, total = np.concatenate([before, ids]), 0.0
    for t in range(len(before), len(whole)):
        total += scorer.model.next_log_probs(whole[:t], scorer.vocab.newline)[whole[t]]
    return total


@pytest.mark.parametrize("unit", ["byte", "char"])
@pytest.mark.parametrize(
    ("context", "text"),
    [
        ("мир ", "日本"),
        ("мир", " 日本"),
        ("при", "вет мир"),
        ("", "日本"),
        ("hello ", "world 😀"),
        ("😀", "é😀"),
        ("a", ""),
    ],
)
def test_exactly_the_tokens_of_the_continuation_are_charged(unit, context, text):
    scorer = scorer_of(unit)
    found = continuation(scorer, context, text)
    assert found.tokens == len(scorer.unit.split(text))
    assert found.chars == len(text)
    if set(text) <= set(TRAIN):
        assert found.log_prob == pytest.approx(one_by_one(scorer, context, text), abs=1e-9)
    if text:
        assert found.bits_per_char == -found.log_prob / math.log(2) / len(text)


@pytest.mark.parametrize("documents", ["line", "stream"])
@pytest.mark.parametrize("unit", ["byte", "char", "word"])
def test_context_and_continuation_add_up_to_the_text(unit, documents):
    scorer = scorer_of(unit, documents=documents)
    for context, text in (("мир", " 日本"), ("привет мир\nпри日", " a b\nhello"), ("", "日本 zebra")):
        whole, first = (continuation(scorer, "", part).log_prob for part in (context + text, context))
        assert continuation(scorer, context, text).log_prob == pytest.approx(whole - first, abs=1e-9)


def test_the_command_line_charges_each_line(tmp_path):
    scorer = scorer_of("byte")
    scorer.save(tmp_path / "m")
    arguments = ["score", "--load", str(tmp_path / "m"), "--given", "мир ", "--test", "-"]
    told = CliRunner().invoke(lmbench, [*arguments, "--json"], input="日本\nмир\n", catch_exceptions=False)
    rows = json.loads(told.stdout)["continuations"]
    assert [row["continuation"] for row in rows] == ["日本", "мир"]
    assert [row["tokens"] for row in rows] == [6, 6]
    assert rows[0]["log_prob"] == pytest.approx(one_by_one(scorer, "мир ", "日本"), abs=1e-9)
    table = (
        CliRunner()
        .invoke(lmbench, arguments, input="日本\nмир\n", catch_exceptions=False)
        .stdout.splitlines()
    )
    assert table[0].split("\t")[0] == "log_prob"
    assert float(table[1].split("\t")[0]) == pytest.approx(rows[0]["log_prob"], abs=1e-4)
    files = ["--model", "bigram", "--train", str(GOLDEN / "ferry.train.txt"), "--given", "the"]
    (tmp_path / "t").write_text(" ferry\n")
    told = CliRunner().invoke(
        lmbench, ["score", *files, "--test", str(tmp_path / "t")], catch_exceptions=False
    )
    assert " ferry" in told.stdout
    assert CliRunner().invoke(lmbench, ["score", *files]).exit_code != 0


def test_a_case_that_once_gave_the_wrong_figure():
    text = canonical_text(
        [(GOLDEN / "cases" / "multi.train.txt").read_text(encoding="utf-8")], "none", "stream"
    )
    scorer = Scorer.fit(
        make_model("kneser-ney", order=4), Corpus("own", text, None, None, "none", "stream"), "byte"
    )
    # -0.0349 when the bytes of the first character were left out.
    assert continuation(scorer, "мир ", "日本").log_prob == pytest.approx(-2.5979, abs=5e-5)


# Sub-words: a token across the cut ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    from tiny_transformers import FAMILIES, gpt2, llama, save

    folder = tmp_path_factory.mktemp("models")
    scorers = {}
    for family in ("gpt2", "llama2", "bytes"):
        tokenizer = FAMILIES[family]()
        save(folder / family, tokenizer, gpt2 if tokenizer.bos_token is None else llama, positions=64)
        text = canonical_text(["a\n"], "none", "stream")
        corpus = Corpus("own", text, None, None, "none", "stream")
        scorers[family] = Scorer.fit(make_model("hugging-face", path=str(folder / family)), corpus)
    return scorers


def nats_of(scorer, pieces):
    """ln p of the tokens of pieces that are tokenized apart, by asking for one after another."""
    ids, total = [], []
    for piece in pieces:
        for token in scorer.vocab.encode(scorer.unit.split(piece)).tolist():
            total.append(scorer.model.next_log_probs(np.array(ids, dtype=np.int32))[token])
            ids.append(token)
    return total, ids


@pytest.mark.parametrize("family", ["gpt2", "llama2"])
@pytest.mark.parametrize(
    ("context", "text"), [("The fer", "ry left"), ("The ferry lef", "t"), ("The ferry", " left")]
)
def test_a_token_across_the_cut_is_charged_for_what_it_adds_to_its_beginning(
    pretrained, family, context, text
):
    scorer = pretrained[family]
    unit, vocab = scorer.unit, scorer.vocab
    found = continuation(scorer, context, text)
    nats, ids = nats_of(scorer, [context + text])
    ends = unit.ends(context + text)
    first = int(np.searchsorted(ends, len(context), side="right"))
    begin = int(ends[first - 1])
    begun = (context + text)[begin : len(context)].encode()
    row = scorer.model.next_log_probs(np.array(ids[:first], dtype=np.int32))
    if begun:
        chance = sum(
            math.exp(row[i]) for i, t in enumerate(vocab.tokens) if i and unit.brings(t).startswith(begun)
        )
        alone_nats, alone = nats_of(scorer, [context])
        assert alone[:first] == ids[:first]
        if len(alone) > first + 1:
            chance += math.exp(sum(alone_nats[first:]))
    else:
        chance = 1.0
    assert found.log_prob == pytest.approx(sum(nats[first:]) - math.log(chance), abs=1e-4)
    assert found.log_prob <= 0
    alone = len(nats_of(scorer, [context])[1])
    assert found.apart == pytest.approx(sum(nats_of(scorer, [context, text])[0][alone:]), abs=1e-4)


def test_all_that_may_follow_a_context_is_certain(pretrained):
    """Of a model whose tokens are bytes, and of one by sub-words, what any next byte costs adds up to 1."""
    scorer = pretrained["bytes"]
    total = sum(math.exp(continuation(scorer, "The fer", chr(b)).log_prob) for b in range(128))
    assert 0 < total < 1  # others begin with bytes of longer characters
    begun = [continuation(pretrained["gpt2"], "The fer", text) for text in ("r", "ry", "n")]
    assert begun[1].log_prob < 0
    assert all(one.apart is not None for one in begun)

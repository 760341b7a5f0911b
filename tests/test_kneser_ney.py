"""Kneser–Ney against KenLM: every token, every n-gram of the ARPA files, perplexities of whole corpora."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from lmbench.models import make_model
from lmbench.text import build_vocab, canonical_text, encode, unit_named

GOLDEN = Path(__file__).parent / "golden"
DATA = Path(os.environ.get("LMBENCH_DATA", Path(__file__).parents[1] / "../shared/corpora"))
FIGURES = json.loads((GOLDEN / "kenlm.json").read_text())
FERRY = {figures["name"]: figures for figures in FIGURES["ferry"]}
OPTIONS = {
    "": {},
    "--interpolate_unigrams 0": {"interpolate_unigrams": False},
    "--vocab_pad 1000": {"vocab_pad": 1000},
    "--prune 0 1 1": {"prune": "0,1,1"},
}
WORD = unit_named("word")


def encoded(train: str, test: str):
    """Both texts as documents of words, a line each; test tokens are found in the vocabulary of train."""
    canonical = [canonical_text([text], "none", "line") for text in (train, test)]
    vocab = build_vocab(canonical[0], WORD)
    return [encode(text, WORD, vocab) for text in canonical]


def ferry():
    return encoded((GOLDEN / "ferry.train.txt").read_text(), (GOLDEN / "ferry.test.txt").read_text())


@pytest.mark.parametrize("name", FERRY)
def test_every_token_of_the_ferry_as_kenlm_scores_it(name):
    train, test = ferry()
    figures = FERRY[name]
    model = make_model(
        "kneser-ney", order=figures["order"], kenlm_counts=True, **OPTIONS[figures["options"]]
    ).fit(train.tokens, vocab_size=len(train.vocab))
    found = model.log_probs(test.tokens) / np.log(10)
    rows = [line.split("\t") for line in (GOLDEN / f"ferry.{name}.tokens.tsv").read_text().splitlines()[1:]]
    # An empty line is a sentence for KenLM too; </s> is our \n.
    assert [row[0] for row in rows] == ["</s>" if t == "\n" else t for t in test.surface()]
    np.testing.assert_allclose(found, [float(row[2]) for row in rows], atol=1e-5)
    assert np.exp(-model.log_probs(test.tokens).mean()) == pytest.approx(
        figures["ppl_including_oov"], rel=1e-6
    )
    sizes = [n + (k == 1) for k, n in enumerate(model.table.sizes) if k]
    assert sizes == figures["ngrams"]  # KenLM counts <s> as a word of its own


def read_arpa(path):
    """{words: (log10 p, log10 backoff)} of a well-formed ARPA file."""
    entries = {}
    for line in path.read_text().splitlines():
        fields = line.split("\t")
        if len(fields) > 1:
            entries[tuple(fields[1].split(" "))] = (float(fields[0]), float(fields[2]) if fields[2:] else 0.0)
    return entries


@pytest.mark.parametrize(("name", "order"), [("o3", 3), ("o5.fallback", 5)])
def test_every_ngram_of_the_arpa_file(name, order):
    train, _ = ferry()
    model = make_model("kneser-ney", order=order, kenlm_counts=True).fit(
        train.tokens, vocab_size=len(train.vocab)
    )
    golden = read_arpa(GOLDEN / f"ferry.{name}.arpa")
    table, names, checked = model.table, train.vocab.tokens, 0
    for k in range(1, order + 1):
        for rank, ids in enumerate(table.ngrams(k).tolist()):
            words = [names[i] for i in ids]
            backoff = table.backoffs[k][rank] if k < order else 1.0
            as_context = ["<s>", *words[1:]] if words[0] == "\n" else words
            if words[-1] == "\n":  # </s>, never a context; the context <s> is never predicted
                as_word = tuple([*as_context[:-1], "</s>"] if k > 1 else ["</s>"])
                assert golden[as_word] == (pytest.approx(np.log10(table.probs[k][rank]), abs=2e-6), 0)
                checked += 1
                if k > 1:
                    assert backoff == 1
                    continue
                assert golden["<s>",] == (0, pytest.approx(np.log10(backoff), abs=2e-6))
            else:
                expected = (np.log10(table.probs[k][rank]), np.log10(backoff))
                assert golden[tuple(as_context)] == pytest.approx(expected, abs=2e-6)
            checked += 1
    assert checked == len(golden)


def corpus(name, kind):
    """A corpus as lines of words, encoded as for KenLM: train and test."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not here; LMBENCH_DATA names the folder of corpora")
    if kind == "ptb":
        texts = [
            canonical_text([(path / f"ptb.{s}.txt").read_text()], "whitespace", "line").text
            for s in ("train", "test")
        ]
        return encoded(*texts)
    lines = canonical_text([path.read_text()], "letters", "line").text.splitlines()
    if kind == "words":
        return encoded(
            *("\n".join(part) + "\n" for part in (lines[: 2848 * 8 // 10], lines[2848 * 9 // 10 :]))
        )
    stream = " ".join(lines).replace(" ", "_")
    n = len(stream)
    return encoded(*(" ".join(part) + "\n" for part in (stream[: n * 8 // 10], stream[n * 9 // 10 :])))


@pytest.mark.parametrize(
    ("corpus_name", "kind", "figures"),
    [
        pytest.param(name, kind, figures, id=f"{key}-{figures['order']}")
        for key, name, kind in (
            ("ptb", "ptb", "ptb"),
            ("time-machine.words", "timemachine.txt", "words"),
            ("time-machine.chars", "timemachine.txt", "chars"),
        )
        for figures in FIGURES[key]
    ],
)
def test_perplexities_of_whole_corpora(corpus_name, kind, figures):
    train, test = corpus(corpus_name, kind)
    assert len(test.tokens) == figures["tokens"]
    model = make_model("kneser-ney", order=figures["order"], kenlm_counts=True).fit(
        train.tokens, vocab_size=len(train.vocab)
    )
    log10 = model.log_probs(test.tokens) / np.log(10)
    assert query_perplexity(log10, test.tokens) == pytest.approx(figures["ppl_including_oov"], rel=5e-7)
    known = np.where(test.oov, 0, log10)
    excluding = query_perplexity(known, test.tokens) ** (len(known) / (~test.oov).sum())
    assert excluding == pytest.approx(figures["ppl_excluding_oov"], rel=5e-7)


def query_perplexity(log10, tokens):
    """As ``query`` prints it: it adds up each line in single precision.

    On a line of 17,344 characters that loses 1.2e-5 of the perplexity, which is no difference of the models:
    its own -v word figures, added in double precision, give ours.
    """
    lines = np.split(log10.astype(np.float32), tokens.starts[1:])
    total = sum(float(np.add.accumulate(line)[-1]) for line in lines)
    return 10 ** (-total / len(tokens))

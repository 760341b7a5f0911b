"""A run's signature and facts: written once, told as text, and the same when they are read back."""

import dataclasses
import hashlib

import numpy as np
import pytest

import lmbench as lb
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.evaluation import fit_run, score_run
from lmbench.scoring.run import Epoch, Facts, Sample, Signature, Verified, measured_each_seed
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.stored_run import load_run, save_run
from lmbench.text.canonical import canonical_text


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def small(train, valid="a b a\n", test="b a b\n"):
    texts = [canonical_text([raw], "none", "line") for raw in (train, valid, test)]
    return lb.Corpus("small", *texts, "none", "line")


def test_a_signature_names_the_texts_that_were_learnt_from_and_scored(tmp_path):
    scorer, run = fit_run(make_model("bigram"), small("a b a b\n"), seed=3)
    assert run.signature == Signature(
        corpus="small",
        text=sha("b a b\n"),
        normalise="none",
        documents="line",
        unit="char",
        context="document",
        train=sha("a b a b\n"),
        valid=sha("a b a\n"),
        seed=3,
    )
    # A saved model keeps the names of the texts that it learnt from, whatever corpus it scores.
    scorer.save(tmp_path / "m.lm")
    other = score_run(Scorer.load(tmp_path / "m.lm"), small("b b b\n", test="a\n"), "again")
    assert (other.signature.train, other.signature.text) == (sha("a b a b\n"), sha("a\n"))


def test_a_signature_as_text_leaves_out_what_is_not_known():
    told = str(Signature(corpus="c", text="ab", unit="char", lmbench="1"))
    assert (
        told
        == "corpus:c|text:ab|normalise:none|documents:stream|unit:char|oov:spelled|context:undeclared|seed:0|lmbench:1"
    )
    assert "train:cd|seed:0" in str(Signature(corpus="c", train="cd"))


def test_a_run_is_read_back_as_it_was_written(tmp_path):
    _, run = fit_run(make_model("unigram"), small("a b a b\n"), unit="word")
    run = run.with_facts(
        samples=[Sample(prompt="a", temperature=0.5, text="a b")],
        history=[Epoch(epoch=1.0, train_bits=2.5)],
        verified=Verified(tokens=3, file_bits=72, claimed_bits=70.5, identical=True, holds=True),
        parts={"b": 1.5},
        train_bits_per_char=1.0,
    )
    save_run(run, tmp_path / "run.npz", "key")
    again = load_run(tmp_path / "run.npz", "key")
    assert (again.corpus, again.label, again.signature, again.facts) == (
        *(run.corpus, run.label, run.signature, run.facts),
    )
    for field in dataclasses.fields(run.scores):
        assert np.array_equal(getattr(again.scores, field.name), getattr(run.scores, field.name))
    assert load_run(tmp_path / "run.npz", "another key") is None
    (tmp_path / "run.npz").write_bytes(b"damaged")
    with pytest.raises(InputError, match="no stored run, or is damaged"):
        load_run(tmp_path / "run.npz")


def test_what_each_seed_measures_is_marked_where_the_facts_are_told():
    measured = measured_each_seed()
    assert {"fit_seconds", "train_bits_per_char", "training_tokens", "share_of_peak"} <= set(measured)
    assert not {"parameters", "training_flops", "model", "history"} & set(measured)
    assert set(measured) <= set(Facts.__struct_fields__)

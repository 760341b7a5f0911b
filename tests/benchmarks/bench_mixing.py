"""What pooling pays, and reading the held-out text, on held-out text: the tables of docs/models/mixtures.md.

    python tests/benchmarks/bench_mixing.py pool time-machine context-mixing lstm
    python tests/benchmarks/bench_mixing.py pool python-docs kneser-ney:order=8,discounts=tune context-mixing lstm:hidden=256,epochs=8
    python tests/benchmarks/bench_mixing.py read time-machine context-mixing context-mixing:adaptive=yes
    python tests/benchmarks/bench_mixing.py hear time-machine infini-gram:adaptive=yes context-mixing:adaptive=yes lstm:dynamic=0.0005

pool: weights are learnt on one half of the held-out text, and the other half is scored, both ways. read: the end of the training text,
as long as the held-out text, takes the place of the latter, which is scored. hear: the first half of the held-out text is learnt from and read, and
the second scored, by a geometric pool of the models and bit-mixing, and by bit-mixing that hears them. The test text is not looked at. Bits a token, of characters.
"""

from __future__ import annotations

import argparse

import numpy as np

import lmbench as lb
from lmbench.models.mixing.gate import Gate
from lmbench.models.mixing.log_linear import log_softmax, newton
from lmbench.models.mixing.weights import learn_weights
from lmbench.text.tokens import Tokens

LEAST = -50.0  # nats


def bits(log_probs: np.ndarray) -> float:
    return float(-log_probs.mean() / np.log(2))


def made(spec: str, corpus: lb.Corpus, **more: str) -> lb.LanguageModel:
    """A model of NAME or NAME:KEY=VALUE,…, which has seen the vocabulary."""
    name, _, options = spec.partition(":")
    model = lb.make_model(name, **dict(pair.split("=") for pair in options.split(",") if pair), **more)
    model.vocabulary(corpus.vocab("char"))
    return model


def pool(corpus: lb.Corpus, specs: list[str]) -> None:
    train, valid = (corpus.encoded("char", split).tokens for split in ("train", "valid"))
    size, rows = len(corpus.vocab("char")), []
    for spec in specs:
        model = made(spec, corpus).fit(train, valid, size, np.random.default_rng(0))
        rows.append(np.maximum(model.distributions(valid), LEAST))
        print(f"{spec}: {bits(rows[-1][np.arange(len(valid)), valid.ids]):.4f}", flush=True)
    between, ids, places = np.stack(rows, axis=1), valid.ids, np.arange(len(valid))
    of_tokens = between[places, :, ids]
    pooled = {name: np.empty(len(valid)) for name in ("linear", "geometric", "by entropy")}
    for half in np.array_split(places, 2):
        other = np.setdiff1d(places, half)
        pooled["linear"][half] = np.log(np.exp(of_tokens[half]) @ learn_weights(of_tokens[other].T))
        fixed = newton(between[other], ids[other], np.full(len(specs), 1 / len(specs)), 1.0)
        gate = Gate.learnt(between[other], ids[other], fixed)
        for name, weights in (("geometric", fixed[None]), ("by entropy", gate.weights(between[half]))):
            scores = log_softmax((weights[:, None] @ between[half])[:, 0])
            pooled[name][half] = scores[np.arange(len(half)), ids[half]]
    for name, log_probs in pooled.items():
        print(f"{name}: {bits(log_probs):.4f}")


def read(corpus: lb.Corpus, specs: list[str]) -> None:
    train, valid = (corpus.encoded("char", split).tokens for split in ("train", "valid"))
    cut = len(train) - len(valid)
    starts = np.append(0, train.starts[train.starts > cut] - cut)
    end = Tokens(train.ids[cut:], starts, train.bos)
    for spec in specs:
        for more in ("no", "yes"):
            model = made(spec, corpus, read_valid=more)
            model.fit(train.head(cut), end, len(corpus.vocab("char")), np.random.default_rng(0))
            print(f"{spec}, the end read: {more}: {bits(model.log_probs(valid)):.4f}", flush=True)


def hear(corpus: lb.Corpus, specs: list[str]) -> None:
    train, valid = (corpus.encoded("char", split).tokens for split in ("train", "valid"))
    size, cut = len(corpus.vocab("char")), len(valid) // 2
    first = valid.head(cut)
    second = Tokens(valid.ids[cut:], np.append(0, valid.starts[valid.starts > cut] - cut), valid.bos)
    own = "bit-mixing:adaptive=yes"
    parts = {
        spec: made(spec, corpus).fit(train, first, size, np.random.default_rng(0)) for spec in [*specs, own]
    }
    for spec, part in parts.items():
        print(f"{spec}: {bits(part.read_on(first).log_probs(second)):.4f}", flush=True)
    pooled = {"pooling": "geometric", "weights": "by-entropy"}
    for name, of, options in (("mixture", [*specs, own], pooled), ("bit-mixing", specs, {"adaptive": True})):
        model = lb.make_model(
            name, of=tuple(f"model {i + 1}" for i in range(len(of))), read_valid=True, **options
        )
        model.vocabulary(corpus.vocab("char"))
        model.fit(train, first, size, np.random.default_rng(0), components=[parts[spec] for spec in of])
        print(f"{name} of {len(of)}: {bits(model.log_probs(second)):.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["pool", "read", "hear"])
    parser.add_argument("corpus")
    parser.add_argument("models", nargs="+")
    asked = parser.parse_args()
    {"pool": pool, "read": read, "hear": hear}[asked.what](lb.load_corpus(asked.corpus), asked.models)

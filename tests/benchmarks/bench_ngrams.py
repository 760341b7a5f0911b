"""How fast n-grams are counted, estimated and scored, beside the obvious Python.

    pytest -o addopts= tests/benchmarks/bench_ngrams.py -s

The names keep these files out of the test run. Each prints tokens a second and the ratio to the plain version,
measured in the same process.
"""

import time
from collections import Counter

import numpy as np
import pytest

from lmbench.corpora.corpus import load_corpus
from lmbench.counts.ngrams import count_ngrams
from lmbench.models import make_model

ORDER = 3


@pytest.fixture(scope="module")
def texts():
    corpus = load_corpus("python-docs")
    return (
        corpus.encoded("word", "train").tokens,
        corpus.encoded("word", "test").tokens,
        len(corpus.vocab("word")),
    )


def report(benchmark, name, tokens, plain=None):
    """Tokens a second, and how many times faster than ``plain``, a function that does the same for ``tokens``."""
    rate = len(tokens) / benchmark.stats.stats.median
    line = f"{name}: {rate / 1e6:.2f} million tokens/s"
    if plain is not None:
        began = time.perf_counter()
        plain()
        ratio = (time.perf_counter() - began) / benchmark.stats.stats.median
        benchmark.extra_info["ratio"] = ratio
        line += f", {ratio:.0f} times the plain version"
    benchmark.extra_info["tokens_per_second"] = rate
    print(f"\n{line}")


def plain_counts(tokens):
    counts = Counter()
    for document in tokens.documents():
        symbols = (tokens.bos, *document.tolist())
        for t in range(1, len(symbols)):
            for k in range(1, min(ORDER, t + 1) + 1):
                counts[symbols[t + 1 - k : t + 1]] += 1
    return counts


def plain_scores(counts, tokens, vocab_size):
    """Recursive Laplace smoothing, ε = 1, token by token; the counts of contexts are those of n-grams."""
    total = sum(n for gram, n in counts.items() if len(gram) == 1)
    scores = []
    for document in tokens.documents():
        symbols = (tokens.bos, *document.tolist())
        for t in range(1, len(symbols)):
            p = 1 / vocab_size
            for k in range(1, min(ORDER, t + 1) + 1):
                n = counts[symbols[t + 1 - k : t]] if k > 1 else total
                p = (counts[symbols[t + 1 - k : t + 1]] + p) / (n + 1)
            scores.append(np.log(p))
    return scores


def test_count(benchmark, texts):
    train, _, size = texts
    benchmark(count_ngrams, train, ORDER, size)
    report(benchmark, "counting to order 3", train, lambda: plain_counts(train))


@pytest.mark.parametrize(("name", "options"), [("trigram", {"eps": 1}), ("kneser-ney", {"order": 5})])
def test_fit(benchmark, texts, name, options):
    train, _, size = texts
    benchmark(lambda: make_model(name, **options).fit(train, vocab_size=size))
    report(benchmark, f"fitting {name}", train)


@pytest.mark.parametrize(("name", "options"), [("trigram", {"eps": 1}), ("kneser-ney", {"order": 5})])
def test_score(benchmark, texts, name, options):
    train, test, size = texts
    model = make_model(name, **options).fit(train, vocab_size=size)
    benchmark(model.log_probs, test)
    counts = plain_counts(train)
    plain = (lambda: plain_scores(counts, test, size)) if name == "trigram" else None
    report(benchmark, f"scoring by {name}", test, plain)


def test_distributions(benchmark, texts):
    train, test, size = texts
    model = make_model("kneser-ney", order=5).fit(train, vocab_size=size)
    contexts = [test.ids[:n] for n in range(1, 129)]
    benchmark(model.next_log_probs, contexts, test.bos)
    report(benchmark, "next-word distributions", contexts)

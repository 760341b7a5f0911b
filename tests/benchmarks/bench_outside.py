"""Tokens a second of a causal network beside plain transformers with the same batch.

python -m pytest tests/benchmarks/bench_outside.py --benchmark-only; the ratio of processor time, which other work on the
machine disturbs less: python -m pytest tests/benchmarks/bench_outside.py -k ratio -s
"""

import time

import numpy as np
import pytest
import torch
from tiny_transformers import transformers

from lmbench.models.outside.network import Network

VOCABULARY, LENGTH, ROWS = 50_000, 256, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
    )
    place = tmp_path_factory.mktemp("network")
    transformers.LlamaForCausalLM(config).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).integers(0, VOCABULARY, (ROWS, LENGTH + 1))


@pytest.fixture(scope="module")
def ours(folder, rows):
    network = Network(str(folder), "cpu", "auto")
    inputs, targets = list(rows[:, :-1]), list(rows[:, 1:])
    return lambda: network.of_targets(inputs, [0] * ROWS, targets, greedy=False)


@pytest.fixture(scope="module")
def plain(folder, rows):
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    inputs, targets = torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, 1:])

    def score():
        with torch.inference_mode():
            logits = network(input_ids=inputs, use_cache=False).logits
            return torch.log_softmax(logits, -1).gather(-1, targets[..., None]).sum()

    return score


@pytest.mark.benchmark(group="causal network, 512 tokens")
def test_ours(benchmark, ours):
    benchmark.extra_info["tokens"] = ROWS * LENGTH
    benchmark(ours)


@pytest.mark.benchmark(group="causal network, 512 tokens")
def test_plain_transformers(benchmark, plain):
    benchmark.extra_info["tokens"] = ROWS * LENGTH
    benchmark(plain)


def test_ratio(ours, plain):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = {ours: [], plain: []}
        for _ in range(7):
            for score, taken in seconds.items():
                began = time.process_time()
                score()
                taken.append(time.process_time() - began)
    finally:
        torch.set_num_threads(threads)
    ratio = np.median(seconds[plain]) / np.median(seconds[ours])
    print(f"\n{ratio:.2f} times the tokens that plain transformers scores in a second of one thread")

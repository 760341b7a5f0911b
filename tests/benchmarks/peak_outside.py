"""Peak memory of scoring 20,000 tokens by a network of 150,000 tokens and 128k positions: python tests/benchmarks/peak_outside.py FOLDER.

All logits at once would be 12 GB in single precision.
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np
import transformers

from lmbench.models.outside.network import Network

VOCABULARY, TOKENS, WINDOW, BATCH = 150_000, 20_480, 2048, 2

folder = Path(sys.argv[1])
if not (folder / "config.json").exists():
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=131_072,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
network = Network(str(folder), "cpu", "auto")
assert network.outputs == VOCABULARY
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ids = np.random.default_rng(0).integers(0, VOCABULARY, TOKENS + 1)
began = time.perf_counter()
for at in range(0, TOKENS, WINDOW * BATCH):
    starts = range(at, min(at + WINDOW * BATCH, TOKENS), WINDOW)
    rows = [ids[s : s + WINDOW] for s in starts]
    network.of_targets(rows, [0] * len(rows), [ids[s + 1 : s + WINDOW + 1] for s in starts])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(
    f"{TOKENS:,} tokens in {time.perf_counter() - began:.0f} s; weights {network.model_bytes / 1e6:,.0f} MB"
)
print(f"peak {peak / 1e3:,.0f} MB, {(peak - before) / 1e3:,.0f} MB above what loading took")

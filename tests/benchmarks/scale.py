"""What a token costs as the text grows: counting and estimating within a memory limit, as a table in Markdown.

    python tests/benchmarks/scale.py [--tokens 50000000] [--limit 500MB] [--order 3]

The text is a Markov chain over 100,000 words: half of them are drawn by Zipf-Mandelbrot's law, p(r) ~ 1 / (r + 2.7); the other
half by the same law from a table of ranks that the word before turns. Each row is a process of its own; its peak memory
holds the text (4 bytes a token), Python and numpy besides what the limit is about.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

from lmbench.models import make_model
from lmbench.text.tokens import Tokens

WORDS, LINE = 100_000, 25


def chain(size: int, seed: int = 1) -> Tokens:
    """So many tokens of the source, in lines."""
    rng = np.random.default_rng(seed)
    p = 1 / (np.arange(WORDS - 1) + 1 + 2.7)
    cumulative = np.cumsum(p / p.sum())
    ids = np.empty(size, dtype=np.int32)
    turns = rng.random(size) < 0.5
    turns[::LINE] = False
    for begin in range(0, size, 1 << 20):
        piece = slice(begin, min(begin + (1 << 20), size))
        ids[piece] = np.searchsorted(cumulative, rng.random(piece.stop - piece.start), side="right")
    at = np.flatnonzero(turns & ~np.append(False, turns[:-1]))
    while len(at):  # the first word of each stretch that follows its predecessor, then the second, ...
        ids[at] = (ids[at] + ids[at - 1].astype(np.int64) * 7919) % (WORDS - 1)
        at = at[at + 1 < size] + 1
        at = at[turns[at]]
    return Tokens(ids + np.int32(1), np.arange(0, size, LINE), 1)


def fit(size: int, order: int, limit: str) -> dict[str, float]:
    tokens = chain(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    model = make_model("kneser-ney", order=order, memory_limit=limit).fit(tokens, vocab_size=WORDS)
    return {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "text_mb": before / 1024,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "ngrams": sum(model.table.sizes[1:]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=50_000_000)
    parser.add_argument("--limit", default="500MB")
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(fit(options.one, options.order, options.limit)))
        return
    print(f"kneser-ney of order {options.order}; numpy {np.__version__}\n")
    print(
        "| tokens | limit | n-grams | seconds | ns a token | to the first row | peak memory, of it the text |"
    )
    print("|--:|---|--:|--:|--:|--:|--:|")
    first = 0.0
    for size, limit in ((10**6, ""), (10**6, options.limit), (options.tokens, options.limit)):
        command = [
            sys.executable,
            __file__,
            "--one",
            str(size),
            "--limit",
            limit,
            "--order",
            str(options.order),
        ]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        cost = found["seconds"] / size * 1e9
        first = first or cost
        print(
            f"| {size:,} | {limit or 'none'} | {found['ngrams']:,} | {found['seconds']:.2f} | {cost:.0f} | "
            f"{cost / first:.2f} | {found['peak_mb']:.0f} MB, {found['text_mb']:.0f} MB |"
        )


if __name__ == "__main__":
    main()

"""Counting and scoring beside KenLM and NLTK, on the Penn Treebank, as a table in Markdown.

    python tests/benchmarks/against_kenlm.py --data DIR [--runs 5] [--skip-nltk] > table.md

DIR holds ptb/ptb.train.txt and ptb/ptb.test.txt (default: the folder that LMBENCH_DATA names). KenLM's programs
lmplz, build_binary and query must be on PATH: build them from github.com/kpu/kenlm with cmake (see its README);
without them, or without nltk, those rows are left out. Programs take turns, and a row gives the median of the runs.

lmplz runs with -S 300M: its default, four fifths of the memory, costs it seconds of page clearing on so small a text.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from lmbench.counts.ngrams import count_ngrams
from lmbench.models import LanguageModel, make_model
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.storage.files import read_text
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import EncodedText, encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import build_vocab

ORDERS = (3, 5)
COPIES = 12  # of the test text, for scoring in bulk
WORD = unit_named("word")
Row = tuple[str, str, str, str]


def process(
    command: Sequence[str | Path], source: Path | None = None, sink: Path | None = None
) -> tuple[float, float]:
    """Wall seconds and peak memory (MB) of a program."""
    began = time.perf_counter()
    with open(source or os.devnull, "rb") as stdin, open(sink or os.devnull, "wb") as stdout:
        running = subprocess.Popen(
            [str(c) for c in command], stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{command[0]} failed with status {running.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def medians(runs: int, *jobs: Callable[[], tuple[float, float]]) -> list[tuple[float, float]]:
    """For each job, the median seconds and megabytes; the jobs take turns."""
    measured: list[list[tuple[float, float]]] = [[] for _ in jobs]
    for _ in range(runs):
        for job, results in zip(jobs, measured, strict=True):
            results.append(job())
    return [tuple(statistics.median(column) for column in zip(*m, strict=True)) for m in measured]  # type: ignore[misc]


def seconds(job: Callable[[], object]) -> tuple[float, float]:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began, 0.0


def whole_processes(ptb: Path, folder: Path, runs: int) -> list[Row]:
    """Train on the training text and score the test text, each as its user would start it."""
    rows = []
    for order in ORDERS:
        arpa = folder / f"{order}.arpa"

        def kenlm(order: int = order, arpa: Path = arpa) -> tuple[float, float]:
            lmplz = ["lmplz", "-o", str(order), "-S", "300M", "-T", folder, "--discount_fallback"]
            fit = process(lmplz, folder / "train.txt", arpa)
            score = process(["query", "-v", "summary", arpa], folder / "test.txt")
            return fit[0] + score[0], max(fit[1], score[1])

        def ours(order: int = order) -> tuple[float, float]:
            texts = [
                "--train",
                ptb / "ptb.train.txt",
                "--test",
                ptb / "ptb.test.txt",
                "--normalise",
                "whitespace",
            ]
            command = [
                sys.executable,
                "-m",
                "lmbench",
                "score",
                "--model",
                "kneser-ney",
                "-o",
                f"order={order}",
            ]
            return process([*command, *texts, "--unit", "word", "--documents", "line", "--json"])

        (a, a_mb), (b, b_mb) = medians(runs, kenlm, ours)
        rows.append(
            (
                f"train and score, order {order}",
                f"{a:.2f} s, {a_mb:.0f} MB",
                f"{b:.2f} s, {b_mb:.0f} MB",
                f"{b / a:.2f}",
            )
        )
    return rows


def bulk_scoring(train: EncodedText, test: EncodedText, folder: Path, runs: int) -> list[Row]:
    """Tokens a second of a fitted model on a long text: query's, with its start and loading taken off, and ours."""
    rows = []
    raw = test.canonical.text * COPIES
    (folder / "long.txt").write_text(read_text(folder / "test.txt") * COPIES)
    long = encode(canonical_text([raw], "whitespace", "line"), WORD, train.vocab)
    for order in ORDERS:
        binary = folder / f"{order}.bin"
        process(["build_binary", folder / f"{order}.arpa", binary])
        model = make_model("kneser-ney", order=order).fit(train.tokens, vocab_size=len(train.vocab))

        def from_text(model=model) -> None:  # type: ignore[no-untyped-def]
            encoded = encode(canonical_text([raw], "whitespace", "line"), WORD, train.vocab)
            model.log_probs(encoded.tokens)

        (start, _), (query, _), (ids, _), (text, _) = medians(
            runs,
            lambda b=binary: process(["query", "-v", "summary", b]),  # type: ignore[misc]
            lambda b=binary: process(["query", "-v", "summary", b], folder / "long.txt"),  # type: ignore[misc]
            lambda m=model: seconds(lambda: m.log_probs(long.tokens)),  # type: ignore[misc]
            lambda f=from_text: seconds(f),  # type: ignore[misc]
        )
        theirs, of_ids, of_text = (len(long.tokens) / s / 1e6 for s in (query - start, ids, text))
        for name, rate in (("ids", of_ids), ("raw text", of_text)):
            rows.append(
                (
                    f"score {name}, order {order}",
                    f"{theirs:.1f} M tokens/s",
                    f"{rate:.1f} M tokens/s",
                    f"{rate / theirs:.2f}",
                )
            )
        grams = sum(model.table.sizes[1:])
        rows.append(size_row(f"in memory, order {order}", "probing", binary, model.model_bytes, grams))
        rows += loaded_rows(model, train, long, folder / f"{order}.model", binary, order, grams, theirs, runs)
        for kind, switches, bits in (("trie", [], 32), ("8-bit trie", ["-q", "8", "-b", "8"], 8)):
            trie = folder / f"{order}.trie"
            process(["build_binary", *switches, "trie", folder / f"{order}.arpa", trie])
            small = make_model("kneser-ney", order=order, bits=bits).fit(
                train.tokens, vocab_size=len(train.vocab)
            )
            size = sum(array.nbytes for array in small.state().values())
            cost = (model.log_probs(test.tokens) - small.log_probs(test.tokens)).mean() / np.log(2)
            name = f"saved, order {order}" + (
                f", {bits} bits ({cost:+.4f} bits a token)" if bits < 32 else ""
            )
            rows.append(size_row(name, kind, trie, size, grams))
    return rows


def loaded_rows(
    model: LanguageModel,
    train: EncodedText,
    long: EncodedText,
    path: Path,
    binary: Path,
    order: int,
    grams: int,
    theirs: float,
    runs: int,
) -> list[Row]:
    """The same of a model that was saved and stays in its file."""
    Scorer(model, WORD, train.vocab, "whitespace", "line", train.vocab.tokens[1:]).save(path)
    loaded = load_model(path).model
    (start, _), (opening, _), (ids, _) = medians(
        runs,
        lambda: process(["query", "-v", "summary", binary]),
        lambda: seconds(lambda: load_model(path)),
        lambda: seconds(lambda: loaded.log_probs(long.tokens)),
    )
    rate = len(long.tokens) / ids / 1e6
    return [
        (
            f"open a saved model, order {order}",
            f"{start * 1e3:.0f} ms (process)",
            f"{opening * 1e3:.0f} ms",
            f"{opening / start:.2f}",
        ),
        (
            f"score ids from its file, order {order}",
            f"{theirs:.1f} M tokens/s",
            f"{rate:.1f} M tokens/s",
            f"{rate / theirs:.2f}",
        ),
        size_row(f"in memory when loaded, order {order}", "probing", binary, loaded.model_bytes, grams),
    ]


def size_row(name: str, kind: str, binary: Path, own: int, grams: int) -> Row:
    size = binary.stat().st_size
    return (
        f"bytes an n-gram {name}",
        f"{size / grams:.1f} ({kind})",
        f"{own / grams:.1f}",
        f"{own / size:.2f}",
    )


def nltk_rows(train: EncodedText, test: EncodedText) -> list[Row]:
    """Counting trigrams and scoring with Laplace smoothing, once each."""
    from nltk.lm import Laplace, NgramCounter, Vocabulary
    from nltk.util import everygrams

    def lines(text: EncodedText) -> list[list[str]]:
        return [["<s>", *line.split(), "</s>"] for line in text.canonical.text.splitlines()]

    sentences = lines(train)
    counts, _ = seconds(lambda: NgramCounter(everygrams(s, max_len=3) for s in sentences))
    ours, _ = medians(5, lambda: seconds(lambda: count_ngrams(train.tokens, 3, len(train.vocab))))[0]
    rows = [
        ("count to order 3 (NLTK)", f"{counts:.1f} s", f"{ours:.2f} s", f"{counts / ours:.0f} times faster")
    ]
    model = Laplace(3, vocabulary=Vocabulary(w for s in sentences for w in s))
    model.fit([everygrams(s, max_len=3) for s in islice(sentences, 20_000)])
    asked = [(s[i], s[i - 2 : i]) for s in lines(test) for i in range(2, len(s))][:50_000]
    score, _ = seconds(lambda: [model.logscore(word, context) for word, context in asked])
    trigram = make_model("trigram", eps=1).fit(train.tokens, vocab_size=len(train.vocab))
    ours, _ = medians(5, lambda: seconds(lambda: trigram.log_probs(test.tokens)))[0]
    a, b = len(asked) / score, len(test.tokens) / ours
    return [
        *rows,
        ("score, order 3 (NLTK)", f"{a / 1e6:.2f} M tokens/s", f"{b / 1e6:.1f} M tokens/s", f"{b / a:.0f}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("LMBENCH_DATA"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--skip-nltk", action="store_true")
    options = parser.parse_args()
    if options.data is None or not (options.data / "ptb").is_dir():
        parser.error("name the folder that holds ptb/ptb.train.txt with --data or LMBENCH_DATA")
    ptb = options.data / "ptb"
    canonical = [
        canonical_text([read_text(ptb / f"ptb.{s}.txt")], "whitespace", "line") for s in ("train", "test")
    ]
    vocab = build_vocab(canonical[0], WORD)
    train, test = (encode(text, WORD, vocab) for text in canonical)

    rows: list[Row] = []
    if all(shutil.which(program) for program in ("lmplz", "build_binary", "query")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for split, text in zip(("train", "test"), canonical, strict=True):  # lmplz refuses the word <unk>
                (folder / f"{split}.txt").write_text(text.text.replace("<unk>", "UNKWORD"))
            rows += whole_processes(ptb, folder, options.runs) + bulk_scoring(
                train, test, folder, options.runs
            )
    else:
        print(
            "KenLM's lmplz, build_binary and query are not on PATH; their rows are left out", file=sys.stderr
        )
    if not options.skip_nltk:
        rows += nltk_rows(train, test)
    print(f"Penn Treebank, medians of {options.runs}; {os.cpu_count()} processors, numpy {np.__version__}\n")
    print("| | KenLM or NLTK | lmbench | ratio |\n|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()

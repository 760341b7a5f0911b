"""A test text that models have seen gives nobody a rank."""

import numpy as np
from small_suites import suite_of

from lmbench.bench.runner import measure_suite
from lmbench.bench.suite import CorpusSpec


def test_nobody_has_a_rank_on_a_test_text_inside_the_training_text(tmp_path):
    rng = np.random.default_rng(0)
    lines = [" ".join(f"w{n}" for n in (5000 * rng.random(12) ** 3).astype(int)) for _ in range(200)]
    fresh = [" ".join(f"v{n}" for n in rng.integers(0, 99, 12)) for _ in range(70)]
    for name, of in {"train": lines, "copy": lines[50:120], "fresh": fresh}.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(of) + "\n")
    suite = suite_of(("unigram",), ("uniform",))
    suite.corpora = [
        CorpusSpec(name, train=str(tmp_path / "train.txt"), test=str(tmp_path / f"{name}.txt"))
        for name in ("copy", "fresh")
    ]
    for _ in range(2):  # measured, and read back
        runs = measure_suite(suite, tmp_path / "run").runs
        assert [(run.corpus, run.ranked) for run in runs] == [("copy", False)] * 2 + [("fresh", True)] * 2
        (reason,) = {run.facts.unranked_reason for run in runs[:2]}
        assert reason.startswith(
            "100% of the test text stands in the text that the model has seen (characters 0 to "
        )

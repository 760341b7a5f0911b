"""Suites read and run: a double loop over corpora and models, in one process or several, resumed where it stopped.

In: a suite (TOML). Out: a run folder with every cell's model and scores, and what failed with its reason, and the
report of it all.
"""

from lmbench.bench.run import Interrupted, run_suite
from lmbench.bench.suite import Suite
from lmbench.bench.suite_file import load_suite
from lmbench.bench.watch import Watch

__all__ = ["Interrupted", "Suite", "Watch", "load_suite", "run_suite"]

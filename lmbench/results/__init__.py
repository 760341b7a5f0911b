"""What a run found, as one document (results.json), and two of them side by side.

In: finished runs. Out: every number that a report shows, computed once, written and read here.
"""

from lmbench.results.build import results_of
from lmbench.results.diff import diff_runs
from lmbench.results.file import read_results, write_results
from lmbench.results.frame import leaderboard
from lmbench.results.schema import Results

__all__ = ["Results", "diff_runs", "leaderboard", "read_results", "results_of", "write_results"]

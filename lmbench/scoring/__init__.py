"""A model charged for every character: fit, score, spell, generate, save, verify, exchange per-token scores.

In: a model and a corpus. Out: a ``Run``: ``Scores`` a token, the signature of what was measured, and facts of the model.
"""

from lmbench.scoring.evaluation import evaluate
from lmbench.scoring.run import Run
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.scoring.scores import Scores
from lmbench.scoring.token_file import external_run
from lmbench.scoring.verification import verify

__all__ = ["Run", "Scorer", "Scores", "evaluate", "external_run", "load_model", "verify"]

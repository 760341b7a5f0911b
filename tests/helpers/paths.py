"""Where things lie."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lmbench"
GOLDEN = ROOT / "tests" / "golden"
HELPERS = ROOT / "tests" / "helpers"

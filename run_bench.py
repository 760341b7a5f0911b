"""``python run_bench.py ARGS`` is ``lmbench run ARGS``."""

import sys

from lmbench.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))

"""``python run_bench.py ARGS`` is ``lmbench run ARGS``."""

from lmbench.cli import main

if __name__ == "__main__":
    main(["run"], append_argv=True)

"""The command ``lmbench``, and ``python -m lmbench``: where memory does not suffice to load the commands, one line says so."""

from __future__ import annotations

import sys

from lmbench.errors import NO_MEMORY, lacks_memory


def main() -> int:
    """Runs a command; returns the exit status, as ``lmbench.cli.main`` does."""
    try:
        from lmbench.cli import main as command
    except Exception as error:
        if not lacks_memory(error):
            raise
        print(f"lmbench: {NO_MEMORY}", file=sys.stderr)
        return 2
    return command()


if __name__ == "__main__":
    sys.exit(main())

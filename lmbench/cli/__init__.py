"""The command line. Results go to stdout, progress and warnings to stderr; what is heavy is imported when needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

# numpy's matrix products are small here, and on several threads wait for each other; read when numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from lmbench import __version__
from lmbench.cli.models import fit, generate, models, score
from lmbench.cli.runs import diff, run, study
from lmbench.cli.texts import corpora, zipf
from lmbench.files import InputError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="lmbench")
def lmbench() -> None:
    """Compares language models on the same text and tells the truth about them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0 done, 1 a model failed, 2 wrong input, 130 interrupted."""
    try:
        result = lmbench.main(argv, prog_name="lmbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        message = " ".join(error.format_message().split())
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "lmbench"
        click.echo(f"lmbench: {message} (see `{where} --help`)", err=True)
        return 2
    except InputError as error:
        click.echo(f"lmbench: {error}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("lmbench: interrupted; what was done is kept", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        click.echo("lmbench: not enough memory; a smaller order, hidden size or text needs less", err=True)
        return 2


for command in (run, score, fit, generate, zipf, study, corpora, models, diff):
    lmbench.add_command(command)

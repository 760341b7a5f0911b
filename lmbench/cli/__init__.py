"""The commands, and the progress on stderr.

In: arguments. Out: results on stdout, progress and warnings on stderr, an exit status. What is heavy is imported when
needed.
"""

from __future__ import annotations

import codecs
import contextlib
import difflib
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import click

# numpy's matrix products are small here, and on several threads wait for each other; read when numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# torch's threads wait for each other awake at first: on a busy machine, long waits double the time of a training.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

from lmbench.cli.counting import counts
from lmbench.cli.domains import domains
from lmbench.cli.ending import ended_as_by_ctrl_c
from lmbench.cli.finished import diff, export
from lmbench.cli.harness_tasks import harness_tasks
from lmbench.cli.lines import next_tokens, rank
from lmbench.cli.mixing import mix
from lmbench.cli.models import fit, generate, models
from lmbench.cli.own_text import init
from lmbench.cli.past import history, open_report, past_runs, watch
from lmbench.cli.power import power
from lmbench.cli.pruning import prune
from lmbench.cli.runs import run, suites
from lmbench.cli.score import score
from lmbench.cli.study import study
from lmbench.cli.texts import corpora, zipf
from lmbench.cli.words import surprisal
from lmbench.errors import NO_MEMORY, InputError, cut, lacks_memory, printable, shown, unknown
from lmbench.version import __version__

COMPLETION = """\b
Completion of commands and options by the shell, for this session (or in its start-up file):
  bash   eval "$(_LMBENCH_COMPLETE=bash_source lmbench)"
  zsh    eval "$(_LMBENCH_COMPLETE=zsh_source lmbench)"
  fish   _LMBENCH_COMPLETE=fish_source lmbench | source"""


class Unread(Exception):
    """Nobody reads on what a command prints, which then is done."""


@contextlib.contextmanager
def _until_nobody_reads() -> Iterator[None]:
    """Raises Unread before click, or rich by now, ends the command with status 1."""
    try:
        yield
    except (BrokenPipeError, SystemExit) as error:
        if not any(isinstance(one, BrokenPipeError) for one in (error, error.__context__)):
            raise
        raise Unread from None


class Commands(click.Group):
    """The commands; for a name that is none, those that are near it."""

    def resolve_command(
        self, context: click.Context, words: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if words and not words[0].startswith("-") and words[0] not in self.commands:
            raise unknown("command", words[0], self.commands)
        return super().resolve_command(context, words)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _until_nobody_reads():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _until_nobody_reads():
            return super().invoke(ctx)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=COMPLETION,
)
@click.version_option(__version__, prog_name="lmbench")
def lmbench() -> None:
    """Compares language models on the same text and tells the truth about them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0 done, 1 a model failed, 2 wrong input, 130 interrupted."""
    with contextlib.suppress(OSError):  # the folder may be gone
        if not {"", os.getcwd()} & set(sys.path):
            sys.path.append(os.getcwd())  # a user's own models lie where the command is run
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        _escape_what_it_cannot_say(stream)
    with ended_as_by_ctrl_c():
        return _status(argv)


def _status(argv: Sequence[str] | None) -> int:
    try:
        result = lmbench.main(argv, prog_name="lmbench", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "lmbench"
        message = f"{' '.join(error.format_message().split())}{_nearest(error)} (see `{where} --help`)"
        click.echo(f"lmbench: {cut(printable(message))}", err=True)
        return 2
    except InputError as error:
        click.echo(f"lmbench: {error}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("lmbench: interrupted; what was finished is kept, nothing is half written", err=True)
        return 130
    except (BrokenPipeError, Unread):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if (trouble := _trouble(error)) is None:
            raise
        click.echo(f"lmbench: {cut(printable(trouble))}", err=True)
        return 2


def _trouble(error: Exception) -> str | None:
    """What is wrong with the machine or the command line, where an error that no reader raised is of that; else None."""
    if lacks_memory(error):
        return NO_MEMORY
    if isinstance(error, RuntimeError) and "Symlink loop" in str(error):
        return f"{error}: the link leads back to itself; name another file"
    if isinstance(error, RecursionError):
        return "an input is nested too deep; nobody writes JSON or TOML so"
    if isinstance(error, UnicodeEncodeError):
        half = shown(error.object[error.start : error.end])
        return f"the command line holds {half}, which is no UTF-8 and stands in no file; leave it out"
    if isinstance(error, OSError):  # a name too long, a folder that may not be looked into, a disk that fails
        place = f"{error.filename}: " if error.filename is not None else ""
        return f"{place}{error.strerror or error}; name another file"
    return None


def _nearest(error: click.ClickException) -> str:
    """Which of an option's choices may have been meant; '' where the error is another, or none is near."""
    kind = error.param.type if isinstance(error, click.BadParameter) and error.param is not None else None
    if not isinstance(kind, click.Choice):
        return ""
    given = re.match(r"'(.*?)' is not one of", error.message)
    near = given and difflib.get_close_matches(given[1], map(str, kind.choices), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def _open_what_is_closed() -> None:
    """Where the caller has closed a stream, nothing is read from it, and what is written goes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _escape_what_it_cannot_say(stream: TextIO) -> None:
    """Makes a stream print characters that its encoding has not (half ones, in UTF-8) as JSON would escape them, and not fail."""
    if isinstance(stream, io.TextIOWrapper):
        codecs.register_error("lmbench", _escaped)
        stream.reconfigure(errors="lmbench")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


for command in (
    run,
    init,
    suites,
    power,
    score,
    fit,
    counts,
    mix,
    prune,
    rank,
    next_tokens,
    surprisal,
    domains,
    harness_tasks,
    generate,
    zipf,
    study,
    corpora,
    models,
    diff,
    export,
    past_runs,
    open_report,
    watch,
    history,
):
    lmbench.add_command(command)

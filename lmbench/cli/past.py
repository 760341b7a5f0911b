"""runs, open, history, watch: run directories over time, and one that is being made."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmbench.cli.options import echo_json, echo_remark, echo_text, json_option, tolerance_option
from lmbench.errors import InputError
from lmbench.storage.files import write_whole

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lmbench.results.past import Past

folder_argument = click.argument(
    "folder", metavar="[DIR]", default="reports", type=click.Path(path_type=Path, file_okay=False)
)


@click.command("runs")
@folder_argument
@json_option
def past_runs(folder: Path, as_json: bool) -> None:
    """Lists the finished runs in a folder (default reports), the oldest first: date, duration, commit, host, headline."""
    from lmbench.cli.tables import print_table
    from lmbench.report.formats import seconds_text
    from lmbench.results.past import runs_in

    past, complaints = runs_in(folder)
    if as_json:
        echo_json(json.dumps({"runs": [_facts(run) for run in past]}, ensure_ascii=False))
    elif not past:
        echo_remark(f"no finished run in {folder}")
    else:
        facts = [_facts(run) for run in past]
        body = [
            [
                f["finished"].replace("T", " ").removesuffix("Z"),
                seconds_text(f["seconds"]),
                f["commit"] or "-",
                f["host"] or "-",
                f["folder"],
                f["headline"],
            ]
            for f in facts
        ]
        heads = [("finished, UTC", False), ("took", True)]
        heads += [(head, False) for head in ("commit", "host", "folder", "headline")]
        print_table(heads, body)
    for complaint in complaints:
        echo_remark(f"lmbench: {complaint}")


def _facts(run: Past) -> dict[str, Any]:
    from lmbench.report.headline import headline

    results, made = run.results, run.results.made
    said = headline(results)
    return {
        "folder": str(run.folder),
        "suite": results.suite,
        "finished": made.finished,
        "seconds": made.seconds,
        "commit": made.commit,
        "host": made.host,
        "lmbench": results.environment.get("lmbench", ""),
        "headline": said[0] if said else "",
    }


@click.command("open")
@click.argument("folder", metavar="RUN_DIR", type=click.Path(path_type=Path))
def open_report(folder: Path) -> None:
    """Opens a run's report in the browser."""
    show_report(folder)


def show_report(folder: Path) -> None:
    """Opens folder/report.html in the browser, or says where it is. Raises InputError where there is none."""
    import webbrowser

    page = (folder / "report.html" if folder.is_dir() else folder).resolve()
    if not page.is_file():
        raise InputError(
            f"{folder} has no report.html; `lmbench run` makes one, `lmbench runs` lists those that are there"
        )
    if not webbrowser.open(page.as_uri()):
        echo_remark("no browser could be started; open it by hand")
    echo_text(page.as_uri())


@click.command()
@folder_argument
@click.option(
    "--out", metavar="FILE", help="Where the figure goes: .png, .svg or .pdf. Default DIR/history.png."
)
@tolerance_option
@json_option
def history(folder: Path, out: str | None, tolerance: float | None, as_json: bool) -> None:
    """Draws the runs of a folder (default reports) over time, and says which of them moved which model."""
    from lmbench.charts.draw import draw, draw_pdf
    from lmbench.comparing.pairs import WORTHWHILE
    from lmbench.report.history import history_chart
    from lmbench.results.past import runs_in, steps

    past, complaints = runs_in(folder)
    for complaint in complaints:
        echo_remark(f"lmbench: {complaint}")
    if len(past) < 2:
        raise InputError(f"{folder} has {len(past)} finished runs; a history is of two and more")
    path = Path(out) if out else folder / "history.png"
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"{path}: a figure is .png, .svg or .pdf")
    between = steps(past, WORTHWHILE if tolerance is None else tolerance)
    chart = history_chart(past, between)
    if path.suffix == ".pdf":
        write_whole(path, draw_pdf(chart))
    else:
        png, svg = draw(chart)
        write_whole(path, png if path.suffix == ".png" else svg)
    if as_json:
        rows = [
            {
                "before": str(step.before.folder),
                "after": str(step.after.folder),
                "compared": step.compared,
                "moved": [
                    {
                        "corpus": row.corpus,
                        "label": row.label,
                        "difference_bits_per_char": row.difference_bits_per_char,
                        "ci95": row.ci95,
                        "p_corrected": row.p_corrected,
                    }
                    for row in step.moved
                ],
            }
            for step in between
        ]
        echo_json(json.dumps({"runs": [_facts(run) for run in past], "steps": rows}, ensure_ascii=False))
        return
    for step in between:
        said = [
            f"{row.label} on {row.corpus} {'better' if row.moved < 0 else 'worse'} by "
            f"{abs(row.difference_bits_per_char or 0.0):.4f}"
            for row in step.moved
        ]
        words = "; ".join(said) or f"nothing moved beyond noise ({step.compared} compared)"
        echo_text(f"{step.before.name} -> {step.after.name}: {words}")
    if not between:
        echo_text("no run has a model in common with the one before it")
    echo_remark(f"figure: {path}")


@click.command()
@click.argument("folder", metavar="RUN_DIR", type=click.Path(path_type=Path))
@click.option("--every", type=click.FloatRange(min=0.2), default=2.0, show_default=True, metavar="SECONDS")
@click.option("--once", is_flag=True, help="Shows it once, as it is now.")
def watch(folder: Path, every: float, once: bool) -> None:
    """Shows a run while it goes, from another terminal: the leaderboard so far, and learning curves."""
    from lmbench.bench.progress import Standing
    from lmbench.cli.tables import terminal

    console = terminal()
    if once or not console.is_terminal:
        console.print(_screen(Standing.of(folder)))
        return
    from rich.live import Live

    with Live(_screen(Standing.of(folder)), console=console, refresh_per_second=4) as live:
        while not (standing := Standing.of(folder)).reported:
            live.update(_screen(standing))
            time.sleep(every)
        live.update(_screen(standing))


BARS = "▁▂▃▄▅▆▇█"


def _screen(standing: Any) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from lmbench import report

    parts: list[Any] = [Text(standing.sentence, style="bold")]
    if standing.results.results:
        parts.append(report.terminal_table(standing.results))
    for name, bits in standing.curves.items():
        parts.append(
            Text(f"{name:<32} {spark(bits)}  held out {bits[-1]:.3f} bits a token, pass {len(bits)}")
        )
    return Group(*parts)


def spark(values: list[float], width: int = 40) -> str:
    """A curve as blocks, the last ``width`` of its values.

    >>> spark([3.0, 2.0, 1.0])
    '█▅▁'
    """
    shown = values[-width:]
    low, high = min(shown), max(shown)
    return "".join(BARS[round((v - low) / ((high - low) or 1.0) * (len(BARS) - 1))] for v in shown)

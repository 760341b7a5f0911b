"""init, and the suite that it and `run` make of a text of your own: apart from the suites that are there."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmbench.cli.options import echo_remark, echo_text, text_options, with_options
from lmbench.errors import InputError
from lmbench.storage.files import write_whole

if TYPE_CHECKING:
    from lmbench.bench.suite import Suite


def own_text(
    places: Sequence[str],
    out: str | None,
    normalise: str | None,
    documents: str | None,
    field: str | None,
) -> tuple[Suite, list[str]]:
    """A suite for texts, and what there is to say of it."""
    from lmbench.bench.own_text import spec_of, suite_for

    spec = spec_of(places, normalise, documents, field)
    if "-" in places:  # workers, and whoever runs the suite again, read it from a file
        if len(places) > 1:
            raise InputError("- is standard input; give it alone, or files alone")
        from lmbench.storage.unpacking import read_unpacked

        copy = Path(out or Path("reports") / spec.name) / ("stdin.jsonl" if field else "stdin.txt")
        write_whole(copy, read_unpacked("-"))
        spec = spec_of([str(copy)], normalise, documents, field)
    corpus = spec.load()
    suite, said = suite_for(spec, corpus)
    split = {name: part.chars for name in ("train", "valid", "test") if (part := getattr(corpus, name))}
    sizes = ", ".join(f"{name} {chars:,}" for name, chars in split.items())
    division = corpus.info.get("division", "as the corpus comes")
    return suite, [f"{spec.name}: {division} (characters: {sizes})", *said]


def how_to_go_on(places: Sequence[str], field: str | None, folder: Path, studies: Sequence[str]) -> None:
    """studies: those of the run; a study that it left out does not suit the text."""
    texts = [str(path) for path in sorted(folder.glob("stdin.*"))] if "-" in places else list(places)
    more = ["--field", field] if field else []
    asked = [word for place in texts for word in ("--corpus", place)]
    for command in (
        ["init", *texts, *more],
        *(["study", name, *asked, *more] for name in studies),
        ["run", str(folder / "suite.toml")],
    ):
        echo_remark(f"go on: lmbench {shlex.join(command)}")


@click.command()
@click.argument("places", nargs=-1, metavar="[FILE...]")
@with_options(text_options)
@click.option("--out", default="suite.toml", show_default=True, metavar="FILE", help="The suite to write.")
@click.option("--force", is_flag=True, help="Writes over a file that is there.")
def init(
    places: tuple[str, ...],
    normalise: str | None,
    documents: str | None,
    field: str | None,
    out: str,
    force: bool,
) -> None:
    """Writes a commented suite for a text of your own (or the text that comes along) to start from."""
    from lmbench.bench.own_text import commented
    from lmbench.bench.strangers import write_suite

    if Path(out).exists() and not force:
        raise InputError(f"{out} is there already; give another name (--out FILE) or --force")
    if "-" in places:
        raise InputError("a suite names files, and standard input is none; save the text first")
    suite, said = own_text(places or ("python-docs",), None, normalise, documents, field)
    write_suite(Path(out), commented(suite, said[1:]))
    echo_remark(said[0])
    echo_text(f"{out}: {len(suite.models)} models; run them by `lmbench run {out}`")

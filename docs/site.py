"""What the site does beside mkdocs: the changelog as a page, and the examples of docstrings in code blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)  # up to the next blank line


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The changelog stands at the top of the repository, and its links begin there."""
    if page.file.src_uri != "changelog.md":
        return markdown
    return Path("CHANGELOG.md").read_text("utf-8").replace("](docs/", "](")


class Fenced(griffe.Extension):
    """Markdown takes ``>>>`` for quotations, and lists of lists for links."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(
                lambda m: f"{m[1]}```pycon\n{m[0]}\n{m[1]}```", obj.docstring.value
            )

"""A page of made-up results, and how tests open pages in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import report_example as example


@pytest.fixture(scope="session")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example.page_file(tmp_path_factory.mktemp("browser"), example.example(), example.views())


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """Opens a file; at the end there was no console error and no request but for the file itself."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_at(file: Path, width: int = 1440, scheme: str = "light", **options: Any) -> Any:
        viewport = {"width": width, "height": 900}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "request", lambda r: complaints.append(r.url) if r.url not in (file.as_uri(), "data:,") else None
        )
        page.goto(file.as_uri())
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert complaints == []

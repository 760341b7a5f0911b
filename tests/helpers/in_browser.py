"""What tests of pages in a browser do again and again."""

from __future__ import annotations

from typing import Any


def unfold(page: Any) -> None:
    page.eval_on_selector_all("details", "all => all.forEach((d) => (d.open = true))")


def read_text(page: Any) -> Any:
    """The box of the token view, once its text is unpacked."""
    page.locator("#view").scroll_into_view_if_needed()
    page.wait_for_selector("#view-text span")
    return page.locator("#view-text")

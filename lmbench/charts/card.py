"""A value as a notebook and a prompt show it: one short line, or a small table; never the numbers it is made of."""

from __future__ import annotations

import html
from collections.abc import Sequence


class Card:
    """Base of values that show themselves by ``_card``: a title, and pairs of what and how much.

    >>> class Text(Card):
    ...     def _card(self):
    ...         return "Text", [("characters", "1,204"), ("words", "<217>")]
    >>> Text()
    <Text: characters 1,204, words <217>>
    >>> Text()._repr_html_()[:29]
    '<table><caption>Text</caption'
    """

    def _card(self) -> tuple[str, Sequence[tuple[str, str]]]:
        raise NotImplementedError

    def __repr__(self) -> str:
        title, facts = self._card()
        return f"<{title}: {', '.join(f'{name} {value}' for name, value in facts)}>"

    def _repr_html_(self) -> str:
        title, facts = self._card()
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in facts
        )
        return f"<table><caption>{html.escape(title)}</caption><tbody>{rows}</tbody></table>"

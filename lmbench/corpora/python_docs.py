"""The topics of Python's own reference, a text that every installation has."""

from __future__ import annotations

import random


def python_topics() -> list[str]:
    """The help topics of this Python, in an order drawn once; those that stand inside longer ones left out.

    (The chapter on compound statements holds the topics on ``if``, ``for`` and ``try`` word for word: kept, they
    would put test text into the training text.)
    """
    from pydoc_data.topics import topics

    seen: set[str] = set()
    distinct: list[str] = []
    for topic in sorted(set(topics.values()), key=lambda t: (-len(t), t)):
        paragraphs = {" ".join(p.split()) for p in topic.split("\n\n")}
        if sum(map(len, paragraphs - seen)) > sum(map(len, paragraphs)) / 2:
            distinct.append(topic)
            seen |= paragraphs
    random.Random(0).shuffle(distinct)
    return distinct

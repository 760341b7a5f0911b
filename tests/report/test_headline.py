"""The sentence on top: it speaks by the verdicts."""

from __future__ import annotations

import pytest
import report_example as example
from msgspec.structs import replace

from lmbench.comparing.pairs import Comparison
from lmbench.report import page
from lmbench.report.headline import answer
from lmbench.results.views import Views

KN, LSTM, CACHE = ("kn", 1.5, False), ("lstm", 1.75, False), ("cache", 1.25, True)


def test_what_is_worth_telling_is_the_suite_s() -> None:
    """0.004 bits beyond noise: hardly worth it by the default of 0.005, and a difference where 0.001 matter."""
    results = example.standing_out(KN, ("lstm", 1.504, False))
    results = replace(results, comparisons=[example.pair("kn", "lstm", -0.004, "a")])
    assert "hardly matters" in answer(results, results.corpora[0])
    assert answer(replace(results, worthwhile=0.001), results.corpora[0]) == (
        "On c, kn predicts unseen text best, with 1.500 bits per character, 0.004 (0.3%) fewer than lstm, the next."
    )
    html = page.html(replace(results, worthwhile=0.25), [], Views())
    assert "within 0.25 bits" in html
    assert "kn is better, by hardly anything" in html


@pytest.mark.parametrize(
    ("told", "pairs", "said"),
    [
        # 0.25 / 1.75 = 14.3%
        (
            [KN, LSTM],
            [example.pair("lstm", "kn", 0.25, "b")],
            "On c, kn predicts unseen text best, with 1.500 bits per character, 0.250 (14.3%) fewer than lstm, the next.",
        ),
        (
            [KN, LSTM],
            [example.pair("kn", "lstm", -0.25, "open")],
            "On c, kn spends the fewest bits on unseen text, 1.500 per character; the text is too short to tell lstm from it.",
        ),
        (
            [KN, ("lstm", 1.501, False)],
            [example.pair("kn", "lstm", -0.001, "same")],
            "On c, kn and lstm are the same for any practical purpose, with 1.500 to 1.501 bits per character.",
        ),
        (
            [KN, ("twin", 1.5, False), LSTM],
            [example.pair("kn", "twin", 0.0, "same"), example.pair("kn", "lstm", -0.25, "a")],
            "On c, kn and twin are the same for any practical purpose, with 1.500 bits per character; "
            "lstm, the next, spends 0.250 (16.7%) more.",
        ),
        (
            [KN, ("lstm", 1.504, False)],
            [example.pair("kn", "lstm", -0.004, "a")],
            "On c, kn spends 1.500 bits per character on unseen text; beyond noise that is fewer than lstm, "
            "but by less than 0.005, which hardly matters.",
        ),
        (
            [KN, LSTM],
            [Comparison("c", "kn", "lstm", note="2 documents are too few")],
            "On c, kn spends the fewest bits on unseen text, 1.500 per character; whether it is better than lstm "
            "cannot be said (2 documents are too few).",
        ),
        ([KN], [], "On c, kn spends 1.500 bits per character on unseen text."),
        (
            [CACHE, KN, LSTM],
            [
                example.pair("cache", "kn", -0.25, "a"),
                example.pair("cache", "lstm", -0.5, "a"),
                example.pair("kn", "lstm", -0.25, "a"),
            ],
            "On c, kn predicts unseen text best, with 1.500 bits per character, 0.250 (14.3%) fewer than lstm, the next. "
            "cache, which goes on learning from the unseen text, spends 1.250 bits per character on it.",
        ),
        (
            [CACHE, KN, ("dynamic", 1.5, True)],
            [example.pair("cache", "dynamic", -0.25, "a"), example.pair("cache", "kn", -0.25, "a")],
            "On c, kn spends 1.500 bits per character on unseen text. Of the models that go on learning from the unseen text, "
            "cache predicts it best, with 1.250 bits per character, 0.250 (16.7%) fewer than dynamic, the next.",
        ),
        (
            [CACHE, ("dynamic", 1.5, True)],
            [example.pair("cache", "dynamic", -0.25, "open")],
            "On c, cache, which goes on learning from the unseen text, spends the fewest bits on it, 1.250 per character; "
            "the text is too short to tell dynamic from it.",
        ),
        (
            [KN, *((f"m{n}", 1.6, False) for n in range(6))],
            [example.pair("kn", f"m{n}", -0.1, "open") for n in range(6)],
            "On c, kn spends the fewest bits on unseen text, 1.500 per character; "
            "the text is too short to tell m0, m1, m2 and 3 others from it.",
        ),
    ],
)
def test_the_headline_speaks_by_verdict(
    told: list[tuple[str, float, bool]], pairs: list[Comparison], said: str
) -> None:
    results = replace(example.standing_out(*told), comparisons=pairs)
    assert answer(results, results.corpora[0]) == said

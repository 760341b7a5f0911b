"""Whether a text's words stand apart by blanks: most scripts divide them, some do not."""

from __future__ import annotations

from lmbench.text.units import code_points

SAMPLE = 1 << 17  # characters of a text that are looked at
MOST_A_WORD = 20.0  # characters: a text of longer "words" is not divided into words by blanks

# Scripts written without blanks between words: Thai, Lao, Tibetan, Myanmar, Khmer, kana, Han and its extensions.
UNSEGMENTED = (
    (0x0E00, 0x0FFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0x20000, 0x323AF),
)


def is_unsegmented(text: str) -> bool:
    """Whether words are not divided by blanks: Chinese, Japanese, Thai and their like, or no blanks to speak of.

    >>> is_unsegmented("the ferry leaves at nine"), is_unsegmented("渡船九点开，无论下雨与否。")
    (False, True)
    """
    sample = text[:SAMPLE]
    points = code_points("".join(sample.split()))
    if not len(points):
        return False
    without = sum(int(((points >= low) & (points <= high)).sum()) for low, high in UNSEGMENTED)
    return without / len(points) > 0.3 or len(points) / len(sample.split()) > MOST_A_WORD

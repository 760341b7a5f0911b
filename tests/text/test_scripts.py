"""Which texts divide their words by blanks."""

import pytest

from lmbench.text.scripts import is_unsegmented


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("渡船九点开，无论下雨与否。船长唱歌。", True),
        ("フェリーは九時に出ます。", True),
        ("เรือข้ามฟากออกเก้าโมง", True),
        ("나룻배는 아홉 시에 떠난다", False),
        ("Паром отходит в девять", False),
        ("ok 🙂 👍🏽 fine", False),
        ("aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQ=" * 3, True),
        ("", False),
    ],
)
def test_scripts_without_blanks_between_words_are_known(text, expected):
    assert is_unsegmented(text) is expected

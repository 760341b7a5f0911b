"""Options as users write them."""

import math
from typing import Literal

import pytest

from lmbench.errors import InputError
from lmbench.models import make_model, model_class
from lmbench.models.options import describe_options, typed

KINDS = {
    "order": int,
    "lr": float,
    "words": bool,
    "patience": int | None,
    "bos": str | None,
    "of": tuple[str, ...],
    "eps": tuple[float, ...] | Literal["tune"],
}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("order", "3", 3),
        ("order", " 3 ", 3),
        ("order", 3.0, 3),
        ("lr", "1e-3", 0.001),
        ("lr", 2, 2.0),
        ("lr", "inf", math.inf),
        *(("words", yes, True) for yes in ("yes", "Yes", "true", "TRUE", "1", True)),
        *(("words", no, False) for no in ("no", "false", "0", False)),
        *(("patience", none, None) for none in ("none", "None", "", None)),
        ("patience", "3", 3),
        ("bos", "none", None),
        ("bos", " ", " "),
        ("of", "a,b", ("a", "b")),
        ("of", "a, b", ("a", "b")),
        ("of", ["a", "b"], ("a", "b")),
        ("eps", "tune", "tune"),
        ("eps", "1,2", (1.0, 2.0)),
        ("eps", "1", (1.0,)),
        ("eps", 1, (1.0,)),
        ("eps", (1, 2.5), (1.0, 2.5)),
    ],
)
def test_options_are_read_as_their_types(key, value, expected):
    found = typed("option of m", key, value, KINDS)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        *(
            ("order", wrong, "an integer")
            for wrong in ("x", "1.5", 1.5, math.inf, "inf", True, "9" * 500, [1])
        ),
        *(("lr", wrong, "a number") for wrong in ("x", "nan", math.nan, False, "", None)),
        ("words", "maybe", "true or false"),
        ("patience", "soon", "an integer or none"),
        ("eps", "1,x", "a list of numbers or tune"),
        ("eps", "1,nan", "a list of numbers or tune"),
        ("of", [1], "a list of texts"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(key, value, words):
    with pytest.raises(InputError) as caught:
        typed("option of m", key, value, KINDS)
    assert str(caught.value).startswith(f"option of m {key}=")
    assert str(caught.value).endswith(f" is not {words}")
    assert len(str(caught.value)) < 150


def test_an_option_has_the_name_that_users_give_it():
    model = make_model("kneser-ney", vocab_size="20")
    assert model.options()["vocab_size"] == 20
    assert model.vocab_size == 0  # not fitted yet
    assert "vocab_size" in {o["name"] for o in describe_options(model_class("kneser-ney")[0])}
    assert make_model("kneser-ney", **model.options()).options() == model.options()

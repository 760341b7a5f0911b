"""Servers that answer anything: what a model behind one makes of it is scores, or one line."""

import itertools
import json
import math

import numpy as np
import pytest
from paths import GOLDEN
from promises import assert_line
from raw_server import answer, lengthy, serving

import lmbench as lb
from lmbench.errors import InputError
from lmbench.models.outside import completions
from lmbench.models.outside.completions import Completions
from lmbench.models.uniform import Uniform

TEXT = "the tide waits"
TOKENS = ["the", " tide", " waits", "."]


def json_answer(document):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return answer(body, lengthy(len(body)))


def echoed(**changed):
    """A right answer but for what is changed."""
    of_tokens = {"tokens": TOKENS, "token_logprobs": [None, -1.0, -2.0, -3.0], **changed}
    return json_answer({"choices": [{"logprobs": of_tokens}]})


def rows(**changed):
    entry = {"decoded_token": "x", "logprob": -1.0, **changed}
    return json_answer({"choices": [{"prompt_logprobs": [None, {"7": entry}]}]})


CHUNKED = b"Transfer-Encoding: chunked"
NUMBERS = [float("nan"), math.inf, 10**400, "x", [], True]
BAD = [
    *(b"HELLO\r\n\r\n", b"", b"HTTP/1.1 200 " + b"x" * 100_000, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
    *(answer(b"", b"Location: file:///etc/passwd", lengthy(0), status=b"302 Found"), answer(b"zz\r\n", CHUNKED, status=b"418 No")),
    *(answer(b"zz\r\nabc", CHUNKED), answer(b"f" * 16 + b"\r\nabc", CHUNKED), answer(b"{", lengthy(10**30)), answer(b"{", lengthy(99))),
    *map(json_answer, (b"[" * 200_000, b'{"a":' * 9_000, b"\xff\xfe{", b"1" * 9_000, None, 5, [], {}, {"choices": {}}, {"choices": [5]})),
    *(echoed(token_logprobs=[None, number, -2.0, -3.0]) for number in NUMBERS),
    *(echoed(top_logprobs=[{"x": number}] * 4) for number in NUMBERS),
    *(echoed(tokens={}), echoed(tokens=[1] * 4), echoed(tokens=TOKENS[:2]), echoed(top_logprobs=7), echoed(token_logprobs=None)),
    *(rows(logprob=number) for number in NUMBERS),
    *(rows(decoded_token=[]), json_answer({"choices": [{"prompt_logprobs": [[1]]}]}), json_answer({"choices": [{"prompt_logprobs": 5}]})),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BAD)))
def test_an_answer_that_is_none_is_one_line(number):
    with serving(BAD[number]) as (url, _), pytest.raises(InputError) as refused:
        Completions(url, "", 5.0, 0).said("m", "", TEXT)
    assert_line(str(refused.value))


def test_the_answer_that_they_are_made_of_is_right():
    with serving(echoed(top_logprobs=[None, {"x": -0.5}, {"x": None}, None])) as (url, _):
        said = Completions(url, "", 5.0, 0).said("m", "", TEXT)
    assert said.ends.tolist() == [3, 8, 14]
    assert said.nats[1:].tolist() == [-1.0, -2.0]
    assert np.isnan(said.nats[0])
    assert said.likeliest.tolist() == [False, False, False]


@pytest.mark.parametrize(
    ("document", "offered"),
    [
        ({"data": [{"id": "m", "meta": [1], "max_model_len": True}]}, [("m", None)]),
        ({"data": [{"id": "m", "meta": {"n_ctx": 1e9, "n_ctx_train": 64}}]}, [("m", 64)]),
        ({"data": [{"id": "m" * 301}, {"id": 5}, 7, {}]}, []),
        ({"data": 5}, []),
        ([], []),
    ],
)
def test_a_list_of_models_names_models(document, offered):
    with serving(json_answer(document)) as (url, _):
        assert [(one.id, one.tokens) for one in Completions(url, "", 5.0, 0).models()] == offered


@pytest.mark.parametrize(
    "before", [b"HTTP/1.1 ", answer(b""), answer(b"", status=b"500 No"), b"HTTP/1.1 200 OK\r\n"]
)
def test_a_server_that_drips_has_as_long_as_it_is_given(before):
    """In the status, the head, the body, and that of a refusal."""
    drops = itertools.chain([before], itertools.repeat(b" "))
    with serving((drops, 0.02)) as (url, _), pytest.raises(InputError) as refused:
        Completions(url, "", 0.5, 0).said("m", "", TEXT)
    assert_line(str(refused.value))


def test_an_answer_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(completions, "LARGEST", 1 << 20)
    body = itertools.chain([answer(b"")], itertools.repeat(b" " * 65536))
    said = "answers without end: it goes on beyond 1,048,576 bytes"
    with serving((body, 0)) as (url, asked), pytest.raises(InputError, match=said):
        Completions(url, "", 20.0, 3).said("m", "", TEXT)
    assert len(asked) == 1


class Deep(Uniform):
    """Finds its text less likely than anything is."""

    lowest = -1e300

    def _log_probs(self, tokens):
        return np.full(len(tokens), self.lowest)


@pytest.mark.parametrize(
    ("lowest", "said"), [(-1e300, r"e\^-1e\+300, which nothing has"), (np.nan, "NaN"), (1.0, "above 1")]
)
def test_no_model_s_numbers_are_beyond_what_can_be_compared(lowest, said):
    text = lb.Corpus.of(str(GOLDEN / "ferry.train.txt"))
    model = Deep()
    tokens = text.encoded("char", "train").tokens
    model.fit(tokens, None, 99, np.random.default_rng(0))
    model.lowest = lowest
    with pytest.raises(InputError, match=said):
        model.log_probs(tokens)
    model.lowest = -np.inf
    assert (model.log_probs(tokens) == -np.inf).all()

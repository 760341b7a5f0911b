"""What a model may be asked of: what is none of it is refused in one line, where it was answered wrongly before."""

import numpy as np
import pytest

from lmbench.counts import count_ngrams
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.text.tokens import Tokens

TEXT = np.arange(400) % 7
ASKED = Tokens((np.arange(20) % 7).astype(np.int32), np.array([0, 9]))


@pytest.fixture(scope="module")
def model():
    return make_model("bigram", eps="1,1").fit([1, 2, 1, 2, 1], vocab_size=3)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (np.array([2**32 + 1, 1]), "token id 4294967297 is beyond 32 bits"),  # modulo 2^32 it is a 1
        ([2**31], "token id 2147483648 is beyond 32 bits"),
        ([-(2**31) - 1], "token id -2147483649 is beyond"),
        (np.array([2**63], dtype=np.uint64), "token id 9223372036854775808 is beyond"),
        (np.array([2**32 - 1], dtype=np.uint32), "token id 4294967295 is beyond"),
        ([2**70], "whole numbers"),
        ([1.7, 2.2], "whole numbers"),
        ([np.nan], "whole numbers"),
        ([True, False], "whole numbers"),
        ([[1, 2], [2, 1]], "in one row"),
        ([[1], [2, 1]], "in one row"),
        ("abc", "in one row"),
        ([2**31 - 1], "token id 2147483647 is outside the vocabulary 0..2"),
        ([-1], "token id -1 is outside the vocabulary"),
    ],
)
def test_what_are_no_ids_is_refused(model, ids, said):
    asked = [model.log_probs, model.distributions, make_model("bigram", eps="1,1").fit]
    if said != "in one row":  # several rows are several contexts
        asked += [model.next_log_probs, lambda x: model.next_log_probs([[1], x])]
    for ask in asked[:2] if "outside" in said else asked:
        with pytest.raises(InputError, match=said):
            ask(ids)


def test_ids_of_any_width_are_the_same_ids(model):
    expected = model.log_probs([1, 2])
    for kind in (np.int8, np.uint8, np.int64, np.uint64):
        assert np.array_equal(model.log_probs(np.array([1, 2], dtype=kind)), expected)
    assert len(model.log_probs([])) == len(model.log_probs(np.zeros(0))) == 0


@pytest.mark.parametrize("starts", [[0, 0, 9], [0, 9, 9], [0, 9, 5], [0, 20], [5], [-1, 9], []])
def test_documents_that_are_empty_or_out_of_order_are_refused(model, starts):
    # Context mixing and networks read on over the later ones of such a text.
    with pytest.raises(InputError, match="leave empty ones out"):
        model.log_probs(Tokens(ASKED.ids % 3, np.array(starts, dtype=np.int64)))


def test_a_document_that_goes_on_may_have_no_token_yet(model):
    begun = Tokens(np.array([1, 2], dtype=np.int32), np.array([0, 2]), 1)
    assert np.array_equal(model.next_log_probs(begun), model.next_log_probs([], bos=1))
    with pytest.raises(InputError, match="leave empty ones out"):
        model.log_probs(begun)


@pytest.mark.parametrize("bos", [3, 99, -2])
def test_a_beginning_outside_the_vocabulary_is_refused(model, bos):
    for ask in (
        lambda: model.log_probs(Tokens.of([1], bos)),
        lambda: model.next_log_probs([1], bos),
        lambda: model.next_log_probs([[1], [2]], bos),
        lambda: model.stepper(bos),
    ):
        with pytest.raises(InputError, match="bos="):
            ask()


@pytest.mark.parametrize("name", ["context-mixing", "bit-mixing", "kneser-ney"])
@pytest.mark.parametrize("places", [[5, 2], [2, 2], [-1], [20], [0, 20], [3.5], [True]])
def test_places_that_do_not_ascend_or_are_not_there_are_refused(name, places):
    fitted = make_model(name).fit(TEXT, TEXT[:90], 8)
    with pytest.raises(InputError, match="places"):
        fitted.distributions(ASKED, places)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cache", {}),
        ("bit-mixing", {"adaptive": True}),
        ("context-mixing", {"adaptive": True, "orders": (0, 1, 2)}),
        ("kneser-ney", {}),
    ],
)
def test_the_likeliest_of_a_text_are_those_of_its_distributions(name, options):
    # An adaptive model has learnt from the documents before.
    rng = np.random.default_rng(0)
    fitted = make_model(name, **options).fit(rng.integers(1, 6, 600), rng.integers(1, 6, 90), 6)
    text = Tokens(np.tile(rng.integers(1, 6, 10), 6).astype(np.int32), np.array([0, 20, 40]), 1)
    places = np.array([3, 25, 26, 40, 41, 58, 59])
    expected = fitted.distributions(text, places).argmax(axis=1) == text.ids[places]
    assert np.array_equal(fitted.likeliest(text, places), expected)
    assert not len(fitted.likeliest(text, places[:0]))
    if fitted.traits.adaptive:
        alone = [
            fitted.next_log_probs(text.ids[max(s for s in (0, 20, 40) if s <= p) : p], 1) for p in places
        ]
        assert (np.stack(alone).argmax(axis=1) != fitted.distributions(text, places).argmax(axis=1)).any()


def test_a_model_fitted_anew_forgets_what_it_was_asked(tmp_path):
    texts = [np.array([1, 2, 1, 2, 1, 2, 3]), np.array([1, 3, 1, 3, 1, 3, 2])]
    one, other = (make_model("witten-bell", order=2).fit(text, vocab_size=4) for text in texts)
    expected = other.next_log_probs([1, 2, 1])
    assert one.next_log_probs([1, 2, 1]).argmax() == 2
    for fit in (
        lambda: one.fit(texts[1], vocab_size=4),
        lambda: one.fit_counts(lambda order: count_ngrams(Tokens.of(texts[1]), order=order, vocab_size=4)),
        lambda: one.restore(other.state(), 4),
    ):
        one.fit(texts[0], vocab_size=4).next_log_probs([1, 2, 1])
        assert np.array_equal(fit().next_log_probs([1, 2, 1]), expected)

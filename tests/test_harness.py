"""A model of ours as lm-evaluation-harness asks it: probabilities of continuations, of texts, and texts."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import lmbench as lb
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import canonical_text

pytest.importorskip("lm_eval.api.model")
from lmbench.harness import HarnessModel

TRAIN = "a b c\na b d\na b c\n"


def asked(*args):
    return SimpleNamespace(args=args)


def model_of(name="bigram", unit="word", documents="line", normalise="none", train=TRAIN, **options):
    options = options or {"eps": "1,1"}
    text = canonical_text([train], normalise, documents)
    corpus = lb.Corpus("small", text, None, None, normalise, documents)
    return HarnessModel(Scorer.fit(make_model(name, **options), corpus, unit))


@pytest.fixture(scope="module")
def words():
    return model_of()


def laplace(n, m, eps, lower):
    return (n + eps * lower) / (m + eps)


def test_a_continuation_is_charged_given_its_context(words):
    # 12 tokens: a b c d by 3 3 2 1 and three line ends; m = 6 types with <unk>
    c_alone = (2 + 1 / 6) / (12 + 1)
    c_after_b = laplace(2, 3, 1, c_alone)
    found = words.loglikelihood([asked("a b", " c"), asked("a b", " d"), asked("", "a")])
    assert found[0] == (pytest.approx(math.log(c_after_b), rel=1e-12), True)
    assert found[1][1] is False
    assert found[2][1] is True  # after the end of a line, which stands before a document


@pytest.mark.parametrize("unit", ["char", "word", "byte"])
@pytest.mark.parametrize("documents", ["line", "stream"])
def test_context_and_continuation_add_up_to_the_text(unit, documents):
    model = model_of(unit=unit, documents=documents)
    for context, continuation in (("a b", " c d"), ("a b c\na", " b"), ("é", " zebra\nq"), ("", "a b")):
        whole, first = model.loglikelihood_rolling([asked(context + continuation), asked(context)])
        ((found, _),) = model.loglikelihood([asked(context, continuation)])
        assert found == pytest.approx(whole - first, abs=1e-9)
        assert found < 0


def test_nothing_costs_nothing(words):
    assert words.loglikelihood([asked("a b", "")]) == [(0.0, True)]
    assert words.loglikelihood_rolling([asked("")]) == [0.0]


def test_an_unknown_word_is_spelled_and_never_greedy(words):
    (value, greedy), (longer, _) = words.loglikelihood([asked("a b", " zz"), asked("a b", " zzzzzz")])
    assert longer < value < 0
    assert not greedy


def test_texts_are_normalised_as_the_training_text_was():
    model = model_of(unit="char", documents="stream", normalise="letters")
    plain, marked = model.loglikelihood([asked("a b", " c"), asked("A, B", " C!")])
    assert plain == marked


def test_generation_stops_where_it_is_told(words):
    found = words.generate_until(
        [asked("a b", {"until": ["\n"], "max_gen_toks": 40}), asked("a", {"until": "c"})]
    )
    assert found == [" c", " b "]
    endless = words.generate_until([asked("a", {"until": [], "max_gen_toks": 3})])
    assert endless == [" b c\n"]


def test_longer_tries_begin_alike():
    model = model_of(unit="char")
    settings = {"until": ["never"], "do_sample": True, "temperature": 1.0}
    short, long = (model.generate_until([asked("a", {**settings, "max_gen_toks": n})])[0] for n in (20, 100))
    assert (len(short), len(long)) == (20, 100)
    assert long.startswith(short)


def test_it_loads_what_fit_saved_and_the_harness_knows_it(words, tmp_path):
    from lm_eval.api.model import LM

    words.scorer.save(tmp_path / "m")
    again = HarnessModel.load(tmp_path / "m")
    assert isinstance(again, LM)
    request = [asked("a b", " c")]
    assert np.array_equal(again.loglikelihood(request), words.loglikelihood(request))


def test_a_text_that_the_model_normalises_is_not_charged_as_a_whole():
    model = model_of(unit="char", documents="stream", normalise="letters")
    assert model.loglikelihood_rolling([asked("a b c")])[0] < 0
    with pytest.raises(
        InputError, match=r"reads 5 characters .* of a text of 6, by whose length the harness divides"
    ):
        model.loglikelihood_rolling([asked("A b c!")])


# Pretrained networks, beside the harness's own class for them -----------------------------------------


@pytest.fixture(scope="module", params=["gpt2", "qwen", "llama2", "unigram"])
def both(request, tmp_path_factory):
    """A model by the harness and by this program, and whether its tokenizer puts a bos before texts."""
    from lm_eval.models.huggingface import HFLM
    from tiny_transformers import FAMILIES, gpt2, llama, save

    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = FAMILIES[request.param]()
    save(folder, tokenizer, gpt2 if tokenizer.bos_token is None else llama)
    text = canonical_text(["a\n"], "none", "stream")
    corpus = lb.Corpus("small", text, None, None, "none", "stream")
    ours = HarnessModel(Scorer.fit(make_model("hugging-face", path=str(folder)), corpus))
    theirs = {
        puts: HFLM(pretrained=str(folder), device="cpu", batch_size=2, add_bos_token=puts)
        for puts in (None, False)
    }
    return ours, theirs


def instance(kind, *args):
    from lm_eval.api.instance import Instance

    return Instance(request_type=kind, doc={}, arguments=args, idx=0)


def test_continuations_are_those_of_the_harness_s_own_class(both):
    ours, theirs = both
    pairs = [
        ("The ferry", " left"),
        ("The ferry ", "left at nine"),
        ("Where is it?\n", "It was gone"),
        ("", "Gone"),
        ("The ferry left at nine and when he came back, the river was gone", " and it was here"),
    ]
    requests = [instance("loglikelihood", *pair) for pair in pairs]
    found, expected = ours.loglikelihood(requests), theirs[None].loglikelihood(requests, disable_tqdm=True)
    assert [value for value, _ in found] == pytest.approx([value for value, _ in expected], abs=1e-4)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in expected]


def test_whole_texts_are_those_of_the_harness_s_own_class(both):
    ours, theirs = both
    texts = [
        "Go.",
        "The ferry left at nine; the ferryman did not.\nWhen he came back, the river was gone...\n" * 3,
    ]
    requests = [instance("loglikelihood_rolling", text) for text in texts]
    # Where a tokenizer puts bos before a text, the harness's class by default charges that bos after another one.
    expected = theirs[False].loglikelihood_rolling(requests, disable_tqdm=True)
    assert ours.loglikelihood_rolling(requests) == pytest.approx(expected, abs=1e-4 * len(texts[1]))


def test_what_is_written_is_what_the_harness_s_own_class_writes(both):
    ours, theirs = both
    requests = [
        instance("generate_until", context, {"until": until, "max_gen_toks": 8})
        for context, until in (
            ("The ferry", ["zzz"]),
            ("A:\nB:\nWhere is", ["\n"]),
            ("The ferry left " * 9, ["e", "a"]),
        )
    ]
    assert ours.generate_until(requests) == theirs[None].generate_until(requests, disable_tqdm=True)


def test_a_token_across_the_cut_is_charged_and_a_long_continuation_refused(both):
    ours, _ = both
    (value, _), (nothing, greedy) = ours.loglikelihood([asked("The fer", "ry left"), asked("The", "")])
    assert value < 0
    assert (nothing, greedy) == (0.0, True)
    with pytest.raises(InputError, match="does not fit the window, 16 tokens"):
        ours.loglikelihood([asked("a", " ferry left at nine and the ferryman did not go back, not at nine")])

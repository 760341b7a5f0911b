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


# Our tasks, run by the harness ------------------------------------------------------------------------


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """Runs a task of a file with a model of ours; returns the harness's figures and its samples as a file."""
    import json

    import lm_eval
    from lm_eval.tasks import TaskManager

    from lmbench.scoring.harness_tasks import write_task

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")

    def run(model, place, name):
        write_task(str(place), tmp_path / "tasks", name)
        manager = TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False)
        results = lm_eval.simple_evaluate(
            model=model,
            tasks=[name],
            task_manager=manager,
            log_samples=True,
            bootstrap_iters=0,
            verbosity="ERROR",
        )
        samples = tmp_path / f"samples_{name}.jsonl"
        samples.write_text("\n".join(json.dumps(row, default=str) for row in results["samples"][name]))
        return results["results"][name], samples

    return run


def test_our_task_of_texts_gives_the_harness_our_bits_and_us_its_samples(evaluated, tmp_path):
    from lmbench.scoring.samples_file import samples_scores

    model = model_of("witten-bell", unit="char", documents="stream", order=3)
    texts = ["a b c\na b", "d b a é", " a\n\n b"] * 4
    texts = [f"{text}{i}" for i, text in enumerate(texts)]
    (tmp_path / "t.jsonl").write_text("\n".join(f'{{"text": {text!r}}}'.replace("'", '"') for text in texts))
    figures, samples = evaluated(model, tmp_path / "t.jsonl", "own_texts")
    text = canonical_text(texts, "none", "stream")
    whole = model.scorer.score(text)
    assert figures["bits_per_byte,none"] == pytest.approx(whole.bits_per_byte)
    scores, _ = samples_scores(samples, text)
    assert scores.bits.sum() == pytest.approx(whole.bits.sum())
    assert len(scores.starts) == len(texts)


def test_our_tasks_of_pairs_and_questions_are_judged_with_error_bars(evaluated, tmp_path, capsys):
    import json

    from lmbench.cli import main
    from lmbench.scoring.choices import read_pairs
    from lmbench.scoring.ranking import minimal_pairs

    model = model_of("witten-bell", unit="char", documents="stream", order=3)
    pairs = [
        {"sentence_good": "a b c", "sentence_bad": "a c b", "UID": "x"},
        {"sentence_good": "d a", "sentence_bad": "a b", "UID": "y"},
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, pairs * 3)))
    figures, samples = evaluated(model, tmp_path / "p.jsonl", "own_pairs")
    ours = minimal_pairs(model.scorer, [(pair.good, pair.bad) for pair in read_pairs(tmp_path / "p.jsonl")])
    assert figures["acc,none"] == np.mean(np.array(ours) > 0)
    assert main(["rank", "--samples", f"a={samples}", "--samples", f"b={samples}", "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert [one["accuracy"] for one in judged["models"]] == [figures["acc,none"]] * 2
    assert [part["group"] for part in judged["models"][0]["groups"]] == ["x", "y"]
    assert judged["comparisons"][0]["p_value"] == 1
    questions = [
        {"context": "a b", "choices": ["c", "zzz"], "gold": 0},
        {"context": "a", "choices": ["zz", "b"], "gold": 1},
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, questions)))
    figures, samples = evaluated(model, tmp_path / "q.jsonl", "own_questions")
    assert figures["acc,none"] == 1.0
    assert main(["rank", "--samples", str(samples)]) == 0
    assert "1.0000" in capsys.readouterr().out


def test_tasks_and_samples_say_what_is_wrong(tmp_path):
    from lmbench.scoring.harness_tasks import read_judged, same_items, write_task

    (tmp_path / "t.txt").write_text("a b\n")
    with pytest.raises(InputError, match="of letters, digits"):
        write_task(str(tmp_path / "t.txt"), tmp_path, "a b")
    (tmp_path / "s.jsonl").write_text('{"doc_id": 0, "doc": {"text": "a"}}\n')
    with pytest.raises(InputError, match="line 1 is no row"):
        read_judged(tmp_path / "s.jsonl")
    rows = ['{"doc_id": 0, "doc": {"q": 1}, "acc": 1.0}', '{"doc_id": 0, "doc": {"q": 2}, "acc": 1.0}']
    judged = []
    for row in rows:
        (tmp_path / "s.jsonl").write_text(row)
        judged.append(read_judged(tmp_path / "s.jsonl"))
    with pytest.raises(InputError, match="different items"):
        same_items(judged)

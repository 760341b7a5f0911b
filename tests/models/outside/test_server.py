"""Models behind servers: scores beside those of the network itself, the shapes of answers, and what goes wrong."""

import json
import math
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from small_server import Answers, serving
from tiny_transformers import END, FAMILIES, TEXT, gpt2, llama, save, slow_nats, transformers

import lmbench as lb
from lmbench.cli import lmbench
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.outside import completions
from lmbench.scoring.continuation import continuation
from lmbench.scoring.evaluation import fit_run
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.verification import certify
from lmbench.text.canonical import canonical_text

SHORT = 'The ferry left.\nWhere is it?\n"Gone," ça 日本 😀 he said...\n'
POSITIONS = 200


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for name in ("gpt2", "llama2", "gemma"):
        tokenizer = FAMILIES[name]()
        save(root / name, tokenizer, gpt2 if tokenizer.bos_token is None else llama, positions=POSITIONS)
    return root


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(completions, "PAUSE", 0.0)


def corpus_of(text=SHORT, documents="stream"):
    nothing, test = (canonical_text([raw], "none", documents) for raw in ("", text))
    return lb.Corpus("small", nothing, None, test, "none", documents)


def run_of(url, corpus=None, **options):
    return fit_run(make_model("server", url=url, **options), corpus or corpus_of())


# The right numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("documents", ["line", "stream"])
@pytest.mark.parametrize(
    ("family", "kind", "bos"),
    [
        ("gpt2", "vllm", 0),
        ("gpt2", "openai", 0),
        ("gpt2", "prompt_logprobs", 0),
        ("llama2", "vllm", 1),
        ("gemma", "vllm", 1),
    ],
)
def test_scores_are_those_of_the_network_itself(family, kind, bos, documents, folders):
    corpus = corpus_of(documents=documents)
    with serving(Answers(folders / family, kind, bos)) as url:
        scorer, run = run_of(url, corpus)
        direct = fit_run(make_model("hugging-face", path=str(folders / family)), corpus)[1]
        assert certify(scorer, corpus) == (
            "distributions are not to be had, so that nobody can see whether its probabilities sum to 1"
        )
    assert run.scores.log_probs == pytest.approx(direct.scores.log_probs, abs=1e-5)
    assert run.scores.bits_per_char == pytest.approx(direct.scores.bits_per_char, abs=1e-6)
    assert run.scores.ends[-1] == len(SHORT)
    exact = direct.scores.ends
    same = run.scores.ends == exact
    assert same[exact <= len('The ferry left.\nWhere is it?\n"Gone,"')].all()
    assert same.mean() > 0.6  # of characters in bytes the last token brings them
    assert not run.scores.oov.any()
    assert "server=small" in run.signature.context
    assert "window=200chars,stride=100chars" in run.signature.context


@pytest.mark.parametrize(("kind", "bos"), [("vllm", None), ("llama-cpp-python", 0)])
def test_a_first_token_that_is_not_told_is_charged_by_its_bytes(kind, bos, folders):
    text = "Ça va. The ferry left.\n"
    with serving(Answers(folders / "gpt2", kind, bos)) as url:
        _, run = run_of(url, corpus_of(text))
    ids = transformers.AutoTokenizer.from_pretrained(folders / "gpt2")(text)["input_ids"]
    network = transformers.AutoModelForCausalLM.from_pretrained(folders / "gpt2").eval()
    row = torch.tensor([ids if bos is None else [bos, *ids]])
    with torch.no_grad():
        rows = torch.log_softmax(network(row).logits[0].double(), -1)[-len(ids) :]
    rest = [float(rows[t, i]) for t, i in enumerate(ids[1:])]
    first = -math.log(256) * (1 + len(text[: run.scores.ends[0]].encode()))
    assert len(run.scores) == len(ids)
    assert run.scores.log_probs == pytest.approx([first, *rest], abs=1e-5)
    assert f"says nothing of 1 of {len(ids)} tokens, which are charged by their bytes" in run.facts.notes[-1]


def test_what_is_put_before_each_window_by_the_user(folders):
    with serving(Answers(folders / "gpt2")) as url:
        _, run = run_of(url, bos=END)
        assert run.scores.log_probs == pytest.approx(
            slow_nats(folders / "gpt2", SHORT, POSITIONS, 1, 0), abs=1e-5
        )
        assert f"bos={END},bos_in=window" in run.signature.context
        with pytest.raises(InputError, match="joins bos=The f to the text"):
            run_of(url, corpus_of("erry left.\n"), bos="The f")


@pytest.mark.parametrize("family", ["gpt2", "gemma"])
@pytest.mark.parametrize(("window", "stride"), [(64, 32), (100, 16), (40, 30)])
def test_windows_are_those_that_are_declared(family, window, stride, folders):
    """Beside the obvious way: each window tokenized and scored alone, its tokens taken from where those before end."""
    text = TEXT[:420]
    with serving(Answers(folders / family, bos=0 if family == "gpt2" else 1)) as url:
        _, run = run_of(url, corpus_of(text), window=window, stride=stride)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders / family)

    def place(at):
        near = [
            i
            for i in range(max(0, at - max(1, stride // 4)), at + 1)
            if re.match(r"\w ", text[i - 1 : i + 1])
        ]
        return len(text) if at >= len(text) else near[-1] if near else at

    ends, nats, done, k = [], [], 0, 0
    while done < len(text):
        begin, end = place(k * stride), place(k * stride + window)
        piece = text[begin:end]
        ids = tokenizer(piece, add_special_tokens=False)["input_ids"]
        own = [begin + len(tokenizer.decode(ids[: t + 1])) for t in range(len(ids))]
        scores = slow_nats(folders / family, piece, POSITIONS, 1, 0 if family == "gpt2" else 1)
        common = max({0, *ends} & {begin, *own})
        kept = sum(e <= common for e in ends)
        ends, nats = ends[:kept], nats[:kept]
        new = [t for t, e in enumerate(own) if e > common]
        ends, nats = ends + [own[t] for t in new], nats + [scores[t] for t in new]
        done, k = end, k + 1
    assert k > 3
    assert run.scores.ends.tolist() == ends
    assert run.scores.log_probs == pytest.approx(nats, abs=1e-5)
    assert f"window={window}chars,stride={stride}chars" in run.signature.context


# Beside others -------------------------------------------------------------------------------------


def test_it_is_saved_without_the_key_and_takes_up_new_tokens(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("THEIR_KEY", "s3cret")
    answers = Answers(folders / "gpt2", bos=0)
    with serving(answers) as url:
        scorer, run = run_of(url, key="THEIR_KEY")
        scorer.save(tmp_path / "m")
        with pytest.raises(InputError, match="sends the text there; --trust-code"):
            Scorer.load(tmp_path / "m")
        again = Scorer.load(tmp_path / "m", trust_code=True)
        assert np.array_equal(again.score(corpus_of().test).log_probs, run.scores.log_probs)
        assert not again.score("Zebras, too: 1234\n").oov.any()
        ((good, bad),) = [[continuation(again, "The ferry", text) for text in (" left", " zzz")]]
    assert set(answers.keys) == {"Bearer s3cret"}
    assert b"s3cret" not in (tmp_path / "m").read_bytes()
    assert "s3cret" not in str(run.facts)
    assert good.log_prob != bad.log_prob
    assert good.tokens >= 1


def test_a_continuation_s_tokens_are_greedy_where_they_are_the_likeliest(folders):
    direct = Scorer.fit(make_model("hugging-face", path=str(folders / "gpt2")), corpus_of())
    with serving(Answers(folders / "gpt2", bos=0)) as url:
        scorer, _ = run_of(url)
        best, _ = direct.next_tokens("The ferry", 1)[0]
        follows = direct.unit.join([*direct.unit.split("The ferry"), best]).removeprefix("The ferry")
        for text in (follows, " left", "x"):
            one, other = (continuation(each, "The ferry", text) for each in (scorer, direct))
            assert (one.tokens, one.greedy) == (other.tokens, other.greedy)
            assert one.log_prob == pytest.approx(other.log_prob, abs=1e-5)
        with pytest.raises(InputError, match="not what else may come"):
            scorer.generate(np.random.default_rng(0), 3)


def test_the_command_line_scores_it_and_a_suite_shows_it_unranked(folders, tmp_path):
    from small_suites import results_in, suite_of

    from lmbench.bench.suite import SampleSpec

    (tmp_path / "test.txt").write_text(SHORT)
    with serving(Answers(folders / "gpt2", bos=0)) as url:
        asked = [
            "score",
            "--model",
            "server",
            "-o",
            f"url={url}",
            "--test",
            str(tmp_path / "test.txt"),
            "--json",
        ]
        outcome = CliRunner().invoke(lmbench, asked, catch_exceptions=False)
        row = json.loads(outcome.stdout.splitlines()[-1])
        assert row["chars"] == len(SHORT)
        assert "train:" not in row["signature"]
        suite = suite_of(
            ("uniform", "uniform", "char", {}),
            ("server", "far", "char", {"url": url}),
            samples=SampleSpec(chars=5),
        )
        outcome, _ = results_in(tmp_path / "run", suite)
    assert not outcome.failures
    facts = {run.label: run.facts for run in outcome.runs}["far"]
    assert "distributions are not to be had" in facts.unranked_reason
    assert facts.samples == []


# What goes wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": ""}, "name a server"),
        ({"url": "127.0.0.1:8000"}, "is no address of a server"),
        ({"url": "http://example.org/v1"}, "unencrypted to another machine; write https://"),
        ({"url": "http://localhost.example.org/v1"}, "unencrypted"),
        ({"window": 8}, "window=8"),
        ({"window": 64, "stride": 64}, "stride=64 is to be less than the window, 64 characters"),
        ({"parallel": 0}, "parallel=0"),
        ({"model": "smal"}, r"unknown model of the server 'smal'; did you mean small\?"),
        (
            {"window": 2000},
            r"refuses \(400\): maximum context length is 200 tokens; a shorter window may do: -o window=N",
        ),
    ],
)
def test_wrong_options_are_named(options, said, folders):
    with serving(Answers(folders / "gpt2", bos=0)) as url, pytest.raises(InputError, match=said):
        run_of(**{"url": url, "corpus": corpus_of(TEXT * 4), **options})


def test_no_server_is_said_at_once():
    with pytest.raises(
        InputError, match=r"no server answers at http://127.0.0.1:9/v1 \(.*refused\); start it, or name"
    ):
        run_of("http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "llama.cpp",
            "does not say how probable the tokens of a prompt are .* that of llama.cpp itself does not",
        )
    ],
)
def test_a_server_that_does_not_echo_is_found_out(kind, said, folders):
    with serving(Answers(folders / "gpt2", kind, bos=0)) as url, pytest.raises(InputError, match=said):
        run_of(url)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (
            (400, {"error": {"message": "echo is not supported"}}),
            "does not say how probable .* it says: echo is not",
        ),
        (
            (401, {"error": {"message": "no key"}}),
            r"refuses \(401\): no key; set the environment variable LMBENCH_API_KEY",
        ),
        ((404, {"detail": "Not Found"}), r"refuses \(404\): Not Found"),
        ((307, {}), r"refuses \(307\)"),
        ((200, b"<html>"), "something other than JSON"),
        ((200, {"choices": []}), "does not answer as an OpenAI-compatible server does"),
        ((200, {"choices": [{"text": "x", "logprobs": None}]}), "does not say how probable"),
        (
            (200, {"choices": [{"logprobs": {"tokens": ["a"], "token_logprobs": ["x"]}}]}),
            "does not answer as",
        ),
        (
            (
                200,
                {
                    "choices": [
                        {"logprobs": {"tokens": ["Some", "thing", " x"], "token_logprobs": [None, -1, -1]}}
                    ]
                },
            ),
            "tokens that .* shows are not those of the text that it was sent: 'Something x' for 'The ferry left at nine'",
        ),
    ],
)
def test_what_a_server_answers_instead_is_said_in_one_line(trouble, said, folders):
    answers = Answers(folders / "gpt2", bos=0)
    answers.troubles = [trouble]
    with serving(answers) as url, pytest.raises(InputError, match=said) as raised:
        run_of(url)
    assert "\n" not in str(raised.value)


def test_what_passes_is_tried_again_so_many_times(folders):
    answers = Answers(folders / "gpt2", bos=0)
    busy = [(503, {"error": "loading"}), (429, {}), (None, None)]
    with serving(answers) as url:
        answers.troubles = [*busy]
        _, run = run_of(url, retries=3)
        assert run.scores.log_prob < 0
        answers.troubles = [*busy]
        with pytest.raises(InputError, match="no server answers at"):
            run_of(url, retries=2)
        answers.troubles = busy[:2]
        with pytest.raises(InputError, match=r"refuses \(429\)"):
            run_of(url, retries=1)


def test_one_that_looks_ahead_is_found_out(folders):
    answers = Answers(folders / "gpt2", bos=0)
    complete = answers.complete

    def ahead(body):
        status, answer = complete(body)
        nats = answer["choices"][0]["logprobs"]["token_logprobs"]
        nats[1] -= len(body["prompt"])
        return status, answer

    answers.complete = ahead
    with (
        serving(answers) as url,
        pytest.raises(InputError, match="says otherwise of the same tokens when others come"),
    ):
        run_of(url)


def test_a_server_without_a_list_of_models_is_asked_for_the_one_that_is_named(folders):
    answers = Answers(folders / "gpt2", bos=0)
    answers.models = None
    with serving(answers) as url:
        with pytest.raises(InputError, match="has 0 models; name one of none"):
            run_of(url)
        assert "window=4096chars" in run_of(url, model="small")[1].signature.context


def test_a_stranger_s_saved_model_sends_no_text_anywhere(folders, tmp_path):
    from lmbench.models.trust import trusting

    with serving(Answers(folders / "gpt2", bos=0)) as url:
        with (
            trusting(False),
            pytest.raises(InputError, match=r"server with 'url=http.*' sends the text there; --trust-code"),
        ):
            make_model("server", url=url)
        run_of(url)[0].save(tmp_path / "m")
        with trusting(False), pytest.raises(InputError, match="sends the text there"):
            Scorer.load(tmp_path / "m")

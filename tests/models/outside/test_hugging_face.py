"""Causal models of the Hugging Face library: scores beside those of plain transformers, and what is refused."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from small_suites import results_in, suite_of
from tiny_transformers import END, FAMILIES, TEXT, byte_level, gpt2, llama, save, slow_nats, transformers

import lmbench as lb
from lmbench.bench.suite import SampleSpec
from lmbench.cli import lmbench
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.scoring.evaluation import fit_run
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.token_file import write_tokens
from lmbench.scoring.verification import certify, verify
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens

WINDOW = 16
TEST = 'The ferry left.\n\nWhere is it? It was gone\n  two  blanks, ça va 😀 日本\n"Gone," he said...\n\n\nA <s> b\n'


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for name, make in FAMILIES.items():
        tokenizer = make()
        save(root / name, tokenizer, gpt2 if tokenizer.bos_token is None else llama)
    return root


def corpus_of(text=TEST, documents="stream", train="Some other text.\nAnd more.\n"):
    texts = [canonical_text([raw], "none", documents) for raw in (train, text)]
    return lb.Corpus("small", texts[0], None, texts[1], "none", documents)


def run_of(folder, corpus=None, **options):
    return fit_run(make_model("hugging-face", path=str(folder), **options), corpus or corpus_of())


# The right numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("documents", ["line", "stream"])
@pytest.mark.parametrize(
    "options", [{}, {"window": 8, "stride": 7}, {"window": 9, "stride": 1}, {"bos_in": "window"}], ids=str
)
def test_scores_are_those_of_plain_transformers(family, documents, options, folders):
    text = TEST.replace("  two", "Two") if family == "mistral" else TEST
    corpus = corpus_of(text, documents)
    _, run = run_of(folders / family, corpus, **options)
    window = options.get("window", WINDOW)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders / family)
    bos = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    settings = (window, options.get("stride", window // 2), bos, "bos_in" in options)
    expected = [
        nats
        for document in corpus.test.documents()
        for nats in slow_nats(folders / family, document, *settings, split_special_tokens=True)
    ]
    bits = -sum(expected) / math.log(2) / len(text)
    assert len(run.scores) == len(expected) > window
    assert run.scores.bits_per_char == pytest.approx(bits, abs=1e-6)
    assert run.scores.log_probs == pytest.approx(expected, abs=1e-4)
    assert run.scores.starts.tolist()[-1:] == (
        [0] if documents == "stream" else run.scores.starts.tolist()[-1:]
    )
    assert len(run.scores.starts) == len(corpus.test.starts)
    assert not run.scores.oov.any()
    assert run.scores.ends[-1] == len(text)


RECURRENT = {
    "mamba": lambda size: transformers.MambaForCausalLM(
        transformers.MambaConfig(vocab_size=size, hidden_size=16, num_hidden_layers=2, initializer_range=0.5)
    ),
    "rwkv": lambda size: transformers.RwkvForCausalLM(
        transformers.RwkvConfig(
            vocab_size=size, hidden_size=16, num_hidden_layers=2, attention_hidden_size=16
        )
    ),
}


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("documents", ["line", "stream"])
def test_recurrent_networks_keep_to_a_stated_window(kind, documents, tmp_path):
    save(tmp_path, byte_level(), RECURRENT[kind])
    corpus = corpus_of(documents=documents)
    most = {"mamba": 2048, "rwkv": 1024}[kind]  # of RWKV its configuration says 1,024
    for options, window, stride in (({}, most, most // 2), ({"window": 16, "stride": 8}, 16, 8)):
        _, run = run_of(tmp_path, corpus, **options)
        expected = [
            nats
            for d in corpus.test.documents()
            for nats in slow_nats(tmp_path, d, window, stride, 0, split_special_tokens=True)
        ]
        assert run.scores.log_probs == pytest.approx(expected, abs=1e-4)
        assert run.scores.bits_per_char == pytest.approx(-sum(expected) / math.log(2) / len(TEST), abs=1e-6)
        assert f"window={window},stride={stride}" in run.signature.context


def test_what_reads_like_a_special_token_is_text_or_that_token(folders):
    text = f"Go {END} on <unk>\n"
    for family in ("gpt2", "llama2"):
        for special, reading in (("text", {"split_special_tokens": True}), ("tokens", {})):
            _, run = run_of(folders / family, corpus_of(text), special=special, window=8, stride=4)
            expected = slow_nats(folders / family, text, 8, 4, 0 if family == "gpt2" else 1, **reading)
            assert run.scores.log_prob == pytest.approx(sum(expected), abs=1e-4)
            assert f"special={special}" in run.signature.context


def test_bos_is_what_the_tokenizer_puts_or_the_one_named(folders):
    for family, bos, said in (("gpt2", None, END), ("llama2", None, "<s>"), ("llama2", "</s>", "</s>")):
        _, run = run_of(folders / family, bos=bos)
        assert f"bos={said}," in run.signature.context
    expected = slow_nats(folders / "llama2", TEST, WINDOW, 8, 2, split_special_tokens=True)
    assert run.scores.log_prob == pytest.approx(sum(expected), abs=1e-3)
    with pytest.raises(InputError, match=r"no token <bos>; name one by -o bos=TOKEN"):
        run_of(folders / "gpt2", bos="<bos>")


def test_several_tokens_may_stand_before_a_document(tmp_path):
    from tokenizers import processors

    tokenizer = FAMILIES["gemma"]()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="</s> <s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    save(tmp_path, tokenizer, llama)
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    import torch

    ids = tokenizer("Go.\n", add_special_tokens=False)["input_ids"]
    rows = torch.log_softmax(network(torch.tensor([[2, 1, *ids[:-1]]])).logits[0].double(), -1).detach()
    expected = [float(rows[t + 1, i]) for t, i in enumerate(ids)]
    scorer, run = run_of(tmp_path, corpus_of("Go.\n"))
    assert run.scores.log_probs == pytest.approx(expected, abs=1e-5)
    assert "bos=</s><s>" in run.signature.context
    tokens = scorer.encode(corpus_of(TEST).test).tokens
    assert broken_laws(scorer.model, tokens) == {}
    with pytest.raises(InputError, match="2 tokens of bos do not fit"):
        run_of(tmp_path, window=8, stride=7)


@pytest.mark.parametrize("batch", [1, 37, 100_000])
def test_batches_change_nothing(folders, batch):
    corpus = corpus_of(documents="line")
    runs = [run_of(folders / "gpt2", corpus, batch=n)[1] for n in (4096, batch)]
    assert runs[0].scores.log_probs == pytest.approx(runs[1].scores.log_probs, abs=1e-5)


# The contract --------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["gpt2", "llama2", "unigram"])
@pytest.mark.parametrize("documents", ["line", "stream"])
@pytest.mark.parametrize("bos_in", ["document", "window"])
def test_the_laws_hold_and_the_coder_gives_the_text_back(family, documents, bos_in, folders):
    scorer, _ = run_of(folders / family, corpus_of(documents=documents), bos_in=bos_in)
    tokens = scorer.encode(corpus_of(documents=documents).test).tokens
    assert broken_laws(scorer.model, Tokens(tokens.ids[:40], np.zeros(1, dtype=np.int64), tokens.bos)) == {}
    found = verify(scorer, canonical_text([TEST], "none", documents), 60)
    assert found.identical
    assert found.holds


def test_it_needs_no_training_text_nor_one_that_suits_it(folders):
    with pytest.raises(InputError, match="reads the blank"):
        run_of(folders / "mistral", corpus_of(" its tokenizer does not hold this\n"))
    corpus = corpus_of("It was here.\n", train=" its tokenizer does not hold this\n")
    assert run_of(folders / "mistral", corpus)[1].scores.log_prob < 0


def test_it_is_compared_with_models_of_other_units_and_saved(folders, tmp_path, monkeypatch):
    corpus = corpus_of()
    monkeypatch.chdir(folders)
    scorer, run = run_of("llama2", corpus)  # a relative path
    table = lb.compare([run, lb.evaluate(make_model("uniform"), corpus)])
    assert math.isfinite(table["difference_bits_per_char"][0])
    scorer.save(tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    again = Scorer.load(tmp_path / "m")
    assert np.array_equal(again.score(corpus.test).log_probs, run.scores.log_probs)
    assert again.model.parameters == scorer.model.parameters > 0
    prompt = "A:\nB:\nWhere is"
    assert again.generate(np.random.default_rng(0), 20, prompt).startswith(prompt)


def test_its_scores_are_written_in_the_text_s_own_characters_and_read_back(folders, tmp_path):
    for documents in ("line", "stream"):
        corpus = corpus_of(documents=documents)
        scorer, run = run_of(folders / "gpt2", corpus)
        write_tokens(tmp_path / "t.tsv", run, corpus.test, scorer.unit)
        assert "Ġ" not in (tmp_path / "t.tsv").read_text()
        again = lb.external_run(tmp_path / "t.tsv", corpus)
        assert again.scores.bits_per_char == run.scores.bits_per_char


def test_outputs_that_no_token_has_and_tokens_that_no_output_has(tmp_path):
    tokenizer = byte_level()
    save(tmp_path / "padded", tokenizer, extra=7)
    assert run_of(tmp_path / "padded")[1].scores.vocab_size == len(tokenizer) + 7 + 1
    save(tmp_path / "more", tokenizer)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(tmp_path / "more")
    assert run_of(tmp_path / "more")[1].scores.log_prob < 0
    with pytest.raises(InputError, match=r"holds '\[PAD\]'"):
        run_of(tmp_path / "more", corpus_of("a [PAD]\n"), special="tokens")


def test_a_text_scored_as_its_tokenizer_reads_it_says_so_and_has_no_rank(tmp_path):
    from tokenizers import normalizers

    save(tmp_path, byte_level(normalizer=normalizers.NFC()))
    corpus = corpus_of("the cafe\u0301\n")
    with pytest.raises(InputError, match=r"'e' \+ U\+0301 at character 8"):
        run_of(tmp_path, corpus)
    scorer, run = run_of(tmp_path, corpus, as_read=True)
    expected = slow_nats(tmp_path, "the café\n", WINDOW, 8, 0)
    assert run.scores.bits_per_char == pytest.approx(-sum(expected) / math.log(2) / 9, abs=1e-6)
    assert (run.scores.chars, run.scores.bytes) == (9, 10)
    assert run.signature.context.endswith(",as_read")
    assert "as its tokenizer reads it" in certify(scorer, corpus)
    with pytest.raises(InputError, match="text"):
        lb.compare([run, lb.evaluate(make_model("uniform"), corpus)])
    same = corpus_of("the café\n")  # nothing is changed: a run like any other
    scorer, run = run_of(tmp_path, same, as_read=True)
    assert certify(scorer, same) is None
    lb.compare([run, lb.evaluate(make_model("uniform"), same)])


# What is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": "no/such/folder"}, "cannot load no/such/folder"),
        ({"window": "1"}, "window=1"),
        ({"window": "17"}, "window=17 is more than the 16 tokens"),
        ({"stride": "16"}, "stride=16 is to be less than the window, 16"),
        ({"batch": "0"}, "batch=0"),
        ({"bos": "<s>"}, "no token <s>"),
        ({"device": "cuda"}, "no GPU"),
        ({"device": "abacus"}, "device=abacus is no device"),
        ({"dtype": "float8"}, "dtype=float8"),
        ({"special": "both"}, "special=both"),
    ],
)
def test_wrong_options_are_named(folders, options, said, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match=said):
        run_of(**{"folder": options.pop("path", folders / "gpt2"), **options})


def test_without_the_library_it_says_what_to_install(folders, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match=r"lmbench\[hf\]"):
        run_of(folders / "gpt2")


def test_the_command_line_scores_it_without_a_training_text(folders, tmp_path):
    (tmp_path / "test.txt").write_text(TEXT)
    model = ["--model", "hugging-face", "-o", f"path={folders / 'llama2'}"]
    saved, test = ["--save", str(tmp_path / "m")], ["--test", str(tmp_path / "test.txt"), "--json"]
    told = CliRunner().invoke(lmbench, ["fit", *model, *saved], catch_exceptions=False)
    assert "hugging-face by subword" in told.output
    first = CliRunner().invoke(lmbench, ["score", *model, *test], catch_exceptions=False)
    second = CliRunner().invoke(
        lmbench, ["score", "--load", str(tmp_path / "m"), *test], catch_exceptions=False
    )
    one, other = (json.loads(run.stdout.splitlines()[-1]) for run in (first, second))
    assert one["chars"] == len(TEXT)
    assert one["bits_per_char"] == other["bits_per_char"]
    assert "train:" not in one["signature"]


def test_a_long_scoring_tells_how_far_it_is(folders):
    from lmbench.models import Monitor
    from lmbench.scoring.evaluation import score_run

    class Watching(Monitor):
        def __init__(self):
            self.seen = []

        def progress(self, done, total, note=""):
            self.seen.append((done, total, note))

    scorer, run = run_of(folders / "gpt2", batch=32)
    watching = Watching()
    score_run(scorer, corpus_of(), "m", monitor=watching)
    done = [done for done, _, _ in watching.seen]
    assert len(done) > 2
    assert done == sorted(set(done))
    assert watching.seen[-1] == (len(run.scores), len(run.scores), "tokens scored")
    scorer.score(corpus_of().test)  # nobody looks on any more
    assert len(watching.seen) == len(done)


def test_a_suite_scores_it_among_others(folders, tmp_path):
    suite = suite_of(
        ("uniform", "uniform", "char", {}),
        ("hugging-face", "network", "char", {"path": str(folders / "llama2")}),
        samples=SampleSpec(chars=5),
    )
    outcome, _ = results_in(tmp_path, suite)
    assert not outcome.failures
    facts = {run.label: run.facts for run in outcome.runs}["network"]
    assert facts.unranked_reason is None
    assert facts.train_bits_per_char is None  # it has learnt from none of it

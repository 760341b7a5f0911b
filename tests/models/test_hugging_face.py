"""Causal models of the Hugging Face library: a tiny GPT-2 and a byte-level tokenizer, drawn at random here."""

import itertools
import math

import numpy as np
import pytest
import torch

import lmbench as lb
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.scoring.evaluation import fit_run
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.token_file import write_tokens
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

TEXT = "the cat sat on the mat\nthe café 😀 is closed\n\n  two  blanks\n"
WINDOW = 8


def save_model(folder, byte_level=True, vocab_size=300):
    if byte_level:
        made = tokenizers.Tokenizer(tokenizers.models.BPE())
        made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = tokenizers.decoders.ByteLevel()
        alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=290, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"], show_progress=False
        )
    else:
        made = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="[UNK]"))
        made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        trainer = tokenizers.trainers.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False)
    made.train_from_iterator([TEXT], trainer)
    end = "<|endoftext|>" if byte_level else "[UNK]"
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token=end).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=vocab_size,
        n_positions=WINDOW,
        n_embd=8,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    config.initializer_range = 0.5  # far from uniform, so that a wrong context shows
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("tiny"))


def corpus_of(text=TEXT, documents="line"):
    texts = [canonical_text([raw], "none", documents) for raw in ("the cat\nsat\n", text)]
    return lb.Corpus("small", texts[0], None, texts[1], "none", documents)


@pytest.fixture(scope="module", params=["line", "stream"])
def fitted(request, folder):
    corpus = corpus_of(documents=request.param)
    return corpus, *fit_run(make_model("hugging-face", path=str(folder)), corpus)


def slow(folder, ids, stride):
    """ln p of each token of a document, one network call a token."""
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    inputs = [0, *ids]  # <|endoftext|> is token 0 of the tokenizer
    nats = []
    for t, token in enumerate(ids):
        first = 0
        while t - first >= WINDOW:
            first += stride
        with torch.no_grad():
            logits = network(torch.tensor([inputs[first : t + 1]])).logits[0, -1]
        nats.append(float(torch.log_softmax(logits.double(), -1)[token]))
    return nats


def test_scores_are_those_of_the_network_token_by_token(fitted, folder):
    corpus, _, run = fitted
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    lines = corpus.test.text.splitlines(keepends=True)
    ids = [tokenizer(line)["input_ids"] for line in lines]
    documents = ids if corpus.documents == "line" else [[*itertools.chain(*ids)]]
    expected = np.concatenate([slow(folder, document, WINDOW // 2) for document in documents])
    assert max(map(len, documents)) > WINDOW
    assert run.scores.log_probs == pytest.approx(expected, abs=1e-5)
    assert not run.scores.oov.any()
    assert len(run.scores.starts) == len(documents)


def test_every_character_is_charged_once_at_its_last_byte(fitted):
    corpus, scorer, run = fitted
    ends = run.scores.ends
    assert ends[-1] == len(TEXT) == run.scores.chars
    assert (np.diff(ends, prepend=0) >= 0).all()
    encoded = scorer.encode(corpus.test)
    assert scorer.unit.join(encoded.surface()) == TEXT
    smile = TEXT.index("😀")
    assert (ends == smile).sum() >= 1  # the token before it, and the bytes that do not end it
    assert (ends == smile + 1).any()
    for start in corpus.test.starts.tolist()[1:]:
        assert start in ends


def test_the_laws_hold(fitted):
    corpus, scorer, _ = fitted
    tokens = scorer.encode(corpus.test).tokens
    assert broken_laws(scorer.model, Tokens(tokens.ids[:40], np.zeros(1, dtype=np.int64), tokens.bos)) == {}


def test_the_signature_says_what_a_prediction_rests_on(fitted, folder):
    corpus, _, run = fitted
    assert run.signature.context == "document,bos=<|endoftext|>,window=8,stride=4"
    assert run.signature.unit == "subword"
    other = make_model("hugging-face", path=str(folder), window=6, stride=5)
    assert fit_run(other, corpus)[1].signature.context.endswith("window=6,stride=5")


def test_it_is_compared_with_models_of_other_units_and_saved(fitted, tmp_path):
    corpus, scorer, run = fitted
    table = lb.compare([run, lb.evaluate(make_model("uniform"), corpus)])
    assert math.isfinite(table["difference_bits_per_char"][0])
    scorer.save(tmp_path / "m")
    again = Scorer.load(tmp_path / "m")
    assert np.array_equal(again.score(corpus.test).log_probs, run.scores.log_probs)
    assert again.model.parameters == scorer.model.parameters > 0
    assert isinstance(again.generate(np.random.default_rng(0), 20, "the "), str)


def test_its_scores_are_written_in_the_text_s_own_characters_and_read_back(fitted, tmp_path):
    corpus, scorer, run = fitted
    write_tokens(tmp_path / "t.tsv", run, corpus.test, scorer.unit)
    assert "Ġ" not in (tmp_path / "t.tsv").read_text()
    again = lb.external_run(tmp_path / "t.tsv", corpus)
    assert again.scores.bits_per_char == run.scores.bits_per_char


@pytest.mark.parametrize("batch", [1, 3])
def test_batches_change_nothing(fitted, folder, batch):
    corpus, _, run = fitted
    other = fit_run(make_model("hugging-face", path=str(folder), batch=batch), corpus)[1]
    assert other.scores.log_probs == pytest.approx(run.scores.log_probs, abs=1e-5)


def test_a_tokenizer_that_loses_text_is_refused(tmp_path):
    save_model(tmp_path, byte_level=False)
    with pytest.raises(InputError, match="keeps every character"):
        fit_run(make_model("hugging-face", path=str(tmp_path)), corpus_of())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": "no/such/folder"}, "cannot load no/such/folder"),
        ({"window": "1"}, "window=1"),
        ({"stride": "8"}, "stride=8 is to be less than the window, 8"),
        ({"bos": "<s>"}, "no token <s>"),
    ],
)
def test_wrong_options_are_named(folder, options, said, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=said):
        fit_run(make_model("hugging-face", **{"path": str(folder), **options}), corpus_of())


def test_without_the_library_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match=r"lmbench\[hf\]"):
        fit_run(make_model("hugging-face", path=str(folder)), corpus_of())

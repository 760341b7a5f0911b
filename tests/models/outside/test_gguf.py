"""GGUF files by llama.cpp: scores beside those of the same network by transformers, and what is refused."""

import numpy as np
import pytest
from tiny_gguf import write_gguf
from tiny_transformers import END, FAMILIES, llama, save

import lmbench as lb
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.models.outside.llama import LlamaNetwork
from lmbench.scoring.evaluation import fit_run
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.verification import certify, verify
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens

TEST = 'The ferry left.\n\nWhere is it? It was gone\n  two  blanks, ça va 😀 日本\n"Gone," he said...\n\n\nA <s> b\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("gguf")
    for family in ("llama2", "gpt2"):
        save(root / family, FAMILIES[family](), llama)
        write_gguf(root / family, root / f"{family}.gguf")
    return root


def corpus_of(text=TEST, documents="stream"):
    texts = [canonical_text([raw], "none", documents) for raw in ("Other.\n", text)]
    return lb.Corpus("small", texts[0], None, texts[1], "none", documents)


def run_of(file, corpus=None, **options):
    return fit_run(make_model("gguf", path=str(file), threads=1, **options), corpus or corpus_of())


@pytest.mark.parametrize("family", ["llama2", "gpt2"])
@pytest.mark.parametrize("documents", ["line", "stream"])
@pytest.mark.parametrize(
    "options", [{}, {"window": 9, "stride": 1}, {"window": 8, "stride": 7, "bos_in": "window"}], ids=str
)
def test_scores_are_those_of_transformers(family, documents, options, folder):
    corpus = corpus_of(documents=documents)
    _, run = run_of(folder / f"{family}.gguf", corpus, **options)
    _, other = fit_run(make_model("hugging-face", path=str(folder / family), **options), corpus)
    assert run.scores.bits_per_char == pytest.approx(other.scores.bits_per_char, abs=1e-6)
    assert run.scores.log_probs == pytest.approx(other.scores.log_probs, abs=1e-4)
    assert run.scores.ends.tolist() == other.scores.ends.tolist()
    assert run.scores.starts.tolist() == other.scores.starts.tolist()
    assert run.facts.parameters == other.facts.parameters
    assert run.signature.context.startswith(other.signature.context.rpartition(",")[0])
    assert "weights=llama" in run.signature.context


@pytest.mark.parametrize("family", ["llama2", "gpt2"])
def test_the_laws_hold_and_the_coder_gives_the_text_back(family, folder):
    scorer, run = run_of(folder / f"{family}.gguf")
    tokens = scorer.encode(corpus_of().test).tokens
    assert broken_laws(scorer.model, Tokens(tokens.ids[:40], np.zeros(1, dtype=np.int64), tokens.bos)) == {}
    assert certify(scorer, corpus_of(), run.scores) is None
    assert verify(scorer, corpus_of().test, 40).holds


def test_special_tokens_are_text_or_tokens(folder):
    for special, count in (("text", None), ("tokens", 1)):
        scorer, _ = run_of(folder / "gpt2.gguf", corpus_of(f"Go {END} on\n"), special=special)
        ids = scorer.encode(corpus_of(f"Go {END} on\n").test).tokens.ids.tolist()
        assert ids.count(1) == (count or 0)


def test_what_was_read_before_changes_nothing(folder):
    network = LlamaNetwork(str(folder / "llama2.gguf"), 0, 1)
    rng = np.random.default_rng(0)
    row = rng.integers(0, network.outputs, 14)
    fresh = LlamaNetwork(str(folder / "llama2.gguf"), 0, 1).distributions([row], [np.arange(14)])[0]
    for length in (3, 9, 14, 5, 14):
        (found,) = network.distributions([row[:length]], [np.array([length - 1])])
        assert found[0] == pytest.approx(fresh[length - 1], abs=1e-4)
        network.distributions([np.append(row[: length // 2], 7)], [np.array([0])])
    long = rng.integers(0, network.outputs, 100)  # more than there was room for
    assert network.distributions([long], [np.array([3, 99])])[0].shape == (2, network.outputs)


def test_it_is_saved_by_its_path_and_writes(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    scorer, run = run_of("llama2.gguf")
    scorer.save(tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    again = Scorer.load(tmp_path / "m")
    assert np.array_equal(again.score(corpus_of().test).log_probs, run.scores.log_probs)
    assert again.generate(np.random.default_rng(0), 9, "A:\nWhere is").startswith("A:\nWhere is")


def test_one_that_looks_ahead_is_refused(folder, monkeypatch):
    read = LlamaNetwork._read

    def mirrored(self, row, places):
        yield np.concatenate(list(read(self, row[::-1], np.arange(len(row)))))[::-1][places]

    monkeypatch.setattr(LlamaNetwork, "_read", mirrored)
    with pytest.raises(InputError, match="sees the tokens after the one that it predicts"):
        run_of(folder / "llama2.gguf")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"file": "no.gguf"}, r"no.gguf is no file; name a model in GGUF"),
        ({"file": ""}, "name the model"),
        ({"file": "cut.gguf"}, "cannot load .*cut.gguf as a model in GGUF: "),
        ({"file": "text.gguf"}, "cannot load .*text.gguf as a model in GGUF: "),
        ({"bos": "<none>"}, "has no token <none>; name one by -o bos=TOKEN"),
        ({"window": 17}, "window=17 is more than the 16 tokens"),
    ],
)
def test_what_will_not_do_is_said_in_one_line(options, said, folder, tmp_path):
    (folder / "cut.gguf").write_bytes((folder / "llama2.gguf").read_bytes()[:20_000])
    (folder / "text.gguf").write_text("no model at all")
    file = options.pop("file", "llama2.gguf")
    with pytest.raises(InputError, match=said) as raised:
        run_of(folder / file if file else "", **options)
    assert "\n" not in str(raised.value)


def test_without_the_library_it_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "llama_cpp", None)
    with pytest.raises(InputError, match=r"lmbench\[gguf\]"):
        run_of(folder / "llama2.gguf")


@pytest.mark.parametrize(
    ("at", "put"),
    [
        # the magic; the version; how many tensors; how many facts; the length of the first fact's name; what kind it is
        *(
            (0, b"GGML"),
            (4, b"\xff\xff\xff\xff"),
            (8, b"\xff" * 8),
            (16, b"\xff" * 8),
            (24, b"\xff" * 7 + b"\x0f"),
        ),
        *(
            (8, bytes(8)),
            (16, bytes(8)),
            (24, bytes(8)),
            (0, b""),
            (23, None),
            (300, None),
            (5000, None),
            (-1, None),
        ),
    ],
)
def test_a_damaged_file_is_one_line(folder, tmp_path, at, put):
    """put: bytes in place of others, the rest lost where None, all of it where empty."""
    data = (folder / "llama2.gguf").read_bytes()
    bad = data[:at] if not put else data[:at] + put + data[at + len(put) :]
    (tmp_path / "bad.gguf").write_bytes(bad)
    with pytest.raises(InputError, match=r"cannot load .*bad\.gguf as a model in GGUF: .") as caught:
        LlamaNetwork(str(tmp_path / "bad.gguf"), 0, 1)
    assert str(caught.value).isprintable()

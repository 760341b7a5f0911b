"""Word pieces learnt from a text or read from a file: lossless, paid for to the last character, the same every time."""

import io
import json
import subprocess
import sys
from unittest.mock import Mock

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_transformers import TEXT, byte_level, unigram
from tokenizers import Regex
from tokenizers.pre_tokenizers import Split

from lmbench.corpora.corpus import Corpus, Documents
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.verification import verify
from lmbench.text.canonical import canonical_text
from lmbench.text.pieces import PATTERN
from lmbench.text.units import unit_named

KINDS = [
    f"subword:kind={kind},level={level},size=300" for kind in ("bpe", "unigram") for level in ("char", "byte")
]
STRANGE = "Ça va\u2028— «oui» 日本語 <unk> \n<unk>\t<0x0A> 😀 e\u0301\r\n  \n\n"


def corpus_of(text=TEXT, documents="stream"):
    return Corpus.of(Documents([text]), test=0.2, valid=0.1, documents=documents)


@pytest.fixture(scope="module", params=KINDS)
def unit(request):
    return unit_named(request.param, canonical_text([TEXT], "none", "stream"))


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_pieces_join_to_any_text(unit, text):
    for given_text in (text, TEXT[:50] + text, STRANGE + text):
        canonical = canonical_text([given_text], "none", "stream")
        cut = canonical.cut(unit)
        assert unit.join(cut.surface()) == given_text
        assert unit.split(given_text) == cut.surface()
        assert cut.ends[-1:].tolist() == [len(given_text)][: len(cut.ends)]
        assert (np.diff(cut.ends, prepend=0) >= 0).all()


def test_pieces_are_shorter_than_characters_and_name_themselves(unit):
    pieces = unit.split(TEXT)
    assert len(pieces) < 0.8 * len(TEXT)
    assert " ferry" in pieces
    assert "\n" in pieces
    assert all("\n" not in piece or piece == "\n" for piece in unit.tokens)
    assert len(set(unit.tokens)) == len(unit.tokens) > 45


@pytest.mark.parametrize("spec", KINDS)
@pytest.mark.parametrize("documents", ["stream", "line"])
def test_any_model_is_charged_for_every_character_and_decodes(spec, documents, tmp_path):
    scorer = Scorer.fit(make_model("kneser-ney", order=3), corpus_of(documents=documents), spec)
    text = canonical_text([TEXT[300:420] + STRANGE], "none", documents)
    scores = scorer.score(text)
    assert scores.chars == text.chars
    assert np.isfinite(scores.nats).all()
    in_bytes = "level=byte" in spec
    assert sorted({text.text[e - 1] for e in scores.ends[scores.oov]}) == (
        [] if in_bytes else sorted(set(STRANGE) - set(TEXT))
    )
    assert verify(scorer, text).holds
    assert broken_laws(scorer.model, scorer.encode(text).tokens, scored=scores.log_probs) == {}
    scorer.save(tmp_path / "m")
    again = Scorer.load(tmp_path / "m", check=True)
    assert again.score(text).nats.tolist() == scores.nats.tolist()
    assert again.unit.spec == spec
    assert [token for token, _ in again.next_tokens("The ferry", top=1)] == [
        token for token, _ in scorer.next_tokens("The ferry", top=1)
    ]


def test_a_character_never_seen_costs_what_it_costs_a_model_of_characters():
    corpus = corpus_of("abab cdcd " * 40)
    costs = {
        spec: Scorer.fit(make_model("uniform"), corpus, spec).score("x").spelling_log_prob
        for spec in ("char", "subword:size=9", "subword:size=9,kind=unigram")
    }
    assert len({round(cost, 12) for cost in costs.values()}) == 1


def test_the_speller_of_pieces_is_a_distribution_where_the_vocabulary_lacks_some():
    from lmbench.scoring.speller import Speller
    from lmbench.text.vocab import Vocab

    speller = Speller.fit(Vocab(["a", "ab", "b", " a"]), "subword", ["a", "ab", "bca", "cd", "e"])
    pieces = ["bca", "cd", "e", *(chr(p) for p in range(0x110000) if not 0xD800 <= p < 0xE000)]
    outside = [piece for piece in dict.fromkeys(pieces) if piece not in ("a", "b")]
    assert np.exp(speller.log_probs(outside)).sum() == pytest.approx(1, abs=1e-9)


def test_unigram_pieces_are_the_same_in_every_process():
    code = (
        "import hashlib; from lmbench.text.units import unit_named; from lmbench.text.canonical import canonical_text\n"
        "import sys; text = canonical_text([sys.stdin.read()], 'none', 'stream')\n"
        "print(hashlib.sha256(unit_named('subword:kind=unigram,size=400', text).state()['tokenizer'].tobytes()).hexdigest())"
    )
    text = TEXT + "".join(chr(97 + i % 26) * (1 + i % 3) + f" {i * i} " for i in range(400)) + "QZXÄÖÜ"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(3)
    }
    assert len(runs) == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            "subword:size=20",
            r"size=20 has no room for the 36 characters of the text; give size=37 or more, or level=byte",
        ),
        ("subword:size=200,level=byte", "no room for the 256 bytes of the text; give size=256 or more"),
        ("subword:kind=wordpiece", r"Invalid enum value 'wordpiece'"),
        ("subword:sice=4", r"unknown option of unit subword 'sice'; did you mean size or file"),
        ("subword:4000", "4000 is not KEY=VALUE"),
        ("subword:file=a.json,size=3", "file= brings pieces of its own"),
        ("subword:file=/nowhere/x.json", "cannot read /nowhere/x.json"),
        ("char:size=3", "unknown unit 'char:size=3'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(spec, said):
    with pytest.raises(InputError, match=said):
        unit_named(spec, canonical_text([TEXT], "none", "stream"))


# Files ---------------------------------------------------------------------------------------------


def test_a_tokenizer_of_one_s_own_from_its_file(tmp_path):
    for name, tokenizer in (("bytes", byte_level()), ("pieces", unigram(byte_fallback=False))):
        file = tmp_path / f"{name}.json"
        tokenizer.backend_tokenizer.save(str(file))
        spec = f"subword:file={file}"
        scorer = Scorer.fit(make_model("kneser-ney", order=2), corpus_of(), spec)
        text = canonical_text(["The ferry left 日本 at nine é\n"], "none", "stream")
        assert verify(scorer, text).holds
        assert scorer.score(text).oov.sum() == (0 if name == "bytes" else 3)
        scorer.save(tmp_path / "m")
        file.unlink()  # the saved model carries it
        assert Scorer.load(tmp_path / "m").score(text).bits_per_char == scorer.score(text).bits_per_char


def test_a_file_that_is_no_tokenizer_is_named(tmp_path):
    # A message that is a number, a number of 70 bits, no unknown piece, a piece of 1,001 characters.
    broken = (
        b"\x08\x01",
        b"\x08" + b"\xff" * 10 + b"\x01",
        b"\x0a\x03\x0a\x01a",
        b"\x0a\xec\x07\x0a\xe9\x07" + b"a" * 1001,
    )
    for data in (b"{}", b"\x0a\xff\xff", b"", b"ferry", *broken):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(
            InputError, match=r"x is (no tokenizer\.json|neither a tokenizer\.json nor a model)"
        ):
            unit_named(f"subword:file={tmp_path / 'x'}")


def trained_by_sentencepiece(tmp_path, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.split("\n")),
        model_writer=model,
        minloglevel=2,
        hard_vocab_limit=False,
        **options,
    )
    (tmp_path / "m.model").write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


KEEPS = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize("prefix", [True, False])
@pytest.mark.parametrize("fallback", [True, False])
def test_sentencepiece_s_own_pieces(tmp_path, kind, prefix, fallback):
    options = {**KEEPS, "add_dummy_prefix": prefix, "byte_fallback": fallback, "model_type": kind}
    processor = trained_by_sentencepiece(tmp_path, vocab_size=310 if fallback else 56, **options)
    unit = unit_named(f"subword:file={tmp_path / 'm.model'}")
    for text in ("The ferry left at nine", "where  is it", "the river: 日本"):
        pieces = unit.split(text)
        assert unit.join(pieces) == text
        theirs = [p for p in processor.encode_as_pieces(text) if p not in ("日本",)]
        assert [p for p in pieces if p not in "日本"] == theirs


def test_a_normalising_tokenizer_is_refused_with_place_and_remedy(tmp_path):
    trained_by_sentencepiece(tmp_path, vocab_size=56)
    unit = unit_named(f"subword:file={tmp_path / 'm.model'}")
    with pytest.raises(
        InputError, match=r"reads nothing for '\\n' at character 4; take one that changes nothing .*=identity"
    ):
        canonical_text(["one\nIt  is"], "none", "line").cut(
            unit_named(f"subword:file={tmp_path / 'm.model'}")
        )
    assert unit.split("one")


def test_a_word_without_end_is_cut_since_time_grows_with_the_square_of_the_longest():
    """The text stays what it is, and no word that is learnt from or read has more than 500 characters."""
    text = "a" * 1700 + " " + "'a" * 700 + " " * 700 + "1" * 600
    words = [word for word, _ in Split(Regex(PATTERN), "isolated").pre_tokenize_str(text)]
    assert "".join(words) == text
    assert max(map(len, words)) <= 501


@pytest.mark.parametrize("spec", KINDS)
def test_half_characters_are_named_and_not_learnt_from(spec):
    with pytest.raises(
        InputError, match=r"character 7 of the training text, U\+D800, is half of a pair.*; replace it"
    ):
        unit_named(spec, canonical_text([f"a\nbc\nd\ud800{TEXT}"], "none", "stream"))


def test_a_tokenizer_that_the_library_gives_up_on_is_refused(tmp_path):
    """Its merges join to a piece shorter than the prefix that each part is to have: Rust panics, which is no Exception."""
    model = {
        "type": "BPE",
        "continuing_subword_prefix": "012",
        "vocab": {"a": 0, "b": 1, "ab": 2},
        "merges": [["a", "b"]],
    }
    (tmp_path / "t.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    with pytest.raises(InputError, match=r"the library tokenizers fails on .*t\.json"):
        unit_named(f"subword:file={tmp_path}/t.json")


def test_a_text_that_the_library_gives_up_on_is_refused(unit, monkeypatch):
    panic = type("PanicException", (BaseException,), {})
    monkeypatch.setattr(unit, "_tokenizer", Mock(**{"encode.side_effect": panic("index out of bounds")}))
    with pytest.raises(InputError, match=r"the library tokenizers fails on these pieces \(index out"):
        unit.ids("ab")


def test_numbers_of_pieces_beyond_measure_are_refused_since_the_library_goes_through_all_of_them(tmp_path):
    model = {"type": "BPE", "vocab": {"a": 0, "b": 2**32 - 1}, "merges": []}
    (tmp_path / "t.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    with pytest.raises(InputError, match=r"t\.json has a piece of number 4,294,967,295, beyond 16,777,216"):
        unit_named(f"subword:file={tmp_path}/t.json")


def test_nothing_is_drawn_in_cutting_a_text(tmp_path):
    """A tokenizer for training leaves out some merges at random."""
    model = {
        "type": "BPE",
        "dropout": 0.5,
        "vocab": {"a": 0, "b": 1, "ab": 2, "\n": 3},
        "merges": [["a", "b"]],
    }
    described = {"version": "1.0", "added_tokens": [], "decoder": {"type": "Fuse"}, "model": model}
    (tmp_path / "t.json").write_text(json.dumps(described))
    unit = unit_named(f"subword:file={tmp_path}/t.json")
    assert unit.split("ab" * 50) == ["ab"] * 50


def test_a_pattern_that_takes_too_long_is_given_up(tmp_path):
    """Of a hundred letters it would try 2^100 ways; the library gives up, and says so as Rust does."""
    pattern = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}
    (tmp_path / "t.json").write_text(
        json.dumps({"version": "1.0", "added_tokens": [], "pre_tokenizer": pattern, "model": model})
    )
    with pytest.raises(InputError, match=r"fails on .*retry-limit"):
        unit_named(f"subword:file={tmp_path}/t.json").split("a" * 100 + "b")

"""Saved models stay in their files: opened, scored, damaged in every way, and never believed when damaged."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_damage import damaged_saved, parts, sealed
from readers import saved_scores
from saved_models import MODELS
from saved_models import saved as saved_models

from lmbench.corpora.corpus import Corpus
from lmbench.counts.trie import NgramTrie
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.smoothing import packing, table
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.storage import pieces
from lmbench.storage.mapped import open_arrays, write_arrays
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens

RNG = np.random.default_rng(5)
WORDS = [" ".join(f"w{x}" for x in RNG.zipf(1.4, size=12) % 400) for _ in range(700)]
TRAIN = canonical_text(["\n".join(WORDS[:600])], "none", "line")
TEST = canonical_text(["\n".join(WORDS[550:])], "none", "line")


@pytest.fixture(scope="module")
def scorer():
    corpus = Corpus("words", TRAIN, None, TEST, "none", "line")
    return Scorer.fit(make_model("kneser-ney", order=4), corpus, "word")


@pytest.fixture(scope="module")
def saved(scorer, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    scorer.save(path)
    return path


def test_a_mapped_model_scores_as_the_fitted_one(scorer, saved):
    loaded = load_model(saved)
    assert loaded.score(TEST).log_probs.tolist() == scorer.score(TEST).log_probs.tolist()
    tokens = scorer.encode(TEST).tokens
    contexts = [tokens.ids[:n] for n in range(0, 30, 3)]
    mapped, plain = (s.model.next_log_probs(contexts, tokens.bos) for s in (loaded, scorer))
    assert mapped.tolist() == plain.tolist()
    assert loaded.model.parameters == scorer.model.parameters
    assert loaded.model.model_bytes < 0.8 * scorer.model.model_bytes


def test_short_and_long_texts_score_alike_from_the_file(scorer, saved):
    tokens = scorer.encode(TRAIN).tokens.ids
    expected = scorer.model.log_probs(tokens)
    table = load_model(saved).model.table
    grams = sum(table.sizes)
    for long in (False, True):
        model = load_model(saved).model
        size = len(tokens) if long else 200
        assert (size * 16 >= grams) is long
        assert model.log_probs(tokens[:size]).tolist() == expected[:size].tolist()


@pytest.mark.parametrize("options", [{"order": 1}, {"order": 2}, {"order": 4}, {"order": 3, "bits": 8}])
@pytest.mark.parametrize("stretch", [1, 40, 1 << 19])
@pytest.mark.parametrize("documents", ["line", "stream"])
def test_a_long_text_is_scored_from_end_to_end_of_the_table(
    options, stretch, documents, tmp_path, monkeypatch
):
    train = canonical_text(["\n".join(WORDS[:300])], "none", documents)
    scorer = Scorer.fit(
        make_model("kneser-ney", **options), Corpus("words", train, None, TEST, "none", documents), "word"
    )
    scorer.save(tmp_path / "model")
    texts = ("\n".join(WORDS[250:400]) + "\n", WORDS[3] + "\n", "never before\n")
    asked = [scorer.encode(canonical_text([text], "none", documents)).tokens for text in texts]
    asked += [Tokens(tokens.ids, tokens.starts) for tokens in asked]  # documents that begin after nothing
    expected = [scorer.model.log_probs(tokens).tolist() for tokens in asked]
    monkeypatch.setattr(packing, "_STRETCH", stretch)
    for name in ("_LONG", "_REST"):
        monkeypatch.setattr(table, name, 1)
    monkeypatch.setattr(table, "_LARGE", 0)
    monkeypatch.setattr(table.Table, "descend", None)  # nothing is looked up in another way
    scorer.model.table.index.clear()
    for model in (load_model(tmp_path / "model").model, scorer.model):
        assert [model.log_probs(tokens).tolist() for tokens in asked] == expected


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1000])
@pytest.mark.parametrize("step", [1, 7, 32])
def test_every_so_many_of_a_column_are_taken_piece_by_piece(size, step, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 10)
    monkeypatch.setattr(packing, "PIECE", 10)
    values = np.arange(size)
    assert packing._every(values, step).tolist() == values[::step].tolist()


def test_lookups_in_the_file_are_those_in_memory(scorer, saved):
    mapped, table = load_model(saved).model.table, scorer.model.table
    rng = np.random.default_rng(0)
    assert (mapped.order, mapped.sizes) == (table.order, table.sizes)
    for k in range(2, table.order + 1):
        prefixes = np.arange(-1, table.sizes[k - 1], 3)[1:]
        words = rng.integers(0, table.vocab_size, len(prefixes))
        assert mapped.find(k, prefixes, words).tolist() == table.find(k, prefixes, words).tolist()
        for here, there in zip(
            mapped.children(k - 1, prefixes), table.children(k - 1, prefixes), strict=True
        ):
            assert here.tolist() == there.tolist()
        ranks = np.arange(table.sizes[k])
        assert mapped.find(k, table.prefixes(k), table.words[k]).tolist() == ranks.tolist()
        assert mapped.words_at(k, ranks).tolist() == table.words[k].tolist()
        assert mapped.ngrams(k).tolist() == NgramTrie.ngrams(table, k).tolist()


def test_a_loaded_model_saves_as_the_same_file(saved, tmp_path):
    load_model(saved).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()


@pytest.mark.parametrize("options", [{"order": 1}, {"order": 3, "bits": 8}, {"order": 3, "bits": 32}])
def test_other_forms_come_back_too(options, tmp_path):
    corpus = Corpus("words", TRAIN, None, TEST, "none", "line")
    scorer = Scorer.fit(make_model("kneser-ney", **options), corpus, "word")
    scorer.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model", check=True)
    assert loaded.score(TEST).log_probs.tolist() == scorer.score(TEST).log_probs.tolist()


def test_unigrams_that_single_precision_holds_do_not_round_the_rest(tmp_path):
    # Here p(a) = p(b) = 1/2, exact in single precision.
    text = canonical_text([" ".join(["a b"] * 32)], "none", "stream")
    test = canonical_text(["a a b b a"], "none", "stream")
    corpus = Corpus("halves", text, None, test, "none", "stream")
    scorer = Scorer.fit(make_model("bigram", eps=(0, 0.3)), corpus, "word")
    scorer.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert loaded.model.table.probs[1].tolist() == scorer.model.table.probs[1].tolist() == [0, 0.5, 0.5]
    assert loaded.score(test).log_probs.tolist() == scorer.score(test).log_probs.tolist()
    symbols, is_bos = np.array([1, 1, 2, 2], dtype=np.int32), np.array([True, False, False, False])
    # "a a" was never seen, a 32 times.
    assert loaded.model.table.score_symbols(symbols, is_bos)[1] == 0.3 / 32.3 * 0.5


def outcome(path, check=False):
    """The scores that a file gives, or None where it is refused as it should be: in one line that names it."""
    told = ""
    try:
        return load_model(path, check=check).score(TEST).log_probs.tolist()
    except InputError as error:
        told = str(error)
    assert str(path) in told
    assert "\n" not in told
    return None


@given(st.data())
def test_a_changed_byte_is_noticed_or_does_not_matter(scorer, saved, data):
    content = bytearray(saved.read_bytes())
    place = data.draw(st.one_of(st.integers(0, 2000), st.integers(0, len(content) - 1)))
    content[place] ^= data.draw(st.integers(1, 255))
    changed = saved.with_name("changed")
    changed.write_bytes(content)
    assert outcome(changed) in (None, scorer.score(TEST).log_probs.tolist())


def test_damage_is_told_where_it_is_read_and_by_a_check(saved):
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1  # in the vocabulary's bytes
    content[len(content) // 2] ^= 1
    changed = saved.with_name("broken")
    changed.write_bytes(content)
    with pytest.raises(InputError, match="broken is damaged"):
        load_model(changed, check=True)


@given(st.data())
def test_a_file_cut_or_lengthened_is_refused(saved, data):
    content = saved.read_bytes()
    changed = saved.with_name("cut")
    if data.draw(st.booleans()):
        changed.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    else:
        changed.write_bytes(content + data.draw(st.binary(min_size=1, max_size=99)))
    assert outcome(changed) is None


@given(st.one_of(st.binary(max_size=300), st.text(max_size=80).map(str.encode)))
def test_foreign_files_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "foreign"
    path.write_bytes(content)
    assert outcome(path) is None
    framed = len(content).to_bytes(8, "little") + content + b"0" * 50
    path.write_bytes(framed)
    assert outcome(path) is None


def test_what_is_no_model_file_is_told(tmp_path):
    with pytest.raises(InputError, match="no such model file"):
        load_model(tmp_path / "missing")
    with pytest.raises(InputError, match="Is a directory"):
        load_model(tmp_path)
    write_arrays(tmp_path / "other", {"a": np.arange(3)}, {"format": 99})
    with pytest.raises(InputError, match="has format 99"):
        load_model(tmp_path / "other")


@given(
    st.lists(
        st.tuples(st.sampled_from(["u1", "u2", "f4", "f8", "i8", "?"]), st.integers(0, 30_000)), max_size=5
    )
)
def test_arrays_come_back_whole_and_in_part(tmp_path_factory, kinds):
    path = tmp_path_factory.getbasetemp() / "arrays"
    arrays = {f"a{i}": (np.arange(n) % 97).astype(kind) for i, (kind, n) in enumerate(kinds)}
    write_arrays(path, arrays, {"x": 1})
    facts, columns = open_arrays(path) if arrays else ({"x": 1}, {})
    assert facts == {"x": 1}
    for name, array in arrays.items():
        some = np.arange(0, len(array), 7)
        assert columns[name][some].tolist() == array[some].tolist()
        assert columns[name].all().tolist() == array.tolist()
        assert columns[name].dtype == array.dtype


def test_only_the_blocks_that_are_read_are_checked(tmp_path):
    write_arrays(tmp_path / "a", {"a": np.arange(100_000)}, {})
    with open(tmp_path / "a", "r+b") as stream:
        stream.seek(-8, os.SEEK_END)  # the last number
        stream.write(b"x")
    column = open_arrays(tmp_path / "a")[1]["a"]
    assert column[np.array([0, 50_000])].tolist() == [0, 50_000]
    with pytest.raises(InputError, match="is damaged"):
        column[np.array([99_999])]


def test_files_that_safetensors_wrote_otherwise_are_not_taken_for_ours(tmp_path):
    from safetensors.numpy import load_file, save_file

    save_file({"a": np.arange(4)}, tmp_path / "theirs")
    with pytest.raises(InputError, match="is not a model that lmbench saved"):
        load_model(tmp_path / "theirs")
    write_arrays(tmp_path / "ours", {"b": np.arange(4), "c": np.ones((2, 3), np.float32)}, {})
    assert load_file(tmp_path / "ours")["c"].shape == (2, 3)


# Damage that fits its checksums -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def files():
    """Small saved models by kind and name."""
    return {kind: saved_models(kind) for kind in MODELS}


NAMES = [(kind, name) for kind, models in MODELS.items() for name in models] + [("count", "arpa")]


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=150)
@given(data=st.data())
def test_no_damage_makes_the_reader_of_models_fail(files, tmp_path_factory, kind, data):
    name = data.draw(st.sampled_from(sorted(files[kind])))
    rng = data.draw(st.randoms(use_true_random=False))
    saved_scores(damaged_saved(files[kind][name], rng), tmp_path_factory.getbasetemp())


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_whatever_an_array_holds(files, tmp_path, kind, name):
    """Every array zero, of the largest numbers, not there, of another type, one number shorter than it should be, or the row of a table."""
    content = files[kind][name]
    sound = saved_scores(content, tmp_path)
    assert sound is not None
    assert sealed(*parts(content)) == content
    for array in parts(content)[0].keys() - {"__metadata__", "crc32"}:
        for damage in ("zeros", "ones", "missing", "type", "shorter", "deeper"):
            header, body = parts(content)
            place = header[array]
            begin, end = place["data_offsets"]
            match damage:
                case "zeros" | "ones":
                    fill = b"\0" if damage == "zeros" else b"\x7f"
                    body = body[:begin] + fill * (end - begin) + body[end:]
                case "deeper":
                    place["shape"].insert(0, 1)
                case "missing":
                    header[f"no {array}"] = header.pop(array)
                case "type":
                    place["dtype"] = {"U": "I", "I": "F", "F": "I", "B": "U"}[place["dtype"][0]] + (
                        place["dtype"][1:] if place["dtype"] not in ("I8", "BOOL") else "8"
                    )
                case "shorter" if place["shape"][0]:
                    place["data_offsets"] = [begin, end - (end - begin) // place["shape"][0]]
                    place["shape"][0] -= 1
            told = saved_scores(sealed(header, body), tmp_path)
            # A training text that lacks its last token, or document, is another text.
            is_text = "infini-gram" in content.decode("latin-1") and array.endswith((".ids", ".starts"))
            assert (
                told in (None, sound)
                or damage in ("zeros", "ones", "type")
                or (is_text and damage == "shorter")
            )


FACTS = {
    "a fact missing": lambda facts: facts.pop("reserved"),
    "a fact of another type": lambda facts: facts.update(notes="none"),
    "no reserved entry": lambda facts: facts.update(reserved=0),
    "more words than there are": lambda facts: facts.update(vocab_size=2**40),
    "a vocabulary of none": lambda facts: facts.update(vocab_size=0),
    "an option of no model": lambda facts: facts["options"].update(name="x"),
    "an option with a line end": lambda facts: facts["options"].update(a="\n"),
    "another model": lambda facts: facts.update(model="\n" * 1000),
    "another unit": lambda facts: facts.update(unit=["word"]),
    "no normaliser": lambda facts: facts.update(normalise="none "),
    "no way to divide a text": lambda facts: facts.update(documents="lines"),
    "an unknown token like others": lambda facts: facts.update(unk="a"),
    "a format of another kind": lambda facts: facts.update(format="\n" * 1000),
    "no facts": lambda facts: facts.clear(),
}


@pytest.mark.parametrize("what", FACTS)
def test_facts_that_cannot_be_are_refused(files, tmp_path, what):
    header, body = parts(files["count"]["kneser-ney"])
    facts = json.loads(header["__metadata__"]["lmbench"])
    FACTS[what](facts)
    header["__metadata__"]["lmbench"] = json.dumps(facts)
    assert saved_scores(sealed(header, body), tmp_path) is None


@pytest.mark.parametrize(
    ("kind", "name", "options"),
    [
        ("count", "kneser-ney", {"order": 10**9}),
        ("count", "kneser-ney", {"kenlm_counts": "\n"}),
        ("neural", "gru", {"hidden": 10**9}),
        ("neural", "rnn-scratch", {"hidden": 10**6}),
        ("neural", "transformer", {"hidden": 10**8}),
        ("neural", "mlp", {"window": 10**9}),
    ],
)
def test_options_that_the_arrays_do_not_bear_out_take_no_time_and_no_memory(
    files, tmp_path, kind, name, options
):
    header, body = parts(files[kind][name])
    facts = json.loads(header["__metadata__"]["lmbench"])
    facts["options"] |= options
    header["__metadata__"]["lmbench"] = json.dumps(facts)
    assert saved_scores(sealed(header, body), tmp_path) is None


@pytest.mark.parametrize("facts", ["1e-320", "[]", "null", '"a"'])
def test_facts_that_are_no_table_are_refused(files, tmp_path, facts):
    header, body = parts(files["count"]["uniform"])
    header["__metadata__"]["lmbench"] = facts
    assert saved_scores(sealed(header, body), tmp_path) is None


PLACES = {
    "a length of -1": {"shape": [-1]},
    "a length beyond all": {"shape": [2**63]},
    "lengths beyond all": {"shape": [2**40, 2**40]},
    "too many dimensions": {"shape": [1] * 100},
    "a length of half": {"shape": [0.5]},
    "an unknown type": {"dtype": "F8"},
    "an end before the beginning": {"data_offsets": [800, 0]},
    "a place before the beginning": {"data_offsets": [-8, 0]},
    "a place beyond the end": {"data_offsets": [2**62, 2**62 + 8]},
    "no place": {"data_offsets": [0]},
}


@pytest.mark.parametrize("what", PLACES)
def test_places_that_cannot_be_are_refused(files, tmp_path, what):
    for array in ("crc32", "vocab", "model.probs.1"):
        header, body = parts(files["count"]["stupid-backoff"])
        header[array].update(PLACES[what])
        told = saved_scores(sealed(header, body), tmp_path)
        assert told is None or array == "crc32"  # of which only the place is read


@pytest.mark.parametrize(
    "content",
    [b"[" * 200_000, b'{"a":' * 200_000, b'{"__metadata__": 1}', b'{"__metadata__": {"lmbench": 5}}', b"{}"],
)
def test_headers_of_another_kind_are_refused(tmp_path, content):
    assert saved_scores(len(content).to_bytes(8, "little") + content + bytes(64), tmp_path) is None


def test_a_pipe_is_told_from_a_model(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe"):
        load_model(tmp_path / "pipe")
    with pytest.raises(InputError, match="cannot read"):
        load_model(tmp_path / "model.arpa")

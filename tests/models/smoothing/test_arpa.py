r"""What an ARPA file says as a model, against what KenLM's ``query`` said of it."""

import tempfile
import tracemalloc
from itertools import product

import numpy as np
import pytest
from arpa_files import FILES, SMALL, WORD, lines_of, loaded
from hypothesis import given
from hypothesis import strategies as st
from paths import GOLDEN

from lmbench.cli import main
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.laws import broken_laws
from lmbench.models.smoothing import arpa_file
from lmbench.models.smoothing.arpa import from_arpa, to_arpa
from lmbench.models.smoothing.arpa_file import parse_arpa, read_arpa, write_arpa
from lmbench.models.smoothing.arpa_reader import Arpa
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import Tokens, encode
from lmbench.text.vocab import Vocab, build_vocab


@pytest.mark.parametrize("name", FILES)
def test_scores_are_those_of_query(name):
    model, encoded = loaded(GOLDEN / name, lines_of(GOLDEN / "ferry.test.txt"))
    golden = [line.split("\t") for line in (GOLDEN / FILES[name]).read_text().splitlines()[1:]]
    assert [w.replace("</s>", "\n") for w, _, _ in golden] == encoded.surface()
    expected = [float(log10) for _, _, log10 in golden]
    np.testing.assert_allclose(model.log_probs(encoded.tokens) / np.log(10), expected, atol=1e-5)
    assert broken_laws(model, Tokens.of(encoded.tokens.documents()[0], encoded.tokens.bos)) == {}


def test_a_small_model_by_hand(tmp_path):
    (tmp_path / "small.arpa").write_text(SMALL)
    model, encoded = loaded(tmp_path / "small.arpa", canonical_text(["a b\nb c\n\n"], "none", "line"))
    found = model.log_probs(encoded.tokens) / np.log(10)
    # a after <s>; b after a; </s> after b: no backoff, the unigram.  b after <s>: backoff -0.5, unigram -1;
    # c, unknown, after b: the unigram of <unk>; </s> after it.  </s> after <s>: backoff -0.5, unigram -0.5.
    np.testing.assert_allclose(found, [-0.25, -0.5, -0.5, -1.5, -1.5, -0.5, -1.0], rtol=1e-12)


def obvious(entries, words):
    """log10 p of the last word: its own entry, or else the backoff weight of the context and one word less of it."""
    if words in entries:
        return entries[words][0]
    return entries.get(words[:-1], (0, 0))[1] + obvious(entries, words[1:])


@given(st.data())
def test_scores_are_those_of_the_obvious_program_though_prefixes_lack(data):
    number = st.floats(-3, 0, width=16)
    entries = {(w,): (data.draw(number), data.draw(number)) for w in ("<unk>", "<s>", "</s>", "a", "b")}
    for k in (2, 3, 4):
        for words in product("ab", repeat=k):
            if data.draw(st.booleans()):
                entries[words] = (data.draw(number), data.draw(number) if k < 4 else 0.0)
    orders = [[words for words in entries if len(words) == k] for k in (1, 2, 3, 4)]
    spelt = [words[0] for words in orders[0]]
    vocab, table = from_arpa(
        Arpa(
            spelt,
            tuple(
                np.array([[*map(spelt.index, w)] for w in o], np.int32).reshape(-1, k)
                for k, o in enumerate(orders, 1)
            ),
            *(tuple(np.array([entries[w][i] for w in o]) for o in orders) for i in (0, 1)),
        ),
        "drawn",
    )
    text = data.draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=12))
    expected = [obvious(entries, ("<s>", *text)[max(0, t - 2) : t + 2]) for t in range(len(text))]
    np.testing.assert_allclose(np.log10(table.score(Tokens.of(vocab.encode(text), 1))), expected, atol=1e-12)


def test_prefixes_that_a_file_lacks_get_their_probability(tmp_path):
    """SRILM's pruning may drop 'a b' and keep 'a b a': then p(b | a) = 10^(-0.125 - 1), and nothing else changes."""
    text = SMALL.replace("ngram 2=3", "ngram 2=2\nngram 3=1").replace("-0.5\ta b\n", "")
    text = text.replace("\n\\end", "\n\\3-grams:\n-0.1\ta b a\n\n\\end")
    (tmp_path / "pruned.arpa").write_text(text)
    model, encoded = loaded(tmp_path / "pruned.arpa", canonical_text(["a b a"], "none", "line"))
    np.testing.assert_allclose(
        model.log_probs(encoded.tokens) / np.log(10), [-0.25, -1.125, -0.1, -0.75], rtol=1e-12
    )


def test_kneser_ney_written_and_read_scores_the_same(tmp_path):
    text = lines_of(GOLDEN / "ferry.train.txt")
    vocab = build_vocab(text, WORD)
    train, test = (encode(t, WORD, vocab) for t in (text, lines_of(GOLDEN / "ferry.test.txt")))
    model = make_model("kneser-ney", order=3, kenlm_counts=True).fit(train.tokens, vocab_size=len(vocab))
    arpa = to_arpa(model, vocab)
    write_arpa(tmp_path / "own.arpa.gz", arpa)
    other, encoded = loaded(tmp_path / "own.arpa.gz", test.canonical)
    np.testing.assert_allclose(other.log_probs(encoded.tokens), model.log_probs(test.tokens), rtol=1e-12)
    # Entry by entry, in whatever order, the file that KenLM wrote.
    golden = read_arpa(GOLDEN / "ferry.o3.arpa")
    for k in range(3):
        ours, theirs = (
            {
                tuple(a.words[i] for i in row): values
                for row, *values in zip(
                    a.ngrams[k].tolist(), a.log10_probs[k], a.log10_backoffs[k], strict=True
                )
            }
            for a in (arpa, golden)
        )
        assert ours.keys() == theirs.keys()
        np.testing.assert_allclose([ours[g] for g in theirs], list(theirs.values()), atol=1e-5)


def test_a_scorer_saved_as_arpa_scores_the_same(ferry, tmp_path):
    scorer = Scorer.fit(make_model("witten-bell", order=2), ferry, "word")
    scorer.save(tmp_path / "model.arpa.gz")
    again = Scorer.fit(make_model("arpa", file=str(tmp_path / "model.arpa.gz")), ferry, "word")
    before, after = (s.score(ferry.test) for s in (scorer, again))
    np.testing.assert_allclose(after.nats, before.nats, rtol=1e-9)
    with pytest.raises(InputError, match="not made of n-grams"):
        Scorer.fit(make_model("uniform"), ferry, "word").save(tmp_path / "uniform.arpa")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.arpa.gz"]


@pytest.mark.parametrize("model", ["bigram", "trigram", "jelinek-mercer"])
def test_models_of_few_lines_are_saved_or_the_lines_said_to_be_too_few(model, tmp_path, capsys):
    """The tenth that is held out is whole lines: half a line has no end of a sentence, or an empty word."""
    (tmp_path / "four.txt").write_text("the old clock is loud\nclock makers\nan old friend\nthere are nine\n")
    (tmp_path / "one.txt").write_text("the old clock is loud\n")
    place = tmp_path / "few.arpa"
    command = [
        "fit",
        "--model",
        model,
        "--unit",
        "word",
        "--documents",
        "line",
        "--save",
        str(place),
        "--train",
    ]
    assert main([*command, str(tmp_path / "four.txt")]) == 0
    assert read_arpa(place).words[:3] == ["<unk>", "<s>", "</s>"]
    place.unlink()
    assert main([*command, str(tmp_path / "one.txt")]) == 2
    assert "too short to hold a tenth out; give --valid" in capsys.readouterr().err
    assert not place.exists()


def test_what_arpa_cannot_say_is_refused():
    vocab = Vocab(["\n", "a", "a"])
    model = make_model("witten-bell", order=3).fit([1, 2, 1, 1], vocab_size=3)
    with pytest.raises(InputError, match="run across the ends of lines"):
        to_arpa(model, vocab)
    with pytest.raises(InputError, match="needs the ends of sentences"):
        to_arpa(model, Vocab(["a", "b"]))
    with pytest.raises(InputError, match="reserve"):
        to_arpa(model, Vocab(["\n", "<unk>"]))


def test_files_that_are_no_model_are_refused(tmp_path):
    with pytest.raises(InputError, match="option file"):
        make_model("arpa")
    with pytest.raises(InputError, match="cannot read"):
        make_model("arpa", file=str(tmp_path / "none.arpa")).vocabulary(Vocab())
    for old, new, message in (
        ("<s>", "<p>", "no <s>"),
        ("a </s>", "a <s>", "2-gram 'a <s>' crosses the end"),
        ("a b", "a </s>", "2-gram 'a </s>' twice"),
        ("b\n", "<UNK>\n", "both <unk> and <UNK>"),
    ):
        with pytest.raises(InputError, match=message):
            from_arpa(parse_arpa(SMALL.replace(old, new)), "model.arpa")


def test_saved_and_restored_without_the_file(tmp_path):
    (tmp_path / "small.arpa").write_text(SMALL.replace("-1.5\t<unk>\n", "").replace("1=5", "1=4"))
    model, encoded = loaded(tmp_path / "small.arpa", canonical_text(["a b\nb c\n"], "none", "line"))
    assert "no <unk>" in model.notes[0]
    (tmp_path / "small.arpa").unlink()
    other = make_model("arpa", **model.options())
    other.restore(model.state(), model.vocab_size)
    assert other.log_probs(encoded.tokens).tolist() == model.log_probs(encoded.tokens).tolist()


PROPER = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-0.60206\t<unk>
-99\t<s>\t-0.1760913
-0.60206\t</s>
-0.30103\ta

\\2-grams:
-0.1760913\t<s> a

\\end\\
"""


def test_backoff_weights_that_are_missing_are_told():
    """p(a | <s>) = 2/3, so that half of the rest, 1/3 / (1/2) = 2/3 = 10^-0.176, is the weight; without it Σ p = 7/6."""
    model = fitted_from(PROPER)
    assert model.notes == []
    with pytest.raises(InputError, match=r"after '<s>' sum to 1.167, as its backoff weight is missing"):
        fitted_from(PROPER.replace("<s>\t-0.1760913", "<s>"))
    assert (
        "after '<s>' sum to 1.196, not 1" in fitted_from(PROPER.replace("<s>\t-0.176", "<s>\t0.025")).notes[0]
    )
    assert (
        "without context sum to 0.75, not 1"
        in fitted_from(PROPER.replace("-0.60206\t<unk>", "-9\t<unk>")).notes[0]
    )


def test_a_probability_above_1_is_refused_where_it_comes_out(tmp_path):
    model = fitted_from(PROPER.replace("<s>\t-0.176", "<s>\t3.176"))
    with pytest.raises(InputError, match=r"arpa \(.*\) gives a probability of e\^.*, above 1"):
        model.log_probs(Tokens.of([0], 1))
    with pytest.raises(InputError, match="above 1"):
        model.next_log_probs([], 1)


def fitted_from(text):
    with tempfile.NamedTemporaryFile("w", suffix=".arpa") as file:
        file.write(text)
        file.flush()
        return loaded(file.name, canonical_text(["a"], "none", "line"))[0]


def test_memory_is_a_few_times_the_size_of_the_file(tmp_path):
    """20 times it was, when each line was a string."""
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(2000)]
    pairs = np.unique(rng.integers(0, 2000, (150_000, 2)), axis=0)
    numbers = np.char.mod("-%.6f", rng.random(len(pairs)) * 5)
    with (tmp_path / "large.arpa").open("w") as file:
        file.write(f"\\data\\\nngram 1=2003\nngram 2={len(pairs)}\n\n\\1-grams:\n")
        file.writelines(f"-3.3\t{word}\t-0.1\n" for word in ["<unk>", "<s>", "</s>", *words])
        file.write("\n\\2-grams:\n")
        file.writelines(f"{p}\tword{a} word{b}\n" for p, (a, b) in zip(numbers, pairs.tolist(), strict=True))
        file.write("\n\\end\\\n")
    arpa_file.BLOCK, before = 1 << 18, arpa_file.BLOCK
    tracemalloc.start()
    try:
        arpa = read_arpa(tmp_path / "large.arpa")
        from_arpa(arpa, "large")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        arpa_file.BLOCK = before
    assert peak < 3 * (tmp_path / "large.arpa").stat().st_size
    assert arpa.log10_probs[1].tolist() == [float(number) for number in numbers]

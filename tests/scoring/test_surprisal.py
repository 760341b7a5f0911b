"""Words and their bits: beside sums over strings for small models, plain transformers, and minicons."""

import functools
import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_transformers import FAMILIES, TEXT, byte_level, gpt2, llama, save, transformers

import lmbench as lb
from lmbench.corpora.corpus import Documents
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring import word_charges
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.surprisal import surprisal, words_of
from lmbench.scoring.word_ends import BLANK, LETTER, MARK, Words, kinds_of_characters
from lmbench.text.canonical import BLANKS, canonical_text

STORY = (
    "The ferry left at nine.\nWhen he came back,\n\nthe river was gone...\n"
    '"Where is it?" she asked. 日本 it\u00a0was here\u3000at 10:45—so he’s gone.\n'
)


def corpus_of(text=TEXT, documents="stream", normalise="none"):
    read = canonical_text([text], normalise, documents)
    return lb.Corpus("small", read, None, None, normalise, documents)


@functools.cache
def counted(
    unit, documents="stream", name="kneser-ney", order=3, text=TEXT + "it\u00a0was 日本—so’s\u3000here\n"
):
    return Scorer.fit(make_model(name, order=order), corpus_of(text, documents), unit)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")

    @functools.cache
    def scorer(family):
        tokenizer = FAMILIES[family]()
        save(root / family, tokenizer, gpt2 if tokenizer.bos_token is None else llama, positions=64)
        return Scorer.fit(make_model("hugging-face", path=str(root / family)), corpus_of())

    return scorer


# What adds up --------------------------------------------------------------------------------------


def check_sums(scorer, text, punctuation, documents):
    table = surprisal(scorer, text, punctuation=punctuation, documents=documents)
    scores = scorer.score(canonical_text([text], "none", documents))
    assert table.bits.sum() == pytest.approx(scores.bits.sum(), rel=1e-9)
    assert table.uncorrected.sum() == pytest.approx(scores.bits.sum(), rel=1e-9)
    assert table.tokens.sum() == len(scores)
    assert table.bits.min() > -1e-9
    words = table[table.text.str.strip() != ""]
    assert [text[a:b] for a, b in zip(words.start, words.end, strict=True)] == words.text.tolist()
    assert "".join(words.text) == "".join(text.split())
    if punctuation == "joined":
        assert words.text.tolist() == text.split()
    before = words.groupby("document").token_entropy.shift(-1)
    if documents == "stream":
        np.testing.assert_allclose(words.token_entropy_reduction, words.token_entropy - before)
    return table


@pytest.mark.parametrize("documents", ["line", "stream"])
@pytest.mark.parametrize("punctuation", ["joined", "apart"])
@pytest.mark.parametrize(
    "unit", ["char", "byte", *(f"subword:kind=bpe,level={n},size=350" for n in ("char", "byte"))]
)
def test_words_of_count_models_add_up_to_the_text(unit, punctuation, documents):
    check_sums(counted(unit), STORY, punctuation, documents)


@pytest.mark.parametrize("documents", ["line", "stream"])
@pytest.mark.parametrize("family", [*FAMILIES])
def test_words_of_pretrained_models_add_up_to_the_text(pretrained, family, documents):
    story = STORY.replace("\n\n", "\n") if documents == "line" else STORY
    for punctuation in ("joined", "apart"):
        check_sums(pretrained(family), story, punctuation, documents)


@pytest.mark.parametrize("model", ["lstm", "cache", "mixture"])
def test_words_of_other_models_add_up_to_the_text(model):
    options = {"lstm": {"hidden": 8, "epochs": 1}, "mixture": {"of": "bigram,unigram"}}.get(model, {})
    corpus = corpus_of(TEXT).with_held_out()
    parts = [
        Scorer.fit(make_model(part), corpus, "char") for part in options.get("of", "").split(",") if part
    ]
    scorer = Scorer.fit(make_model(model, **options), corpus, "char", components=parts)
    check_sums(scorer, STORY, "joined", "stream")


def test_a_model_by_word_has_its_ends_in_its_tokens():
    scorer = counted("word")
    text = "the ferry  left at nine\nthe zebra was gone\n"
    table = check_sums(scorer, text, "joined", "line")
    scores = scorer.score(canonical_text([text], "none", "line"))
    assert table.bits.tolist() == table.uncorrected.tolist()
    assert table.oov.sum() == scores.oov.sum() > 0
    rows = np.exp(scorer.model.distributions(scorer.encode(canonical_text([text], "none", "line")).tokens))
    entropies = -(rows * np.log2(rows)).sum(axis=1)
    assert table.token_entropy[0] == pytest.approx(entropies[0])
    assert table.token_entropy[4] == pytest.approx(entropies[5])  # two spaces enclose an empty word
    assert table.token_entropy_reduction[0] == pytest.approx(entropies[0] - entropies[1])
    with pytest.raises(InputError, match=r"cannot tell the end of a word inside 'nine\.'"):
        surprisal(scorer, "at nine.\n", punctuation="apart")
    with pytest.raises(InputError, match=r"inside 'it\\xa0was'"):
        surprisal(scorer, "it\u00a0was\n")


# The chance of an end, beside sums over all characters ------------------------------------------------


@functools.cache
def kinds_by_first_bytes(punctuation):
    """For the first bytes of every character of the basic plane: the kinds of the characters that begin so."""
    kinds, begun = kinds_of_characters(punctuation), {}
    for point in range(0x10000):
        data = chr(point).encode("utf-8", "surrogatepass")
        for length in range(1, len(data) + 1):
            begun.setdefault(data[:length], set()).add(int(kinds[point]))
    return begun


def chance_of_bytes(scorer, ids, kind, punctuation, data=()):
    """That the bytes that follow are no character of a kind; what is no character at all is a letter."""
    total, row = 0.0, cached_row(scorer, ids, data)
    for token in scorer.vocab.tokens[1:]:
        p = math.exp(row[scorer.vocab[token]])
        begun = b"".join(map(scorer.unit.brings, (*data, token)))
        kinds = kinds_by_first_bytes(punctuation).get(begun, {LETTER})
        if kinds == {kind} or p < 1e-9:
            continue
        total += (
            p
            if kind not in kinds or len(kinds) == 1
            else p * chance_of_bytes(scorer, ids, kind, punctuation, (*data, token))
        )
    return total


@functools.cache
def chance_of_unknown(scorer, kind, punctuation):
    kinds = kinds_of_characters(punctuation)
    points, known = np.flatnonzero(kinds != kind).tolist(), set(scorer.vocab.tokens)
    points = [p for p in points if not 0xD800 <= p < 0xE000]
    return float(np.exp(scorer.speller.log_probs([chr(p) for p in points if chr(p) not in known])).sum())


def slow_ends(scorer, text, punctuation):
    """ln p(what stands before a word's end, and that it ends there), each by asking for every character."""
    kinds = kinds_of_characters(punctuation)
    words = Words.of(text, np.array([0]), punctuation)
    vocab, logs = scorer.vocab, []
    for end, kind in zip(words.ends.tolist(), words.kinds.tolist(), strict=True):
        before = scorer.score(canonical_text([text[:end]], "none", "stream")).nats.sum()
        ids = tuple(vocab.encode(scorer.unit.split(text[:end])).tolist())
        if scorer.unit.name == "char":
            row = np.exp(cached_row(scorer, ids, ()))
            chance = sum(row[vocab[c]] for c in vocab.tokens[1:] if kinds[ord(c)] != kind)
            chance += row[0] * chance_of_unknown(scorer, kind, punctuation)
        else:
            chance = chance_of_bytes(scorer, ids, kind, punctuation)
        logs.append(before + math.log(chance))
    return np.array(logs), words


@functools.cache
def cached_row(scorer, ids, more):
    context = np.concatenate([np.array(ids, dtype=np.int32), scorer.vocab.encode(list(more))])
    return scorer.model.next_log_probs(context.astype(np.int32), scorer.vocab.newline)


Scorer.__hash__ = object.__hash__


@pytest.mark.parametrize("punctuation", ["joined", "apart"])
@pytest.mark.parametrize("unit", ["char", "byte"])
def test_ends_are_the_sum_over_all_characters_that_do_not_go_on(unit, punctuation):
    scorer, text = counted(unit), "it\u00a0was here—so. 日本\u3000no\n"
    logs, words = slow_ends(scorer, text, punctuation)
    bits = -np.diff(logs, prepend=0.0) / math.log(2)
    table = surprisal(scorer, text, punctuation=punctuation)
    assert len(table) == len(words.ends) + 1
    np.testing.assert_allclose(table.bits[:-1], bits, atol=1e-5 if unit == "byte" else 1e-9)


def test_kinds_of_characters():
    joined, apart = kinds_of_characters("joined"), kinds_of_characters("apart")
    assert np.flatnonzero(joined == BLANK).tolist() == BLANKS
    assert [int(apart[ord(c)]) for c in "a日1 \n.,$—'’-_"] == [LETTER] * 3 + [BLANK] * 2 + [MARK] * 4 + [
        LETTER
    ] * 4


# Beside plain transformers and minicons ----------------------------------------------------------------


def slow_bits(folder, text, ends_word):
    """Pimentel & Meister's words (2024, section 4) from all logits at once; ends_word: of a token's text, or of none."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).float().eval()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        rows = torch.log_softmax(network(torch.tensor([[0, *ids]])).logits[0].double(), -1).numpy()
    over = np.array([ends_word(tokenizer.decode([i]) if i else "") for i in range(len(tokenizer))])
    begins = [t for t, i in enumerate(ids) if t == 0 or tokenizer.decode([i])[0].isspace()]
    bits, given = [], 0.0
    for begin, end in itertools.pairwise(begins):
        nats = sum(rows[t, ids[t]] for t in range(begin, end))
        told = np.log(np.exp(rows[end, over]).sum())
        bits.append(-(nats + told - given) / math.log(2))
        given = told
    return np.array(bits)


# minicons 0.3.39 on the model that ``save(folder, byte_level(), gpt2, positions=64)`` makes:
#   lm = minicons.scorer.IncrementalLMScorer(folder, "cpu"); lm.tokenizer.bos_token = "<|endoftext|>"
#   lm.word_score_tokenized(sentence, tokenize_function=str.split, bow_correction=True, bos_token=True, surprisal=True, base_two=True)
MINICONS = {
    "The ferry left at nine; the ferryman did not.": [
        *(12.60769, 13.71867, 5.49948, 10.58768, 17.95971),
        *(10.45279, 8.48906, 6.92313, 21.45925),
    ],
    "When he came back, the river was gone...": [
        *(11.6017, 13.65058, 11.83165, 20.31743),
        *(13.94352, 11.52222, 10.70294, 34.66071),
    ],
}


@pytest.mark.parametrize("sentence", [*MINICONS])
def test_words_are_those_of_minicons(pretrained, sentence):
    scorer = pretrained("gpt2")
    table = surprisal(scorer, sentence + "\n", end="space")
    assert table.text.tolist() == [*sentence.split(), "\n"]
    np.testing.assert_allclose(table.bits[:-1], MINICONS[sentence], atol=2e-5)
    folder = scorer.model.path
    np.testing.assert_allclose(
        table.bits[:-1], slow_bits(folder, sentence + "\n", lambda s: s[:1] == " "), atol=1e-4
    )
    blank = surprisal(scorer, sentence + "\n").bits[:-1]
    slow = slow_bits(folder, sentence + "\n", lambda s: not s or s[0].isspace())
    np.testing.assert_allclose(blank, slow, atol=1e-4)


def test_a_token_that_holds_an_end_inside_is_one_way_to_end_there(pretrained):
    """Of a tokenizer with tokens such as ``.`` and its line feed in one: the sum over those tokens, and what ends it otherwise."""
    scorer = pretrained("qwen")
    vocab, model = scorer.vocab, scorer.model
    names = [scorer.unit.brings(name) if i else b"" for i, name in enumerate(vocab.tokens)]

    def is_blank(data):
        return data.decode("utf-8", "ignore")[:1].isspace()

    def chance(context, key):
        row = model.next_log_probs(vocab.encode(scorer.unit.split(context)))
        held = sum(
            math.exp(row[i]) for i, n in enumerate(names) if n[: len(key)] == key and is_blank(n[len(key) :])
        )
        (exact,) = (i for i, n in enumerate(names) if n == key)
        ids = np.append(vocab.encode(scorer.unit.split(context)), np.int32(exact))
        after = model.next_log_probs(ids)
        over = sum(math.exp(after[i]) for i, n in enumerate(names) if (i and not n) or is_blank(n))
        assert held > 0
        return held + math.exp(row[exact]) * over

    for text, context, key in (("at nine.\nWhen", "at nine", b"."), ("at nine. When", "at nine", b".")):
        table = surprisal(scorer, text)
        before = scorer.score(canonical_text([context], "none", "stream")).log_prob
        assert table.bits[:2].sum() == pytest.approx(
            -(before + math.log(chance(context, key))) / math.log(2), abs=1e-4
        )


# How it is asked and answered ---------------------------------------------------------------------------


def test_rows_say_where_words_stand():
    table = surprisal(counted("char"), ["a b\n\nc", " d\n"], documents="stream")
    assert table[["document", "sentence", "word", "start", "end", "text"]].to_numpy().tolist() == [
        [0, 0, 0, 0, 1, "a"],
        [0, 0, 1, 2, 3, "b"],
        [0, 2, 0, 5, 6, "c"],
        [0, 2, 1, 6, 7, "\n"],
        [1, 0, 0, 1, 2, "d"],
        [1, 0, 1, 2, 3, "\n"],
    ]
    lines = surprisal(counted("char"), "a b\n\nc", documents="line")
    assert lines[["sentence", "word", "text"]].to_numpy().tolist() == [
        [0, 0, "a"],
        [0, 1, "b"],
        [0, 2, "\n"],
        [1, 0, "\n"],
        [2, 0, "c"],
        [2, 1, "\n"],
    ]


@pytest.mark.parametrize("normalise", ["whitespace", "letters"])
def test_offsets_are_those_of_the_text_as_it_was_given(normalise):
    scorer = Scorer.fit(make_model("bigram", eps="1,1"), corpus_of(normalise=normalise), "char")
    text = "  The   ferry\tleft, \n\n it was  gone\n"
    table = surprisal(scorer, text)
    words = table[table.text.str.strip() != ""]
    assert words.text.tolist() == [
        "The",
        "ferry",
        "left" if normalise == "letters" else "left,",
        "it",
        "was",
        "gone",
    ]
    assert [text[a:b] for a, b in zip(words.start, words.end, strict=True)] == words.text.tolist()
    assert table.bits.sum() == pytest.approx(scorer.score(text).bits.sum())


def test_several_models_stand_side_by_side():
    models = {"by char": counted("char"), "by word": counted("word")}
    table = surprisal(models, "the ferry left\n", documents="line")
    assert {"bits.by char", "bits.by word", "token_entropy.by word", "text"} <= set(table.columns)
    alone = surprisal(models["by char"], "the ferry left\n", documents="line")
    assert table["bits.by char"].tolist() == alone.bits.tolist()
    with pytest.raises(InputError, match="some of the models read lines"):
        surprisal([counted("char"), counted("word", documents="line", name="witten-bell")], "a b\n")
    with pytest.raises(InputError, match="have one name"):
        surprisal([counted("char"), counted("word")], "a b\n")
    letters = Scorer.fit(make_model("bigram", eps="1,1"), corpus_of(normalise="letters"), "char")
    with pytest.raises(InputError, match="other words"):
        surprisal({"a": counted("char"), "b": letters}, "a, b\n", punctuation="apart")
    with pytest.raises(InputError, match="only together with their punctuation"):
        [*words_of(counted("char"), ["a"], punctuation="apart", end="space")]


def test_what_a_model_holds_impossible_is_infinite_and_spoils_no_other_word():
    class Never(type(make_model("uniform"))):
        def _log_probs(self, tokens):
            return np.where(tokens.ids == 3, -np.inf, super()._log_probs(tokens))

    scorer = Scorer.fit(Never(), corpus_of("a b c d " * 9), "char")
    letter = scorer.vocab.tokens[3]
    others = [c for c in "abcd" if c != letter]
    table = surprisal(scorer, f"{others[0]} {letter} {others[1]} {others[2]}")
    assert np.isfinite(table.bits).tolist() == [True, False, True, True]
    assert surprisal(scorer, "").empty


def test_what_is_less_likely_than_a_number_can_be_is_finite_and_no_gain():
    """The end of a word costs at most what the text goes on with, which e^-800 is too small to say otherwise than as a logarithm."""

    class Hardly(type(make_model("uniform"))):
        def _log_probs(self, tokens):
            return np.full(len(tokens), -800.0)

        def _distributions(self, tokens, places):
            return np.full((len(places), self.vocab_size), -800.0)

    scorer = Scorer.fit(Hardly(), corpus_of("a b c d " * 9), "char")
    table = surprisal(scorer, "a b c")
    assert np.isfinite(table.bits).all()
    assert (table.bits >= 0).all()
    assert table.bits.sum() == pytest.approx(5 * 800 / math.log(2))


def test_a_batch_is_read_like_the_whole(monkeypatch):
    texts = ["the ferry left", "it was gone\nat nine", "he came back"] * 3
    whole = surprisal(counted("char"), texts)
    monkeypatch.setattr("lmbench.scoring.surprisal.BATCH", 20)
    monkeypatch.setattr("lmbench.scoring.word_charges.ROWS", 400)
    in_parts = surprisal(counted("char"), texts)
    np.testing.assert_allclose(whole.select_dtypes("number"), in_parts.select_dtypes("number"), atol=1e-9)
    assert byte_level is FAMILIES["gpt2"]


@pytest.mark.parametrize("unit", ["char", "word", "byte"])
@pytest.mark.parametrize("documents", ["stream", "line"])
def test_distributions_held_a_part_at_a_time_are_the_same(unit, documents, monkeypatch):
    text = TEXT if unit == "word" else STORY
    whole = surprisal(counted(unit, documents), text)
    monkeypatch.setattr(word_charges, "ROWS", 1)
    monkeypatch.setattr("lmbench.scoring.surprisal.ROWS", 7)
    parts = surprisal(counted(unit, documents), text)
    assert len(parts) > 20
    pd.testing.assert_frame_equal(whole, parts)


def test_a_long_text_is_not_summed_anew_for_each_of_its_pieces(monkeypatch):
    """Of 50 MB of words that come once, that took three quarters of the time."""
    corpus = lb.Corpus.of(Documents(["the tide waits for the ferry "] * 9), test=0.0, valid=0.0)
    scorer = Scorer.fit(make_model("witten-bell", order=2), corpus)
    text = "the ferry waits for the tide " * 200
    summed = []
    real = np.cumsum
    monkeypatch.setattr(
        np,
        "cumsum",
        lambda values, *more, **of: (summed.append(np.size(values)), real(values, *more, **of))[1],
    )
    whole = surprisal(scorer, text)
    assert len(whole) == 1201
    few, summed[:] = sum(summed), []
    monkeypatch.setattr(word_charges, "ROWS", 40 * 3 * len(scorer.vocab))
    assert surprisal(scorer, text)["bits"].round(9).tolist() == whole["bits"].round(9).tolist()
    assert sum(summed) < 2 * few

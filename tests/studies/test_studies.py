"""Studies on texts whose answers are known beforehand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from small_studies import corpus_of, plain

from lmbench.corpora.corpus import Corpus
from lmbench.corpora.inputs import Documents
from lmbench.corpora.sources import make_source
from lmbench.counts.ngrams import count_ngrams
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.scorer import Scorer
from lmbench.studies import STUDIES, Study, causality, generation, learning_curve, run_study, study_function
from lmbench.studies.answers import answer_all, read_study, reported, write_study
from lmbench.studies.markov import fitted_entropy
from lmbench.text.canonical import CanonicalText
from lmbench.text.tokens import Tokens


def test_every_study_can_be_loaded_and_says_what_it_asks():
    for name, (_, question) in STUDIES.items():
        assert callable(study_function(name))
        assert question.endswith("?")


def test_unknown_studies_and_options_are_refused():
    corpus = corpus_of(make_source("golden-mean"), 2000)
    with pytest.raises(InputError, match="markov"):
        run_study("markoff", corpus)
    with pytest.raises(InputError, match="unit"):
        run_study("markov", corpus, units="char")
    with pytest.raises(InputError, match="char"):
        run_study("tails", corpus, unit="chars")
    with pytest.raises(InputError, match="number"):
        run_study("sequence", corpus, noise="loud")


@pytest.mark.parametrize("name", ["zipf", "markov", "tails", "causality", "generation", "learning-curve"])
def test_texts_that_are_too_short_are_refused(name):
    text = CanonicalText.of(["too short a text\n"])
    with pytest.raises(InputError, match="at least"):
        run_study(name, Corpus("short", text, text, text))


# zipf ----------------------------------------------------------------------------------------------


def test_zipf_finds_a_planted_exponent_in_the_text_and_in_what_the_unigram_model_writes(monkeypatch):
    from lmbench.studies import zipf

    monkeypatch.setattr(zipf, "WRITERS", {"word 1-gram": ("unigram", "word", {})})
    monkeypatch.setattr(zipf, "goodness_of_fit", lambda *_: 0.5)  # has its own tests, and takes its time
    source = make_source("zipf-mandelbrot", types=300, alpha=1.2, b=0.0)
    corpus = corpus_of(source, 60_000)
    study = run_study("zipf", corpus)
    real, same_length, written, quarter = (study.table.iloc[i] for i in (0, 3, 4, 5))
    # Split halves have no bias of ranks; its spread over splits is below 0.01 here.
    assert real["split_half"] == pytest.approx(1.2, abs=0.03)
    # No interval for the whole, one for the mean over its stretches; the words are independent, so bursts add nothing.
    assert math.isnan(real["rank_low"])
    assert quarter["rank_low"] < quarter["rank_likelihood"] < quarter["rank_high"]
    assert quarter["rank_sd"] < 5 * quarter["shuffled_sd"]
    # The words are independent, so the unigram model is the truth but for smoothing.
    assert written["rank_likelihood"] == pytest.approx(same_length["rank_likelihood"], abs=0.06)
    assert plain(study) == plain(run_study("zipf", corpus))


# markov --------------------------------------------------------------------------------------------


def test_markov_finds_the_order_and_the_rate_of_a_planted_chain():
    source = make_source("markov", order=2, symbols=3, table=6)
    study = run_study("markov", corpus_of(source, 40_000))
    known = source.conditional_entropies(4)
    bits = study.table["Laplace_bits"]
    # 4,000 test characters, deviation of −log2 p below 1.5: 3 · 1.5 / √4000 = 0.07.
    for order in (0, 1, 2, 3):
        assert bits[order] == pytest.approx(known[order], abs=0.07)
        assert study.table["fitted_entropy"][order] == pytest.approx(known[order], abs=0.03)
    assert bits[2] < bits[1] < bits[0]
    assert bits[8] < bits[2] + 0.03
    assert study.facts["simulation"] < 0.02


def test_markov_of_a_first_order_chain_knows_its_eigenvalue():
    # Golden Mean: P = [[1/2, 1/2], [1, 0]] has eigenvalues 1 and -1/2; rate 2/3 bit.
    study = run_study("markov", corpus_of(make_source("golden-mean"), 30_000))
    assert study.facts["lambda2"] == pytest.approx(0.5, abs=0.02)
    assert study.facts["entropy_rate"] == pytest.approx(2 / 3, abs=0.01)
    # Worst start is 2/3 · 2^-k away: below 0.01 from k = 7 on (6: 0.0104).
    assert study.facts["mixing_steps"] in (6, 7)


def test_fitted_entropy_by_hand():
    # a→b, b→a, a→b, b→b, b→a with the start's a: contexts a: b b; b: a b a; and the first token after bos.
    ids = np.array([1, 2, 1, 2, 2, 1], dtype=np.int32)
    counts = count_ngrams(Tokens(ids, np.zeros(1, dtype=np.int64), 0), 2, 3)
    one_third = 1 / 3 * math.log2(3) + 2 / 3 * math.log2(3 / 2)
    assert fitted_entropy(counts, 1) == pytest.approx(3 * one_third / 6)
    assert fitted_entropy(counts, 0) == pytest.approx(1.0)


# tails ---------------------------------------------------------------------------------------------


def test_where_all_words_are_alike_a_training_count_tells_nothing():
    # 2,000 words, all equally likely: whatever its count r in training, a word comes N / 2000 times in as much
    # held-out text, and Good–Turing knows it: for Poisson counts (r + 1) N_{r+1} / N_r is the mean.
    corpus = corpus_of(make_source("zipf-mandelbrot", types=2000, alpha=0.0, b=0.0, line=1000), 60_000)
    study = run_study("tails", corpus)
    words = len(corpus.encoded("word", "train").tokens)
    one = study.table[(study.table["order"] == 1) & study.table["r"].between(2, 7)]
    turing = one[one["smoothing"] == "Good–Turing"]
    raw = one[one["smoothing"] == "Laplace, ε = 1"]
    assert len(turing) == 6
    for row in turing.itertuples():
        assert abs(row.held_out - words / 2000) < 4 * row.held_out_relative_error * row.held_out
    assert turing["expected"].mean() == pytest.approx(words / 2000, rel=0.1)
    # n / (n + 1) of the count is left: 2..7 are expected as often as they were seen, right or wrong.
    assert raw["expected"].to_numpy() == pytest.approx(np.arange(2, 8), rel=0.05)
    assert plain(study) == plain(run_study("tails", corpus))


def test_expected_and_observed_counts_agree_with_counting_word_by_word():
    from lmbench.studies.tails import Places

    rng = np.random.default_rng(2)
    train = Tokens(rng.integers(1, 6, 300).astype(np.int32), np.array([0, 100, 101]), 1)
    text = CanonicalText.of(["".join(rng.choice(list("abcdef\n"), 80)) + "\n" for _ in range(3)])
    made = Corpus("made", CanonicalText.of(["abcde\nf"]), text, text)
    held_out = made.encoded("char", "test")
    size = len(held_out.vocab)
    for order in (1, 2, 3):
        counts = count_ngrams(train, order, size)
        model = make_model("laplace", order=order, eps=(2.0,)).fit(train, None, size)
        places = Places.of(counts, held_out)
        of_gram = {
            tuple(g): n for g, n in zip(counts.ngrams(order).tolist(), counts.counts[order], strict=True)
        }
        observed, expected = np.zeros(10), np.zeros(10)
        for document in held_out.tokens.documents():
            symbols = [held_out.tokens.bos, *document.tolist()]
            for t in range(max(1, order - 1), len(symbols)):
                context = tuple(symbols[t - order + 1 : t])
                p = np.exp(model.next_log_probs(np.array(symbols[1:t], dtype=np.int32), held_out.tokens.bos))
                for word in range(size):
                    r = of_gram.get((*context, word), 0)
                    if r < 10:
                        expected[r] += p[word]
                        observed[r] += word == symbols[t]
        assert places.observed.sum(axis=0) == pytest.approx(observed)
        assert places.expected(counts, model) == pytest.approx(expected)


# causality -----------------------------------------------------------------------------------------


def test_read_backwards_every_character_keeps_its_place():
    # A unigram model knows no direction: character by character the bits must be the very same.
    texts = [CanonicalText.of(["an old ferry\n", "\n", "waits\n", "ab ba"]) for _ in range(3)]
    corpus = Corpus("lines", texts[0], texts[1], texts[2])
    mirrored = causality.mirror(corpus)
    assert mirrored.test.text == "yrref dlo na\n\nstiaw\nab ba"
    scores = []
    for text in (corpus, mirrored):
        scorer = Scorer.fit(make_model("unigram", eps=(1.0,)), text, "char", 0)
        scores.append(causality.by_character(scorer.score(text.test)))
    back = causality.turned(scores[1], corpus.test)
    assert back.log_probs == pytest.approx(scores[0].log_probs)
    assert back.starts.tolist() == corpus.test.starts.tolist()


def test_bits_of_words_are_spread_over_their_characters():
    text = CanonicalText.of(["aa bbb aa\n"])
    scorer = Scorer.fit(make_model("unigram", eps=(1.0,)), Corpus("w", text, text, text), "word", 0)
    scores = scorer.score(text)
    spread = causality.by_character(scores)
    assert len(spread) == 10
    assert spread.bits_per_char == pytest.approx(scores.bits_per_char)
    assert spread.log_probs[:2] == pytest.approx([scores.nats[0] / 2] * 2)
    # The blank before a word is the word's.
    assert spread.log_probs[2:6] == pytest.approx([scores.nats[1] / 4] * 4)


def test_a_reversible_chain_has_no_direction(monkeypatch):
    # Any two-state chain is the same in law read backwards, so no model may find a direction in it.
    few = {k: causality.MODELS[k] for k in ("char 1-gram", "char 3-gram")}
    monkeypatch.setattr(causality, "MODELS", few)
    small = {"hidden": 4, "epochs": 1, "batch": 4, "steps": 10, "max_tokens": 1000, "patience": None}
    monkeypatch.setattr(causality, "SMALL_RNN", small)
    corpus = corpus_of(make_source("golden-mean"), 30_000)
    table = run_study("causality", corpus).table.set_index("model")
    assert table["difference"]["char 1-gram"] == pytest.approx(0, abs=1e-12)
    assert table["low"]["char 3-gram"] - 1e-3 < 0 < table["high"]["char 3-gram"] + 1e-3
    assert table["forwards"]["char 3-gram"] == pytest.approx(2 / 3, abs=0.03)


# learning-curve ------------------------------------------------------------------------------------


def test_a_planted_curve_is_found():
    chars = np.array([1e3, 3e3, 1e4, 3e4, 1e5, 1e6])
    fit = learning_curve.fit_curve(chars, 1.3 + 40 * chars**-0.35)
    assert (fit.E, fit.B, fit.beta) == pytest.approx((1.3, 40, 0.35), rel=1e-4)
    assert learning_curve.fit_curve(chars[:3], chars[:3]) is None


def test_errors_of_a_curve_are_wide_where_the_curve_does_not_bend_and_hold_what_was_planted():
    # Six sizes over a factor of 20 and noise in every block: E is anybody's guess. Over a factor of 10,000 it is not.
    rng = np.random.default_rng(5)
    lengths = np.full(20, 500)
    found = []
    for chars in (np.geomspace(5e4, 1e6, 6), np.geomspace(1e3, 1e7, 7)):
        truth = 1.3 + 40 * chars**-0.35
        common = rng.normal(0, 0.2, 20)  # a hard block is hard for all
        bits = (truth[:, None] + common + rng.normal(0, 0.05, (len(chars), 20))) * lengths
        found.append(learning_curve.fit_with_errors(chars, bits, lengths, rng, 100))
    narrow, wide = found
    for fit in found:
        assert fit.E_interval[0] <= 1.3 + common.mean() <= fit.E_interval[1]
        assert fit.beta_interval[0] <= fit.beta <= fit.beta_interval[1]
    assert np.diff(narrow.E_interval) > 3 * np.diff(wide.E_interval)


def test_bits_of_blocks_are_the_whole_texts():
    text = CanonicalText.of(["aa bbb aa ab\n"] * 30)
    scorer = Scorer.fit(make_model("unigram", eps=(1.0,)), Corpus("w", text, text, text), "word", 0)
    scores, starts = scorer.score(text), learning_curve.block_starts(text)
    bits = learning_curve.block_bits(scores, starts)
    assert len(bits) == 30  # documents
    assert bits.sum() == pytest.approx(scores.bits.sum())
    assert bits == pytest.approx(np.full(30, bits[0]), rel=0.2)
    assert learning_curve.block_starts(CanonicalText.of(["x" * 200])).tolist() == list(range(0, 200, 10))


def test_crossings_lie_where_the_lines_cross():
    # Over ln D from ln 1 to ln 100 one falls from 4 to 2 and the other from 3.5 to 2.5: they meet in the middle, D = 10.
    one, other = (
        (np.array([1.0, 100.0]), np.array([4.0, 2.0])),
        (np.array([1.0, 100.0]), np.array([3.5, 2.5])),
    )
    (found,) = learning_curve.overtakings("one", one, "other", other)
    assert (found["overtakes"], found["overtaken"]) == ("one", "other")
    assert found["chars"] == pytest.approx(10)
    assert found["bits_per_char"] == pytest.approx(3)
    assert learning_curve.overtakings("one", one, "above", (one[0], one[1] + 1)) == []
    # A size that only one was measured at says nothing of the other there.
    dip = (np.array([1.0, 50.0, 100.0]), np.array([5.0, 0.0, 3.0]))
    assert learning_curve.overtakings("one", one, "dip", dip) == []


def test_learning_curve_of_a_known_source(monkeypatch):
    monkeypatch.setattr(learning_curve, "COUNT_MODELS", {"char 3-gram": ("trigram", "char", {})})
    monkeypatch.setattr(learning_curve, "HIDDENS", (2,))
    monkeypatch.setattr(learning_curve, "RNN_SHARES", (0.1,))
    monkeypatch.setattr(learning_curve, "ORDERS", (1, 2))
    small = {"hidden": 2, "epochs": 1, "batch": 4, "steps": 10, "max_tokens": 500, "patience": None}
    monkeypatch.setattr(learning_curve, "SMALL_RNN", small)
    source = make_source("markov", order=1, symbols=4, table=2)
    corpus = corpus_of(source, 40_000)
    study = run_study("learning-curve", corpus)
    size = study.table[(study.table["vary"] == "size") & (study.table["model"] == "char 3-gram")]
    bits = size["bits_per_char"].to_numpy()
    assert size["train_chars"].tolist()[-1] == corpus.train.chars
    # 4,000 test characters: 3 · 1.5 / √4000 = 0.07
    assert bits[-1] == pytest.approx(source.entropy_rate[0], abs=0.07)
    assert bits[0] > bits[-1]
    fit = study.facts["fits"]["char 3-gram"]
    assert abs(fit["E"] - bits[-1]) < 0.05
    assert fit["E_interval"][0] <= fit["E"] <= fit["E_interval"][1]
    assert "E = " not in study.sentences[0]


# generation ----------------------------------------------------------------------------------------


def test_windows_are_equal_where_the_texts_are_and_nowhere_else():
    rng = np.random.default_rng(3)
    text = "".join(rng.choice(list("ab"), 300))
    hashes = generation.windows(text)
    strings = [text[i : i + 30] for i in range(271)]
    assert len(hashes) == 271
    assert len(set(hashes.tolist())) == len(set(strings))
    assert generation.windows(strings[50])[0] == hashes[50]
    assert len(generation.windows("short")) == 0


def test_repeats_and_copies_by_hand():
    known = np.unique(generation.windows("x" * 10 + "abcdefghijklmnopqrstuvwxyz01234567"))
    # 40 characters of which the first 30 stand in the training text: 30 of 40 are copied.
    found = generation.sample_statistics("abcdefghijklmnopqrstuvwxyz0123" + "?" * 10, known)
    assert found["copied"] == pytest.approx(0.75)
    # a b c d a b c d: five sequences of four words, "a b c d" twice: 4 distinct, 1 - 4/5 repeated.
    found = generation.sample_statistics("a b c d a b c d", known)
    assert found["repeated"] == pytest.approx(0.2)
    assert (found["words"], found["types"], found["copied"]) == (8, 4, 0)


def test_a_writer_that_is_the_truth_pays_the_entropy_rate_for_its_text(monkeypatch):
    models = {"char 2-gram": ("laplace", "char", {"order": 2}), "char 1-gram": ("unigram", "char", {})}
    monkeypatch.setattr(generation, "MODELS", models)
    corpus = corpus_of(make_source("golden-mean"), 20_000)
    table = run_study("generation", corpus, prompt="a").table.set_index(["writer", "temperature"])
    # 3,000 characters, deviation of −log2 p at most 0.5: 3 · 0.5 / √3000 = 0.03
    assert table["bits by char 2-gram"]["char 2-gram", 1.0] == pytest.approx(2 / 3, abs=0.03)
    # Gibbs: on average no other model pays less for a text than its writer does.
    assert table["bits by char 1-gram"]["char 2-gram", 1.0] > 2 / 3 + 0.1
    # Unigram of (2/3, 1/3): 0.918 bits.
    assert table["bits by char 1-gram"]["char 1-gram", 1.0] == pytest.approx(0.918, abs=0.04)
    own = [table["bits by char 1-gram"]["char 1-gram", t] for t in generation.TEMPERATURES]
    assert own == sorted(own)


# Answers of a run ------------------------------------------------------------------------------------


def test_answers_are_read_back_and_their_figures_told_apart(tmp_path, monkeypatch):
    made = corpus_of(make_source("golden-mean"), 20_000)
    short = CanonicalText.of(["too short a text\n"])
    corpora = {"one": replace(made, name="one"), "short": Corpus("short", short, short, short)}
    answers = list(answer_all(["markov"], corpora, tmp_path))
    (told, charts), (nothing, none) = (reported(answer) for answer in answers)
    assert told["question"] == STUDIES["markov"][1]
    assert (told["study"], told["corpus"], told["seed"], told["full"]) == ("markov", "one", 0, False)
    assert told["figures"] == [chart.name for chart in charts] == ["study-one-markov"]
    assert "table" not in told
    assert none == nothing["figures"] == []
    assert nothing["sentences"][0].startswith("No answer: the study needs at least")
    assert (tmp_path / "studies" / "one" / "markov.csv").read_text().startswith("order,")
    monkeypatch.setattr("lmbench.studies.answers.run_study", lambda *a, **k: pytest.fail("answered already"))
    again = list(answer_all(["markov"], corpora, tmp_path))
    assert [answer.to_dict() for answer in again] == [answer.to_dict() for answer in answers]
    assert again[0].table.equals(answers[0].table)


def test_a_stored_answer_that_is_damaged_or_of_other_code_is_not_taken(tmp_path):
    study = Study(name="made", sentences=["So."], rows=[{"a": 1.5, "b": None}], charts=[])
    write_study(study, tmp_path, "key")
    assert read_study(tmp_path / "made.json", "key") == study
    assert read_study(tmp_path / "made.json", "other") is None
    assert read_study(tmp_path / "none.json", "key") is None
    for damage in ("{", "[]", '{"key": "key"}', '{"key": "key", "sentences": 1, "table": [], "charts": []}'):
        (tmp_path / "made.json").write_text(damage)
        assert read_study(tmp_path / "made.json", "key") is None


def test_numbers_that_are_none_are_null_in_json():
    import pandas as pd

    table = pd.DataFrame({"a": [1, 2], "b": [np.nan, 0.5], "c": pd.array([None, 3], dtype="Int64")})
    study = Study.of(table, [], [], {"x": np.float64(2.0), 1: np.array([1, 2])})
    assert study.to_dict()["table"] == [{"a": 1, "b": None, "c": None}, {"a": 2, "b": 0.5, "c": 3}]
    assert study.to_dict()["facts"] == {"x": 2.0, "1": [1, 2]}


def test_tails_of_tokens_that_do_not_come_again_are_no_answer():
    """Chinese by words: whole sentences, of which none that is rare in training comes again."""
    rng = np.random.default_rng(0)
    lines = ["".join(chr(0x4E00 + c) for c in rng.integers(0, 3000, 12)) for _ in range(3000)]
    corpus = Corpus.of(Documents(["\n".join(lines)]))
    with pytest.raises(InputError, match=r"none that is rare in training comes again .* -o unit=char"):
        run_study("tails", corpus)

r"""ARPA files as other toolkits write them."""

import re

import numpy as np
import pytest
from arpa_files import FOX, FOX_PERPLEXITY, FOX_TEXT, SMALL, TOOLKITS, loaded

from lmbench.corpora.corpus import Corpus
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.smoothing.arpa_file import parse_arpa
from lmbench.scoring.scorer import Scorer
from lmbench.scoring.speller import Speller
from lmbench.text.canonical import canonical_text
from lmbench.text.vocab import Vocab


@pytest.mark.parametrize("toolkit", TOOLKITS)
@pytest.mark.parametrize("documents", ["line", "stream"])
def test_files_are_read_as_other_toolkits_mean_them(toolkit, documents, tmp_path):
    text, notes = TOOLKITS[toolkit]
    path = tmp_path / "fox.arpa"
    path.write_bytes(text.encode())
    model, encoded = loaded(path, canonical_text([FOX_TEXT.text], "none", documents))
    np.testing.assert_allclose(np.exp(-model.log_probs(encoded.tokens).mean()), FOX_PERPLEXITY, rtol=1e-7)
    assert len(model.notes) == len(notes), model.notes
    for note, expected in zip(model.notes, notes, strict=True):
        assert re.match(f"{re.escape(str(path))}: {expected}", note)
    strict = make_model("arpa", file=str(path), strict=True)
    if notes:
        with pytest.raises(InputError, match=re.escape(str(path))):
            strict.fit([], vocab_size=len(strict.vocabulary(Vocab())))
    else:
        strict.fit([], vocab_size=len(strict.vocabulary(Vocab())))
        assert strict.log_probs(encoded.tokens).tolist() == model.log_probs(encoded.tokens).tolist()


def test_weights_of_contexts_that_do_not_occur_change_nothing(tmp_path):
    """'a </s>' as a context: after the end of a sentence stands <s>, whatever the weight that the file has."""
    trigram = SMALL.replace("2=3\n", "2=3\nngram 3=1\n").replace(
        "\n\\end", "\n\\3-grams:\n-0.1\t<s> a b\n\n\\end"
    )
    scores = []
    for text in (trigram, trigram.replace("a </s>", "a </s>\t-0.3")):
        (tmp_path / "weights.arpa").write_text(text)
        model, encoded = loaded(tmp_path / "weights.arpa", canonical_text(["a\nb a\nb\n"], "none", "stream"))
        scores.append((model.log_probs(encoded.tokens) / np.log(10)).tolist())
    assert scores[0] == scores[1]
    # b after 'a </s>', that is after <s>: the weight of <s>, the unigram
    assert scores[0][2] == pytest.approx(-0.5 - 1)


def test_text_that_has_no_data_is_no_model():
    with pytest.raises(InputError, match=r"line 1: an ARPA file begins with \\data\\, not 'the ferry'"):
        parse_arpa("the ferry\nleaves at nine\n")


def test_unknown_words_are_charged_by_the_words_of_the_file(tmp_path):
    """Whatever text stands beside it: bits per character depend on the model and the test text alone."""
    (tmp_path / "fox.arpa").write_text(FOX)
    charged = []
    for train in ("", "x\n", "zebra zebras\n", "今天天气很好\n"):
        corpus = Corpus("fox", canonical_text([train], "none", "line"), None, FOX_TEXT, "none", "line")
        model = make_model("arpa", file=str(tmp_path / "fox.arpa"))
        charged.append(Scorer.fit(model, corpus, "word").score(FOX_TEXT).spelling.sum())
    own = Speller.fit(Vocab(["red", "blue", "fox", "\n"]), "word").log_probs(["zebra"])
    assert charged == [own.sum()] * 4

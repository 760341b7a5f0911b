"""How much text resolves a difference: what is promised for a text is found on a text of that length."""

import numpy as np
import pytest

from lmbench.comparing.pairs import compare
from lmbench.comparing.power import needs
from lmbench.corpora.corpus import Corpus
from lmbench.corpora.inputs import Documents
from lmbench.corpora.sources import make_source
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.evaluation import evaluate


def runs_on(documents):
    text = make_source("grammar").generate(400 * 4000, np.random.default_rng(0))
    pieces = [text[i * 400 : (i + 1) * 400] for i in range(1000 + documents)]
    corpus = Corpus.of(Documents(pieces[:1000]), 0.0, Documents(pieces[1000:]))
    runs = [evaluate(make_model("witten-bell", order=k), corpus, label=str(k)) for k in (3, 4)]
    return runs, corpus.test


def test_four_times_the_text_resolves_half_the_difference():
    runs, test = runs_on(100)
    least = float(compare(runs)["resolvable_difference"].iloc[0])
    one, other = (needs(runs, test, difference)[0] for difference in (least, least / 2))
    assert (one.chars, one.documents) == (test.chars, 100)
    assert other.factor == pytest.approx(4)
    assert (other.chars, other.documents) == (4 * test.chars, 400)


def test_the_text_that_is_called_for_resolves_it():
    runs, test = runs_on(100)
    wanted = float(compare(runs)["resolvable_difference"].iloc[0]) / 3
    need = needs(runs, test, wanted)[0]
    longer, _ = runs_on(need.documents)
    assert float(compare(longer)["resolvable_difference"].iloc[0]) == pytest.approx(wanted, rel=0.25)


@pytest.mark.parametrize("difference", [0, -1.0, float("nan"), float("inf")])
def test_a_difference_that_is_none_is_refused(difference):
    with pytest.raises(InputError, match="above 0"):
        needs([], None, difference)

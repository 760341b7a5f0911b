"""Entropy pruning against the divergence worked out distribution by distribution."""

import numpy as np
import pytest
from ferry import ferry
from slow_counts import V, tokens_of

from lmbench.cli import main
from lmbench.counts.ngrams import count_ngrams
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.models.smoothing.arpa import prune_arpa, save_arpa
from lmbench.models.smoothing.arpa_file import read_arpa
from lmbench.models.smoothing.pruning import losses, model_histories, prune_by_entropy
from lmbench.text.vocab import Vocab

RNG = np.random.default_rng(5)
TRAIN = [RNG.zipf(1.5, 30) % V for _ in range(6)]


def fitted(order=3):
    return (
        make_model("kneser-ney", order=order, discounts="0.5,1,1.5", bits=64)
        .fit(tokens_of(TRAIN), vocab_size=V)
        .table
    )


@pytest.mark.parametrize("k", [2, 3])
def test_losses_are_the_divergences_of_dropping_one(k):
    table = fitted()
    histories = RNG.random(table.sizes[k - 1])
    found = losses(table, k, histories)
    for rank, ngram in enumerate(table.ngrams(k).tolist()):
        *context, word = ngram
        # Only the n-grams of order k decide after a context of k-1 words; they are the highest order here.
        p = fitted_order(k, context)
        lower = fitted_order(k - 1, context[1:])
        seen = table.ngrams(k)[table.prefixes(k) == table.prefixes(k)[rank]][:, -1]
        stays = [w for w in seen if w != word]
        q = lower * (1 - p[stays].sum()) / (1 - lower[stays].sum())
        q[stays] = p[stays]
        assert q.sum() == pytest.approx(1, abs=1e-12)
        divergence = (p * np.log(p / q)).sum()
        assert found[rank] == pytest.approx(histories[table.prefixes(k)[rank]] * divergence, abs=1e-12)


def fitted_order(k, context):
    """(V,) the distribution after k-1 words by the n-grams of orders 1..k of the model."""
    table = fitted()
    if k == 1:
        return table.probs[1]
    lower = fitted_order(k - 1, context[1:])
    ngrams = table.ngrams(k)
    inside = (ngrams[:, :-1] == context).all(axis=1)
    context_rank = np.flatnonzero((table.ngrams(k - 1) == context).all(axis=1))[0]
    p = lower * table.backoffs[k - 1][context_rank]
    p[ngrams[inside, -1]] = table.probs[k][inside]
    return p


@pytest.mark.parametrize("threshold", [1e-5, 1e-3, 0.1, 100.0])
def test_what_is_left_is_a_distribution_and_a_trie(threshold):
    counts = count_ngrams(tokens_of(TRAIN), 3, V)
    histories = [counts.context_counts(k) / counts.counts[0] for k in range(3)]
    table = prune_by_entropy(fitted(), threshold, histories)
    contexts = [np.array(c, dtype=int) for c in ([], [1], [1, 2], [4, 1], [3, 3], [2, 1, 1])]
    np.testing.assert_allclose(table.distributions(contexts, 0).sum(axis=1), 1, rtol=1e-12)
    kept = [{tuple(g) for g in table.ngrams(k).tolist()} for k in range(4)]
    assert all(g[:-1] in kept[k - 1] for k in (2, 3) for g in kept[k])
    if threshold == 100:
        assert table.sizes == [1, V, 0, 0]


def test_the_model_gets_smaller_and_little_worse():
    train, _ = ferry()
    size = len(train.vocab)
    models = [
        make_model("kneser-ney", order=3, prune_entropy=t).fit(train.tokens, vocab_size=size)
        for t in (0, 1e-4, 3e-4, 1e-3)
    ]
    sizes = [sum(m.table.sizes) for m in models]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4
    bits = [-m.log_probs(train.tokens).mean() / np.log(2) for m in models]
    assert bits == sorted(bits)
    assert models[1].notes[-1] == f"kept {sizes[1]:,} of {sizes[0]:,} n-grams"


def test_after_pruning_by_count_too():
    train, test = ferry()
    model = make_model("kneser-ney", order=4, prune="0,0,1", prune_entropy=1e-5, bits=64).fit(
        train.tokens, vocab_size=len(train.vocab)
    )
    rows = np.exp(model.next_log_probs([test.tokens.ids[:n] for n in range(40)], train.tokens.bos))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-12)


# ARPA files ------------------------------------------------------------------------------------------


def test_histories_are_what_the_model_says_of_their_words():
    table = fitted()
    histories = model_histories(table)
    assert [len(h) for h in histories] == table.sizes[:3]
    for k in (1, 2):
        for ngram, found in zip(table.ngrams(k).tolist(), histories[k], strict=True):
            p = [fitted_order(n, ngram[: n - 1])[ngram[n - 1]] for n in range(1, k + 1)]
            assert found == pytest.approx(np.prod(p), rel=1e-12)


def written(tmp_path, order=3):
    train, _ = ferry()
    model = make_model("witten-bell", order=order).fit(train.tokens, vocab_size=len(train.vocab))
    save_arpa(tmp_path / "whole.arpa", model, train.vocab)
    return tmp_path / "whole.arpa", model, train


@pytest.mark.parametrize("threshold", [1e-5, 1e-3])
def test_a_pruned_file_is_what_is_left_of_the_table(threshold, tmp_path):
    path, model, train = written(tmp_path)
    pruned, before = prune_arpa(path, threshold, tmp_path / "small.arpa.gz")
    assert before == sum(model.table.sizes[1:])
    expected = prune_by_entropy(model.table, threshold, model_histories(model.table))
    arpa = read_arpa(tmp_path / "small.arpa.gz")
    assert [len(rows) for rows in arpa.ngrams[1:]] == expected.sizes[2:]
    assert sum(expected.sizes) < sum(model.table.sizes)
    again = make_model("arpa", file=str(tmp_path / "small.arpa.gz"))
    vocab = again.vocabulary(Vocab())
    again.fit([], vocab_size=len(vocab))
    assert again.notes == pruned.notes == []
    ids = vocab.encode(train.surface())
    bos = vocab.newline
    rows = np.exp(again.next_log_probs([ids[:n] for n in range(60)], bos))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-9)


def test_a_threshold_that_nothing_stands_leaves_words_alone(tmp_path):
    path, _, train = written(tmp_path)
    pruned, _ = prune_arpa(path, 100.0, tmp_path / "words.arpa")
    assert pruned.table.sizes == [1, len(train.vocab)]
    assert read_arpa(tmp_path / "words.arpa").order == 1
    for threshold in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="prunes nothing"):
            prune_arpa(path, threshold, tmp_path / "none.arpa")
    assert not (tmp_path / "none.arpa").exists()


def test_the_command_prunes_and_says_what_is_kept(tmp_path, capsys):
    path, model, _ = written(tmp_path)
    place = tmp_path / "small.arpa"
    assert main(["prune", str(path), "--entropy", "1e-4", "--save", str(place)]) == 0
    table = prune_by_entropy(model.table, 1e-4, model_histories(model.table))
    kept, before = sum(table.sizes[1:]) + 1, sum(model.table.sizes[1:])  # the file has both <s> and </s>
    assert sum(len(rows) for rows in read_arpa(place).ngrams) == kept
    assert capsys.readouterr().out.startswith(f"{place}: kept {kept - 1:,} of {before:,} n-grams (")
    assert main(["prune", str(path), "--entropy", "1e-4", "--save", str(tmp_path / "small.lm")]) == 2
    assert "ends in .arpa" in capsys.readouterr().err

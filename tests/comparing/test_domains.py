"""Models over domains: sums beside sums, errors beside error bars of each domain, and averages of strata."""

import json
import math

import numpy as np
import pytest

import lmbench as lb
from lmbench.comparing.domains import domain_table, stratified
from lmbench.corpora.corpus import Corpus, Documents
from lmbench.corpora.domains import texts_by_domain
from lmbench.errors import InputError
from lmbench.models import make_model
from lmbench.scoring.scorer import Scorer

WORDS = {
    "sea": ["the", "ship", "sails", "over", "the", "deep", "sea"],
    "land": ["a", "red", "fox", "ran", "up", "the", "hill", "é"],
}


def document(rng, domain, words):
    return " ".join(rng.choice(WORDS[domain], words)) + "\n"


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(0)
    texts = {name: [document(rng, name, int(n)) for n in rng.integers(20, 60, 30)] for name in WORDS}
    texts["one"] = [document(rng, "sea", 2000)]
    return texts


@pytest.fixture(scope="module")
def models():
    rng = np.random.default_rng(1)
    train = Corpus.of(Documents([document(rng, "sea", 400), document(rng, "land", 100)]), test=0.0, valid=0.0)
    named = {
        "good": ("kneser-ney", {"order": 5}),
        "fair": ("bigram", {"eps": "1,1"}),
        "floor": ("uniform", {}),
    }
    return {label: Scorer.fit(make_model(name, **options), train) for label, (name, options) in named.items()}


@pytest.fixture(scope="module")
def table(models, texts):
    return domain_table(models, texts)


def bits_of(scorer, documents):
    return np.array([scorer.score(text).bits.sum() for text in documents])


def test_bits_are_those_of_each_document(models, texts, table):
    found = {(one.model, one.kind, one.domain): one for one in table.bits}
    sizes = {name: np.array([len(text.encode()) for text in documents]) for name, documents in texts.items()}
    for label, scorer in models.items():
        sums = {name: bits_of(scorer, documents) for name, documents in texts.items()}
        for name in texts:
            one = found[label, "domain", name]
            assert one.bits == pytest.approx(sums[name].sum() / sizes[name].sum())
            if len(texts[name]) > 1:
                alone = lb.interval(sums[name], sizes[name], documents=range(len(sums[name])))
                assert one.ci95 == pytest.approx((alone.low, alone.high))
            assert one.ci95[0] < one.bits < one.ci95[1] or label == "floor"
        micro = sum(s.sum() for s in sums.values()) / sum(n.sum() for n in sizes.values())
        assert found[label, "micro", ""].bits == pytest.approx(micro)
        macro = np.mean([sums[name].sum() / sizes[name].sum() for name in texts])
        assert found[label, "macro", ""].bits == pytest.approx(macro)
        # Domains differ more than what their documents leave open of them.
        low, high = found[label, "macro", ""].ci95_domains
        assert low <= macro <= high
    assert (table.reference, table.notes) == ("good", [])
    assert [(one.name, one.documents, one.bytes) for one in table.domains] == [
        (name, len(documents), sizes[name].sum()) for name, documents in texts.items()
    ]


def test_differences_are_paired_by_document(models, texts, table):
    found = {(one.model, one.kind, one.domain): one for one in table.differences}
    assert {label for label, _, _ in found} == {"fair", "floor"}
    lengths = np.array([len(text.encode()) for text in texts["sea"]])
    a, b = (bits_of(models[label], texts["sea"]) for label in ("fair", "good"))
    pair, one = lb.paired(a, b, lengths, documents=range(len(a))), found["fair", "domain", "sea"]
    assert one.difference == pytest.approx(pair.difference)
    assert one.ci95 == pytest.approx((pair.low, pair.high))
    assert (one.p_value, one.resolvable) == (pytest.approx(pair.p_value), pytest.approx(pair.resolvable))
    assert one.p_value <= one.p_holm <= min(1, 6 * one.p_value)
    parts = [found["fair", "domain", name] for name in texts]
    macro = found["fair", "macro", ""]
    assert macro.difference == pytest.approx(np.mean([part.difference for part in parts]))
    assert macro.ci95[0] < macro.difference < macro.ci95[1]
    assert macro.p_holm <= 2 * macro.p_value


def test_strata_add_up_their_variances():
    rng = np.random.default_rng(0)
    domains = [rng.normal(size=(n, 1)) * scale for n, scale in ((40, 1.0), (60, 3.0))]
    from lmbench.comparing.dependence import of_documents

    errors = [of_documents(d - d.mean(axis=0), np.ones(len(d))) for d in domains]
    both = stratified(errors, np.array([0.25, 0.75]))
    variances = [d.var(ddof=1) / len(d) for d in domains]
    assert both.scales[0, 0] ** 2 == pytest.approx(0.25**2 * variances[0] + 0.75**2 * variances[1], rel=0.02)
    parts = np.array([0.25**2 * variances[0], 0.75**2 * variances[1]])
    welch = parts.sum() ** 2 / (parts**2 / [39, 59]).sum()
    assert both.freedom[0, 0] == pytest.approx(welch, rel=0.1)


def test_the_macro_interval_holds_the_mean_of_these_domains():
    """Of 300 sets of documents drawn from domains of known level, 95 in 100 intervals hold the levels' mean."""
    rng = np.random.default_rng(3)
    from lmbench.comparing.dependence import of_documents
    from lmbench.comparing.error_bars import around

    levels, held = np.array([1.0, 2.0, 5.0]), 0
    for _ in range(300):
        drawn = [level * rng.exponential(1.0, (n, 1)) for level, n in zip(levels, (12, 25, 40), strict=True)]
        errors = [of_documents(d - d.mean(axis=0), np.ones(len(d))) for d in drawn]
        low, high = around(np.mean([d.mean() for d in drawn]), stratified(errors, np.full(3, 1 / 3)))
        held += low <= levels.mean() <= high
    assert 0.91 < held / 300 < 0.99


def test_what_stands_in_a_given_text_is_told(models, texts):
    table = domain_table(models, texts, per="char", reference="fair", against=["".join(texts["land"])])
    assert table.reference == "fair"
    assert {one.model for one in table.differences} == {"good", "floor"}
    size = sum(len(text) for documents in texts.values() for text in documents)
    for one in table.seen:
        assert one.share == pytest.approx(sum(map(len, texts["land"])) / size, rel=0.05)
        assert one.bits_inside > one.bits_outside or one.model == "floor"


def test_what_no_table_can_be_made_of_is_told(models, texts):
    with pytest.raises(InputError, match="unknown reference"):
        domain_table(models, texts, reference="best")
    with pytest.raises(InputError, match="no domain has a document"):
        domain_table(models, {"a": ["", "\n"]})
    with pytest.raises(InputError, match="there is no model"):
        domain_table({}, texts)
    few = domain_table(models, {"a": ["the sea\n", "the hill\n"]})
    assert few.bits[0].ci95 is None
    assert "too few" in few.notes[0]


def test_domains_are_folders_files_or_a_field(tmp_path):
    for place, text in (("sea/a.txt", "a"), ("sea/deep/b.txt", "b"), ("land.txt", "c")):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    assert texts_by_domain(tmp_path) == {"land": ["c"], "sea": ["a", "b"]}
    rows = [{"text": "x", "domain": "m"}, {"text": "y", "domain": "n"}, {"text": "z", "domain": "m"}]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    assert texts_by_domain(file) == {"m": ["x", "z"], "n": ["y"]}
    with pytest.raises(InputError, match="has no field source"):
        texts_by_domain(file, domain="source")
    with pytest.raises(InputError, match="is one text"):
        texts_by_domain(tmp_path / "land.txt")


def test_the_command_prints_a_table_and_json(models, texts, tmp_path, capsys, monkeypatch):
    from lmbench.cli import main

    monkeypatch.chdir(tmp_path)
    for label, scorer in models.items():
        scorer.save(f"{label}.lm")
    (tmp_path / "seen.txt").write_text("".join(texts["land"]))
    rows = [{"text": text, "domain": name} for name, documents in texts.items() for text in documents]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    loads = [part for label in models for part in ("--load", f"{label}.lm")]
    assert main(["domains", *loads, "d.jsonl", "--against", "seen.txt"]) == 0
    out = capsys.readouterr().out
    assert "less good on the same text" in out
    assert "macro, of domains like these" in out
    assert "that stand in the given texts" in out
    assert main(["domains", *loads, "d.jsonl", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    expected = domain_table(models, texts)
    assert document["reference"] == "good"
    assert [one["bits"] for one in document["bits"]] == pytest.approx([one.bits for one in expected.bits])
    assert main(["domains", *loads, "d.jsonl", "--reference", "x"]) == 2


def test_a_model_that_is_surely_wrong_is_infinite(models, texts):
    class Never(type(make_model("uniform"))):
        def _log_probs(self, tokens):
            return np.where(tokens.ids == 3, -np.inf, super()._log_probs(tokens))

    rng = np.random.default_rng(1)
    never = Scorer.fit(Never(), Corpus.of(Documents([document(rng, "sea", 400)]), test=0.0, valid=0.0))
    table = domain_table({"never": never, **models}, texts)
    assert table.reference == "good"
    assert all(one.bits is None and one.ci95 is None for one in table.bits if one.model == "never")
    assert all(one.difference is None for one in table.differences if one.model == "never")
    assert not any(math.isnan(one.bits) for one in table.bits if one.bits is not None)

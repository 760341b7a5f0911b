"""Suites: read, checked, narrowed and written as TOML."""

import pytest
from small_suites import suite_of

from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.bench.suite_file import load_suite, to_toml
from lmbench.errors import InputError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'x'\ncorpora = ['ptb']", "models"),
        ("name = 'x'\ncorpora = ['ptb']\nmodels = []", "models is empty"),
        (
            "name = 'x'\ncorpora = ['ptb']\nmodels = []\nstudys = []",
            r"unknown key studys; did you mean studies\?$",
        ),
        (
            "name = 'x'\ncorpora = [{name = 'c', trian = 'a'}]\nmodels = []",
            r"trian at corpora\[0\]; did you mean train\?$",
        ),
        ("name = 'x'\ncorpora = []\n[[models]]\nmodel = 'uniform'", "corpora is empty"),
        (
            "name = 'x'\ncorpora = ['ptb']\n[[models]]\nmodle = 'uniform'",
            r"unknown key modle at models\[0\]; did you mean model|missing required field `model`",
        ),
        ("name = 'x'\ncorpora = ['ptb']\n[[models]]\nmodel = 'uniforn'", r"models\[0\].*uniform"),
        (
            "name = 'x'\ncorpora = ['ptb']\n[[models]]\nmodel = 'bigram'\nunit = 'wrd'",
            r"models\[0\].unit.*word",
        ),
        (
            "name = 'x'\ncorpora = ['ptb']\n[[models]]\nmodel = 'laplace'\noptions = {ordr = 2}",
            r"models\[0\].*order",
        ),
        (
            "name = 'x'\ncorpora = ['ptb']\n[[models]]\nmodel = 'laplace'\noptions = {order = 'a'}",
            "an integer",
        ),
        (
            "name = 'x'\ncorpora = ['ptb']\n[[models]]\nmodel = 'bigram'\n[[models]]\nmodel = 'bigram'",
            "twice",
        ),
        (
            "name = 'x'\ncorpora = ['ptb']\n[[models]]\nmodel = 'mixture'\noptions = {of = ['a', 'b']}",
            "component",
        ),
        ("name = 'a/b'\ncorpora = ['ptb']\n[[models]]\nmodel = 'bigram'", "name"),
        ("name = 3\ncorpora = ['ptb']", "name"),
        ("name = ", "line 1|Invalid value"),
    ],
)
def test_a_wrong_suite_names_the_key(tmp_path, text, said):
    path = tmp_path / "suite.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        load_suite(str(path))


def test_a_suite_is_written_as_it_is_read(tmp_path):
    suite = load_suite("default")
    (tmp_path / "suite.toml").write_text(to_toml(suite))
    assert load_suite(str(tmp_path / "suite.toml")) == suite


def test_narrowing_keeps_what_a_mixture_is_made_of():
    rows = [
        ("unigram",),
        ("bigram",),
        ("trigram",),
        ("mixture", "mix", "char", {"of": ["bigram", "trigram"]}),
    ]
    chosen = suite_of(*rows).narrowed(["time-machine"], ["mix"], 3)
    assert [m.label for m in chosen.models] == ["bigram", "trigram", "mix"]
    assert (chosen.corpora, chosen.seeds, chosen.name) == (["time-machine"], (3,), "small-time-machine")
    with pytest.raises(InputError, match="trigram"):
        suite_of(("trigram",)).narrowed([], ["trigrm"], None)


@pytest.mark.parametrize("splits", [-1, 1])
def test_a_single_further_division_is_refused(tmp_path, splits):
    (tmp_path / "s.toml").write_text(
        f"name='s'\ncorpora=['golden-mean']\nsplits={splits}\n[[models]]\nmodel='uniform'"
    )
    with pytest.raises(InputError, match="at least 2"):
        load_suite(str(tmp_path / "s.toml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("corpora=['a.txt', 'b/a.txt']", r"corpora\[1\].name: 'a' stands twice"),
        ("corpora=[{name='../x', train='a'}]", r"corpora\[0\].name '../x' is to be a file's name"),
        ("corpora=['ptb']\nseeds=[1, 1]", "seeds: 1 stands twice"),
        (
            "corpora=['ptb']\n[[external]]\nfile='a'\nlabel='x'\n[[external]]\nfile='b'\nlabel='x'",
            r"external\[1\].label: 'x' stands twice",
        ),
        ("corpora=['ptb']\n[[external]]\nfile='uniform'", "'uniform' stands twice"),
        ("corpora=['ptb', 'grammar']\n[[external]]\nfile='a'", r"external\[0\].corpus is missing"),
        ("corpora=[{name='x', train='a', normalise='lettres'}]", r"corpora\[0\].normalise.*letters"),
    ],
)
def test_one_rule_a_kind(tmp_path, text, said):
    (tmp_path / "s.toml").write_text(f"name='s'\n{text}\n[[models]]\nmodel='uniform'\n")
    with pytest.raises(InputError, match=said):
        load_suite(str(tmp_path / "s.toml"))


def test_odd_strings_and_numbers_are_written_as_toml(tmp_path):
    spec = CorpusSpec('quo"te', train="a\\b\x7f\x01\u2028.txt", test=0.0, valid=1e-9)
    suite = Suite(
        name="s", corpora=[spec, "ptb"], models=[ModelSpec("bigram", options={"eps": [float("1e22")]})]
    )
    (tmp_path / "s.toml").write_text(to_toml(suite), encoding="utf-8")
    assert load_suite(str(tmp_path / "s.toml"), trust_paths=True) == suite

"""results.json: written and read as the schema says, older ones too; whatever is wrong in one is one line."""

import json

import msgspec
import pytest
import report_example as example
from paths import PACKAGE
from small_suites import results_in, suite_of

from lmbench.cli import main
from lmbench.errors import InputError
from lmbench.results.documentation import json_schema, meanings, page
from lmbench.results.file import read_results, write_results
from lmbench.results.schema import (
    CorpusResult,
    Overlap,
    Result,
    Results,
    ZipfResult,
)

SCHEMA = PACKAGE.parent / "docs" / "reference" / "results.schema.json"


def test_results_are_read_back_as_they_were_written(tmp_path):
    results = example.example()
    write_results(results, tmp_path)
    assert read_results(tmp_path) == results
    assert read_results(tmp_path / "results.json") == results
    rows = json.loads((tmp_path / "results.json").read_text())["results"]
    assert list(rows[0])[:2] == ["corpus", "label"]


def test_infinity_and_nan_are_null(tmp_path):
    row = Result(corpus="c", label="m", bits_per_char=float("inf"), n_eff=float("nan"), infinite_tokens=2)
    write_results(Results(results=[row]), tmp_path)
    (again,) = read_results(tmp_path).results
    assert (again.bits_per_char, again.n_eff) == (None, None)
    assert again.value("bits_per_char") == float("inf")


def test_a_file_of_the_first_version_opens(tmp_path):
    document = {
        "schema_version": 1,
        "suite": "old",
        "corpora": [{"name": "c", "contamination": {"share_of_test_30_grams_of_chars_seen_in_train": 0.25}}],
        "results": [{"corpus": "c", "label": "m", "bits_per_char": 2.0, "history": [{"epoch": 1.0}]}],
        "comparisons": [],
    }
    (tmp_path / "results.json").write_text(json.dumps(document))
    results = read_results(tmp_path)
    assert results.results[0].bits_per_char == 2.0
    assert results.corpora[0].contamination == [Overlap(unit="char", length=30, share=0.25)]
    assert main(["export", str(tmp_path)]) == 0


def test_a_file_of_the_second_version_opens(tmp_path):
    row = {"corpus": "c", "label": "m", "bits_per_char": 2.0, "resampled": "documents"}
    baseline = {"name": "xz (the first 1.0 million characters)", "bits_per_char": 2.5}
    document = {
        "schema_version": 2,
        "corpora": [{"name": "c", "baselines": [baseline]}],
        "results": [row],
        "over_seeds": [row | {"resampled": "stream"}],
    }
    (tmp_path / "results.json").write_text(json.dumps(document))
    results = read_results(tmp_path)
    assert [r.ci95_method for r in (*results.results, *results.over_seeds)] == ["documents", "stream"]
    assert results.corpora[0].baselines[0].bits_per_char == 2.5
    assert results.schema_version == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a results.json"),
        ("[1]", "is not a results.json"),
        ("{", "is not a results.json"),
        ("\udcff", "is not a results.json"),
        ('{"suite": "x"}', "is not a results.json"),
        ('{"schema_version": 99}', "has schema 99, this lmbench reads 1 to 3"),
        ('{"schema_version": "\\n\\u001b[31m"}', "has schema"),
        ('{"schema_version": 3, "results": {}}', "results: Expected `array`, got `object`"),
        ('{"schema_version": 3, "results": [{"corpus": "c"}]}', "results\\[0\\]: .*missing.*`label`"),
        (
            '{"schema_version": 3, "results": [{"corpus": "c", "label": "m", "tokens": "many"}]}',
            "results\\[0\\].tokens: Expected `int",
        ),
        (
            '{"schema_version": 3, "results": [{"corpus": "c", "label": "m", "bits_per_char": -1}]}',
            "results\\[0\\].bits_per_char: Expected `float` >= 0",
        ),
        ('{"schema_version": 1, "corpora": 3}', "corpora: Expected `array`, got `int`"),
        ('{"schema_version": 1, "corpora": [3]}', "corpora\\[0\\]: Expected `object`"),
        (
            '{"schema_version": 1, "corpora": [{"name": "c", "contamination": {"share_of_test_8_grams_of_words_seen_in_train": 7}}]}',
            "share",
        ),
    ],
)
def test_what_is_wrong_is_one_printable_line(tmp_path, text, said, capsys):
    (tmp_path / "results.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=said) as error:
        read_results(tmp_path)
    assert str(error.value).isprintable()
    assert main(["export", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_file_says_what_makes_one(tmp_path):
    with pytest.raises(InputError, match=r"results\.json is not there"):
        read_results(tmp_path)


def test_nothing_that_is_told_of_a_corpus_or_a_law_is_lost(tmp_path, ferry):
    outcome, results = results_in(tmp_path, suite_of(("uniform",)))
    (corpus,) = outcome.corpora.values()
    assert set(corpus.describe()) <= set(CorpusResult.__struct_fields__)
    from lmbench.zipf.table import zipf_rows

    rows, _ = zipf_rows("ferry", corpus.whole(), "word", (1, 2))
    assert all(set(row) <= set(ZipfResult.__struct_fields__) for row in rows)
    assert len(results.zipf) == 3


def test_the_schema_in_the_documentation_is_current():
    """``python -m lmbench.results > docs/reference/results.schema.json`` writes it, and with --page results.md."""
    assert json.loads(SCHEMA.read_text("utf-8")) == json_schema()
    assert (SCHEMA.parent / "results.md").read_text("utf-8") == page()


def test_every_key_has_a_meaning():
    definitions = json_schema()["$defs"]
    assert {"Result", "Results", "Comparison", "CorpusResult", "Verified"} <= set(definitions)
    for name, definition in definitions.items():
        for key, told in definition["properties"].items():
            assert len(told["description"]) > 3, (name, key)


class Two(msgspec.Struct):
    """A pair.

    a, b: in bits. c: the rest: all of it.
    """

    a: int
    b: int
    c: int


def test_meanings_are_read_from_docstrings():
    assert meanings(Two) == {"a": "in bits", "b": "in bits", "c": "the rest: all of it"}

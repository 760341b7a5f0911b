"""What lm-evaluation-harness leaves of a task, read in as a run; and what llama.cpp's perplexity tool does not say."""

import json
import math

import pytest
from click.testing import CliRunner

import lmbench as lb
from lmbench.cli import lmbench
from lmbench.errors import InputError
from lmbench.scoring.token_file import external_run
from lmbench.text.canonical import canonical_text

DOCUMENTS = ["The ferry left.\nIt was gone.", "Where is it?\n", "Here."]


def corpus_of(documents=DOCUMENTS):
    texts = [canonical_text(raw, "none", "stream") for raw in (["Learnt.\n"], documents)]
    return lb.Corpus("small", texts[0], None, texts[1], "none", "stream")


def row(text, nats, *more):
    return {
        "doc_id": 0,
        "arguments": {"gen_args_0": {"arg_0": text, **{f"arg_{i + 1}": a for i, a in enumerate(more)}}},
        "resps": [[str(nats)]],
    }


def file_of(folder, *rows):
    file = folder / "samples_ferry_2026.jsonl"
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows))
    return file


def test_a_figure_a_document_in_any_order_and_line_feeds_that_were_not_scored(tmp_path):
    file = file_of(tmp_path, row(DOCUMENTS[2], -5), row(DOCUMENTS[0], -20.5), row(DOCUMENTS[1], -7))
    run = external_run(file, corpus_of())
    # The first and last documents end here in line feeds that were not scored; the second had its own.
    line_feed = -16 * math.log(2)
    assert run.scores.log_probs.tolist() == [
        -20.5,
        pytest.approx(line_feed),
        -7,
        -5,
        pytest.approx(line_feed),
    ]
    assert run.scores.ends.tolist() == [28, 29, 42, 47, 48]
    assert run.scores.starts.tolist() == [0, 2, 3]
    assert run.scores.bits_per_char == pytest.approx((32.5 / math.log(2) + 32) / 48)
    assert "2 line feeds between documents were not scored" in run.facts.notes[1]
    assert run.facts.unit == "document"
    assert "sum to 1 is not known" in run.facts.unranked_reason
    other = lb.evaluate(lb.make_model("uniform"), corpus_of())
    assert len(lb.compare([run, other])) == 1


def test_rows_of_older_versions_hold_lists(tmp_path):
    rows = [{"arguments": [[text]], "resps": [[-3.0]]} for text in DOCUMENTS]
    assert external_run(file_of(tmp_path, *rows), corpus_of()).scores.log_prob == pytest.approx(
        -9 - 32 * math.log(2)
    )


def test_the_command_line_reads_them_with_the_text(tmp_path):
    file = file_of(tmp_path, *(row(text, -9) for text in DOCUMENTS))
    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"page": text}) + "\n" for text in DOCUMENTS))
    asked = ["score", "--scores", str(file), "--test", str(tmp_path / "text.jsonl"), "--field", "page"]
    outcome = CliRunner().invoke(lmbench, [*asked, "--json"], catch_exceptions=False)
    result = json.loads(outcome.stdout)
    assert (result["unit"], result["chars"], result["log_prob"]) == (
        "document",
        48,
        pytest.approx(-27 - 32 * math.log(2)),
    )
    assert "charged 16 bits" in outcome.stderr
    assert "external by document\n" in CliRunner().invoke(lmbench, asked).stdout
    with pytest.raises(InputError, match="with no model"):
        CliRunner().invoke(
            lmbench, [*asked, "--model", "uniform"], catch_exceptions=False, standalone_mode=False
        )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [row(DOCUMENTS[0], -1)],
            r"has no figure for the document that begins at character 30, 'Where is it\?",
        ),
        ([row(text, -1) for text in [*DOCUMENTS, "More."]], "line 4 is of a document that the text has not"),
        ([row(DOCUMENTS[0], -1), row(DOCUMENTS[0], -2)], "line 2: the text of line 1, with another figure"),
        ([row(DOCUMENTS[0], -1, " left")], r"of 2 strings and 1 answers, .*loglikelihood_rolling"),
        ([row(DOCUMENTS[0], 1)], "line 1: 1.0 is no logarithm of a probability"),
        ([row(DOCUMENTS[0], "no")], "'no' is no logarithm"),
        ([{"text": "x"}], "line 1 is no row of lm-evaluation-harness's --log_samples"),
    ],
)
def test_what_is_not_the_text_s_is_refused(rows, said, tmp_path):
    with pytest.raises(InputError, match=said):
        external_run(file_of(tmp_path, *rows), corpus_of())


@pytest.mark.parametrize(
    "data",
    [
        b"perplexity: calculating perplexity over 655 chunks, n_ctx=512, batch_size=2048\n[1]4.1,[2]5.2,\n",
        b"_logits_" + (512).to_bytes(4, "little") + bytes(100),
    ],
)
def test_the_perplexity_tool_leaves_half_of_the_text_out_and_is_refused_with_that(data, tmp_path):
    (tmp_path / "ppl.log").write_bytes(data)
    with pytest.raises(InputError, match=r"second half of each chunk of 512 tokens alone.*--model gguf"):
        external_run(tmp_path / "ppl.log", corpus_of())


def test_the_harness_s_own_file_gives_its_own_figure(tmp_path):
    """A row as lm-evaluation-harness 0.4.13 wrote it: bits a byte as it says, over the documents that it scored."""
    line = {
        "doc_id": 0,
        "doc": {"page": DOCUMENTS[1]},
        "target": DOCUMENTS[1],
        "arguments": {"gen_args_0": {"arg_0": DOCUMENTS[1]}},
        "resps": [["-58.359947204589844"]],
        "filtered_resps": ["-58.359947204589844"],
        "filter": "none",
        "metrics": ["bits_per_byte"],
        "bits_per_byte": [-58.359947204589844, 13],
    }
    run = external_run(file_of(tmp_path, line), corpus_of([DOCUMENTS[1]]))
    assert run.scores.bits_per_byte == pytest.approx(58.359947204589844 / 13 / math.log(2), rel=1e-12)

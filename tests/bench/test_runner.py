"""Suites checked before they run; cells on disk as soon as they are done; runs that break off and go on."""

import html
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from paths import HELPERS, PACKAGE, ROOT
from small_suites import FERRY, TINY, Log, failing, results_in, suite_of

from lmbench import report
from lmbench.bench.cells import Cell
from lmbench.bench.runner import measure_suite
from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.bench.suite_file import load_suite, to_toml
from lmbench.errors import NO_MEMORY, InputError
from lmbench.models import make_model
from lmbench.report import page
from lmbench.report.ranking import rows as ranked
from lmbench.results.file import write_results
from lmbench.results.views import Views
from lmbench.scoring.code_hash import deciding_files, own_code_hash
from lmbench.scoring.evaluation import beginning, evaluate, fit_run, learnt_text
from lmbench.scoring.stored_run import load_run

# Runs ------------------------------------------------------------------------------------------------


def test_only_what_is_missing_or_changed_is_done_again(tmp_path):
    logs = [Log() for _ in range(4)]
    measure_suite(suite_of(("uniform",), ("bigram",)), tmp_path, watch=logs[0])
    measure_suite(suite_of(("uniform",), ("bigram",)), tmp_path, watch=logs[1])
    measure_suite(
        suite_of(("uniform",), ("bigram", "bigram", "char", {"eps": [1.0]})), tmp_path, watch=logs[2]
    )
    (tmp_path / "scores" / "ferry" / "uniform.npz").write_bytes(b"damaged")
    measure_suite(suite_of(("uniform",)), tmp_path, watch=logs[3])
    assert [log.fresh for log in logs] == [["uniform", "bigram"], [], ["bigram"], ["uniform"]]


def test_a_users_own_model_is_measured_anew_when_its_code_or_its_bases_change(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    base, model = tmp_path / "keyed_base.py", tmp_path / "keyed_model.py"
    base.write_text("from lmbench.models.uniform import Uniform\n\nclass Base(Uniform):\n    pass\n")
    model.write_text("from keyed_base import Base\n\nclass Mine(Base):\n    pass\n")
    cell = Cell(FERRY, ModelSpec("keyed_model:Mine"), 0, False)
    suite, corpus = suite_of(("keyed_model:Mine",)), FERRY.load()
    keys = [cell.key(corpus, suite), cell.key(corpus, suite)]
    for file in (model, base):
        file.write_text(file.read_text() + "# changed\n")
        keys.append(cell.key(corpus, suite))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert own_code_hash("uniform") == own_code_hash("bigram")  # of what comes along, code_hash speaks


def test_the_key_knows_every_file_that_a_score_depends_on():
    known = {".".join(["lmbench", *f.relative_to(PACKAGE).with_suffix("").parts]) for f in deciding_files()}
    known = {name.removesuffix(".__init__") for name in known}
    code = (
        "import sys, lmbench.scoring, lmbench.models.smoothing.kneser_ney, lmbench.models.neural.recurrent;"
    )
    code += "print(*[m for m in sys.modules if m.startswith('lmbench.')])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    shown = {
        name for name in loaded if name.startswith("lmbench.charts")
    }  # how values look, which no score depends on
    assert set(loaded) - known - shown <= {"lmbench.version"}


def test_uniform_has_the_known_answer(tmp_path):
    _, found = results_in(tmp_path, suite_of(("uniform",)))
    row = found.results[0]
    assert row.perplexity == pytest.approx(row.vocab_size)
    assert row.bits_per_char == pytest.approx(np.log2(row.vocab_size))
    assert row.train_bits_per_char == pytest.approx(row.bits_per_char)


def test_side_by_side_gives_the_same_as_one_after_another(tmp_path):
    rows = [
        ("uniform",),
        ("bigram",),
        ("mixture", "mix", "char", {"of": ["uniform", "bigram"]}),
        ("trigram", "w", "word"),
    ]
    one, other = (results_in(tmp_path / str(jobs), suite_of(*rows), jobs=jobs)[0] for jobs in (1, 2))
    assert (
        [run.label for run in one.runs]
        == [run.label for run in other.runs]
        == ["uniform", "bigram", "mix", "w"]
    )
    for a, b in zip(one.runs, other.runs, strict=True):
        assert np.array_equal(a.scores.nats, b.scores.nats)


def test_a_model_that_fails_leaves_its_reason_and_the_rest_goes_on(tmp_path):
    outcome, found = results_in(
        tmp_path, suite_of(failing("error"), failing("memory"), failing("card"), ("bigram",))
    )
    assert [run.label for run in outcome.runs] == ["bigram"]
    said = {row.label: row.status for row in found.results}
    assert said["bigram"] == "ok"
    assert "ZeroDivisionError: by design" in said["error"]
    assert said["memory"] == said["card"] == f"failed: {NO_MEMORY}"
    assert "by design" in (tmp_path / "errors" / "ferry-error.txt").read_text()
    assert [row.rank for row in ranked(found, "ferry")] == [1, None, None, None]


def test_a_worker_that_is_killed_costs_its_own_row_alone(tmp_path):
    outcome, found = results_in(tmp_path, suite_of(failing("killed"), ("uniform",), ("bigram",)), jobs=2)
    assert sorted(run.label for run in outcome.runs) == ["bigram", "uniform"]
    assert "its process ended" in {r.label: r.status for r in found.results}["killed"]


def test_an_interrupt_keeps_what_is_done(tmp_path):
    outcome, found = results_in(tmp_path, suite_of(("uniform",), failing("interrupt"), ("bigram",)))
    assert outcome.interrupted
    assert [row.label for row in found.results] == ["uniform"]


def test_a_run_killed_in_the_middle_goes_on_where_it_was(tmp_path):
    suite = suite_of(("uniform",), ("bigram",), failing("killed"))
    (tmp_path / "s.toml").write_text(to_toml(suite))
    code = (
        "from pathlib import Path; from lmbench.bench.runner import measure_suite; from lmbench.bench import load_suite;"
        f"measure_suite(load_suite({str(tmp_path / 's.toml')!r}, True, True), Path({str(tmp_path)!r}), jobs=1)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(HELPERS)}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert load_run(tmp_path / "scores" / "ferry" / "bigram.npz") is not None
    assert not list(tmp_path.rglob("*.part"))
    log = Log()
    measure_suite(suite_of(("uniform",), ("bigram",), ("trigram",)), tmp_path, watch=log)
    assert log.fresh == ["trigram"]


def test_a_model_that_breaks_a_law_is_shown_unranked(tmp_path):
    _outcome, found = results_in(tmp_path, suite_of(("odd_models:Peeking", "peeking"), ("bigram",)))
    rows = {row.label: row for row in ranked(found, "ferry")}
    assert rows["peeking"].rank is None
    assert "next_log_probs" in (rows["peeking"].reason or "")
    assert rows["bigram"].rank == 1


def test_what_was_verified_stands_in_the_results_and_the_report(tmp_path):
    _, found = results_in(tmp_path, suite_of(("bigram",), ("odd_models:Peeking", "peeking"), verify=20))
    claims = {row.label: row.verified for row in found.results}
    assert claims["peeking"] is None  # it breaks a law, and is not asked further
    assert (claims["bigram"].tokens, claims["bigram"].identical, claims["bigram"].holds) == (20, True, True)
    assert claims["bigram"].file_bits <= claims["bigram"].claimed_bits + 64
    shown = page.html(found, [], Views())
    assert "bits in the file" in shown
    assert f"{claims['bigram'].file_bits}</td>" in shown
    assert "decoded to the same text" in page.markdown(found, {}, [], Views())
    assert load_run(tmp_path / "scores" / "ferry" / "bigram.npz").facts.verified == claims["bigram"]


def test_all_of_the_test_text_is_verified_if_a_suite_asks_for_it(tmp_path):
    _, found = results_in(tmp_path, suite_of(("bigram",), ("cache",), verify="all"))
    for row in found.results:
        assert (row.verified.tokens, row.verified.holds) == (row.tokens, True)


def test_what_every_ranked_model_writes_stands_in_the_report(tmp_path):
    models = [
        ("bigram",),
        ("kneser-ney", "words", "word", {"order": 3}),
        ("lstm", "lstm", "word", TINY),
        ("rnn-scratch", "rnn", "char", TINY),
        ("mixture", "mix", "word", {"of": ["words", "lstm"]}),
    ]
    _, found = results_in(tmp_path, suite_of(*models, seeds=(0, 1)))
    shown = html.unescape(page.html(found, [], Views()))
    rows = [row for row in ranked(found, "ferry") if row.rank]
    assert {row.label for row in rows} == {"bigram", "words", "lstm", "rnn", "mix"}
    for row in rows:
        texts = row.result.samples
        assert [sample.temperature for sample in texts] == [0.5, 1.0]
        for sample in texts:
            assert len(sample.text) > 100
            assert sample.text.removeprefix(sample.prompt) in shown


def test_results_are_json_without_nan_and_a_table(tmp_path):
    _, found = results_in(
        tmp_path, suite_of(("laplace", "certain", "char", {"order": 2, "eps": [0.0]}), ("bigram",))
    )
    write_results(found, tmp_path)
    text = (tmp_path / "results.json").read_text()
    again = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in results.json"))
    rows = {row["label"]: row for row in again["results"]}
    assert rows["certain"]["perplexity"] is None  # some p = 0: infinite, shown and not crashed
    assert rows["certain"]["infinite_tokens"] > 0
    assert again["schema_version"] == 3
    lines = report.leaderboard_csv(found).splitlines()
    assert len(lines) == 3
    assert lines[1].split(",")[1] == "bigram"


def test_a_text_without_blanks(tmp_path):
    # Two words of 5,000 letters: what a word model writes of such a text.
    for part, times in (("train", 4), ("test", 2)):
        (tmp_path / f"{part}.txt").write_text(("a" * 5000 + " " + "b" * 5000 + " ") * times)
    corpus = CorpusSpec("long", train=str(tmp_path / "train.txt"), test=str(tmp_path / "test.txt"))
    suite = Suite(name="long", corpora=[corpus], models=[ModelSpec("unigram", unit="word")])
    outcome, found = results_in(tmp_path / "run", suite)
    for sample in outcome.runs[0].facts.samples:
        assert len(sample.text) == len(sample.prompt) + suite.samples.chars
    assert found.zipf == []  # two types are no Zipf's law


def test_evaluate_from_python(ferry):
    run = evaluate(make_model("bigram"), ferry, unit="word")
    assert run.scores.log_probs.shape == (len(ferry.encoded("word", "test").tokens),)
    assert run.scores.perplexity == pytest.approx(np.exp(-run.scores.log_probs.mean()))
    assert run.scores.bits_per_char == pytest.approx(-run.scores.nats.sum() / np.log(2) / ferry.test.chars)


def test_the_beginning_of_a_text_is_whole_documents(ferry):
    head = beginning(ferry.train, 200)
    assert ferry.train.text.startswith(head.text)
    assert head.text.endswith("\n")
    assert 200 <= head.chars < 300
    assert beginning(ferry.train, 10**9) is ferry.train


def test_on_training_is_the_text_that_was_learnt(ferry):
    some = {"hidden": 8, "epochs": 1, "batch": 4, "steps": 8}
    for unit in ("char", "word"):
        scorer, _ = fit_run(make_model("rnn-scratch", max_tokens=90, **some), ferry, unit)
        learnt = learnt_text(scorer, ferry)
        assert ferry.train.text.startswith(learnt.text)
        assert len(scorer.encode(learnt).tokens) == 90
    scorer, _ = fit_run(make_model("bigram"), ferry)
    assert learnt_text(scorer, ferry).text == beginning(ferry.train, ferry.test.chars).text


def test_an_interrupted_command_leaves_a_usable_run(tmp_path):
    rows = [
        ("uniform",),
        ("bigram",),
        ("rnn-scratch", "long", "char", {"epochs": 100000, "patience": 100000}),
    ]
    (tmp_path / "s.toml").write_text(to_toml(suite_of(*rows)))
    command = [
        sys.executable,
        "run_bench.py",
        str(tmp_path / "s.toml"),
        "--out",
        str(tmp_path / "run"),
        "--trust-paths",
    ]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    try:
        deadline = time.monotonic() + 60
        finished = [tmp_path / f"run/scores/ferry/{name}.npz" for name in ("uniform", "bigram")]
        while time.monotonic() < deadline and not all(path.exists() for path in finished):
            time.sleep(0.1)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[0].decode()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    labels = [r["label"] for r in json.loads((tmp_path / "run" / "results.json").read_text())["results"]]
    assert labels == ["uniform", "bigram"]
    assert (tmp_path / "run" / "report.html").exists()


# What stands beside a corpus -------------------------------------------------------------------------


def test_a_model_alone_compares_with_nothing(tmp_path):
    _, found = results_in(tmp_path, suite_of(("uniform",)))
    assert found.comparisons == []
    assert found.results[0].groups == "a"
    assert found.ranks is None
    corpus = found.corpora[0]
    assert corpus.resolvable is None
    assert {b.name for b in corpus.baselines} >= {"bz2", "xz"}
    assert [(o.unit, o.length) for o in corpus.contamination] == [("word", 8), ("char", 30)]


def test_resolvable_is_the_median_over_pairs(tmp_path):
    _, found = results_in(tmp_path, suite_of(("uniform",), ("unigram",), ("laplace",)))
    pairs = sorted(c.resolvable_difference for c in found.comparisons)
    assert found.corpora[0].resolvable == pairs[1] > 0
    for row in found.results:
        seen, unseen = row.bits_per_char_seen, row.bits_per_char_unseen
        assert seen is None or min(seen, unseen) - 1e-9 <= row.bits_per_char <= max(seen, unseen) + 1e-9


def test_nobody_has_a_rank_on_a_test_text_inside_the_training_text(tmp_path):
    rng = np.random.default_rng(0)
    lines = [" ".join(f"w{n}" for n in (5000 * rng.random(12) ** 3).astype(int)) for _ in range(200)]
    (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
    texts = {
        "copy": lines[50:120],
        "fresh": [" ".join(f"v{n}" for n in rng.integers(0, 99, 12)) for _ in range(70)],
    }
    for name, of in texts.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(of) + "\n")
        suite = suite_of(("unigram",), ("uniform",))
        suite.corpora = [
            CorpusSpec(name, train=str(tmp_path / "train.txt"), test=str(tmp_path / f"{name}.txt"))
        ]
        _, found = results_in(tmp_path / name, suite)
        reasons = {row.unranked_reason for row in found.results}
        if name == "copy":
            assert found.corpora[0].copied > 0.99
            (said,) = reasons
            assert said.startswith(
                "100% of the test text stands in the text that the model has seen (characters 0 to "
            )
            assert found.ranks is None
        else:
            assert (found.corpora[0].copied, reasons) == (0, {None})


# Texts of a suite ------------------------------------------------------------------------------------


def test_descriptions_files_and_shares_stand_where_corpora_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "".join(f"line {i} of a made text with {i % 7} bells\n" for i in range(300))
    (tmp_path / "plain.txt").write_text(text)
    (tmp_path / "told.toml").write_text('title = "t"\n[[files]]\nname = "plain.txt"\n')
    (tmp_path / "suite.toml").write_text(
        "name = 's'\ncorpora = ['told.toml', 'plain.txt', {name = 'own', train = ['plain.txt'], test = 0.3}]\n"
        "[[models]]\nmodel = 'bigram'\n"
    )
    suite = load_suite("suite.toml")
    outcome, found = results_in(tmp_path / "run", suite)
    assert [run.corpus for run in outcome.runs] == ["told", "plain", "own"]
    assert found.corpora[2].chars == pytest.approx(0.3 * len(text), rel=0.01)
    assert load_suite(str(tmp_path / "run" / "suite.toml")).corpus_specs() == suite.corpus_specs()
    assert [spec.name for spec in suite.narrowed(["told.toml"], [], None).corpus_specs()] == ["told"]


def test_two_corpora_of_one_name_are_refused(tmp_path):
    (tmp_path / "s.toml").write_text(
        "name='s'\ncorpora=['a/t.txt', 'b/t.txt']\n[[models]]\nmodel='uniform'\n"
    )
    with pytest.raises(InputError, match=r"corpora\[1\].name: 't' stands twice"):
        load_suite(str(tmp_path / "s.toml"))


# Further divisions -----------------------------------------------------------------------------------


def test_further_divisions_are_runs_of_their_own(tmp_path):
    rows = [("uniform",), ("bigram",), ("trigram",), ("rnn-scratch", "net", "char", TINY)]
    suite = suite_of(*rows, ("mixture", "mix", "char", {"of": ["bigram", "net"]}), splits=3)
    outcome = measure_suite(suite, tmp_path)
    assert [run.label for run in outcome.runs] == ["uniform", "bigram", "trigram", "net", "mix"]
    found = outcome.over_splits()[0]
    assert found.corpus == "ferry"
    assert found.divisions == [f"part {k} of 3 is the test text" for k in (1, 2, 3)]
    assert {row.label for row in found.rows} == {"uniform", "bigram", "trigram"}  # no seed changes them
    whole = FERRY.load()
    for row in found.rows:
        alone = [
            evaluate(make_model(row.label), whole.divided_anew(k, 3)).scores.bits_per_char for k in range(3)
        ]
        assert row.of_splits == pytest.approx(alone)
        assert row.mean == pytest.approx(np.mean(alone))
        assert row.sd == pytest.approx(np.std(alone, ddof=1))
    ranks = np.array([row.ranks for row in found.rows])
    assert ranks.sum(axis=0).tolist() == [6.0] * 3
    log = Log()
    again = measure_suite(suite, tmp_path, watch=log)
    assert log.fresh == []
    assert again.over_splits() == outcome.over_splits()

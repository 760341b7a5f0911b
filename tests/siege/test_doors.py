"""Every door one check: whatever is wrong with a file or a command line is one printable line with place and remedy."""

import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from model_damage import parts, sealed
from paths import GOLDEN, ROOT

from lmbench.__main__ import main as start
from lmbench.bench.cluster import Cluster
from lmbench.bench.suite_file import load_suite
from lmbench.cli import main
from lmbench.corpora.corpus import Corpus
from lmbench.errors import NO_MEMORY, InputError, cut
from lmbench.models import make_model
from lmbench.models.smoothing.packing import pack_column
from lmbench.report import write_pdf
from lmbench.results.file import read_results
from lmbench.results.schema import Results
from lmbench.scoring.choices import read_questions
from lmbench.scoring.combining import mix
from lmbench.scoring.harness_tasks import read_judged
from lmbench.scoring.samples_file import samples_scores
from lmbench.scoring.scorer import Scorer, load_model
from lmbench.storage.files import sweep, whole_file, write_whole
from lmbench.storage.mapped import open_arrays, write_arrays
from lmbench.storage.plain import toml_of
from lmbench.studies import run_study
from lmbench.studies.answers import read_study

TEXT = str(GOLDEN / "ferry.train.txt")


def test_a_message_is_one_line_that_no_terminal_obeys():
    said = str(InputError("a\x1b[31m\u202eb\ud800\u200f\n" + "c" * 500 + "; do this"))
    assert said.isprintable()
    assert said.startswith("a\\x1b[31m\\u202eb\\ud800\\u200f\\nccc")
    assert said.endswith("; do this")
    assert len(said) == 299
    assert [len(cut("x" * n, 20)) for n in (19, 20, 21, 90)] == [19, 20, 20, 20]


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "\x1b[31mno.toml"],
        ["score", "--model", "\u202euniform", "--train", TEXT],
        ["\x1b]0;title\x07"],
        ["score", "--unit", "\x1b[2J"],
        ["zipf", "a" * 5000],
        ["corpora", "show", "b/" * 3000],
        ["score", "--model", "laplace", "-o", f"order={10**30}", "--train", TEXT],
        ["next", "--load", "x" * 300],
        ["export", "y" * 300],
        ["score", "--model", ":X", "--train", TEXT],
        ["score", "--model", ".:X", "--train", TEXT],
    ],
)
def test_a_wrong_command_line_is_one_line(argv, capsys):
    assert main([*argv, "--test", str(GOLDEN / "ferry.test.txt")] if TEXT in argv else argv) == 2
    said = capsys.readouterr().err
    assert said.startswith("lmbench: ")
    assert said.count("\n") == 1
    assert said[:-1].isprintable()
    assert len(said) < 400


@pytest.mark.parametrize(
    "address",
    [
        "x",
        "tls://a",
        "http://127.0.0.1:80",
        "tcp://127.0.0.1:99999",
        "inproc://x",
        "tcp://:8786",
        "\x1b[31m:1",
        "\ud800:1",
    ],
)
def test_what_is_no_address_of_a_scheduler_is_said_at_once(address):
    with pytest.raises(InputError, match=r"is no address \(.+\); give one such as tcp://host:8786"):
        Cluster(address)


@pytest.mark.parametrize("orders", ["0", "-1", "1000", "1099511627776", "9223372036854775808", "1,,2", "٣a"])
def test_orders_that_no_n_gram_has_are_refused(orders, capsys):
    assert main(["zipf", TEXT, f"--orders={orders}"]) == 2
    assert "is not a list of whole numbers from 1 to 999" in capsys.readouterr().err


@pytest.mark.parametrize("unit", ["byte", "subword:level=byte,size=300"])
def test_a_vocabulary_of_tokens_that_the_unit_has_not_is_refused(unit, tmp_path, capsys):
    (tmp_path / "words").write_text("a\nthe ferry\n")
    argv = ["fit", "--model", "bigram", "--unit", unit, "--vocab", str(tmp_path / "words"), "--train", TEXT]
    assert main([*argv, "--save", str(tmp_path / "model")]) == 2
    assert f"'the ferry' in the vocabulary is no token of unit {unit}; give" in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked", ["--seeds=9999999999999999999", "--seeds=1001", "--seed=-1", f"--seed={2**63}"]
)
def test_seeds_beyond_measure_are_refused(asked, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(f"name = 's'\ncorpora = ['{TEXT}']\n[[models]]\nmodel = 'uniform'\n")
    assert main(["run", "s.toml", "--quiet", "--trust-paths", asked]) == 2
    assert "give 1 to 1000, from 0 or more on" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["score", "--model", "witten-bell", "--train", TEXT],
        ["fit", "--model", "rnn", "--train", TEXT, "--save", "o"],
        ["surprisal", "--model", "witten-bell", "--train", TEXT, TEXT],
        ["generate", "--load", "o"],
        ["study", "markov"],
    ],
)
@pytest.mark.parametrize("seed", ["-12786839", str(2**63)])
def test_seeds_that_begin_nothing_are_refused(argv, seed, capsys):
    assert main([*argv, "--seed", seed]) == 2
    assert f"'--seed': {seed} is not in the range" in capsys.readouterr().err


def test_seeds_are_checked_in_python_too():
    corpus = Corpus.of("golden-mean")
    for ask in (
        lambda: Scorer.fit(make_model("uniform"), corpus, seed=-1),
        lambda: run_study("markov", corpus, seed=2**63),
    ):
        with pytest.raises(InputError, match=r"^seed=-?\d+ must be from 0 to 9223372036854775807$"):
            ask()


@pytest.mark.parametrize("written", [b'[{"name": "\xe2("}]', b"[" * 100_000, b"{", b'{"key": 1}', b""])
def test_json_that_is_none_is_said_so_or_made_anew(written, tmp_path):
    """Bytes that are no UTF-8, and nesting without end, are other errors to its reader than a wrong document."""
    (tmp_path / "figures").mkdir()
    for name in ("figures/charts.json", "results.json", "study.json", "rows.jsonl", "rows.json"):
        (tmp_path / name).write_bytes(written)
    results = Results()
    for ask in (
        lambda: write_pdf(tmp_path, results, tmp_path),
        lambda: read_results(tmp_path),
        lambda: Corpus.of(tmp_path / "rows.jsonl"),
        lambda: Corpus.of(tmp_path / "rows.json", field="text"),
        lambda: read_questions(tmp_path / "rows.jsonl"),
        lambda: read_judged(tmp_path / "rows.jsonl"),
        lambda: samples_scores(tmp_path / "rows.jsonl", Corpus.of("golden-mean").text("test")),
    ):
        with pytest.raises(InputError):
            ask()
    assert read_study(tmp_path / "study.json", "key") is None


@pytest.mark.parametrize(
    "argv",
    [
        ["fit", "--model", "witten-bell", "--unk", "\udcb9", "--train", TEXT, "--save", "o"],
        ["harness-tasks", TEXT, "--name", "\udcae", "--out", "o"],
    ],
)
def test_half_characters_are_not_written(argv, tmp_path, capsys, monkeypatch):
    """Bytes of a command line that are no UTF-8."""
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("lmbench: ")
    assert said.isprintable()


def test_a_command_that_memory_does_not_suffice_to_load_says_so(capsys, monkeypatch):
    class Lacking:
        error: Exception = MemoryError()

        def find_spec(self, name, *_):
            if name == "lmbench.cli":
                raise self.error

    monkeypatch.delitem(sys.modules, "lmbench.cli")
    monkeypatch.setattr(sys, "meta_path", [finder := Lacking(), *sys.meta_path])
    assert start() == 2
    assert capsys.readouterr().err == f"lmbench: {NO_MEMORY}\n"
    finder.error = ImportError("no module of this name")
    with pytest.raises(ImportError):
        start()


def test_where_memory_lacks_one_line_says_so(capsys, monkeypatch):
    """Also where a library says so: by an error of its own, or in place of another."""

    def lacking(*_, **__):
        try:
            raise ImportError("libx.so: failed to map segment from shared object")
        except ImportError:
            raise KeyError("x") from None

    errors = [MemoryError(), OSError(12, "Cannot allocate memory"), RuntimeError("can't start new thread")]
    for raised in errors:
        monkeypatch.setattr(
            "lmbench.cli.lmbench.main", lambda *_, raised=raised, **__: (_ for _ in ()).throw(raised)
        )
        assert main([]) == 2
        assert capsys.readouterr().err == f"lmbench: {NO_MEMORY}\n"
    monkeypatch.setattr("lmbench.cli.lmbench.main", lacking)
    assert main([]) == 2
    monkeypatch.setattr("lmbench.cli.lmbench.main", lambda *_, **__: {}["x"])
    with pytest.raises(KeyError):
        main([])


def test_half_characters_are_read_and_printed_as_escapes(tmp_path):
    scored = ["score", "--model", "unigram", "--train", TEXT, "--given", "\udcff", "--test", TEXT, "--json"]
    command = [sys.executable, "-m", "lmbench", *scored]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert b'"given": "\\udcff"' in done.stdout


# Saved models ----------------------------------------------------------------------------------------------


def changed_array(path, name, values):
    """A saved model with the first entries of an array replaced, and checksums that fit."""
    header, body = parts(path.read_bytes())
    begin = header[name]["data_offsets"][0]
    data = np.asarray(values).tobytes()
    path.write_bytes(sealed(header, body[:begin] + data + body[begin + len(data) :]))


def test_a_saved_model_of_numbers_that_are_none_is_refused(tmp_path):
    """A signalling NaN in single precision, which warns where it is cast."""
    corpus = Corpus.of(TEXT)
    Scorer.fit(make_model("kneser-ney", order=2, bits=8), corpus, "char").save(tmp_path / "m")
    header, _ = parts((tmp_path / "m").read_bytes())
    name = next(name for name in header if name.startswith("model.probs.1"))
    size = {"F32": np.uint32, "F64": np.uint64}[header[name]["dtype"]]
    changed_array(tmp_path / "m", name, size(0x7F800001 if size is np.uint32 else 0x7FF0000000000001))
    with pytest.raises(InputError, match="holds what is no finite number"):
        load_model(tmp_path / "m")


def test_a_saved_word_that_goes_on_in_the_next_line_is_refused(tmp_path):
    scorer = Scorer.fit(make_model("witten-bell", order=2), Corpus.of(TEXT), "word")
    scorer.save(tmp_path / "m")
    header, body = parts((tmp_path / "m").read_bytes())
    begin, end = header["vocab"]["data_offsets"]
    damaged = body[begin:end].replace(b'"ferry"', b'"f\\nry"', 1)
    (tmp_path / "m").write_bytes(sealed(header, body[:begin] + damaged + body[end:]))
    with pytest.raises(InputError, match=r"'f.+nry' in the vocabulary is no token of unit word"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("share", [-1, 0, 1, 1e300])
def test_a_saved_share_of_the_unknown_token_that_is_none_is_refused(tmp_path, share):
    Scorer.fit(make_model("witten-bell", order=2), Corpus.of(TEXT), "word").save(tmp_path / "m")
    facts, arrays = open_arrays(tmp_path / "m")
    write_arrays(tmp_path / "m", {k: v.all() for k, v in arrays.items()}, {**facts, "unk_share": share})
    with pytest.raises(InputError, match="unk_share"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("mark", [63264868270081, -2, 0, 10**6])
def test_a_saved_mixture_whose_marks_are_no_characters_is_refused(tmp_path, mark):
    corpus = Corpus.of(TEXT)
    by_word, by_char = (
        Scorer.fit(make_model("witten-bell", order=2), corpus, unit) for unit in ("word", "char")
    )
    mix([by_word, by_char], corpus.text("valid")).save(tmp_path / "m")
    load_model(tmp_path / "m")
    changed_array(tmp_path / "m", "model.marks", np.int64(mark))
    with pytest.raises(InputError, match="not spelled in its characters"):
        load_model(tmp_path / "m")


def test_weights_beyond_single_precision_are_kept_in_double():
    """Nor does casting them warn."""
    values = np.array([0.5, 1e300, 1 / 3])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert pack_column("p", values)["p"].tolist() == values.tolist()


# Suites and descriptions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("seeds = 9223372036854775807", "how many, 1 to 1000"),
        ("seeds = [-1]", "seeds"),
        ("seeds = [9223372036854775808]", "seeds"),
        ("seeds = inf", "seeds"),
        ("splits = inf", "splits"),
        ("zipf_orders = [1, 1099511627776]", "zipf_orders"),
        ("zipf_orders = [-9223372036854775808]", "zipf_orders"),
        ("verify = nan", "verify"),
        (f"corpora = [{{name = 't', train = '{'a' * 600}'}}]", "too long"),
        ('corpora = [{name = "t", train = "a\\u0000.b"}]', "no such file"),
    ],
)
def test_a_suite_of_absurd_numbers_is_refused_at_once(tmp_path, line, said):
    corpora = "" if line.startswith("corpora") else f"corpora = ['{TEXT}']\n"
    (tmp_path / "s.toml").write_text(f"name = 's'\n{corpora}{line}\n[[models]]\nmodel = 'uniform'\n")
    with pytest.raises(InputError, match=said):
        load_suite(str(tmp_path / "s.toml"), trust_paths=True).corpus_specs()[0].load()


@pytest.mark.parametrize(
    "lines",
    [
        "a = " + "[" * 3000 + "]" * 3000,
        "a = " + "{a=" * 3000 + "1" + "}" * 3000,
        "[" + "a." * 100_000 + "a]",
        '"x=" . ' + "1." * 60 + "a = 1",
        "a = {" + "a." * 60 + "a = 1}",
    ],
)
def test_toml_that_is_nested_beyond_use_is_refused_at_once(tmp_path, lines):
    (tmp_path / "d.toml").write_text(lines)
    for read in (toml_of, Corpus.of, load_suite):
        with pytest.raises(InputError, match="nobody writes"):
            read(str(tmp_path / "d.toml"))


def test_many_points_in_numbers_and_texts_are_no_deep_keys(tmp_path):
    numbers, text = [i + 0.5 for i in range(200)], "and so on..." * 50
    (tmp_path / "d.toml").write_text(f'n = {numbers}\ns = \'{text}\'\nt = "\\"{text}"\na.b.c = 1\n')
    assert toml_of(tmp_path / "d.toml") == {"n": numbers, "s": text, "t": f'"{text}', "a": {"b": {"c": 1}}}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "either"),
        ("[[files]]\nname = 't'\nrole = 'train'", "roles"),
        ("[[files]]\nname = 't'\n[[files]]\nname = 'u'", "roles"),
        ("[source]\nkind = 3", "kind"),
        ("[source]\nlength = 10", "kind"),
        ("[source]\nkind = 'markov'\nlength = 9223372036854775807", "length"),
        ("[source]\nkind = 'markov'\nlength = -1", "length"),
        ("[source]\nkind = 'markov'\nseed = -1", "seed"),
        ("[source]\nkind = 'markov'\ntable = -1", "table"),
        ("[source]\nkind = 'markov'\norder = 'a'", "order"),
        ("[source]\nkind = 'golden-mean'\np = nan", "p="),
    ],
)
def test_a_wrong_description_is_one_line(tmp_path, lines, said):
    (tmp_path / "d.toml").write_text(f"title = 't'\n{lines}\n")
    with pytest.raises(InputError, match=said):
        Corpus.of(str(tmp_path / "d.toml"))


def test_whole_numbers_may_stand_for_shares(tmp_path):
    (tmp_path / "d.toml").write_text("title = 't'\n[source]\nkind = 'even-process'\np = 1\nlength = 100\n")
    assert set(Corpus.of(str(tmp_path / "d.toml")).whole().text) == {"b"}


# Leftovers, and being asked to end ------------------------------------------------------------------------------


def test_what_a_killed_process_has_left_is_swept(tmp_path):
    (tmp_path / ".file.abcd1234.part").write_text("half")
    (tmp_path / ".other.abcd1234.part").write_text("half")
    (tmp_path / ".file.part").write_text("another program's")
    write_whole(tmp_path / "file", "whole")
    assert sorted(os.listdir(tmp_path)) == [".file.part", ".other.abcd1234.part", "file"]
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".file.part", "file"]


def test_what_is_still_written_is_not_swept(tmp_path):
    held = (
        "import sys, lmbench.storage.files as f\ndel f.os.O_TMPFILE\n"
        f"with f.whole_file({str(tmp_path / 'file')!r}) as stream:\n"
        "    print('writing', flush=True); sys.stdin.read(); stream.write(b'theirs')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout.readline() == b"writing\n"
    with whole_file(tmp_path / "file") as stream:
        stream.write(b"ours")
    sweep(tmp_path)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (tmp_path / "file").read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["file"]


def test_a_request_to_end_is_ctrl_c(monkeypatch, capsys):
    """And what is asked of a command that nobody may end, as under nohup, stays ignored."""

    def waits(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("it went on")

    monkeypatch.setattr("lmbench.cli.lmbench.main", waits)
    assert main([]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr("lmbench.cli.lmbench.main", lambda *_, **__: os.kill(os.getpid(), signal.SIGHUP))
        assert main([]) == 0
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

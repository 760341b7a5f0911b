"""Files from strangers: what docs/how-to/safety.md says of them, sentence by sentence."""

import os
import shutil
import sys

import msgspec
import numpy as np
import pytest
from model_damage import joined, parts
from paths import GOLDEN
from readers import ARPA
from saved_models import saved

import lmbench as lb
from lmbench.bench.runner import measure_suite
from lmbench.bench.strangers import read_suite, write_suite
from lmbench.bench.suite import CorpusSpec, ModelSpec, Suite
from lmbench.bench.suite_file import load_suite, to_toml
from lmbench.cli import main
from lmbench.errors import InputError
from lmbench.storage.files import write_whole
from lmbench.storage.mapped import open_arrays, write_arrays
from lmbench.storage.names import name_fault


def is_own(path):
    return read_suite(path)[1]


EVIL = "open('ran', 'w').close()\nimport lmbench as lb\nfrom lmbench.models.uniform import Uniform\n\n\nclass X(Uniform):\n    pass\n"
TEXT = "the ferry waits for the tide and the tide for nobody\n" * 40


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of the user's with code in it, and beside it one of a stranger's, with a suite."""
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text.txt").write_text(TEXT + name)
    (tmp_path / "mine" / "evilmod.py").write_text(EVIL)
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.setattr(sys, "path", [*sys.path, os.getcwd()])
    yield tmp_path
    sys.modules.pop("evilmod", None)


def suite(model="unigram", options="", corpora="'text.txt'", more=""):
    head = f"name = 's'\ncorpora = [{corpora}]\nzipf_orders = []\n{more}\n"
    return head + f"[[models]]\nmodel = '{model}'\nlabel = 'm'\n{options}\n"


def refused(*argv):
    """What a command says that is refused."""
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.echo", lambda text="", **_: said.append(str(text)))
        assert main(list(map(str, argv))) == 2
    assert len(said) == 1
    assert len(said[0]) < 400
    return said[0]


# Code ----------------------------------------------------------------------------------------------------


def evil_model(folder):
    """A saved model that names a class of the current folder, its checksums right."""
    from lmbench.scoring.scorer import Scorer
    from lmbench.storage.mapped import MappedArray

    path = folder / "model"
    corpus = lb.Corpus.of(str(folder / "text.txt"))
    Scorer.fit(lb.make_model("uniform"), corpus).save(path)
    facts, arrays = open_arrays(path)
    assert all(isinstance(array, MappedArray) for array in arrays.values())
    write_arrays(path, {k: v.all() for k, v in arrays.items()}, {**facts, "model": "evilmod:X"})
    return path


def test_a_saved_model_runs_no_code_unasked(here):
    path = evil_model(here / "theirs")
    for command in (
        ("score", "--load", path, "--test", "text.txt"),
        ("next", "--load", path),
        ("generate", "--load", path),
        ("rank", "--load", path, "text.txt"),
    ):
        said = refused(*command)
        assert "'evilmod:X' is code of" in said
        assert "mine/evilmod.py" in said
        assert "--trust-code" in said
    assert not os.path.exists("ran")
    with pytest.raises(InputError, match="trust_code=True"):
        lb.load_model(path)
    assert not os.path.exists("ran")
    assert lb.load_model(path, trust_code=True).model.name == "evilmod:X"
    assert os.path.exists("ran")
    assert lb.load_model(path).model.name == "evilmod:X"  # it is imported: nothing new runs
    del sys.modules["evilmod"]
    assert main(["next", "--load", str(path), "--trust-code", "--top", "1"]) == 0


def test_a_mixture_of_a_class_runs_no_code_unasked(here, tmp_path):
    data = saved("count")["mixture"]
    header, body = parts(data)
    assert b"witten-bell" in data
    (tmp_path / "m").write_bytes(data)
    facts, arrays = open_arrays(tmp_path / "m")
    arrays = {k: v.all() for k, v in arrays.items()}
    about = msgspec.json.encode({"name": "evilmod:X", "options": {}})
    arrays["model.0.about"] = np.frombuffer(about, dtype=np.uint8)
    write_arrays(tmp_path / "m", arrays, facts)
    with pytest.raises(InputError, match="evilmod"):
        lb.load_model(tmp_path / "m")
    assert not os.path.exists("ran")
    assert joined(header, body)[:8] == data[:8]


def test_a_saved_model_does_not_run_what_a_folder_of_weights_brings(here, tmp_path):
    path = evil_model(here / "theirs")
    facts, arrays = open_arrays(path)
    options = {"path": str(tmp_path), "trust_remote_code": True}
    facts = {**facts, "model": "hugging-face", "options": options}
    write_arrays(path, {k: v.all() for k, v in arrays.items()}, facts)
    assert "trust_remote_code=True' runs the code that the model brings" in refused("next", "--load", path)


@pytest.mark.parametrize("name", ["evil/model", "//evil/x", "gpt2"])
def test_nothing_is_fetched_from_the_hub_unasked(here, name, monkeypatch):
    """Neither for a saved model nor for a suite, whose folder's name and the model's may be a name on the hub."""
    asked = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *place, **_: asked.append(place))
    path = evil_model(here / "theirs")
    facts, arrays = open_arrays(path)
    facts = {**facts, "model": "hugging-face", "options": {"path": name}}
    write_arrays(path, {k: v.all() for k, v in arrays.items()}, facts)
    assert "is no folder here, and is fetched from the hub; --trust-code" in refused("next", "--load", path)
    (here / "theirs" / "s.toml").write_text(suite("hugging-face", f"options = {{path = '{name}'}}"))
    os.chdir(here)
    assert "fetched from the hub" in refused("run", "theirs/s.toml")
    assert asked == []
    # A suite of one's own may, and the models that it has left may be read.
    assert ModelSpec("hugging-face", options={"path": name}).code == {"hugging-face"}
    assert ModelSpec("hugging-face", options={"path": str(here)}).code == frozenset()


STRANGE = (
    *("subprocess:Popen", "os:system", "builtins:eval", "lmbench.cli:main", "lmbench.models.base:LanguageModel", "..x:Y"),
    *("antigravity:x", "this:s", "idlelib.idle:x", "lmbench.__main__:main", "lmbench.bench.suite:Suite", "m:X:Y"),
)  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_a_suite_from_elsewhere_names_no_class_but_a_models(here, name):
    """Of the standard library, of lmbench that is none, of modules that do something as they are imported."""
    (here / "theirs" / "s.toml").write_text(suite(name))
    before = set(sys.modules)
    refused("run", here / "theirs" / "s.toml")
    assert not {"antigravity", "this", "idlelib.idle"} & (set(sys.modules) - before)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lmbench.models.outside.server:Server", "{url = 'http://127.0.0.1:9/v1', key = 'HOME'}"),
        ("server", "{url = 'http://127.0.0.1:9/v1', key = 'HOME'}"),
        ("lmbench.models.outside.hugging_face:HuggingFace", "{path = '.', trust_remote_code = true}"),
    ],
)
def test_a_class_of_lmbenchs_by_its_path_does_no_more_than_by_its_name(here, name, options):
    """Imported already as it is, it sends nothing and runs nothing unasked; a server would be sent a variable of the environment."""
    import lmbench.models.outside.hugging_face
    import lmbench.models.outside.server

    assert lmbench.models.outside.server
    (here / "theirs" / "s.toml").write_text(suite(name, f"options = {options}"))
    assert "--trust-code" in refused("run", here / "theirs" / "s.toml")


def test_a_suite_from_elsewhere_runs_no_code_unasked(here):
    path = here / "theirs" / "s.toml"
    path.write_text(suite("evilmod:X"))
    assert "mine/evilmod.py; --trust-code" in refused("run", path)
    path.write_text(suite("hugging-face", "options = {path = '.', trust_remote_code = true}"))
    assert "--trust-code" in refused("run", path)
    assert not os.path.exists("ran")
    path.write_text(suite("evilmod:X"))
    assert main(["run", str(path), "--trust-code", "--quiet", "--jobs", "1"]) == 0
    assert os.path.exists("ran")
    # What lmbench wrote of it is this account's own, as long as it stays as it is and where it is.
    assert is_own(here / "mine/reports/s/suite.toml")
    assert load_suite("reports/s/suite.toml").models[0].model == "evilmod:X"
    shutil.copy("reports/s/suite.toml", here / "theirs" / "copy.toml")
    assert not is_own(here / "theirs" / "copy.toml")


def test_a_suite_of_ones_own_needs_no_word(here):
    (here / "mine" / "s.toml").write_text(suite("evilmod:X", corpora=f"'{here}/theirs/text.txt'"))
    assert load_suite("s.toml").models[0].model == "evilmod:X"


def test_a_suite_in_a_folder_below_is_a_strangers_unless_lmbench_wrote_it_there(here):
    below = here / "mine" / "below"
    below.mkdir()
    (below / "s.toml").write_text(suite("evilmod:X"))
    assert "--trust-code" in refused("run", "below/s.toml")
    assert main(["init", "text.txt", "--out", "below/own.toml"]) == 0
    assert is_own(below / "own.toml")
    (below / "own.toml").rename(below / "moved.toml")
    assert not is_own(below / "moved.toml")
    assert not os.path.exists("ran")


def test_a_marked_suite_that_is_changed_is_a_strangers(here):
    path = here / "theirs" / "s.toml"
    write_suite(path, suite())
    assert is_own(path)
    path.write_text(path.read_text().replace("unigram", "bigram"))
    assert not is_own(path)


def test_a_file_of_another_user_is_a_strangers(here, monkeypatch):
    (here / "mine" / "s.toml").write_text(suite())
    assert is_own(here / "mine" / "s.toml")
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    monkeypatch.setattr(
        os, "fstat", lambda *_: os.stat_result((*(this := os.stat("s.toml"))[:4], 77, *this[5:]))
    )
    assert not is_own(here / "mine" / "s.toml")


def test_a_run_folder_runs_no_code_that_its_suite_does_not_name(here):
    """The model of a row may have been exchanged; the key of its scores is right."""
    own = Suite("s", [CorpusSpec("t", train="text.txt")], [ModelSpec("uniform", "m")], zipf_orders=())
    outcome = measure_suite(own, here / "run")
    evil_model(here / "theirs").rename(here / "run/models/t/m.safetensors")
    again = measure_suite(own, here / "run")
    assert again.runs[0].label == "m"
    with pytest.raises(InputError, match="evilmod"):
        again.scorer_of(outcome.runs[0])
    assert not os.path.exists("ran")


# Paths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        {"corpora": "'/etc/passwd'"},
        {"corpora": "'../mine/text.txt'"},
        {"corpora": "'link.txt'"},
        {"corpora": "'../*/text.txt'"},
        {"corpora": "'linked'"},
        {"corpora": "{name = 't', train = 'text.txt', test = '../mine/text.txt'}"},
        {"corpora": "{name = 't', train = ['text.txt', '/etc/passwd']}"},
        {"corpora": "{name = '/etc/passwd'}"},
        {"corpora": "'described.toml'"},
        {"model": "arpa", "options": "options = {file = '../mine/a.arpa'}"},
        {"model": "hugging-face", "options": "options = {path = '../mine'}"},
        {"options": "vocab = '../mine/text.txt'"},
        {"options": "unit = 'subword:file=../mine/text.txt'"},
        {"options": "unit = 'subword:file=/etc/passwd'"},
        {"more": "[[external]]\nfile = '../mine/text.txt'\nlabel = 'e'"},
    ],
)
def test_a_suite_from_elsewhere_stays_in_its_folder(here, written):
    theirs = here / "theirs"
    (here / "mine" / "a.arpa").write_text(ARPA)
    (theirs / "link.txt").symlink_to(here / "mine" / "text.txt")
    (theirs / "linked").mkdir()
    (theirs / "linked" / "x.txt").symlink_to(here / "mine" / "text.txt")
    (theirs / "described.toml").write_text("title = 't'\n[[files]]\nname = 'link.txt'\n")
    (theirs / "s.toml").write_text(suite(**written))
    assert "--trust-paths" in refused("run", theirs / "s.toml")


@pytest.mark.parametrize("name", ["link.txt", "linked/text.txt"])
def test_a_description_that_its_user_names_may_have_links(here, name):
    """A suite from elsewhere that names it may not: it stays in its folder."""
    (here / "theirs" / "link.txt").symlink_to(here / "mine" / "text.txt")
    (here / "theirs" / "linked").symlink_to(here / "mine")
    (here / "theirs" / "described.toml").write_text(f"title = 't'\n[[files]]\nname = '{name}'\n")
    described = lb.Corpus.of(str(here / "theirs" / "described.toml"))
    assert "".join(described.text(part).text for part in ("train", "valid", "test")) == TEXT + "mine"
    (here / "theirs" / "s.toml").write_text(suite(corpora="'described.toml'"))
    assert "--trust-paths" in refused("run", here / "theirs" / "s.toml")


def test_its_paths_are_taken_from_its_folder(here):
    path = here / "theirs" / "s.toml"
    path.write_text(suite())
    (spec,) = load_suite(str(path)).corpus_specs()
    assert spec.train == str(here / "theirs" / "text.txt")
    (spec,) = load_suite(str(path), trust_paths=True).corpus_specs()
    assert spec.train == "text.txt"


# Names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "../x",
        "/x",
        "a/b",
        "a\\b",
        ".x",
        "CON",
        "nul.txt",
        "COM1",
        "a.",
        "a ",
        " a",
        "a\nb",
        "a\u202eb",
        "é" * 61,
        "",
    ],
)
def test_a_name_that_is_no_files_is_refused(tmp_path, name):
    assert name_fault(name)
    text = CorpusSpec("t", train=str(GOLDEN / "ferry.train.txt"))
    row = ModelSpec("uniform", "m")
    named = msgspec.structs.replace(row)
    named.label = name
    for bad in (
        Suite("s", [msgspec.structs.replace(text, name=name)], [row]),
        Suite("s", [text], [named]),
        Suite(name, [text], [row]),
    ):
        with pytest.raises(InputError, match="name"):
            measure_suite(bad, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "labels", [("a", "A"), ("\u00e9", "e\u0301"), ("straße", "STRASSE"), ("a", "a@1"), ("a", "A@1")]
)
def test_two_rows_of_one_file_are_refused(tmp_path, labels):
    spec = CorpusSpec("t", train=str(GOLDEN / "ferry.train.txt"))
    models = [ModelSpec("uniform", label) for label in labels]
    with pytest.raises(InputError, match="one file"):
        measure_suite(Suite("s", [spec], models, seeds=(0, 1)), tmp_path)
    texts = [msgspec.structs.replace(spec, name=name) for name in ("t", "T")]
    with pytest.raises(InputError, match="one file"):
        measure_suite(Suite("s", texts, models[:1]), tmp_path)


@pytest.mark.parametrize(
    "place", ["scores", "models", "checkpoints", "scores/t", "errors", "figures", "texts"]
)
def test_nothing_is_written_out_of_the_run_through_a_link(tmp_path, place):
    (tmp_path / "outside").mkdir()
    (tmp_path / "run" / place).parent.mkdir(parents=True)
    (tmp_path / "run" / place).symlink_to(tmp_path / "outside")
    own = Suite("s", [CorpusSpec("t", train=str(GOLDEN / "ferry.train.txt"))], [ModelSpec("uniform", "m")])
    with pytest.raises(InputError, match="leads out"):
        measure_suite(own, tmp_path / "run")
    assert not list((tmp_path / "outside").iterdir())


def test_a_file_is_not_written_through_a_link(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "out").symlink_to(tmp_path / "precious")
    write_whole(tmp_path / "out", "new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert not (tmp_path / "out").is_symlink()


def test_a_suite_reads_as_it_was_written(here):
    own = Suite("s", [CorpusSpec("t", train="a\tb\x01\x7f\u2028\\.txt")], [ModelSpec("uniform", "m")])
    write_suite(here / "mine" / "s.toml", to_toml(own))
    assert load_suite("s.toml") == own

"""The recipe for continuous integration, on a clone: passes, fails, and writes its summary."""

import re
import shlex
import subprocess

import pytest
from paths import ROOT

from lmbench.cli import main

PAGE = (ROOT / "docs/how-to/ci.md").read_text("utf-8")


def block(title):
    return re.search(rf'^```\w+ title="{re.escape(title)}"\n(.*?)^```$', PAGE, re.M | re.S)[1]


def steps():
    """The workflow's own commands."""
    return [shlex.split(line)[1:] for line in re.findall(r"run: (lmbench .*)", block("quality.yml"))]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone of a repository with the suite and the baseline that the page says to commit."""
    origin = tmp_path / "origin"
    origin.mkdir()
    monkeypatch.chdir(origin)
    (origin / "quality.toml").write_text(block("quality.toml"))
    assert main(["run", "quality.toml", "--out", "baseline", "--quiet", "--jobs", "1"]) == 0
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "quality.toml", "baseline/scores", "baseline/results.json"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "baseline"], check=True)
    subprocess.run(["git", "clone", "-q", str(origin), str(tmp_path / "clone")], check=True)
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path / "clone"


def test_the_workflow_passes_and_fails_as_it_says(clone, capsys):
    gate, summary = steps()
    redirect = summary.index(">>")
    assert summary[redirect + 1] == "$GITHUB_STEP_SUMMARY"
    assert main([*gate, "--jobs", "1"]) == 0
    capsys.readouterr()
    assert main(summary[:redirect]) == 0
    assert "Nothing moved beyond noise" in capsys.readouterr().out
    commit = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    assert main(["runs", "."]) == 0
    listed = capsys.readouterr().out
    assert listed.count("On golden-mean") == 2
    assert listed.count(commit) == 1  # the baseline was made outside of any repository
    suite = clone / "quality.toml"
    suite.write_text(suite.read_text().replace('"bigram"', '"unigram"'))
    assert main([*gate, "--jobs", "1"]) == 1
    assert "worse than baseline: golden-mean ours by" in capsys.readouterr().err
    assert main(summary[:redirect]) == 0
    text = capsys.readouterr().out
    assert text.startswith("**Beyond noise, ours got worse")
    assert re.search(r"^\| golden-mean \| ours +\|", text, re.M)
    assert main(["history", "."]) == 0
    assert re.search(rf"baseline -> {commit}\+: ours on golden-mean worse by 0\.2", capsys.readouterr().out)
    assert (clone / "history.png").read_bytes().startswith(b"\x89PNG")


def test_the_hook_is_the_gate():
    entry = re.search(r"entry: lmbench (.*)", block("pre-commit-config.yaml"))[1]
    assert shlex.split(entry) == steps()[0]

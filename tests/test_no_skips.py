"""In CI a skipped test has failed: one skipped by hand, by its mark, or with its whole file."""

import os
import subprocess
import sys

import pytest
from paths import HELPERS

TESTS = {
    "by hand": "import pytest\ndef test_a(): pytest.skip('no corpora')\n",
    "by mark": "import pytest\n@pytest.mark.skipif(True, reason='no corpora')\ndef test_a(): ...\n",
    "by fixture": (
        "import pytest\n@pytest.fixture\ndef data(): pytest.skip('no corpora')\ndef test_a(data): ...\n"
    ),
    "with its file": "import pytest\npytest.importorskip('no_such_module', reason='no corpora')\n",
}


def run(folder, content, *options, **environment):
    (folder / "test_it.py").write_text(content)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no_skips", "-p", "no:cacheprovider", "test_it.py"]
    command += options
    known = {key: value for key, value in os.environ.items() if key not in ("CI", "PYTEST_ADDOPTS")}
    known |= {"PYTHONPATH": str(HELPERS), **environment}
    return subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True)


@pytest.mark.parametrize("way", TESTS)
def test_a_skip_fails_in_ci_with_its_reason_and_nowhere_else(way, tmp_path):
    told = run(tmp_path, TESTS[way], CI="true")
    assert told.returncode != 0
    assert "no test may be where CI is set: no corpora" in told.stdout
    assert run(tmp_path, TESTS[way]).returncode in (0, 5)  # 5: all of the one file was skipped


def test_what_is_expected_to_fail_may(tmp_path):
    content = "import pytest\n@pytest.mark.xfail\ndef test_a(): assert False\ndef test_b(): ...\n"
    assert run(tmp_path, content, CI="true").returncode == 0


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_what_is_left_out_is_counted(workers, tmp_path):
    content = "import pytest\n@pytest.mark.gpu\ndef test_a(): ...\ndef test_b(): ...\n"
    told = run(tmp_path, content, "-m", "not gpu", *workers, CI="true").stdout
    assert "1 passed" in told
    assert "1 left out (-m 'not gpu')" in told if workers else "1 deselected" in told

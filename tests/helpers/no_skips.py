"""A pytest plugin for CI: a test that is skipped has failed, and says why it was skipped; tests left out are counted."""

import os

import pytest

SKIPPED_IN_CI = "skipped, which no test may be where CI is set: "


def _failed(report):
    """Turns the report of a skip into that of a failure; an expected failure (xfail) stays what it is."""
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome, report.longrepr = "failed", SKIPPED_IN_CI + reason.removeprefix("Skipped: ")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    return _failed((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    return _failed((yield))


# pytest-xdist tells nothing of what was left out: each of its workers leaves out the same, and hands the number over.


def pytest_deselected(items):
    if items and hasattr(items[0].config, "workeroutput"):
        items[0].config.workeroutput["left_out"] = len(items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    node.config.left_out = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter, config):
    if left_out := getattr(config, "left_out", 0):
        terminalreporter.write_line(f"{left_out} left out (-m '{config.option.markexpr}')")

"""A pytest plugin for CI: a test that is skipped has failed, and says why it was skipped."""

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

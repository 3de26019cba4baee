"""A pytest plugin: nothing is left out in silence.

A skipped test is counted and its reason printed. With CI=true it is a failed one: a machine that checks the project runs all of it.
"""

import os
from collections import Counter

import pytest

NOT_IN_CI = "left out, which CI=true does not allow: "


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
    report: pytest.TestReport = yield
    if not hasattr(report, "wasxfail"):
        _refuse_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> pytest.CollectReport:
    report: pytest.CollectReport = yield
    _refuse_in_ci(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = Counter(_reason(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if left_out:
        terminalreporter.section("LEFT OUT", sep="!", yellow=True)
        for reason, count in left_out.most_common():
            terminalreporter.line(f"{count} left out: {reason}")


def _refuse_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = NOT_IN_CI + _reason(report.longrepr)


def _reason(longrepr: object) -> str:
    text = longrepr[2] if isinstance(longrepr, tuple) else longrepr
    return str(text).removeprefix("Skipped: ")

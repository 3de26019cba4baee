"""What every test shares: nothing is left out in silence.

A skipped test is counted and its reason printed. With CI=true it is a failed one: a machine that checks the project runs all of it.
"""

import os
from collections import Counter

import pytest

pytest_plugins = ["server_fixtures"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
    report: pytest.TestReport = yield
    if report.skipped and not hasattr(report, "wasxfail") and _nothing_may_be_left_out():
        report.outcome = "failed"
        report.longrepr = f"left out, which CI=true does not allow: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> pytest.CollectReport:
    report: pytest.CollectReport = yield
    if report.skipped and _nothing_may_be_left_out():
        report.outcome = "failed"
        report.longrepr = f"left out, which CI=true does not allow: {_reason(report.longrepr)}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = Counter(_reason(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if left_out:
        terminalreporter.section("LEFT OUT", sep="!", yellow=True)
        for reason, count in left_out.most_common():
            terminalreporter.line(f"{count} left out: {reason}")


def _nothing_may_be_left_out() -> bool:
    return os.environ.get("CI") == "true"


def _reason(longrepr: object) -> str:
    text = longrepr[2] if isinstance(longrepr, tuple) else longrepr
    return str(text).removeprefix("Skipped: ")

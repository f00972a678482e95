"""A pytest plugin (`-p tests.support.only_browser_skips`): a skip fails the run, except for a missing browser,
Prometheus or helm.

CI runs with it, because a skipped test proves nothing. The reasons of the allowed skips start with `ALLOWED`; expected
failures (xfail) are outcomes, not skips.
"""

import pytest

from tests.support.helm import MISSING_HELM
from tests.support.prometheus import MISSING_PROMETHEUS

MISSING_BROWSER = "no browser"
ALLOWED = (MISSING_BROWSER, MISSING_PROMETHEUS, MISSING_HELM)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


class OnlyBrowserSkips:
    def __init__(self) -> None:
        self.refused: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._check(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._check(report)

    def _check(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = _reason(report)
            if not reason.startswith(ALLOWED):
                self.refused.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.refused and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.refused:
            terminalreporter.section("skips that fail this run", red=True, bold=True)
            for line in self.refused:
                terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(OnlyBrowserSkips(), "only-browser-skips-run")

"""What tests counted (kills survived, inputs tried), added up for the report and the record of a soak."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

_PASSING = re.compile(r"(\d+) passing, (\d+) failing")
_INPUTS = "inputs tried by property tests"


class Figures:
    """A plugin: tests say `record_property(what, how_many)`; those of hypothesis are counted by it."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self.tests: Counter[str] = Counter()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Count the inputs of a property."""
        report = (yield).get_result()  # type: ignore[misc]
        if report.when == "teardown" and hasattr(item, "hypothesis_statistics"):
            found = _PASSING.findall(item.hypothesis_statistics)
            tried = sum(int(passed) + int(failed) for passed, failed in found)
            report.user_properties.append((_INPUTS, tried))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up, where the results of all workers come together."""
        if report.when == "call":
            self.tests[report.outcome] += 1
        if report.when == "teardown":
            for name, value in report.user_properties:
                if isinstance(value, int):
                    self.totals[name] += value

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the sums, and write them down if a soak is under way."""
        if not self.totals:
            return
        terminalreporter.section("figures")
        for name, value in sorted(self.totals.items()):
            terminalreporter.line(f"{name}: {value:,}")
        if path := os.environ.get("POINTILLIST_SOAK"):
            Path(path).write_text("\n".join(self._record()) + "\n", encoding="utf-8")

    def _record(self) -> Iterator[str]:
        yield "# The last soak"
        yield ""
        tests = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.tests.items()))
        yield f"Written by `make soak` on {date.today():%Y-%m-%d}. Tests: {tests}."
        yield f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}."
        yield ""
        yield "| what | how many |"
        yield "|---|---|"
        yield from (f"| {name} | {value:,} |" for name, value in sorted(self.totals.items()))

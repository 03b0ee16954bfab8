"""What all tests share: a place for tables that are printed at the end, and modules made from a seed."""

from __future__ import annotations

from collections import Counter

import pytest

_TABLES: dict[str, Counter[str]] = {}


@pytest.fixture(scope="module")
def categories(request: pytest.FixtureRequest) -> Counter[str]:
    """Counts of problems by category, printed after the run under the module's name."""
    return _TABLES.setdefault(request.module.__name__, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the tables, so that nothing is left out in silence."""
    for title, counts in _TABLES.items():
        terminalreporter.section(f"{title}: problems by category")
        for name, count in sorted(counts.items()):
            terminalreporter.line(f"{count:6d}  {name}")

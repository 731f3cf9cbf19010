"""The model most contract tests use, the shared data, and the suite's pass share."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from llmguard.contract import Contract, Verdict
from llmguard.reply import Reply

_SUITE = "json_schema_suite"


class Ticket(BaseModel):
    """A support ticket, as a model reads it."""

    category: Literal["billing", "shipping", "refund"]
    priority: Literal["low", "high"]
    needs_human: bool
    order_id: str | None


TICKET = {
    "category": "billing",
    "priority": "low",
    "needs_human": False,
    "order_id": "A-1042",
}


@pytest.fixture(scope="session")
def ticket_type() -> type[Ticket]:
    """Give the model class."""
    return Ticket


@pytest.fixture
def ticket() -> dict[str, object]:
    """Give a valid ticket as plain JSON."""
    return dict(TICKET)


@pytest.fixture(scope="session")
def judge_text() -> Callable[..., Verdict]:
    """Judge a text with a contract made on the spot."""

    def judge(schema: object, text: str, **options: object) -> Verdict:
        return Contract(schema, **options).judge(Reply(text=text))

    return judge


@pytest.fixture(scope="session")
def data_folder() -> Callable[[str], Path]:
    """Find a folder of the shared test data, or skip."""

    def find(name: str) -> Path:
        default = Path(__file__).parents[2].parent / "shared" / "data"
        folder = Path(os.environ.get("LLMGUARD_TEST_DATA", default)) / name
        if not folder.is_dir():
            pytest.skip(f"no test data at {folder}; set LLMGUARD_TEST_DATA")
        return folder

    return find


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how much of the official JSON Schema suite passes."""
    passed, total = Counter[str](), Counter[str]()
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == _SUITE:
                draft, good, count = value
                passed[draft] += good
                total[draft] += count
    for draft in sorted(total):
        share = passed[draft] / total[draft]
        terminalreporter.write_line(
            f"JSON Schema suite, {draft}: {passed[draft]} of {total[draft]} tests pass "
            f"({share:.1%}); the others are in json_schema_exceptions.json"
        )

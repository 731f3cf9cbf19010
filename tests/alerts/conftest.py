"""One alert, and a sink that keeps what it gets."""

from __future__ import annotations

import pytest

from llmguard.monitor.alerts import Alert


@pytest.fixture
def alert() -> Alert:
    """A page about one version."""
    return Alert(
        version="triage-1.1",
        signal="slo.schema_valid",
        since=1_750_000_000.0,
        evidence="12 of 40 answers broke the schema in 5 minutes.",
        command="llmguard slo status app.triage",
        function="app.triage",
        route="triage",
        severity="page",
    )

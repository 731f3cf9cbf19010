"""What an alert says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from ..._dataclass import dataclass

__all__ = ["Alert", "Severity"]

Severity = Literal["info", "warning", "page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing that a person should know.

    Attributes:
        version: Id of the pin that it is about; empty when it is about none.
        signal: What was seen, in short dotted words: `drift.style`, `slo.burn`,
            `breaker.quarantined`, `rollback.automatic`. Alerts with the same version,
            function and signal are one problem.
        since: Epoch seconds from which on it is believed to hold.
        evidence: One or two sentences with the figures.
        command: What to run to look closer.
        function: Qualified name of the guarded function; empty for none.
        severity: `info` for the record, `warning` for working hours, `page` for now.
        detail: More of the evidence, as JSON values.
    """

    version: str
    signal: str
    since: float
    evidence: str
    command: str
    function: str = ""
    severity: Severity = "warning"
    detail: Mapping[str, object] = field(default_factory=dict[str, object])

"""What an alert says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Final, Literal

from ..._dataclass import dataclass
from ...errors import ConfigError

__all__ = ["RANKS", "Alert", "Severity"]

Severity = Literal["info", "warning", "page"]
"""`page` wakes somebody up, `warning` waits for the morning."""

RANKS: Final[Mapping[Severity, int]] = {"info": 0, "warning": 1, "page": 2}
"""How much a severity weighs, to tell when an alert grew worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing that a person should know.

    Attributes:
        version: Id of the pin that it is about; empty when it is about none.
        signal: What was seen, in short dotted words: `drift.style`, `slo.burn`,
            `breaker.quarantined`, `rollback.automatic`.
        since: Epoch seconds from which on it is believed to hold.
        evidence: One or two sentences with the figures.
        command: What to run to look closer.
        function: Qualified name of the guarded function; empty for none.
        route: Route of `models.lock`; empty where the function has none.
        env: Environment, such as `prod`.
        severity: `info` for the record, `warning` for working hours, `page` for now.
        key: Alerts with the same key are one problem; by default environment, route,
            function, version and signal.
        resolved: True when it is over.
        detail: More of the evidence, as JSON values.

    Raises:
        ConfigError: It does not say what, with which evidence, or how to look.
    """

    version: str
    signal: str
    since: float
    evidence: str
    command: str
    function: str = ""
    route: str = ""
    env: str = "prod"
    severity: Severity = "warning"
    key: str = ""
    resolved: bool = False
    detail: Mapping[str, object] = field(default_factory=dict[str, object])

    def __post_init__(self) -> None:
        for name in ("signal", "evidence", "command"):
            if not getattr(self, name):
                raise ConfigError(
                    f"`{name}` of an alert is empty: whoever gets it must know what "
                    "was seen, why that is said, and which command shows more"
                )
        if self.severity not in RANKS:
            raise ConfigError(
                f"severity {self.severity!r} of an alert must be one of {list(RANKS)}"
            )
        if not self.key:
            parts = (self.env, self.route, self.function, self.version, self.signal)
            object.__setattr__(self, "key", "/".join(parts))

    @property
    def about(self) -> str:
        """The version and where it runs: `triage-1.1 of app.triage (route triage)`."""
        place = self.function or self.route or self.env
        where = f"{self.version} of {place}" if self.version else place
        named = self.route and self.function
        return f"{where} (route {self.route})" if named else where

    def text(self) -> str:
        """Return it on one line, for logs and chats."""
        word = "RESOLVED" if self.resolved else self.severity.upper()
        when = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")
        return (
            f"{word} {self.signal}: {self.about}, since {when}: {self.evidence} "
            f"Look: `{self.command}`"
        )

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "key": self.key,
            "version": self.version,
            "signal": self.signal,
            "severity": self.severity,
            "resolved": self.resolved,
            "since": self.since,
            "env": self.env,
            "route": self.route,
            "function": self.function,
            "evidence": self.evidence,
            "command": self.command,
            "detail": dict(self.detail),
        }

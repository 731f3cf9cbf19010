"""The sinks that stay in the process: the log, and a function of yours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ._alert import Alert

__all__ = ["Call", "Log"]

_LEVELS: Final = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "page": logging.ERROR,
}


@dataclass(frozen=True, slots=True)
class Log:
    """Writes every alert to the logger `llmguard.alerts`, one line each."""

    name: str = "log"

    def deliver(self, alert: Alert, *, delivery: str, at: float) -> None:
        """Log it: a page as an error."""
        _ = delivery, at
        level = logging.INFO if alert.resolved else _LEVELS[alert.severity]
        logging.getLogger("llmguard.alerts").log(
            level, "%s", alert.text(), extra={"alert": alert.document()}
        )


@dataclass(frozen=True, slots=True)
class Call:
    """Calls a function with every alert, on the outbox's thread.

    What it raises ends the delivery and is logged; it may raise `RetryLaterError` to be
    called again.
    """

    function: Callable[[Alert], object]

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.function, "__qualname__", repr(self.function))

    def deliver(self, alert: Alert, *, delivery: str, at: float) -> None:
        """Call it."""
        _ = delivery, at
        self.function(alert)

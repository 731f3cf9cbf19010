"""Alerts: who is told when a version misbehaves, and what they are told.

    from llmguard.monitor import alerts

    alerts.add_sink(alerts.Webhook("https://hooks.example.com/llm", secret="whsec_..."))

`send` never blocks and never raises: a bounded outbox delivers on a thread of its own.
"""

from __future__ import annotations

from ._alert import Alert, Severity
from ._outbox import Outbox, OutboxCounts, RetryLaterError, Sink
from ._send import add_sink, counts, flush, recent, remove_sink, reset, send, use_store
from ._sinks import Call, Log
from ._webhook import Webhook, sign, verify

__all__ = [
    "Alert",
    "Call",
    "Log",
    "Outbox",
    "OutboxCounts",
    "RetryLaterError",
    "Severity",
    "Sink",
    "Webhook",
    "add_sink",
    "counts",
    "flush",
    "recent",
    "remove_sink",
    "reset",
    "send",
    "sign",
    "use_store",
    "verify",
]

"""The process's own outbox, and the sinks that the settings name."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from importlib import import_module
from typing import Final

from ... import config
from ...errors import ConfigError, LLMGuardError
from ...guard import on_exchange
from ...store import Event, Store
from ...telemetry.activity import process_name
from ._alert import Alert
from ._outbox import Outbox, OutboxCounts, Sink
from ._sinks import Call, Log
from ._webhook import Webhook

__all__ = [
    "SECRET",
    "add_sink",
    "counts",
    "flush",
    "recent",
    "remove_sink",
    "reset",
    "send",
    "sink_of",
    "use_store",
]

SECRET: Final = "LLMGUARD_ALERTS_SECRET"  # noqa: S105 - the variable's name
"""Environment variable with the secret of the webhooks that the settings name."""

_SENT: Final[set[str]] = set()
_HOLD: Final = 4 * 3600.0
_LOG: Final = logging.getLogger("llmguard.alerts")
_store: Store | None = None


def use_store(store: Store | None) -> None:
    """Share alerts through `store`: one process sends each, and the log keeps it.

    A process that keeps a store does this by itself.
    """
    global _store  # noqa: PLW0603 - one outbox per process
    _store = store


def _claim(alert: Alert) -> bool:
    """Tell whether no other process has sent this alert; then write it to the log."""
    store = _store
    if store is None:
        return not alert.resolved or alert.key in _SENT
    value = "over" if alert.resolved else alert.severity
    if not store.counts.claim(
        f"alert:{alert.key}", value, hold=_HOLD, fresh=not alert.resolved
    ):
        return False
    try:
        store.events.add(_event(alert))
    except LLMGuardError as error:
        _LOG.warning("the log of events did not take %s: %s", alert.key, error)
    return True


def _event(alert: Alert) -> Event:
    return Event(
        env=alert.env,
        kind=f"alert.{'resolved' if alert.resolved else alert.severity}",
        route=alert.route,
        pin=alert.version,
        process=process_name(),
        detail=alert.document(),
    )


on_exchange(use_store)
_OUTBOX: Final = Outbox(claim=_claim)
_lock: threading.Lock = threading.Lock()
_ready = False


def send(alert: Alert) -> bool:
    """Tell every sink; returns at once and never raises.

    Returns:
        False when the same alert was sent before and nothing about it is new, or when
        nobody could be told.
    """
    _prepare()
    taken = _OUTBOX.offer(alert)
    if taken and not alert.resolved:
        _SENT.add(alert.key)
    return taken


def add_sink(sink: Sink) -> None:
    """Tell `sink` of every alert from now on; a callable is wrapped in `Call`."""
    _prepare()
    with _lock:
        _OUTBOX.sinks = (*_OUTBOX.sinks, sink)


def remove_sink(sink: Sink) -> None:
    """Tell it no more; removing one that is not there does nothing."""
    with _lock:
        _OUTBOX.sinks = tuple(one for one in _OUTBOX.sinks if one != sink)


def counts() -> OutboxCounts:
    """Return what became of this process's alerts."""
    return _OUTBOX.counts


def recent() -> list[Alert]:
    """Return the last alert of every key that this process has sent, oldest first."""
    return _OUTBOX.recent()


def flush(timeout: float = 2.0) -> bool:
    """Wait until every delivery that is due was tried; False when time ran out."""
    return _OUTBOX.flush(timeout)


def reset() -> None:
    """Forget sinks, alerts and counts, so that the settings are read again; for tests.

    A thread that is delivering ends its delivery.
    """
    global _ready  # noqa: PLW0603 - one outbox per process
    with _lock:
        _OUTBOX.sinks = ()
        _OUTBOX.counts = OutboxCounts()
        _OUTBOX.forget()
        _SENT.clear()
        _ready = False


def sink_of(text: str) -> Sink:
    """Return the sink that one word of the setting `alerts` names.

    Args:
        text: `log`, an `https://` URL, `private+http://` or `private+https://` and a
            URL inside your own network, or `module:function`.

    Raises:
        ConfigError: It is none of them.
    """
    if text == "log":
        return Log()
    private = text.startswith("private+")
    url = text.removeprefix("private+")
    if url.startswith(("https://", "http://")):
        return Webhook(url, secret=os.environ.get(SECRET), allow_private=private)
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise ConfigError(
            f"{text!r} in the setting `alerts` is neither `log`, an `https://` URL, "
            "nor `module:function`"
        )
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{text!r} in the setting `alerts` cannot be imported: {error}"
        ) from error
    return Call(function)


def _prepare() -> None:
    global _ready  # noqa: PLW0603 - one outbox per process
    if _ready:
        return
    with _lock:
        if not _ready:
            _OUTBOX.sinks = (*_configured(), *_OUTBOX.sinks)
            _ready = True
            atexit.register(_OUTBOX.flush, 2.0)


def _configured() -> list[Sink]:
    """Return the sinks of the settings; a wrong word must not silence the others."""
    found: list[Sink] = []
    for text in config.load().alerts:
        try:
            found.append(sink_of(text))
        except ConfigError as error:
            _LOG.error("an alert sink is left out, `llmguard doctor`: %s", error)
    return found or [Log()]


def _renew_in_child() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held it
    _lock = threading.Lock()
    _OUTBOX.renew()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_renew_in_child)

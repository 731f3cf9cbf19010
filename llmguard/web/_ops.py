"""`PREFIX/health`, `PREFIX/versions`, `/metrics`: what operators and probes ask.

A liveness probe learns that the process answers. A readiness probe learns whether
every guarded function still has a tier that may answer. Names of functions, pins and
tiers are for operators: they are shown to who has the token, or sits on this machine.
"""

from __future__ import annotations

import hmac
import os
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..breaker import State
from ..guard import Guard, guarded_functions
from ..guard._runtime import default_runtime
from ..store import SqliteStore, Store
from ._answers import Answer, json_answer, problem
from ._options import Seen, WebOptions

if TYPE_CHECKING:
    from ..guard._plan import Step

__all__ = ["Ops"]

_VARIABLE: Final = "LLMGUARD_OPS_TOKEN"
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_LOOPBACK: Final = ("127.", "::1", "::ffff:127.")
_SHUT: Final = frozenset({State.OPEN, State.QUARANTINED, State.FORCED_OPEN})


class Ops:
    """Answers operators.

    Args:
        options: Of the middleware.
        store: Opens the store, when first needed.
    """

    def __init__(self, options: WebOptions, *, store: Callable[[], Store]) -> None:
        self._options = options
        self._store = store
        self._token = options.ops_token or os.environ.get(_VARIABLE, "")

    def find(self, path: str) -> Callable[[Seen], Answer] | None:
        """Return what answers a path; None for paths of the application."""
        prefix = self._options.prefix
        if path == self._options.metrics_path and path:
            return self._metrics
        if not path.startswith(prefix):
            return None
        return {
            "/health": self._ready,
            "/health/ready": self._ready,
            "/health/live": _live,
            "/versions": self._versions,
        }.get(path[len(prefix) :])

    def allowed(self, seen: Seen) -> bool:
        """Tell whether this caller may see names."""
        if self._options.open_ops:
            return True
        if self._token:
            scheme, _, given = (seen.header("authorization") or "").partition(" ")
            return scheme.lower() == "bearer" and hmac.compare_digest(
                given.strip().encode(), self._token.encode()
            )
        # A proxy on this machine connects from it too, on behalf of anybody.
        if any(seen.header(name) is not None for name in _FORWARDED):
            return False
        return seen.peer.startswith(_LOOPBACK)

    def _ready(self, seen: Seen) -> Answer:
        store, free = self._look_at_store()
        blocked = [guard.name for guard in guarded_functions() if _blocked(guard)]
        low = free is not None and free < self._options.min_free
        bad_store = self._options.ready_needs_store and (store != "ok" or low)
        ready = not blocked and not bad_store
        document: dict[str, object] = {"status": "ready" if ready else "not ready"}
        if self.allowed(seen):
            document |= {
                "store": store,
                "free_bytes": free,
                "functions": {g.name: _tiers(g) for g in guarded_functions()},
                "blocked": blocked,
            }
        return json_answer(200 if ready else 503, document)

    def _look_at_store(self) -> tuple[str, int | None]:
        try:
            store = self._store()
            store.version()
            if not isinstance(store, SqliteStore):
                return "ok", None
            return "ok", shutil.disk_usage(store.path.parent).free
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            return f"unreachable: {error}", None

    def _versions(self, seen: Seen) -> Answer:
        if not self.allowed(seen):
            return _refused()
        return json_answer(
            200, {"functions": {g.name: _tiers(g) for g in guarded_functions()}}
        )

    def _metrics(self, seen: Seen) -> Answer:
        if not self.allowed(seen):
            return _refused()
        from ..telemetry import prometheus

        kind, body = prometheus.answer(
            seen.header("accept") or "",
            lambda openmetrics: prometheus.render(openmetrics=openmetrics),
        )
        return Answer(status=200, headers=(("Content-Type", kind),), body=body)


def _live(_seen: Seen) -> Answer:
    return json_answer(200, {"status": "alive"})


def _refused() -> Answer:
    # Whoever may not see it need not learn that it is there.
    return problem(404, "unknown", "There is nothing here for you.")


def _blocked(guard: Guard) -> bool:
    """Tell whether no tier of a function may answer now."""
    return all(_state(guard, step) in _SHUT for step in guard.steps)


def _state(guard: Guard, step: Step) -> State:
    if step.pins is None:
        return State.CLOSED
    key = f"{guard.name}|{step.pins.current.id}"
    breaker = default_runtime().breakers.find(key)
    return State.CLOSED if breaker is None else breaker.snapshot().state


def _tiers(guard: Guard) -> list[dict[str, Any]]:
    return [
        {
            "tier": step.name,
            "pin": None if step.pins is None else step.pins.current.id,
            "model": None if step.pins is None else step.pins.current.model,
            "breaker": None if step.pins is None else str(_state(guard, step)),
        }
        for step in guard.steps
    ]

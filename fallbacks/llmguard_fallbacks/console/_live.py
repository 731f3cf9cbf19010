"""Live pages: one thread looks for commits, and server-sent events tell browsers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Final

from starlette.responses import StreamingResponse

from llmguard.store import Store

from ._problems import RefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

    from ._visit import Visit

__all__ = ["Pulse", "event_stream", "page_events"]

_LOOK: Final = 0.5
_CALM: Final = 1.0
_ALIVE: Final = 15.0


class Pulse:
    """Wakes whoever waits after a commit of any process.

    Args:
        store: Looked at twice a second by a thread that lives while somebody waits.
        streams: Live connections per principal.
    """

    def __init__(self, store: Store, *, streams: int) -> None:
        self._store = store
        self._streams = streams
        self._lock = threading.Lock()
        self._waiting: set[Callable[[], None]] = set()
        self._held: Counter[str] = Counter()
        self._nudge = threading.Event()
        self._looking = False

    def refuse_too_many(self, name: str) -> None:
        """Raise `RefusedError` when `name` has as many live pages as one may."""
        with self._lock:
            if self._held[name] < self._streams:
                return
        raise RefusedError(
            429,
            f"{self._streams} live pages are open already; close one",
            code="too_many_streams",
            headers={"Retry-After": "30"},
        )

    @contextlib.contextmanager
    def subscribed(self, name: str) -> Generator[asyncio.Event]:
        """Give an event that is set after each commit, in the running loop."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(woken.set)

        with self._lock:
            self._held[name] += 1
            self._waiting.add(wake)
            if not self._looking:
                self._looking = True
                threading.Thread(
                    target=self._look, name="llmguard-console-pulse", daemon=True
                ).start()
        stop = self._store.listen(self._nudge.set)
        try:
            yield woken
        finally:
            stop()
            with self._lock:
                self._waiting.discard(wake)
                self._held[name] -= 1

    def _look(self) -> None:
        seen: int | None = None
        while True:
            with self._lock:
                waiting = tuple(self._waiting)
                if not waiting:
                    self._looking = False
                    return
            version = self._version()
            if version != seen:
                seen = version
                for wake in waiting:
                    wake()
            self._nudge.wait(_LOOK)
            self._nudge.clear()

    def _version(self) -> int:
        try:
            return self._store.version()
        except Exception:  # noqa: BLE001 - a store that is away comes back, or pages say so
            return -1


def page_events(visit: Visit, *, calm: float = _CALM) -> StreamingResponse:
    """Tell a page when to look again, for as long as its reader may see it.

    Args:
        visit: The request.
        calm: Seconds between two events at least.
    """
    return event_stream(
        visit.request,
        visit.console.pulse,
        visit.principal.name,
        still=visit.still_here,
        calm=calm,
    )


def event_stream(
    request: Request,
    pulse: Pulse,
    name: str,
    *,
    still: Callable[[], bool] = lambda: True,
    event: str = "changed",
    calm: float = _CALM,
) -> StreamingResponse:
    """Return a stream that sends `event` after commits, at most one per `calm` seconds.

    Args:
        request: Whose connection it is.
        pulse: Says when.
        name: The principal's, who may have only so many.
        still: Asked now and then, in a thread; False ends the stream (logged out).
        event: Name of the event that pages listen to.
        calm: Seconds between two of them.

    Raises:
        RefusedError: `name` has too many of them already.
    """
    pulse.refuse_too_many(name)

    async def lines() -> AsyncIterator[str]:
        with pulse.subscribed(name) as woken:
            yield f"retry: 3000\nevent: {event}\ndata: now\n\n"
            while not await request.is_disconnected():
                changed = await _within(woken, _ALIVE)
                if not await asyncio.to_thread(still):
                    yield "event: over\ndata: now\n\n"
                    return
                woken.clear()
                yield f"event: {event}\ndata: now\n\n" if changed else ": alive\n\n"
                await asyncio.sleep(calm)

    return StreamingResponse(
        lines(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _within(woken: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(woken.wait(), seconds)
    except TimeoutError:
        return False
    return True

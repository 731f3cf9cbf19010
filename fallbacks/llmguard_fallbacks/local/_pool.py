"""Workers of one model: dispatch, bounded queue, supervision, restart with back-off."""

from __future__ import annotations

import collections
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from llmguard.errors import TierUnavailableError
from llmguard.outcome import Kind

from ._job import Delta, Failure, Job, Result
from ._link import Link

__all__ = ["Event", "Pool", "Settings", "Ticket"]

Event = Delta | Result | Failure
Sink = Callable[[Event], None]

_BACK_OFF: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before the n-th restart in a row without an answer in between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a pool is run.

    Attributes:
        options: What the worker needs to load its model.
        slots: Workers, each with one job at a time.
        queue: Jobs that may wait for a worker; the next one is refused at once.
        grace: Seconds a worker has to obey before it is killed.
        prepare: Called before a worker starts; verifies the weights.
        connect: Starts a worker.
    """

    options: Mapping[str, Any]
    slots: int
    queue: int
    grace: float
    prepare: Callable[[], object]
    connect: Callable[[], Link]


@dataclass(eq=False, slots=True, kw_only=True)
class Ticket:
    """One job on its way through a pool."""

    number: int
    job: Job
    end: float
    sink: Sink
    slot: _Slot | None = None


@dataclass(eq=False, slots=True)
class _Slot:
    link: Link | None = None
    state: str = "absent"  # absent, starting, idle, busy
    ticket: Ticket | None = None
    failures: int = 0
    not_before: float = 0.0
    reason: str = ""

    def usable(self) -> bool:
        """Tell whether a job can be given to it; its death may be news to us."""
        return self.state == "idle" and self.link is not None and self.link.alive()


class Pool:
    """The workers of one model in this process; thread-safe.

    Events reach a ticket's sink from the pool's own threads and under its lock, so a
    sink must only hand them on.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._slots = [_Slot() for _ in range(settings.slots)]
        self._waiting: collections.deque[Ticket] = collections.deque()
        self._places = collections.deque([None] * (settings.slots + settings.queue))
        self._numbers = itertools.count(1)
        self._closed = False

    def submit(self, job: Job, *, budget: float, sink: Sink) -> Ticket:
        """Hand in a job; its events go to `sink`, a `Result` or `Failure` last.

        Args:
            job: What to answer.
            budget: Seconds for waiting and answering together.
            sink: Called with each event, from another thread.

        Raises:
            TierUnavailableError: No slot and no place in the queue is free, or the
                worker is waiting to be restarted.
        """
        self._take_place()
        with self._lock:
            self._admit()
            end = time.monotonic() + budget
            ticket = Ticket(number=next(self._numbers), job=job, end=end, sink=sink)
            self._waiting.append(ticket)
            self._dispatch()
            return ticket

    def abandon(self, ticket: Ticket) -> None:
        """Stop a job whose caller has gone; a worker that does not obey is killed."""
        with self._lock:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                self._free_place()
            slot = ticket.slot
            if slot is None or slot.ticket is not ticket or slot.link is None:
                return
            slot.link.send({"op": "cancel", "id": ticket.number})
            timer = threading.Timer(self._settings.grace, self._enforce, (ticket,))
            timer.daemon = True
            try:
                timer.start()
            except RuntimeError:  # no thread that could wait: it gets no time to obey
                slot.link.kill()

    def warm(self) -> None:
        """Start every worker that is not running."""
        with self._lock:
            for slot in self._slots:
                if slot.state == "absent":
                    self._start(slot)

    def pids(self) -> list[int]:
        """Return the process ids of the running workers."""
        with self._lock:
            links = [slot.link for slot in self._slots if slot.link is not None]
        return [getattr(link, "pid", 0) for link in links]

    def close(self, *, grace: float = 1.0) -> None:
        """End the workers; jobs that were running fail."""
        with self._lock:
            self._closed = True
            links = [slot.link for slot in self._slots if slot.link is not None]
            self._fail_waiting("the local runtime was closed")
            for link in links:
                link.close()
        end = time.monotonic() + grace
        while time.monotonic() < end and any(s.link for s in self._slots):
            time.sleep(0.005)
        for slot in self._slots:
            if slot.link is not None:
                slot.link.kill()

    def forget(self) -> None:
        """Let go of the workers in a forked child, where they are not ours."""
        self._closed = True
        for slot in self._slots:
            if slot.link is not None:
                slot.link.forget()

    def _admit(self) -> None:
        if self._closed:
            self._free_place()
            raise _unavailable("the local runtime was closed")
        now = time.monotonic()
        if all(s.state == "absent" and s.not_before > now for s in self._slots):
            self._free_place()
            slot = min(self._slots, key=lambda s: s.not_before)
            raise _unavailable(
                f"the local worker restarts in {slot.not_before - now:.1f} s; "
                f"before that: {slot.reason}"
            )

    def _take_place(self) -> None:
        # Without the lock, which a crowd of threads would queue for only to be refused.
        try:
            self._places.pop()
        except IndexError:
            raise _unavailable(
                f"busy: {self._settings.slots} slot(s) and {self._settings.queue} "
                "place(s) in the queue are taken; raise `slots` or `queue` in the "
                "pin's options if the machine has room"
            ) from None

    def _free_place(self) -> None:
        self._places.append(None)

    def _dispatch(self) -> None:
        for slot in self._slots:
            if slot.usable() and self._waiting:
                self._assign(slot, self._waiting.popleft())
        starting = sum(s.state == "starting" for s in self._slots)
        now = time.monotonic()
        for slot in self._slots:
            ready = slot.state == "absent" and slot.not_before <= now
            if ready and starting < len(self._waiting):
                self._start(slot)
                starting += 1
        if all(s.state == "absent" for s in self._slots):
            # Nobody is left to take them, and restarts are held back for now.
            self._fail_waiting(self._slots[0].reason)

    def _assign(self, slot: _Slot, ticket: Ticket) -> None:
        assert slot.link is not None  # noqa: S101 - an idle slot has a worker
        slot.state, slot.ticket, ticket.slot = "busy", ticket, slot
        budget = ticket.end - time.monotonic()
        slot.link.send(
            {
                "op": "run",
                "id": ticket.number,
                "budget": budget,
                "job": ticket.job.as_json(),
            }
        )

    def _start(self, slot: _Slot) -> None:
        slot.state = "starting"
        thread = threading.Thread(
            target=self._attend, args=(slot,), name="llmguard-local", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the process may start no more threads
            slot.state, slot.reason = (
                "absent",
                f"the local worker did not start: {error}",
            )
            slot.not_before = time.monotonic() + _BACK_OFF[1]

    def _attend(self, slot: _Slot) -> None:
        """Start one worker and listen to it until it ends."""
        try:
            self._settings.prepare()
            link = self._settings.connect()
        except Exception as error:  # noqa: BLE001 - or the slot would start for ever
            self._ended(slot, str(error) or repr(error), Kind.SKIPPED)
            return
        with self._lock:
            slot.link = link
            if self._closed:
                link.close()
        link.send({"op": "load", "options": dict(self._settings.options)})
        failed = ""
        while (message := link.receive()) is not None:
            if message["op"] == "failed":
                failed = message["message"]
            else:
                self._heard(slot, message)
        ended = f"the local worker ended: {link.obituary()}"
        self._ended(slot, failed or ended, Kind.SKIPPED if failed else Kind.TRANSPORT)

    def _heard(self, slot: _Slot, message: Mapping[str, Any]) -> None:
        with self._lock:
            if message["op"] == "ready":
                slot.state = "idle"
            else:
                self._event(slot, message)
            self._dispatch()

    def _event(self, slot: _Slot, message: Mapping[str, Any]) -> None:
        ticket = slot.ticket
        if ticket is None or ticket.number != message["id"]:
            return
        event = _read_event(message)
        if not isinstance(event, Delta):
            slot.state, slot.ticket, slot.failures = "idle", None, 0
            self._free_place()
        ticket.sink(event)

    def _ended(self, slot: _Slot, reason: str, kind: Kind) -> None:
        with self._lock:
            ticket, slot.ticket, slot.link = slot.ticket, None, None
            slot.state, slot.reason = "absent", reason
            delay = _BACK_OFF[min(slot.failures, len(_BACK_OFF) - 1)]
            # A model that cannot be loaded will not heal in a moment.
            slot.failures += 1 if kind is Kind.TRANSPORT else len(_BACK_OFF)
            slot.not_before = time.monotonic() + delay
            if ticket is not None:
                self._free_place()
                ticket.sink(Failure(kind=kind, message=reason))
            if not self._closed:
                self._after_end(kind, reason)

    def _after_end(self, kind: Kind, reason: str) -> None:
        if kind is Kind.SKIPPED and all(s.state == "absent" for s in self._slots):
            self._fail_waiting(reason)
        self._dispatch()

    def _fail_waiting(self, reason: str) -> None:
        while self._waiting:
            ticket = self._waiting.popleft()
            self._free_place()
            ticket.sink(Failure(kind=Kind.SKIPPED, message=reason))

    def _enforce(self, ticket: Ticket) -> None:
        with self._lock:
            slot = ticket.slot
            if slot is not None and slot.ticket is ticket and slot.link is not None:
                slot.link.kill()


def _read_event(message: Mapping[str, Any]) -> Event:
    match message["op"]:
        case "delta":
            return Delta(text=message["body"])
        case "done":
            return Result(**message["body"])
        case _:
            return Failure.from_json(message["body"])


def _unavailable(reason: str) -> TierUnavailableError:
    return TierUnavailableError(reason, kind=Kind.SKIPPED)

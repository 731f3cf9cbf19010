"""The tier that asks a person, durably."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import re
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmguard.clock import SYSTEM_CLOCK, Clock
from llmguard.errors import ConfigError, Deferred, StoreError, TierFailedError
from llmguard.guard.tiers import TierContext, TierOptions
from llmguard.outcome import Kind
from llmguard.reply import Reply
from llmguard.store import (
    Agreement,
    Enqueued,
    Expiry,
    NewTicket,
    QueueFullError,
    Store,
    new_id,
)

from .queue._callback_url import check_url
from .queue._content import (
    OutputRedactor,
    Redactor,
    content_of,
    labels_of,
    outputs_of,
    reasons_of,
)
from .queue._numbers import refuse_numbers
from .queue._spill import spill
from .queue._store import StoreLike, folder_of, opened, replayed
from .queue._ticket import Ticket, TicketClosedError

if TYPE_CHECKING:
    from llmguard.contract import Contract

__all__ = ["HumanTier", "human"]

CallbackUrl = str | Callable[[TierContext], str]
_LOG: Final = logging.getLogger("llmguard.queue")
_QUEUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MARGIN = 0.2  # seconds kept to hand the ticket out before the tier's slice ends
_LONGEST_WRITE = 10.0
_NONE: Final = object()
_KINDS: Final = {
    "rejected": Kind.REFUSAL,
    "expired": Kind.TIMEOUT,
    "cancelled": Kind.CANCELLED,
    "dead": Kind.ERROR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanTier:
    """A tier that makes a ticket and may wait for its answer; see `human`."""

    queue: str
    name: str
    options: TierOptions
    wait: float
    priority: int
    sla: float | None
    expires: float | None
    role: str
    title: str
    instructions: str
    max_open: int | None
    on_full: object
    coalesce: bool
    redact: Redactor | None
    redact_output: OutputRedactor | None
    assignee: str
    reviewers: int
    agreement: Agreement
    expiry: Expiry
    callback: CallbackUrl
    store: StoreLike
    spill: Path | None
    clock: Clock
    terminal: bool = field(default=True, init=False)
    inline: bool = field(default=False, init=False)
    durable: bool = field(default=True, init=False)

    def check(self, contract: Contract | None) -> None:
        """Hold the declared values against the contract.

        Raises:
            ConfigError: `on_full` or `on_expiry` breaks it.
        """
        if contract is None:
            return
        if self.on_full is not _NONE and not callable(self.on_full):
            self._fits(contract, "on_full", self.on_full)
        expiry: Expiry | None = self.expiry
        while expiry is not None:
            if expiry.do == "answer":
                self._fits(contract, "on_expiry", expiry.value)
            expiry = expiry.then

    def _fits(self, contract: Contract, name: str, value: object) -> None:
        verdict = contract.judge_value(copy.deepcopy(value), {})
        # Checks that compare with the inputs cannot be judged before a call.
        if verdict.kind not in {Kind.OK, Kind.SEMANTIC}:
            wrong = "; ".join(map(str, verdict.violations)) or verdict.detail
            raise ConfigError(
                f"`{name}` of `human({self.queue!r})` breaks the contract: {wrong}; "
                "give a value that satisfies it"
                + (", or a function of the call" if name == "on_full" else "")
            )

    def run(self, call: TierContext) -> object:
        """Make the ticket, wait for up to `wait` seconds, else raise `Deferred`.

        Raises:
            Deferred: Nobody answered within `wait`, or the ticket is spilled.
            TierFailedError: It was rejected, cancelled, expired, or is dead.
            QueueError: The queue is full, and there is no `on_full`.
            StoreError: Nothing takes the ticket, and there is no `on_full`.
        """
        try:
            ticket = self._ask(call)
        except (QueueFullError, StoreError) as error:
            return self._last_resort(call, error)
        try:
            value = ticket.wait(self._patience(call))
        except (TimeoutError, StoreError):
            # Made it is, even where the store went away since.
            raise Deferred(ticket.id, queue=self.queue) from None
        except TicketClosedError as error:
            raise self._failed(error) from error
        return _reply(ticket, value)

    async def arun(self, call: TierContext) -> object:
        """Do as `run` without blocking the loop; the errors are those of `run`."""
        try:
            ticket = await self._asked(call)
        except (QueueFullError, StoreError) as error:
            return self._last_resort(call, error)
        try:
            value = await ticket.result(self._patience(call))
        except (TimeoutError, StoreError):
            # Made it is, even where the store went away since.
            raise Deferred(ticket.id, queue=self.queue) from None
        except TicketClosedError as error:
            raise self._failed(error) from error
        return _reply(ticket, value)

    async def _asked(self, call: TierContext) -> Ticket:
        """Make the ticket on a thread; where none starts, the loop has to wait."""
        context = copy_context()
        try:
            made = asyncio.get_running_loop().run_in_executor(
                None, lambda: context.run(self._ask, call)
            )
        except RuntimeError:
            return self._ask(call)
        return await made

    def _ask(self, call: TierContext) -> Ticket:
        """Make the ticket durable: in the store, or spilled beside it.

        Raises:
            Deferred: It is spilled, so nobody can answer it yet.
            QueueFullError: Admission control refused it.
            StoreError: Neither the store nor the spill folder takes it.
        """
        new = self._ticket(call)
        try:
            store = opened(self.store)
            enqueued = self._enqueue(store, new, call)
        except StoreError:
            spill(self.spill or folder_of(self.store), new)
            raise Deferred(new.id, queue=self.queue) from None
        if self.callback:
            from .queue._sender import keep_sending

            with contextlib.suppress(RuntimeError):  # no thread starts: others send
                keep_sending(store)
        return Ticket(
            enqueued.ticket.id, store=store, contract=call.contract, clock=self.clock
        )

    def _enqueue(self, store: Store, new: NewTicket, call: TierContext) -> Enqueued:
        timeout = min(_LONGEST_WRITE, max(_MARGIN, call.remaining() - _MARGIN))
        enqueued = store.tickets.enqueue(new, timeout=timeout)
        with contextlib.suppress(StoreError, OSError):
            # This ticket is safe; older ones may wait for the next chance.
            replayed(store, self.spill)
        return enqueued

    def _ticket(self, call: TierContext) -> NewTicket:
        now = self.clock.time()
        content = content_of(call, self.redact)
        contract = call.contract
        pins = [attempt.pin for attempt in call.attempts if attempt.pin]
        return NewTicket(
            id=new_id(now),
            queue=self.queue,
            key=call.labels.get("idempotency_key") or call.call_id,
            fingerprint=content.fingerprint,
            inputs=content.inputs,
            schema=None if contract is None else contract.value_schema,
            schema_digest="" if contract is None else contract.digest,
            contract="" if contract is None else contract.name,
            function=call.function,
            call_id=call.call_id,
            pin=pins[-1] if pins else "",
            title=self.title,
            instructions=self.instructions,
            reasons=reasons_of(call.attempts, redacted=self.redact is not None),
            labels=labels_of(call, redacted=self.redact is not None),
            role=self.role,
            priority=self.priority,
            due_at=None if self.sla is None else now + self.sla,
            expires_at=None if self.expires is None else now + self.expires,
            max_open=self.max_open,
            coalesce=self.coalesce and content.exact,
            outputs=outputs_of(
                call, hidden=self.redact is not None, redact=self.redact_output
            ),
            assignee=self.assignee,
            reviewers=self.reviewers,
            agreement=self.agreement,
            expiry=self.expiry,
            callback=self._callback(call),
            redacted=content.redacted,
        )

    def _callback(self, call: TierContext) -> str:
        if not callable(self.callback):
            return self.callback
        try:
            return check_url(self.callback(call) or "")
        except Exception:  # noqa: BLE001 - a user's function may fail in any way
            # The question is worth more than the notice of its answer.
            _LOG.exception("`callback` of `human(%r)` gave no URL", self.queue)
            return ""

    def _patience(self, call: TierContext) -> float:
        return max(0.0, min(self.wait, call.remaining() - _MARGIN))

    def _last_resort(self, call: TierContext, error: Exception) -> object:
        if self.on_full is _NONE:
            raise error
        if callable(self.on_full):
            answer: object = self.on_full(call)
            return answer
        return Reply(value=copy.deepcopy(self.on_full), has_value=True)

    def _failed(self, error: TicketClosedError) -> TierFailedError:
        return TierFailedError(
            str(error), kind=_KINDS.get(error.state, Kind.ERROR), tier=self.name
        )


def _reply(ticket: Ticket, value: object) -> Reply:
    rule = "expired" if ticket.by_default else ""
    return Reply(value=value, has_value=True, ticket_id=ticket.id, rule=rule)


def human(
    queue: str,
    *,
    wait: float = 0.0,
    priority: int = 0,
    sla: float | None = None,
    expires: float | None = None,
    role: str = "",
    title: str = "",
    instructions: str = "",
    max_open: int | None = None,
    on_full: object = _NONE,
    coalesce: bool = True,
    redact: Redactor | None = None,
    redact_output: OutputRedactor | None = None,
    assignee: str = "",
    reviewers: int = 1,
    agree: Agreement | Sequence[str] = (),
    on_expiry: Expiry | None = None,
    callback: CallbackUrl = "",
    store: StoreLike = None,
    spill: str | Path | None = None,
    name: str = "",
    when: Callable[[TierContext], bool] | None = None,
    reserve: float = 0.5,
    clock: Clock = SYSTEM_CLOCK,
) -> HumanTier:
    """Ask a person: a durable ticket now, the answer now or later.

    The guarded call returns the person's answer when it comes within `wait`, else it
    raises `Deferred` with the ticket's id. One call makes one ticket, however often
    it is retried: its key is the call's id, or the label `idempotency_key`.

    Args:
        queue: Name of the queue: letters, digits, `.`, `_`, `-`; at most 64.
        wait: Seconds to wait for an answer, within what the deadline leaves. Keep it
            under the time-out of whoever calls.
        priority: Higher is answered first.
        sla: Seconds within which an answer is promised; orders equal priority.
        expires: Seconds after which a ticket that nobody took is closed unanswered;
            None keeps it for ever.
        role: Role that reviewers must have; empty for everybody.
        title: One line for lists; the function's name by default.
        instructions: What the reviewer should know.
        max_open: Tickets that may wait in the queue. An outage at 100 calls a second
            is 360,000 tickets an hour, and a reviewer answers about 100.
        on_full: What the call answers when the queue or the disk is full: a value,
            or a function of the `TierContext`. Needed with `max_open`.
        coalesce: Let calls with the same inputs share one waiting ticket.
        redact: Takes the inputs as JSON and returns what a reviewer may see. If it
            raises, the reviewer sees nothing. What models proposed is hidden then,
            since it may quote the inputs; in labels, what looks like personal data or
            a secret is blanked.
        redact_output: Takes what a model proposed (JSON or text) and returns what may
            be shown of it; if it raises, nothing is.
        assignee: The one person who should answer.
        reviewers: People who are asked, each without seeing the others' answers. Their
            answer counts once that many of them agree.
        agree: What has to be equal: JSON pointers, such as `["/category"]`; by default
            all of it. An `Agreement` also says how many have to agree, and who decides
            when they do not.
        on_expiry: What becomes of a ticket that nobody took within `expires`: an
            `Expiry`; by default it ends unanswered.
        callback: URL that is told, signed, when the ticket is closed; or a function of
            the `TierContext` that returns one.
        store: Store or URL; None for the configured one.
        spill: Folder for tickets while the store is down; beside the store by
            default. Best on another disk.
        name: Name of the tier; `human:QUEUE` by default.
        when: Skip the tier for calls where this returns False.
        reserve: Seconds of the deadline that upper tiers leave for making the ticket.
        clock: Gives due times and measures waiting.

    Returns:
        A tier for the end of `@fallback_chain`.

    Raises:
        ConfigError: A wrong name, number or URL, `max_open` without `on_full`, or
            `on_expiry` without `expires`.
    """
    if not _QUEUE.fullmatch(queue):
        raise ConfigError(
            f"`queue` is {queue!r}; use up to 64 letters, digits, `.`, `_` and `-`, "
            "starting with a letter or digit: `human('triage')`"
        )
    refuse_numbers(queue, wait=wait, sla=sla, expires=expires, max_open=max_open)
    if max_open is not None and on_full is _NONE:
        raise ConfigError(
            f"`human({queue!r}, max_open={max_open})` cannot answer once the queue is "
            "full; add the last resort: `on_full=VALUE` or `on_full=function`"
        )
    if reviewers < 1:
        raise ConfigError(
            f"`reviewers` of `human({queue!r})` is {reviewers!r}; it must be 1 or more"
        )
    if on_expiry is not None and expires is None:
        raise ConfigError(
            f"`human({queue!r}, on_expiry=...)` needs `expires=` seconds, after which "
            "it happens"
        )
    if not isinstance(agree, Agreement):
        pointers = (agree,) if isinstance(agree, str) else tuple(agree)
        agree = Agreement(on=pointers)
    return HumanTier(
        queue=queue,
        name=name or f"human:{queue}",
        options=TierOptions(when=when, reserve=reserve),
        wait=wait,
        priority=priority,
        sla=sla,
        expires=expires,
        role=role,
        title=title,
        instructions=instructions,
        max_open=max_open,
        on_full=on_full,
        coalesce=coalesce,
        redact=redact,
        redact_output=redact_output,
        assignee=assignee,
        reviewers=reviewers,
        agreement=agree,
        expiry=on_expiry or Expiry(),
        callback=callback if callable(callback) else check_url(callback),
        store=store,
        spill=None if spill is None else Path(spill),
        clock=clock,
    )

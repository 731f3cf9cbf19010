"""Every exception llmguard raises, in one tree.

Each message says what was wrong (the value, by ``repr``), where, and the command
or edit that repairs it.

* LLMGuardError
    + ConfigError (ValueError)     a wrong argument, key or file: at import or start
        - LockError                `models.lock` is missing, stale or inconsistent
    + CallError                    anything about one guarded call
        - ContractError            the output broke the contract
        - CircuitOpenError         the breaker of a pinned version admits nobody
        - PinMismatchError         another version answered than the pin names
        - TierTimeoutError         a tier used up its slice of the deadline
        - TierUnavailableError     a tier cannot run here (missing extra, weights, busy)
        - RemoteCallRefusedError   `refuse_remote()` is active
        - TierFailedError          any other outcome kind that is not `ok`
    + FallbackExhaustedError (ExceptionGroup)   one exception per tier, in order
    + StoreError                   the durable store failed; in `llmguard.store`:
        - StoreFullError, StoreBusyError
    + LedgerError                  a change of stage was refused; there too:
        - LedgerConflictError, LedgerMoveError
    + PromotionError               a promotion was refused; in `llmguard.promotion`:
        - GatesNotPassedError, QuarantinedError, RollbackError, ApprovalError
    + QueueError                   an operation on a ticket was refused; there too:
        - TicketUnknownError, TicketStateError, LeaseLostError, RoleRequiredError,
          IdempotencyError, QueueFullError, AnswerRefusedError
        - TicketClosedError (in `llmguard_fallbacks`): nobody will answer it

`Deferred` is control flow, not an error: a person will answer, here is the ticket.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .outcome import Kind, Outcome, Violation

__all__ = [
    "CallError",
    "CircuitOpenError",
    "ConfigError",
    "ContractError",
    "Deferred",
    "FallbackExhaustedError",
    "LLMGuardError",
    "LLMGuardWarning",
    "LockError",
    "PinMismatchError",
    "QueueError",
    "RemoteCallRefusedError",
    "StoreError",
    "TierFailedError",
    "TierTimeoutError",
    "TierUnavailableError",
]


class LLMGuardWarning(UserWarning):
    """Something works, but not as well as its author believes."""


def _revive(cls: type[Exception], args: tuple[object, ...]) -> Exception:
    """Make an exception whose `__init__` cannot be called with its `args` alone."""
    error = cls.__new__(cls, *args)
    error.args = args
    return error


class LLMGuardError(Exception):
    """Base of all llmguard errors; they cross process borders with their attributes."""

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.args), self.__dict__.copy()


class ConfigError(LLMGuardError, ValueError):
    """A wrong argument, key or file; raised at import, decoration or start."""


class LockError(ConfigError):
    """`models.lock` is missing, stale or inconsistent."""


class CallError(LLMGuardError):
    """One tier of one guarded call failed.

    Attributes:
        kind: The outcome kind that this failure was classified as.
        tier: Name of the tier, empty before any tier ran.
        pin: Id of the pin that ran, empty for tiers that are not models.
    """

    def __init__(
        self, message: str, *, kind: Kind, tier: str = "", pin: str = ""
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.tier = tier
        self.pin = pin


class TierFailedError(CallError):
    """A tier ended in an outcome that is not `ok`."""


class ContractError(CallError):
    """The output broke the contract; `violations` say where and how."""

    def __init__(
        self,
        message: str,
        *,
        kind: Kind,
        violations: Sequence[Violation] = (),
        tier: str = "",
        pin: str = "",
    ) -> None:
        super().__init__(message, kind=kind, tier=tier, pin=pin)
        self.violations = tuple(violations)


class CircuitOpenError(CallError):
    """The breaker of this pinned version admits nobody.

    Attributes:
        retry_after: Seconds until it may admit a probe; None while quarantined
            or forced open, where only a person changes that.
        quarantined: True when behaviour, not infrastructure, tripped it.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: Kind,
        retry_after: float | None,
        quarantined: bool = False,
        tier: str = "",
        pin: str = "",
    ) -> None:
        super().__init__(message, kind=kind, tier=tier, pin=pin)
        self.retry_after = retry_after
        self.quarantined = quarantined


class PinMismatchError(CallError):
    """The provider says that another version answered than the pin names."""


class TierTimeoutError(CallError, TimeoutError):
    """A tier used up its slice of the deadline."""


class TierUnavailableError(CallError):
    """A tier cannot run here: a missing extra, missing weights, or no free slot."""


class RemoteCallRefusedError(CallError):
    """A remote model was called while `refuse_remote()` was active."""


class FallbackExhaustedError(ExceptionGroup[CallError], LLMGuardError):
    """Every tier failed; the group holds one exception per tier, in order."""

    outcome: Outcome | None = None

    def derive(self, excs: Sequence[Any], /) -> FallbackExhaustedError:  # type: ignore[override] # a subgroup holds what the group held
        """Keep the type and the outcome when the group is split."""
        group = FallbackExhaustedError(self.message, list(excs))
        group.outcome = self.outcome
        return group


class StoreError(LLMGuardError):
    """The durable store failed, is full, or is newer than this version."""


class QueueError(LLMGuardError):
    """A human-queue operation was refused: lease lost, ticket unknown, queue full."""


class Deferred(Exception):  # noqa: N818 - control flow, not an error
    """A person will answer: the call's result comes later, under `ticket_id`.

    Attributes:
        ticket_id: Id of the durable ticket; `llmguard queue show ID` shows it.
        queue: Name of the queue that holds it.
    """

    def __init__(self, ticket_id: str, *, queue: str) -> None:
        super().__init__(
            f"ticket {ticket_id!r} waits for a person in queue {queue!r}; "
            f"see it with `llmguard queue show {ticket_id}`"
        )
        self.ticket_id = ticket_id
        self.queue = queue

    def __reduce__(self) -> tuple[object, ...]:
        return _revive, (type(self), self.args), self.__dict__.copy()

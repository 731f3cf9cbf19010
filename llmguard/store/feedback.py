"""What people's answers say of models: labels, and cases for contract suites."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["CaseState", "FeedbackStore", "ProposedCase", "TicketLabel"]

CaseState = Literal["proposed", "accepted", "dismissed"]
"""What became of a proposed case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketLabel:
    """Whether what one tier proposed was what people then answered.

    Attributes:
        ticket_id: The ticket.
        place: Which of its `outputs`.
        at: Epoch seconds of the answer.
        function: Qualified name of the guarded function.
        pin: Version that proposed it; empty for tiers that are no models.
        tier: The tier.
        kind: How the attempt ended, such as `low_confidence` or `semantic`.
        confidence: The tier's own, from 0 to 1; None when it gave none.
        agrees: True when the answer is the proposal.
        differs: JSON pointers at which they differ, 50 at most; `""` for all of it.
    """

    ticket_id: str
    place: int
    at: float
    function: str
    pin: str
    tier: str
    kind: str
    confidence: float | None
    agrees: bool
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedCase:
    """An answer that may become a case of a contract suite.

    Attributes:
        ticket_id: The ticket it comes from.
        state: `proposed` until a person accepts or dismisses it.
        at: Epoch seconds of the answer.
        function: Qualified name of the guarded function.
        contract: Name of the contract.
        inputs: The function's arguments, as the reviewer saw them.
        expected: The answer.
        redacted: True when `inputs` hide anything of what was asked: the function
            cannot be called with them as they are.
        decided_at: Epoch seconds of the decision.
        decided_by: Who decided.
        note: Why.
    """

    ticket_id: str
    state: CaseState
    at: float
    function: str
    contract: str
    inputs: Mapping[str, object]
    expected: object
    redacted: bool
    decided_at: float | None
    decided_by: str
    note: str


class FeedbackStore(Protocol):
    """Labels and cases; they are written with the answer, in its transaction.

    Every method raises `StoreError` when the store fails.
    """

    def labels(
        self,
        *,
        function: str | None = None,
        since: float = 0.0,
        limit: int = 10_000,
    ) -> Sequence[TicketLabel]:
        """Return labels, newest first."""
        ...

    def cases(
        self,
        *,
        state: CaseState = "proposed",
        function: str | None = None,
        roles: Collection[str] | None = None,
        limit: int = 100,
    ) -> Sequence[ProposedCase]:
        """Return cases, oldest first; proposals whose ticket was purged are gone.

        Args:
            state: In this state.
            function: Of this function; None for any.
            roles: Of tickets that reviewers with these roles may see; None for all.
            limit: So many at most.
        """
        ...

    def decide(
        self,
        ticket_id: str,
        *,
        state: CaseState,
        actor: str,
        note: str = "",
        inputs: Mapping[str, object] | None = None,
    ) -> ProposedCase:
        """Accept or dismiss a case; deciding again is allowed.

        Args:
            ticket_id: The ticket.
            state: `accepted` keeps a copy that outlives the ticket's content.
            actor: Who decides.
            note: Why.
            inputs: Arguments to keep instead of the ticket's, such as invented ones
                for those that redaction hid; the case then counts as not redacted.

        Raises:
            TicketUnknownError: No case came of such a ticket, or it was purged.
        """
        ...

"""Who must not see yet what tiers said: whoever has not answered in a blind queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.store import WAITING, TicketRecord

if TYPE_CHECKING:
    from ._visit import Visit

__all__ = ["is_blind", "may_be_blind"]


def may_be_blind(visit: Visit, record: TicketRecord) -> bool:
    """Tell whether a ticket's proposals are hidden from whoever has not answered."""
    return visit.console.settings.is_blind(record.queue) and record.state in WAITING


def is_blind(visit: Visit, record: TicketRecord) -> bool:
    """Tell whether they are hidden from this principal, who has not answered yet."""
    return may_be_blind(visit, record) and not visit.store.access.audited(
        actor=visit.principal.name,
        action="ticket.revealed",
        target=record.id,
        limit=1,
    )

"""Programs see of a blind queue no more than pages show."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.testclient import TestClient

from llmguard.store import Store
from llmguard.store.access import NewAudit

Program = Callable[..., TestClient]
OUTPUTS = ({"tier": "m", "kind": "schema", "value": {"category": "said"}},)
REASONS = (
    {
        "tier": "m",
        "kind": "schema",
        "detail": "said",
        "violations": [{"path": "/category", "message": "is said"}],
    },
)


def test_proposals_of_a_blind_queue_are_hidden(
    app: Starlette, program: Program, ask: Callable[..., str], store: Store
) -> None:
    """From lists, tickets and claims, until there is an own answer or the end."""
    object.__setattr__(app.state.console.settings, "blind", ("triage",))
    ann = program("ann")
    ticket = ask(outputs=OUTPUTS, reasons=REASONS)
    one = f"/queue/tickets/{ticket}"
    for found in (
        ann.get("/queue/tickets"),
        ann.get(one),
        ann.post(f"{one}/claim", json={}),
    ):
        assert 200 == found.status_code
        assert "said" not in found.text
        assert '"kind":"schema"' in found.text
    store.access.audit(
        NewAudit(actor="ann", action="ticket.revealed", target=ticket),
        NewAudit(actor="bob", action="ticket.revealed", target="other"),
    )
    assert "said" in ann.get(one).text
    assert "said" not in program("bob").get(one).text
    token = ann.get(one).json()["lease_token"]
    body = {"value": {"category": "billing"}, "token": token}
    assert "said" in ann.post(f"{one}/answer", json=body).text
    assert "said" in program("cid").get(one).text

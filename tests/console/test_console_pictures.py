"""Pictures of every page, light, dark and narrow, for people to look at.

`LLMGUARD_SCREENSHOTS=folder pytest tests/console/test_console_pictures.py` writes them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from console_people import SCHEMA, Site, login

from llmguard_fallbacks.console._app import load_sections

FOLDER = os.environ.get("LLMGUARD_SCREENSHOTS", "")
TEXT = (
    "Hello, I was charged twice for order 1043 and the second box never came. "
    "Two lamps were missing, one bulb was broken. Please refund!"
)
REASONS: Any = (
    {
        "tier": "triage",
        "kind": "schema",
        "pin": "triage-p-7f3a",
        "detail": "2 violations",
        "violations": [
            {"path": "/items/0/count", "message": "must be 1 or more, but is 0"},
            {"path": "/category", "message": "must be one of 'billing', 'refund'"},
        ],
    },
    {"tier": "local", "kind": "timeout", "pin": "local-1", "detail": "8 s passed"},
)
OUTPUTS: Any = (
    {
        "tier": "triage",
        "pin": "triage-p-7f3a",
        "kind": "schema",
        "confidence": 0.62,
        "value": {"category": "money", "order_id": 1043, "items": []},
    },
    {
        "tier": "rules",
        "kind": "low_confidence",
        "confidence": 0.4,
        "value": {
            "category": "refund",
            "order_id": 1043,
            "items": [{"name": "lamp", "count": 2}],
        },
    },
)


def filled(site: Site) -> list[str]:
    """Make tickets as a busy morning has them."""
    now = time.time()
    more: dict[str, Any] = {
        "title": "Triage a support message",
        "instructions": "Decide what the customer wants.\nNo order named: null.",
        "inputs": {"ticket": TEXT, "customer": {"id": 4411, "plan": "pro"}},
        "schema": SCHEMA,
        "reasons": REASONS,
        "outputs": OUTPUTS,
        "labels": {"request_type": "email"},
        "function": "app.triage",
        "contract": "Triage",
        "pin": "triage-p-7f3a",
    }
    made = [site.ask(**more, priority=5, due_at=now - 4000)]
    made.append(site.ask(**more, priority=5, due_at=now + 500))
    invoice = {**more, "title": "Is this invoice a duplicate?", "queue": "invoices"}
    made.append(site.ask(**invoice, role="finance", due_at=now + 8000))
    made += [site.ask(**more, due_at=now + 9000 * n) for n in range(2, 12)]
    site.store.tickets.claim(reviewer="bob", ticket_id=made[4])
    site.store.tickets.reject(made[5], reviewer="bob", reason="The message is empty.")
    answer = {"category": "refund", "order_id": 7, "items": [{"name": "x", "count": 1}]}
    site.store.tickets.answer(made[6], answer, reviewer="bob")
    return made


@pytest.mark.skipif(not FOLDER, reason="LLMGUARD_SCREENSHOTS names no folder")
@pytest.mark.parametrize("size", [(1280, 900), (500, 844)])
def test_every_page_has_its_picture_taken(
    size: tuple[int, int],
    browser: Callable[..., Browser],
    serve: Callable[..., Site],
) -> None:
    """All sections' first pages, and the states of a ticket's page."""
    site, page = serve(), browser(size=size)
    made = filled(site)

    def shoot(name: str) -> None:
        for dark in (False, True):
            look = "dark" if dark else "light"
            page.shot(Path(FOLDER) / f"{name}-{size[0]}-{look}.png", dark=dark)

    page.go(f"{site.url}/login")
    shoot("login")
    login(page, site, "ann", "read", "review", "approve", "admin")
    for section in load_sections():
        if section.title:
            page.go(f"{site.url}{section.path}/")
            page.find("h1")
            shoot(section.name)
    page.keys("?")
    shoot("help")
    for number, name in enumerate(("open", "soon", "role", "plain", "taken", "closed")):
        page.go(f"{site.url}/review/t/{made[number]}")
        page.find("h1")
        shoot(f"ticket-{name}")
    page.go(f"{site.url}/review/t/{made[0]}")
    page.find("button", "Take it").click()
    page.find("#answer")
    shoot("ticket-yours")
    page.find("#f-v\\/items\\/0\\/count").type("none", clear=True)
    page.find("button[data-submit]").click()
    page.find(".errors")
    shoot("ticket-errors")
    page.go(f"{site.url}/nothing")
    shoot("refused")
    assert list(Path(FOLDER).glob("*.png"))

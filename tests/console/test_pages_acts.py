"""What the pages let people do, what they refuse, and where they may be mounted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from console_people import Person
from starlette.applications import Starlette
from starlette.routing import Mount

from llmguard import config, pins
from llmguard.pins import Lock, Pin, to_text
from llmguard.store import Action, Event, NewEntry, RouteState, Store
from llmguard.store.calls import CallRow
from llmguard.testing import VirtualClock
from llmguard_fallbacks.console import ConsoleSettings, console_app

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
ROLLBACK = "/versions/route/triage/rollback"
OLD, NEW = (
    Pin(
        route="triage",
        provider="openai",
        model=f"gpt-5.2-2025-12-{day}",
        version_class="versioned",
        owner="desk",
    )
    for day in ("07", "08")
)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.lock").write_text(to_text(Lock().with_pin(OLD).with_pin(NEW)))
    config.reset()
    pins.forget()
    yield
    config.reset()
    pins.forget()


@pytest.fixture
def moved(store: Store) -> Callable[[], RouteState]:
    """Let OLD serve and then NEW; gives the route's state now."""
    for pin in (OLD, NEW):
        for action in (Action.CANDIDATE, Action.PROMOTE):
            state = store.ledger.route_state("prod", "triage")
            store.ledger.append(
                NewEntry(
                    env="prod",
                    route="triage",
                    pin=pin.id,
                    action=action,
                    base_rev=state.rev,
                    actor="ann",
                )
            )
    return lambda: store.ledger.route_state("prod", "triage")


def _form(**changes: str) -> dict[str, str]:
    given = {"env": "prod", "pin": NEW.id, "sure": NEW.id, "reason": "it is  wrong"}
    return {**given, **changes}


def test_a_person_may_roll_back(
    person: Callable[..., Person], moved: Callable[[], RouteState], store: Store
) -> None:
    """Under their own name, with their reason, in ledger, events and audit."""
    eve = person("eve", "read", "review", "approve")
    assert f'value="{NEW.id}" required' in eve.get("/versions/route/triage").text
    answer = eve.submit(ROLLBACK, **_form())
    assert 303 == answer.status_code
    assert OLD.id == moved().active
    last = store.ledger.entries(newest_first=True, limit=1)[0]
    assert ("eve", "it is wrong") == (last.actor, last.reason)
    assert ["rollback.manual"] == [one.kind for one in store.events.list()]
    row = store.access.audited(action="version.rollback", limit=1)[0]
    assert ("eve", "prod/triage", "ok") == (row.actor, row.target, row.outcome)
    assert "Done: r5" in eve.get(answer.headers["location"]).text
    again = eve.submit(ROLLBACK, **_form())
    assert "done=nothing" in again.headers["location"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reason": "  "}, "say why"),
        ({"sure": ""}, "tick the box"),
        ({"pin": "", "sure": ""}, "tick the box"),
        ({"pin": OLD.id, "sure": NEW.id}, "tick the box"),
    ],
)
def test_nothing_moves_without_a_reason_and_a_yes(
    person: Callable[..., Person],
    moved: Callable[[], RouteState],
    store: Store,
    changes: dict[str, str],
    told: str,
) -> None:
    """The page comes back and says what is missing."""
    answer = person("eve", "read", "review", "approve").submit(
        ROLLBACK, **_form(**changes)
    )
    assert 422 == answer.status_code
    assert f"Nothing was changed: {told}" in answer.text
    assert NEW.id == moved().active
    (row,) = store.access.audited(action="version.rollback")
    assert "refused" == row.outcome


def test_a_revision_is_a_number(person: Callable[..., Person]) -> None:
    """What only looks like one begins at the newest."""
    rita = person("rita", "read")
    for before in ("\xb2", "x", "-1"):
        url = "/versions/route/triage"
        assert 200 == rita.get(url, params={"before": before}).status_code


def test_readers_may_not_move_anything(
    person: Callable[..., Person], moved: Callable[[], RouteState]
) -> None:
    """They are shown the command, and no form; a forged form is refused."""
    rita = person("rita", "read", "review")
    page = rita.get("/versions/route/triage").text
    assert "rollback" in page
    assert ROLLBACK not in page
    assert 403 == rita.submit(ROLLBACK, **_form()).status_code
    forged = rita.post(ROLLBACK, data=_form())
    assert 403 == forged.status_code
    assert NEW.id == moved().active


def test_nobody_reads_without_the_scope(person: Callable[..., Person]) -> None:
    """A reviewer sees tickets, and none of these pages."""
    one = person("rob", "review")
    for path in ("/versions/", "/health/", "/evidence/", "/calls/", "/health/live"):
        assert 403 == one.get(path).status_code
    assert "/versions/" not in one.get("/review/").text


def test_a_route_without_a_way_back_says_so(
    person: Callable[..., Person], store: Store
) -> None:
    """By the lock alone, or with its first version."""
    page = person("eve", "read", "review", "approve").get("/versions/route/triage")
    assert "no earlier version to go back to" in page.text
    assert "writes the first" in page.text


def test_what_strangers_wrote_is_text(
    person: Callable[..., Person], store: Store, clock: VirtualClock
) -> None:
    """Reasons, names, ids and answers; on every page that shows them."""
    now = clock.time()
    store.ledger.append(
        NewEntry(
            env="prod",
            route="triage",
            pin=NEW.id,
            action=Action.PROMOTE,
            base_rev=0,
            actor=EVIL,
            reason=EVIL,
        )
    )
    store.events.add(
        Event(env="prod", kind="alarm.drift", route="triage", detail={"family": EVIL})
    )
    attempt = {"tier": EVIL, "kind": EVIL, "detail": EVIL, "model": EVIL}
    said = {"tier_index": 0, "number": 1, "answer": EVIL}
    body = {"attempts": [attempt], "inputs": {EVIL: EVIL}, "said": [said]}
    row: dict[str, Any] = dict.fromkeys(
        ("function", "route", "pin", "answered", "tier", "outcome", "request"), EVIL
    )
    call = CallRow(
        id="c1",
        at=now,
        env="prod",
        attempts=1,
        elapsed=0.1,
        content=True,
        body=json.dumps(body),
        **row,
    )
    store.calls.add([call], most=10, keep=1e9)
    store.beat(EVIL, {"argv": EVIL, "routing": {"env": "prod", "rev": 0}})
    one = person("ann", "read", "review")
    for path in (
        "/versions/",
        "/versions/route/triage",
        "/versions/which?route=triage&at=" + EVIL,
        "/health/",
        "/health/events",
        "/calls/",
        "/calls/?request=" + EVIL,
        "/calls/call/c1",
        "/evidence/?pin=" + EVIL,
    ):
        text = one.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_pages_work_below_a_prefix(
    store: Store, clock: VirtualClock, add_user: Callable[..., str]
) -> None:
    """Every link, form and asset stays below where the console is mounted."""
    inner = console_app(store, settings=ConsoleSettings(), clock=clock)
    app = Starlette(routes=[Mount("/ops/guard", app=inner)])
    one = Person(app)
    secret = add_user("ann", "read", "review", "approve")
    assert 303 == one.post("/ops/guard/login", data={"token": secret}).status_code
    for path in ("versions/", "health/", "evidence/", "calls/", "health/events"):
        text = one.get(f"/ops/guard/{path}").text
        found = re.findall(r'(?:href|src|action|hx-get|data-live)="(/[^"]*)"', text)
        assert len(found) > 8
        assert [] == [link for link in found if not link.startswith("/ops/guard/")]


def test_live_parts_come_alone(person: Callable[..., Person], store: Store) -> None:
    """What htmx asks for is a part, not a page."""
    one = person("ann", "read", "review")
    for path in ("/versions/rows", "/health/rows", "/evidence/rows", "/calls/rows"):
        answer = one.get(path, headers={"hx-request": "true"})
        assert 200 == answer.status_code
        assert "<html" not in answer.text

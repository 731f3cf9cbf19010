"""The pages of versions, health, reports and calls, over a story on both stores."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from console_people import Person
from console_scene import Scene
from console_story import scene
from store_backends import make_store

from llmguard.store.access import AccessToken, AccessUser, secret_digest
from llmguard_fallbacks.console import ConsoleSettings, console_app

PAGES = ("/versions/", "/health/", "/evidence/", "/calls/", "/health/events")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """Three days of a deployment; told once for each store."""
    folder = tmp_path_factory.mktemp("scene")
    url = str(folder / "store.db")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").url()
    with scene(folder, url) as found:
        yield found


def _person(told: Scene, name: str, *scopes: str) -> Person:
    told.store.access.put_user(AccessUser(name=name, scopes=scopes))
    token = AccessToken(id=f"token-{name}", user=name, scopes=scopes)
    told.store.access.add_token(token, secret_digest(f"secret of {name}"))
    app = console_app(
        told.store, settings=ConsoleSettings(rate=100_000), clock=told.clock
    )
    one = Person(app)
    assert 303 == one.login(f"secret of {name}").status_code
    return one


@pytest.fixture(scope="module")
def reader(told: Scene) -> Person:
    """Somebody who may only read."""
    return _person(told, "rita", "read")


def _text(page: str) -> str:
    """Return what a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there(reader: Person, path: str) -> None:
    """For whoever may read."""
    answer = reader.get(path)
    assert 200 == answer.status_code
    assert "style=" not in answer.text
    assert "None" not in _text(answer.text)


def test_versions_say_what_runs(reader: Person, told: Scene) -> None:
    """Who serves, what ends, what was quarantined."""
    text = _text(reader.get("/versions/").text)
    assert "desk-1.5" in text
    assert "shuts down on 2027-01-22" in text
    assert f"quarantined {told.bad.id}" in text
    assert "support desk" in text
    assert "1 of 2 behind" in text


def test_a_route_shows_how_it_came_to_this(reader: Person, told: Scene) -> None:
    """Moves with who and why, evidence with its verdict, stages as a plot."""
    answer = reader.get("/versions/route/triage?span=7d")
    text = _text(answer.text)
    assert "9 against 0" in text
    assert "automatic" in text
    assert "carol@example.com" in text
    assert 2 == answer.text.count('href="/evidence/document/')
    assert "bob@example.com" in text
    assert 'class="stage active"' in answer.text
    assert 'class="stage canary"' in answer.text
    assert 'class="stage quarantined"' in answer.text
    assert 404 == reader.get("/versions/route/nothing").status_code


def test_the_past_can_be_asked_about(reader: Person, told: Scene) -> None:
    """`2d` ago another version served; a wrong time is said kindly."""
    asked = "/versions/which?route=triage&at="
    assert told.old.id in _text(reader.get(f"{asked}2d").text)
    part = reader.get(asked, headers={"hx-request": "true"}).text
    assert "<html" not in part
    assert told.new.id in part
    assert "no time; write" in reader.get(f"{asked}soon").text
    assert "has not come yet" in reader.get(f"{asked}2099-01-01").text


def test_health_says_what_is_wrong(reader: Person, told: Scene) -> None:
    """To do, breakers with the command, objectives with their budgets, charts."""
    answer = reader.get("/health/?span=7d")
    text = _text(answer.text)
    assert f"llmguard breaker resume &#39;{told.function}|{told.bad.id}&#39;" in (
        answer.text
    )
    assert "5 transport failures in a row" in text
    assert "UNPROVEN" in text or "proven" in text
    assert "error budget left" in answer.text
    assert "degraded" in text
    assert answer.text.count('<svg class="chart"') >= 4
    assert "alarm.drift" in text


def test_reports_lead_to_their_documents(reader: Person, told: Scene) -> None:
    """Suites with their assertions, shadows with their rates."""
    for row in told.store.list_evidence():
        text = _text(reader.get(f"/evidence/document/{row.digest}").text)
        assert row.verdict in text
        assert ("Assertions" if row.kind == "suite" else "Divergence") in text
    assert 404 == reader.get("/evidence/document/sha256:00").status_code


def test_reports_can_be_chosen(reader: Person, told: Scene) -> None:
    """By kind, function, version and route."""

    def shown(query: str) -> tuple[int, int]:
        page = reader.get(f"/evidence/rows?{query}").text
        return page.count("/evidence/shadow/"), page.count("/evidence/document/")

    assert (2, 4) == shown("")
    assert (0, 2) == shown("kind=suite")
    assert (2, 2) == shown("kind=shadow")
    assert (1, 2) == shown(f"pin={told.new.id}")
    assert (2, 0) == shown("function=app.other")
    assert (0, 4) == shown("route=other")


def test_a_shadow_shows_its_tail_side_by_side(reader: Person, told: Scene) -> None:
    """Changes with directions, the worst slice first, examples that can be chosen."""
    path = f"/evidence/shadow/{told.runs[-1]}"
    answer = reader.get(path)
    text = _text(answer.text)
    assert "/needs_human" in text
    assert "true → false" in text
    assert "Slices, the worst first" in text
    assert "<mark>" in answer.text
    shown = answer.text.count("<article")
    fewer = reader.get(f"{path}?severity=critical&stratum=legal").text.count("<article")
    assert 0 <= fewer <= shown
    assert "No such example" in reader.get(f"{path}?stratum=nothing").text


def test_calls_are_found_and_shown(reader: Person, told: Scene) -> None:
    """By outcome, request and version; one call with every attempt."""
    answer = reader.get("/calls/?outcome=degraded")
    [first, *_] = re.findall(r'href="(/calls/call/[0-9a-f]+)"', answer.text)
    page = reader.get(first)
    text = _text(page.text)
    assert "transport" in text
    assert "triage-local" in text
    assert "What was asked" in text
    assert "/versions/route/triage" in page.text
    request = re.findall(r"request=(req-[0-9a-f]+)", page.text)[0]
    found = reader.get(f"/calls/?request={request}").text
    assert 1 == found.count("data-row")
    assert "No such calls" in reader.get("/calls/?request=none").text
    assert 404 == reader.get("/calls/call/none").status_code


def test_pages_of_calls_follow_each_other(reader: Person, told: Scene) -> None:
    """Without gaps, to the end."""
    seen: list[str] = []
    path = "/calls/"
    while path:
        page = reader.get(path).text
        seen += re.findall(r'href="/calls/call/([0-9a-f]+)"', page)
        more = re.findall(r'rel="next" href="([^"]+)"', page)
        path = more[0].replace("&amp;", "&") if more else ""
    assert told.store.calls.span("prod")[0] == len(seen) == len(set(seen))


def test_reading_content_is_audited(reader: Person, told: Scene) -> None:
    """What people wrote was looked at by somebody."""
    call = told.store.calls.list("prod", limit=1)[0]
    reader.get(f"/calls/call/{call.id}")
    rows = told.store.access.audited(action="call.read", limit=1)
    assert [("rita", call.id)] == [(row.actor, row.target) for row in rows]


@pytest.mark.parametrize("path", PAGES)
def test_an_empty_store_says_what_fills_it(tmp_path: Path, path: str) -> None:
    """A command to run, and no error."""
    store = make_store(str(tmp_path / "empty.db"), durable=False)
    store.access.put_user(AccessUser(name="ann", scopes=("read",)))
    token = AccessToken(id="t", user="ann", scopes=("read",))
    store.access.add_token(token, secret_digest("s"))
    one = Person(console_app(store))
    one.login("s")
    answer = one.get(f"{path}?env=empty")
    assert 200 == answer.status_code
    if path not in {"/health/events", "/versions/"}:
        assert "<code>" in answer.text
    store.close()

"""The Review pages in a real browser, from the login to the caller's answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from browser import Browser
from console_people import RIGHT, Site, login
from pydantic import BaseModel, Field

from llmguard import contract, fallback_chain
from llmguard.store.access import AccessToken, secret_digest
from llmguard_fallbacks import human

Make = Callable[..., Browser]
EVIL = (
    "\"'><script>alert(1)</script></textarea></title><base href=//evil.example>"
    "<img src=//evil.example/x onerror=alert(2)><svg onload=alert(3)>"
    "<a href=javascript:alert(4)>x</a><style>*{display:none}</style>"
    '<b hx-get="//evil.example/" hx-trigger="load" hx-on:load="alert(5)">'
)
COUNT = "#f-v\\/items\\/0\\/count"


class Line(BaseModel):
    """One thing that was ordered."""

    name: str
    count: int = Field(ge=1)


class Triage(BaseModel):
    """What the reviewer decides."""

    category: Literal["billing", "refund", "other"]
    order_id: int | None
    items: list[Line] = Field(min_length=1)


def test_the_waiting_caller_gets_the_corrected_answer(
    browser: Make, serve: Callable[..., Site]
) -> None:
    """A nested form with an array and a nullable, an error, a second reviewer."""
    site = serve()
    ann, bob = browser(), browser()
    found: list[object] = []

    @fallback_chain(human("triage", wait=200.0, store=site.store), deadline=240.0)
    @contract(Triage)
    def triage(ticket: str) -> Triage:
        return {"category": "refund", "order_id": 5, "items": []}  # type: ignore[return-value]  # a model's mistake

    asking = threading.Thread(
        target=lambda: found.append(triage("Two lamps, please")), daemon=True
    )
    asking.start()
    login(ann, site, "ann")
    ann.says("triage")
    ann.keys("n")
    ann.find("h2", "Answer")
    ann.says("Two lamps, please")
    (ticket,) = site.store.tickets.list()
    assert ticket.claimed_by == "ann"

    login(bob, site, "bob")
    bob.says("ann")
    bob.go(f"{site.url}/review/t/{ticket.id}")
    bob.find("h2", "ann has it")
    assert [] == bob.all("#answer")
    refused = bob.script(
        "const body = new URLSearchParams({csrf: document.body.dataset.csrf});"
        "return fetch(arguments[0], {method: 'POST', body}).then(r => r.status)",
        f"/review/t/{ticket.id}/claim",
    )
    assert 409 == refused

    ann.find("#f-v\\/category").choose("refund")
    if not ann.all("#f-v\\/items\\/0\\/name"):
        ann.find("button", "Add an item").click()
    ann.find("#f-v\\/items\\/0\\/name").type("lamp", clear=True)
    ann.find(COUNT).type("none", clear=True)
    ann.find("#f-v\\/order_id").type("", clear=True)  # nothing: null
    ann.find("button[data-submit]").click()
    ann.find(".errors")
    ann.until(lambda: ann.script("return document.activeElement.className") == "errors")
    assert "none" == ann.find(COUNT).get("value")
    assert "true" == ann.find(COUNT).get("ariaInvalid")
    assert "lamp" == ann.find("#f-v\\/items\\/0\\/name").get("value")
    ann.find(COUNT).type("2", clear=True)
    ann.find("button", "Add an item").click()
    ann.until(lambda: ann.all("#f-v\\/items\\/1\\/name"))
    ann.find("#f-v\\/items\\/1\\/name").type("bulb")
    ann.find("#f-v\\/items\\/1\\/count").type("1")
    ann.keys("control+enter")
    ann.says("Answered. Whoever asked has it now.")
    asking.join(30)
    lines = [Line(name="lamp", count=2), Line(name="bulb", count=1)]
    assert [Triage(category="refund", order_id=None, items=lines)] == found
    assert "ann" == site.store.tickets.get(ticket.id).closed_by


def test_what_tickets_hold_does_nothing_in_a_browser(
    browser: Make, serve: Callable[..., Site]
) -> None:
    """No dialog, no request to elsewhere, no breach of the policy, no element."""
    site = serve()
    schema = {
        "title": EVIL,
        "type": "object",
        "properties": {EVIL: {"type": "string", "description": EVIL, "title": EVIL}},
    }
    ticket = site.ask(
        title=EVIL,
        instructions=EVIL,
        function=EVIL,
        inputs={EVIL: EVIL, "more": {"__repr__": EVIL, "__type__": EVIL}},
        labels={EVIL: EVIL},
        schema=schema,
        reasons=(
            {
                "tier": EVIL,
                "kind": EVIL,
                "pin": EVIL,
                "detail": EVIL,
                "violations": [{"path": EVIL, "message": EVIL}],
            },
        ),
        outputs=(
            {"tier": EVIL, "kind": EVIL, "value": {EVIL: EVIL}},
            {"tier": EVIL, "text": EVIL},
        ),
    )
    page = browser()
    login(page, site, EVIL)
    page.keys("n")
    page.find("h2", "Answer")
    page.find("button", "Edit as JSON").click()
    page.find("textarea.json")
    page.find("textarea.json").type("{", clear=True)
    page.find("button[data-submit]").click()
    page.find(".errors")
    page.find("summary", "Reject").click()
    page.find("#reject-reason").type(EVIL)
    page.find("button", "Reject and take").click()
    page.says("Nothing waits")
    for path in ("/review/?state=closed", f"/review/t/{ticket}"):
        page.go(site.url + path)
        page.find("h1")
        page.says("<script>alert(1)</script>")
    assert page.dialog() is None
    said = [one for one in page.log() if "status of 422" not in one]
    assert [] == [one for one in said if "Password forms" not in one]
    for request in page.log("performance"):
        if "Network.requestWillBeSent" in request:
            assert "evil.example/" not in request.partition('"headers"')[0]
    # The look at the log would have seen a breach: here is one.
    page.script("document.body.append(document.createElement('style').cloneNode())")
    page.script(
        "const s = document.createElement('script'); s.textContent = 'alert(9)';"
        "document.body.append(s)"
    )
    page.until(lambda: any("Content Security Policy" in one for one in page.log()))
    assert page.dialog() is None


def test_everything_goes_by_keys(browser: Make, serve: Callable[..., Site]) -> None:
    """Accept, skip, give back, reject, help, lists, without a mouse."""
    site = serve()
    tickets = [site.ask() for _ in range(4)]
    page = browser()
    login(page, site, "ann")
    page.keys("?")
    page.until(lambda: page.find("#help").get("open"))
    page.keys("escape")
    page.until(lambda: not page.find("#help").get("open"))
    page.keys("j", "j", "k")
    assert "Ticket 1" == page.script("return document.activeElement.textContent")
    page.keys("enter")
    page.find("h1", "Ticket 1")
    page.keys("c")
    page.find("#answer")
    page.keys("a")
    page.find("h1", "Ticket 2")
    page.says("Answered")
    assert RIGHT == site.store.tickets.get(tickets[0]).answer
    page.keys("s")
    page.until(lambda: page.focused() == "skip-reason")
    page.keys(*"later", "enter")
    page.find("h1", "Ticket 3")
    page.keys("x")
    page.until(lambda: page.focused() == "reject-reason")
    page.keys(*"no", "escape", "u")
    page.says("Given back")
    page.keys("n")
    page.find("h1", "Ticket 3")
    page.keys("x")
    page.until(lambda: page.focused() == "reject-reason")
    page.keys(*"no", "enter")
    page.find("h1", "Ticket 4")
    assert "no" == site.store.tickets.get(tickets[2]).note
    page.keys("e")
    assert "answer" == page.focused()
    page.keys("q")
    page.find("h1", "Review")


def test_a_renewed_list_keeps_the_place(
    browser: Make, serve: Callable[..., Site]
) -> None:
    """Others ask and answer while somebody walks the rows with the keyboard."""
    site = serve()
    tickets = [site.ask() for _ in range(3)]
    page = browser()
    login(page, site, "ann")
    place = "return document.activeElement.textContent"
    page.keys("j", "j")
    assert "Ticket 2" == page.script(place)
    site.ask()
    page.find("a", "Ticket 4")
    assert "Ticket 2" == page.script(place)
    site.store.tickets.cancel(tickets[1], actor="caller", reason="no longer")
    page.until(lambda: "Ticket 2" not in page.text)
    assert "Ticket 3" == page.script(place)
    page.keys("k", "enter")
    page.find("h1", "Ticket 1")


def test_it_works_without_scripts(browser: Make, serve: Callable[..., Site]) -> None:
    """Claim, add, an error, answer: plain forms and pages."""
    site = serve()
    ticket = site.ask()
    page = browser(scripts=False)
    login(page, site, "ann")
    page.find("button", "Take the next").click()
    page.find("button", "Add an item").click()
    page.find("#f-v\\/items\\/1\\/name").type("b")
    page.find("button[data-submit]").click()
    page.find(".errors")
    page.find("#f-v\\/items\\/1\\/count").type("5")
    page.find("button", "Send and take").click()
    page.says("Answered")
    assert 5 == site.store.tickets.get(ticket).answer["items"][1]["count"]  # type: ignore[index]  # an object


def test_the_list_is_live_and_leases_are_kept_or_lost_aloud(
    browser: Make, serve: Callable[..., Site]
) -> None:
    """New tickets appear; an open page renews; who loses one is told, and keeps it."""
    site = serve(lease=4.0)
    page = browser()
    login(page, site, "ann")
    page.says("Nothing waits")
    ticket = site.ask()
    page.find("a", "Ticket 1").click()
    page.find("button", "Take it").click()
    page.find("#answer")
    first = site.store.tickets.get(ticket).lease_until
    page.until(lambda: site.store.tickets.get(ticket).lease_until != first)
    page.find(COUNT).type("3", clear=True)
    site.store.tickets.steal(ticket, reviewer="bob", reason="urgent", roles=("*",))
    page.until(lambda: page.find("#lease-lost").shown)
    assert "It is with bob now" in page.find("#lease-lost").text
    page.find("button[data-submit]").click()
    page.says("Nothing was sent; what you typed is still below.")
    assert "3" == page.find(COUNT).get("value")
    site.store.tickets.release(ticket, actor="bob", reason="mistake")
    page.find("button", "Take it again").click()
    page.says("It is yours again")
    page.until(lambda: not page.find("#lease-lost").shown)
    last = site.store.tickets.get(ticket)
    page.until(lambda: site.store.tickets.get(ticket).lease_until != last.lease_until)
    tokens = "return [...document.querySelectorAll('input[name=token]')]"
    assert {last.lease_token} == set(page.script(f"{tokens}.map((one) => one.value)"))
    page.find("button[data-submit]").click()
    page.says("Answered")
    assert 3 == site.store.tickets.get(ticket).answer["items"][0]["count"]  # type: ignore[index]  # an object


def test_blind_reviewers_see_proposals_after_their_own_answer(
    browser: Make, serve: Callable[..., Site]
) -> None:
    """Then they may change it; the audit says that they wrote one before."""
    site = serve(blind=("triage",))
    ticket = site.ask(outputs=({"tier": "rules", "value": RIGHT},))
    page = browser()
    login(page, site, "ann")
    page.keys("n")
    page.says("Hidden until you have an answer of your own")
    assert "rules" not in page.text
    page.keys("a")
    assert "claimed" == site.store.tickets.get(ticket).state
    page.find("#f-v\\/category").choose("other")
    page.find("button", "Add an item").click()
    page.find("#f-v\\/items\\/0\\/name").type("x")
    page.find(COUNT).type("1")
    page.find("button", "Note my answer").click()
    page.says("Your answer is noted, not yet sent")
    page.says("rules")
    page.find("button", "Send and take").click()
    page.says("Answered")
    own = {"category": "other", "order_id": None, "items": [{"name": "x", "count": 1}]}
    assert own == site.store.tickets.get(ticket).answer
    assert site.store.access.audited(action="ticket.revealed", actor="ann")


def test_a_logout_while_writing_loses_nothing(
    browser: Make, serve: Callable[..., Site]
) -> None:
    """The page says so; after a login in another tab the same form is sent."""
    site = serve()
    ticket = site.ask()
    page = browser()
    login(page, site, "ann")
    page.keys("n")
    page.find("#answer")
    page.find(COUNT).type("9", clear=True)
    site.store.access.revoke_token("token-ann")
    page.find("button[data-submit]").click()
    page.says("You were logged out. What you typed is still here")
    assert "9" == page.find(COUNT).get("value")
    first = page.ask("GET", "/window")
    other = page.ask("POST", "/window/new", {"type": "tab"})["handle"]
    page.ask("POST", "/window", {"handle": other})
    site.store.access.add_token(
        AccessToken(id="second", user="ann", scopes=("review",)),
        secret_digest("another"),
    )
    page.go(f"{site.url}/login")
    page.find("#token").type("another")
    page.find("button", "Log in").click()
    page.find("h1", "Review")
    page.ask("POST", "/window", {"handle": first})
    page.script("dispatchEvent(new Event('focus'))")
    page.says("You are logged in again")
    page.find("button[data-submit]").click()
    page.says("Answered")
    assert 9 == site.store.tickets.get(ticket).answer["items"][0]["count"]  # type: ignore[index]  # an object


def test_the_theme_is_remembered(browser: Make, serve: Callable[..., Site]) -> None:
    """From the system at first, then as chosen, also on the next page."""
    site = serve()
    page = browser()
    page.go(f"{site.url}/login")
    ground = "return getComputedStyle(document.body).backgroundColor"
    first = page.script(ground)
    page.find("[data-theme-toggle]").click()
    second = page.script(ground)
    assert first != second
    page.go(f"{site.url}/login?again")
    assert second == page.script(ground)

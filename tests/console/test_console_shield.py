"""What holds for every request: hosts, origins, tokens, sizes, headers, escaping."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from console_people import ORIGIN, Person
from starlette.applications import Starlette

import llmguard_fallbacks.console as package
from llmguard.errors import StoreError
from llmguard.store import Store
from llmguard.testing import VirtualClock
from llmguard_fallbacks.console._shield import POLICY

EVIL = (
    "\"'><script>alert(1)</script></textarea></title>"
    "<img src=x onerror=alert(2)>{{12347*9}}"
)
STATIC = Path(package.__file__).parent / "static"
TEMPLATES = Path(package.__file__).parent / "templates"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/login", 200),
        ("/nope", 404),
        ("/review/", 200),
        ("/review/t/none", 404),
        ("/static/console.css", 200),
        ("/static/nope", 404),
        ("/static/..%2f_app.py", 404),
        ("/login/", 307),
    ],
)
def test_every_answer_has_the_headers(
    path: str, status: int, person: Callable[..., Person]
) -> None:
    """Errors and files too; pages are not kept, files are."""
    found = person().get(path)
    assert status == found.status_code
    assert POLICY == found.headers["content-security-policy"]
    assert "nosniff" == found.headers["x-content-type-options"]
    assert "DENY" == found.headers["x-frame-options"]
    assert "same-origin" == found.headers["referrer-policy"]
    assert "same-origin" == found.headers["cross-origin-opener-policy"]
    kept = found.headers["cache-control"]
    assert ("no-cache" if status == 200 and "static" in path else "no-store") == kept


def test_the_policy_lets_nothing_in() -> None:
    """No inline code, no evaluation, no other hosts, no frames."""
    assert "unsafe" not in POLICY
    assert "default-src 'none'" in POLICY
    assert "frame-ancestors 'none'" in POLICY
    assert "base-uri 'none'" in POLICY
    assert {"'self'", "'none'"} == set(re.findall(r"'[a-z-]+'", POLICY))


def test_templates_have_nothing_inline() -> None:
    """Neither scripts, styles nor handlers: the policy would stop them anyway."""
    for file in TEMPLATES.rglob("*.html"):
        text = file.read_text("utf-8")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), file
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), file
        assert "|safe" not in text.replace(" ", ""), file
        assert "autoescape" not in text, file


def test_files_are_named_by_what_they_hold(app: Starlette) -> None:
    """So browsers may keep them for ever; a changed one is asked for anew."""
    nobody = Person(app)
    page = nobody.get("/login").text
    (url,) = re.findall(r'href="(/static/console\.css\?v=[0-9a-f]+)"', page)
    found = nobody.get(url)
    assert "immutable" in found.headers["cache-control"]
    again = nobody.get(url, headers={"if-none-match": found.headers["etag"]})
    assert 304 == again.status_code
    assert "0BSD" in (STATIC / "htmx.LICENSE").read_text() or "Zero-Clause" in (
        STATIC / "htmx.LICENSE"
    ).read_text("utf-8")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "[::2]"]
)
def test_other_host_names_are_refused(host: str, app: Starlette) -> None:
    """A page that has its own name resolve to this machine gets nothing."""
    found = Person(app).get("/login", headers={"host": host})
    assert 421 == found.status_code
    assert "llmguard console --allow-host" in found.text
    assert "<" not in found.text


@pytest.mark.parametrize(
    "host", ["LOCALHOST:8090", "127.0.0.1:1", "[::1]:8", "console.example"]
)
def test_declared_host_names_are_served(
    host: str, make_app: Callable[..., Starlette]
) -> None:
    """Whatever their port and case."""
    app = make_app(hosts=("localhost", "127.0.0.1", "::1", "Console.example"))
    assert 200 == Person(app).get("/login", headers={"host": host}).status_code


def foreign(**headers: str) -> dict[str, str]:
    return {"origin": "https://evil.example", **headers}


@pytest.mark.parametrize(
    "headers",
    [
        foreign(),
        foreign(origin="null"),
        foreign(origin="http://localhost.evil.example"),
        foreign(origin="http://localhost:81"),
        foreign(origin="http://[::"),
        foreign(**{"sec-fetch-site": "cross-site"}),
        {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
        {"origin": ORIGIN, "sec-fetch-site": "same-site"},
        {"origin": ""},
        {"origin": "", "sec-fetch-site": "none"},
    ],
)
def test_forms_of_other_sites_do_nothing(
    headers: dict[str, str],
    person: Callable[..., Person],
    app: Starlette,
    store: Store,
    ask: Callable[..., str],
) -> None:
    """Even with the right form token; also the login form."""
    ticket, ann = ask(), person()
    csrf = ann.csrf()
    found = ann.post(f"/review/t/{ticket}/claim", data={"csrf": csrf}, headers=headers)
    assert 403 == found.status_code
    assert "open" == store.tickets.get(ticket).state
    assert "request.refused" == store.access.audited()[0].action
    tried = Person(app).post("/login", data={"token": "secret of ann"}, headers=headers)
    assert 403 == tried.status_code


@pytest.mark.parametrize("csrf", ["", "0" * 64, "of another session", "é"])
def test_forms_need_the_token_of_their_session(
    csrf: str, person: Callable[..., Person], store: Store, ask: Callable[..., str]
) -> None:
    """Not that of somebody else's, and not twice; htmx sends it as a header."""
    ticket, ann, bob = ask(), person(), person("bob")
    if csrf == "of another session":
        csrf = bob.csrf()
    path = f"/review/t/{ticket}/claim"
    assert 403 == ann.post(path, data={"csrf": csrf}).status_code
    assert 403 == ann.post(path).status_code
    twice = f"csrf={ann.csrf()}&csrf={ann.csrf()}"
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert 403 == ann.post(path, content=twice, headers=form).status_code
    assert "open" == store.tickets.get(ticket).state
    told = {"x-csrf-token": ann.csrf()}
    assert 303 == ann.post(path, headers=told).status_code
    assert "claimed" == store.tickets.get(ticket).state


def test_nothing_changes_by_looking(
    app: Starlette, person: Callable[..., Person], ask: Callable[..., str]
) -> None:
    """What acts is asked by POST only."""
    ann, ticket = person(), ask()
    for path in ("claim", "answer", "accept", "reject", "skip", "release", "steal"):
        assert 405 == ann.get(f"/review/t/{ticket}/{path}").status_code
    assert 405 == ann.get("/review/next").status_code
    assert 405 == ann.get("/logout").status_code


def test_large_requests_are_refused(
    make_app: Callable[..., Starlette], add_user: Callable[..., str]
) -> None:
    """By what they announce, and by what they send without announcing."""
    app = make_app(max_body=1000)
    ann = Person(app)
    ann.login(add_user("ann"))
    csrf = ann.csrf()
    big = {"csrf": csrf, "x": "y" * 2000}
    assert 413 == ann.post("/review/next", data=big).status_code

    def pieces() -> Iterator[bytes]:
        yield f"csrf={csrf}&x=".encode()
        for _ in range(50):
            yield b"y" * 100

    form = {"content-type": "application/x-www-form-urlencoded"}
    found = ann.post("/review/next", content=pieces(), headers=form)
    assert 413 == found.status_code
    many = "&".join(["a=b"] * 30_000)
    ann = Person(make_app())
    ann.login("secret of ann")
    found = ann.post("/review/next", content=many, headers=form)
    assert 400 == found.status_code
    for length in ("x", "\xb2", "9" * 5_000):
        headers = {"content-length": length.encode("latin-1")}
        assert 413 == ann.get("/login", headers=headers).status_code


class Tags(HTMLParser):
    """Keeps what a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep one."""
        self.found.append((tag, dict(attrs)))


def harmless(text: str) -> None:
    """Fail when a page has an element or an attribute that is not ours."""
    for tag, attributes in Tags(text).found:
        assert tag not in {"iframe", "object", "style", "base", "embed"}
        assert not [name for name in attributes if name.startswith("on")]
        assert "style" not in attributes
        if tag in {"script", "img", "link"}:
            source = attributes.get("src") or attributes.get("href") or ""
            assert source.startswith("/static/")
    assert "111123" not in text


def test_what_tickets_hold_stays_text(
    person: Callable[..., Person], ask: Callable[..., str], store: Store
) -> None:
    """Titles, inputs, names, reasons, proposals, schemas, answers, histories."""
    schema = {
        "title": EVIL,
        "description": EVIL,
        "type": "object",
        "properties": {EVIL: {"type": "string", "description": EVIL, "enum": [EVIL]}},
    }
    ticket = ask(
        title=EVIL,
        instructions=EVIL,
        function=EVIL,
        contract=EVIL,
        pin=EVIL,
        inputs={EVIL: EVIL, "r": {"__repr__": EVIL, "__type__": EVIL}, "l": [EVIL]},
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
            {"tier": EVIL, "pin": EVIL, "kind": EVIL, "value": {EVIL: EVIL}},
            {"tier": EVIL, "text": EVIL},
            EVIL,
        ),
    )
    evil = person(EVIL)
    path = f"/review/t/{ticket}"
    assert 200 == evil.get(path).status_code
    harmless(evil.get(path).text)
    evil.submit(f"{path}/claim")
    for number in ("", "?from=0", "?from=2", f"?queue={EVIL}", f"?done={EVIL}"):
        harmless(evil.get(f"{path}{number}").text)
    token = store.tickets.get(ticket).lease_token
    posted = {"op": EVIL, "token": token, EVIL: EVIL, "queue": EVIL}
    harmless(evil.submit(f"{path}/answer", **posted).text)
    evil.submit(f"{path}/reject", token=token, reason=EVIL)
    harmless(evil.get(path).text)
    harmless(evil.get("/review/?state=closed").text)
    harmless(evil.get(f"/review/?queue={EVIL}&state={EVIL}&after={EVIL}").text)
    harmless(evil.get(f"/login?next={EVIL}&code={EVIL}").text)
    harmless(evil.get(f"/{EVIL}").text)


def test_odd_text_fails_no_page(
    person: Callable[..., Person], ask: Callable[..., str]
) -> None:
    """Half surrogate pairs, NULs, right-to-left marks, deep and large values."""
    deep: Any = "end"
    for _ in range(60):
        deep = [deep]
    odd = "\ud800 \x00 \u202e\u2066 \x1b[31m"
    ticket = ask(
        title=odd[1:],
        inputs={odd: odd, "deep": deep, "large": "x" * 50_000},
        schema=None,
    )
    ann = person()
    found = ann.get(f"/review/t/{ticket}")
    assert 200 == found.status_code
    assert "30,000 characters more" in found.text
    assert 200 == ann.get("/review/").status_code
    ann.submit(f"/review/t/{ticket}/claim")
    assert 200 == ann.get(f"/review/t/{ticket}").status_code


def test_a_store_that_fails_says_nothing_about_itself(
    app: Starlette, person: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 for what passes, 500 for a mistake of ours; the log has the rest."""
    ann = person()

    def away(*_: object, **__: object) -> object:
        raise StoreError("/secret/path is on fire")

    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError("/secret/path")

    tickets = app.state.console.store.tickets
    for fail, status in ((away, 503), (broken, 500)):
        monkeypatch.setattr(tickets, "list", fail)
        found = ann.get("/review/")
        assert status == found.status_code
        assert "secret" not in found.text
        assert POLICY == found.headers["content-security-policy"]


def test_what_was_done_is_not_said_to_be_undone(
    app: Starlette,
    person: Callable[..., Person],
    ask: Callable[..., str],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step may hold although its record, or word of it, was lost."""
    ticket, ann = ask(), person()
    ann.get(f"/review/t/{ticket}")

    def away(*_: object, **__: object) -> object:
        raise StoreError("gone")

    monkeypatch.setattr(app.state.console.store.access, "audit", away)
    found = ann.submit(f"/review/t/{ticket}/claim")
    assert 503 == found.status_code
    assert "ann" == store.tickets.get(ticket).claimed_by
    assert "nothing was changed" not in found.text
    assert "before you repeat" in found.text
    assert "before you repeat" not in ann.get(f"/review/t/{ticket}").text


def test_reading_and_acting_is_audited(
    person: Callable[..., Person], ask: Callable[..., str], store: Store
) -> None:
    """Who saw, took and gave back which ticket, from where; no content."""
    ticket, ann = ask(), person()
    ann.get(f"/review/t/{ticket}")
    ann.submit(f"/review/t/{ticket}/claim")
    token = store.tickets.get(ticket).lease_token
    ann.submit(f"/review/t/{ticket}/release", token=token)
    ann.submit(f"/review/t/{ticket}/claim")
    token = store.tickets.get(ticket).lease_token
    ann.submit(f"/review/t/{ticket}/accept", token=token, proposal="1")
    rows = list(reversed(store.access.audited(target=ticket)))
    said = [one.action.removeprefix("ticket.") for one in rows]
    assert said == ["seen", "claimed", "released", "claimed", "answered"]
    assert {("ann", "testclient", "ok")} == {
        (one.actor, one.address, one.outcome) for one in rows
    }
    assert "text 1" not in repr(rows)


def test_old_rows_are_purged_by_use(
    make_app: Callable[..., Starlette],
    add_user: Callable[..., str],
    store: Store,
    clock: VirtualClock,
) -> None:
    """A login every now and then is enough."""
    app = make_app(audit_days=10, session_days=1)
    Person(app).login(add_user("ann"))
    clock.advance(11 * 86400.0)
    Person(app).login("secret of ann")
    assert [clock.time()] == [one.at for one in store.access.audited()]
    assert (0, 0) == store.access.purge(audit_before=0.0, sessions_before=clock.time())

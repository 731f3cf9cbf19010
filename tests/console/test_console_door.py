"""Who comes in, and for how long: tokens, sessions, links, proxies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from console_people import Person
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from llmguard.errors import ConfigError
from llmguard.store import Store
from llmguard.store.access import AccessUser, secret_digest
from llmguard.testing import VirtualClock
from llmguard_fallbacks.console import ConsoleSettings
from llmguard_fallbacks.console._app import load_sections, open_routes
from llmguard_fallbacks.console._visit import Visit, require

HOUR = 3600.0


def actions(store: Store) -> list[str]:
    return [one.action for one in reversed(store.access.audited())]


def test_no_route_is_open_by_mistake(app: Starlette) -> None:
    """All but the login page and the style sheet ask who it is."""
    assert [] == open_routes(app.routes)
    for section in load_sections():
        assert section.routes()


def test_strangers_are_sent_to_the_login_page(app: Starlette) -> None:
    """Browsers come back to the page they wanted; programs are told 401."""
    nobody = Person(app)
    found = nobody.get("/review/?queue=a%20b")
    assert (303, "/login?next=/review/%3Fqueue%3Da%2520b") == (
        found.status_code,
        found.headers["location"],
    )
    assert 303 == nobody.post("/review/next").status_code
    told = nobody.get("/review/", headers={"accept": "application/json"})
    assert 401 == told.status_code
    assert "login_needed" == told.json()["error"]["code"]
    wanted = nobody.get("/review/rows", headers={"hx-request": "true"})
    assert (401, "/login") == (wanted.status_code, wanted.headers["hx-redirect"])
    writing = nobody.post("/review/t/x/answer", headers={"hx-request": "true"})
    assert 401 == writing.status_code
    assert "hx-redirect" not in writing.headers


def test_a_token_opens_a_session(
    app: Starlette, store: Store, add_user: Callable[..., str]
) -> None:
    """In a cookie that scripts and other sites do not get; the secret is not kept."""
    ann = Person(app)
    found = ann.post("/login", data={"token": add_user("ann"), "next": "/review/?a=1"})
    assert (303, "/review/?a=1") == (found.status_code, found.headers["location"])
    cookie = found.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    value = next(iter(ann.cookies.values()))
    assert store.access.by_session(value, idle=HOUR) is None
    assert store.access.by_session(secret_digest(value), idle=HOUR) is not None
    assert 200 == ann.get("/review/").status_code
    assert ["login.ok"] == actions(store)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/review/\r\nX: y",
        "javascript:alert(1)",
        "review/",
        "/ /evil",
        "\t//evil.example",
    ],
)
def test_a_login_leads_nowhere_else(
    url: str, app: Starlette, add_user: Callable[..., str]
) -> None:
    """What is no path of this console is forgotten."""
    found = Person(app).post("/login", data={"token": add_user("ann"), "next": url})
    assert "/" == found.headers["location"]


def test_wrong_secrets_are_refused_and_recorded(
    app: Starlette, store: Store, add_user: Callable[..., str]
) -> None:
    """The page says no more than that; the secret is not in the audit."""
    add_user("ann")
    found = Person(app).login("not the secret")
    assert 401 == found.status_code
    assert "unknown, expired or revoked" in found.text
    assert "set-cookie" not in found.headers
    (row,) = store.access.audited()
    assert ("login.failed", "failed", "testclient") == (
        row.action,
        row.outcome,
        row.address,
    )
    assert "not the secret" not in repr(row)


def test_guessing_is_slowed_down(
    app: Starlette, store: Store, clock: VirtualClock, add_user: Callable[..., str]
) -> None:
    """Ten tries a minute and address, right or wrong; then one every six seconds."""
    secret, guesser = add_user("ann"), Person(app)
    assert [401] * 10 == [guesser.login("x").status_code for _ in range(10)]
    refused = guesser.login(secret)
    assert (429, "6") == (refused.status_code, refused.headers["retry-after"])
    clock.advance(6.0)
    assert 303 == guesser.login(secret).status_code
    assert "login.limited" in actions(store)


def test_strangers_do_not_fill_the_audit(
    app: Starlette, store: Store, clock: VirtualClock
) -> None:
    """Each row is a write to the disk: one a minute and address says it all."""
    guesser = Person(app)
    assert 429 == [guesser.login("x").status_code for _ in range(50)][-1]
    assert 1 == len(store.access.audited(action="login.limited"))
    clock.advance(60.0)
    assert 429 == [guesser.login("x").status_code for _ in range(50)][-1]
    assert 2 == len(store.access.audited(action="login.limited"))


def test_a_session_is_new_after_each_login(
    app: Starlette, store: Store, add_user: Callable[..., str]
) -> None:
    """What was planted in the browser before is worth nothing after."""
    ann = Person(app)
    name = f"llmguard_{app.state.console.door._mark}"
    ann.cookies.set(name, "planted", domain="localhost.local")
    ann.login(add_user("ann"))
    first = ann.cookies[name]
    assert first != "planted"
    ann.login("secret of ann")
    second = ann.cookies[name]
    assert first != second
    assert store.access.by_session(secret_digest(first), idle=HOUR) is None


def test_sessions_end_idle_and_old(
    person: Callable[..., Person], clock: VirtualClock
) -> None:
    """Two hours unused, twelve at most; what pages ask by themselves is no use."""
    ann = person()
    seen = []
    for _ in range(3):
        clock.advance(0.9 * HOUR)
        seen.append(ann.get("/review/rows").status_code)
    assert [200, 200, 303] == seen
    bob = person("bob")
    for _ in range(11):
        clock.advance(HOUR)
        assert 200 == bob.get("/review/").status_code
    clock.advance(HOUR + 1)
    assert 303 == bob.get("/review/").status_code


@pytest.mark.parametrize("how", ["logout", "token", "user", "scope"])
def test_what_is_taken_away_is_gone_at_once(
    how: str, person: Callable[..., Person], store: Store
) -> None:
    """Also for sessions that are open."""
    ann = person()
    copied = dict(ann.cookies)
    if how == "logout":
        found = ann.submit("/logout")
        assert (303, "/login") == (found.status_code, found.headers["location"])
        assert '"cache"' == found.headers["clear-site-data"]
        assert "Max-Age=0" in found.headers["set-cookie"]
        ann.cookies.update(copied)
    elif how == "token":
        store.access.revoke_token("token-ann")
    elif how == "user":
        store.access.disable_user("ann")
    else:
        store.access.put_user(AccessUser(name="ann", scopes=("read",)))
    assert (403 if how == "scope" else 303) == ann.get("/review/").status_code


def test_scopes_are_kept_apart(
    person: Callable[..., Person], store: Store, ask: Callable[..., str]
) -> None:
    """Whoever may read may not review; it is said what is missing, and recorded."""
    reader = person("rita", "read", "approve", "admin")
    found = reader.get(f"/review/t/{ask()}")
    assert 403 == found.status_code
    assert "llmguard console user grant rita --scope review" in found.text
    assert "request.refused" in actions(store)


def test_programs_use_bearer_tokens(
    app: Starlette, store: Store, add_user: Callable[..., str], clock: VirtualClock
) -> None:
    """Without cookies, form tokens and origins, and with errors as JSON."""
    add_user("bot")
    bot = Person(app, headers={"authorization": "Bearer secret of bot"})
    bot.headers.pop("origin", None)
    assert 200 == bot.get("/review/").status_code
    assert {} == dict(bot.cookies)
    assert 303 == bot.post("/review/next").status_code
    store.access.revoke_token("token-bot")
    told = bot.get("/review/")
    assert (401, "login_needed") == (told.status_code, told.json()["error"]["code"])
    assert told.headers["www-authenticate"].startswith("Bearer")


def test_requests_of_one_principal_are_limited(
    make_app: Callable[..., Starlette],
    add_user: Callable[..., str],
    clock: VirtualClock,
) -> None:
    """Others are not slowed down by it."""
    app = make_app(rate=5)
    ann, bob = Person(app), Person(app)
    ann.login(add_user("ann"))
    bob.login(add_user("bob"))
    assert [200] * 5 == [ann.get("/review/rows").status_code for _ in range(5)]
    refused = ann.get("/review/rows")
    assert (429, "12") == (refused.status_code, refused.headers["retry-after"])
    assert 200 == bob.get("/review/rows").status_code
    clock.advance(12.0)
    assert 200 == ann.get("/review/rows").status_code


def test_a_link_logs_in_once_and_by_a_button(
    app: Starlette, store: Store, clock: VirtualClock
) -> None:
    """Fetching it changes nothing: previews and scanners do."""
    store.access.put_user(AccessUser(name="me", scopes=("review",)))
    links = app.state.console.links
    code = links.make("me")
    first, second = Person(app), Person(app)
    assert "Log in with this link" in first.get(f"/login?code={code}").text
    assert "Log in with this link" in second.get(f"/login?code={code}").text
    assert 303 == first.post("/login", data={"code": code}).status_code
    assert 401 == second.post("/login", data={"code": code}).status_code
    late = links.make("me")
    clock.advance(HOUR + 1)
    assert 401 == second.post("/login", data={"code": late}).status_code
    gone = links.make("me")
    store.access.disable_user("me")
    assert 401 == second.post("/login", data={"code": gone}).status_code


PROXY = {"proxies": ("10.0.0.0/24",), "user_header": "X-User"}


def behind(app: Starlette, address: str, **headers: str) -> Person:

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "client": (address, 1234)}, receive, send)

    return Person(outer, headers=headers)


def test_a_declared_proxy_is_believed(
    make_app: Callable[..., Starlette], store: Store
) -> None:
    """It names the user, the browser's address and that it speaks HTTPS."""
    store.access.put_user(AccessUser(name="ann", scopes=("review",)))
    app = make_app(**PROXY)
    ann = behind(
        app,
        "10.0.0.7",
        **{
            "X-User": "ann",
            "X-Forwarded-For": "6.6.6.6, 192.0.2.5",
            "X-Forwarded-Proto": "https",
        },
    )
    found = ann.get("/review/")
    assert 200 == found.status_code
    assert found.headers["set-cookie"].startswith("__Host-llmguard_")
    assert "Secure" in found.headers["set-cookie"]
    (row,) = store.access.audited(action="login.proxy")
    assert ("ann", "192.0.2.5") == (row.actor, row.address)
    # The session lives only as long as the proxy says the same.
    cookie = found.headers["set-cookie"].partition(";")[0]
    for user in ("", "bob"):
        other = behind(app, "10.0.0.7", **{"X-User": user, "Cookie": cookie})
        assert 200 != other.get("/review/").status_code


@pytest.mark.parametrize("address", ["10.0.1.7", "192.0.2.5", "testclient"])
def test_nobody_else_is_believed(
    address: str, make_app: Callable[..., Starlette], store: Store
) -> None:
    """A header that anybody can send names nobody."""
    store.access.put_user(AccessUser(name="ann", scopes=("review",)))
    eve = behind(make_app(**PROXY), address, **{"X-User": "ann"})
    assert 303 == eve.get("/review/").status_code
    plain = behind(make_app(), "127.0.0.1", **{"X-User": "ann"})
    assert 303 == plain.get("/review/").status_code


def test_users_of_a_proxy_have_to_be_known(
    make_app: Callable[..., Starlette], store: Store
) -> None:
    """Or what they may do is declared; who was kept out stays out."""
    new = {"X-User": "new"}
    strict = make_app(**PROXY)
    refused = behind(strict, "10.0.0.7", **new).get("/review/")
    assert 403 == refused.status_code
    assert "llmguard console user add new" in refused.text
    open_ = make_app(**PROXY, proxy_scopes=("review",))
    assert 200 == behind(open_, "10.0.0.7", **new).get("/review/").status_code
    store.access.disable_user("new")
    assert 403 == behind(open_, "10.0.0.7", **new).get("/review/").status_code


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"user_header": "X-User"}, "name the proxy"),
        ({"proxies": ("proxy.example",)}, "no address or network"),
        ({"proxy_scopes": ("root",)}, "scopes are"),
        ({"idle": 0}, "above 0"),
    ],
)
def test_settings_that_would_open_a_door_are_refused(
    wrong: dict[str, Any], part: str
) -> None:
    """With what to write instead."""
    with pytest.raises(ConfigError, match=part):
        ConsoleSettings(**wrong)


def test_a_link_of_another_site_finds_the_session(
    person: Callable[..., Person], app: Starlette
) -> None:
    """A strict cookie does not come with it, so the page is asked for once more."""
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}
    found = Person(app).get("/review/?a=<b>", headers=headers)
    assert 200 == found.status_code
    assert 'content="0; url=/review/?a=%3Cb%3E"' in found.text


def test_live_pages_begin_no_sessions(
    make_app: Callable[..., Starlette], store: Store, clock: VirtualClock
) -> None:
    """They ask whether a login holds still, which makes none, and hear of its end."""
    store.access.put_user(AccessUser(name="ann", scopes=("review",)))
    app = make_app(**PROXY)
    ann = behind(app, "10.0.0.7", **{"X-User": "ann"})
    cookie = ann.get("/review/").headers["set-cookie"].partition(";")[0]
    asked: list[bool] = []

    def look(visit: Visit) -> Response:
        asked.append(visit.still_here())
        store.access.disable_user("ann")
        asked.append(visit.still_here())
        return Response()

    app.router.routes.insert(0, Route("/look", require("review")(look)))
    headers = {"X-User": "ann", "Cookie": cookie}
    assert 200 == behind(app, "10.0.0.7", **headers).get("/look").status_code
    assert [True, False] == asked
    assert 1 == len(store.access.audited(action="login.proxy"))

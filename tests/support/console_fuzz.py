"""Requests to every page of the console that no browser would send.

They are handed to the ASGI application as they are, past any server, so that nothing
that a server would refuse is spared the console. Names of queries and forms are read
from its source: a new one is asked about without being told.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_from_bytes, unquote

from console_answers import EVIL, Answer
from console_people import ORIGIN
from hypothesis import strategies as st
from starlette.routing import Mount, Route

import llmguard_fallbacks.console as package
from llmguard_fallbacks.console._app import SECTIONS

__all__ = [
    "HOSTILE",
    "Asked",
    "Place",
    "ask",
    "asked",
    "places",
    "singly",
]

PATIENCE: Final = 30.0
HOSTILE: Final = (
    EVIL,
    "",
    "%",
    "..",
    "../../etc/passwd",
    "'; DROP TABLE tickets; --",
    "a\x00b",
    "\r\nSet-Cookie: zq7=1",
    "//evil.example/",
    "\\evil.example",
    "javascript:zq7()",
    "²",
    "٣",
    "-1",
    "1e999",
    "nan",
    "9" * 30,
    "9" * 5_000,
    "9223372036854775808",
    "nan/x",
    "1e999/x",
    "99999-99-99",
    "0000-00-00",
    "999999999d",
    "\u202e\u2066",
    "\U0001f9ff" * 50,
    "x" * 70_000,
    "[" * 3_000,
    '{"a": NaN}',
    '{"a": "\\ud800"}',
    '{"a": ' + "9" * 5_000 + "}",
    '["w",99999999999999999999999999,null,"x"]',
    '["c",NaN,"x"]',
    '["c",1,"\\ud800"]',
    '["w",0,null,"a\\u0000"]',
)
BODIES: Final = (b"\xff\xfe", b"csrf=%ED%A0%80", b"a" * 5_000_000, b"=&" * 30_000)
KINDS: Final = (
    b"application/x-www-form-urlencoded",
    b"application/json",
    b"multipart/form-data; boundary=zq7",
    b"text/html; charset=\xff",
    b"",
)
ODD_HEADERS: Final = (
    (b"host", b"localhost:]"),
    (b"host", b"localhost:" + b"9" * 5_000),
    (b"host", b"evil.example<zq7>"),
    (b"content-length", b"\xb2"),
    (b"content-length", b"9" * 5_000),
    (b"content-length", b"-1"),
    (b"transfer-encoding", b"chunked"),
    (b"accept", b"application/json"),
    (b"hx-request", b"true"),
    (b"if-none-match", b'"\xff"'),
    (b"last-event-id", b"\xb2"),
    (b"last-event-id", b"9" * 18),
    (b"prefer", b"wait=1e999"),
    (b"idempotency-key", b"\xff" * 300),
    (b"sec-fetch-site", b"cross-site"),
    (b"sec-fetch-dest", b"document"),
    (b"x-forwarded-for", b"\xff, ::1"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-user", b"ann"),
    (b"cookie", b'llmguard_theme="><zq7 onzq7=1>'),
    (b"cookie", b"\xff=;;;=="),
    (b"authorization", b"Bearer \xff"),
    (b"authorization", b"Basic Og=="),
)
ORIGINS: Final = (ORIGIN, "", "null", "http://[::", "http://localhost:81", EVIL)
METHODS: Final = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "ZQ7")
_DOOR: Final = ("code", "next", "token", "v")
_SECTIONS: Final = frozenset(SECTIONS)
_NAME: Final = re.compile(r'(?:query|posted|text|choice|integer)\((?:\w+, )?"(\w+)"')


@dataclass(frozen=True, kw_only=True)
class Place:
    """A route: where it is, how it is asked, and whether it never ends."""

    path: str
    methods: tuple[str, ...]

    @property
    def id(self) -> str:
        """Return what names it in a list of tests."""
        return f"{'|'.join(self.methods)} {self.path}"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    may_change: bool


def places(routes: Sequence[Any], prefix: str = "") -> Iterator[Place]:
    """List every route of an application, with those of its sections."""
    for route in routes:
        if isinstance(route, Mount):
            yield from places(route.routes, prefix + route.path)
        else:
            assert isinstance(route, Route)
            methods = tuple(sorted((route.methods or set()) - {"HEAD"}))
            yield Place(path=prefix + route.path, methods=methods)


@cache
def names(section: str) -> tuple[str, ...]:
    """Return the names that pages of a section read from a query or a form."""
    home = Path(package.__file__).parent
    folder = home / section
    files = [home / "_asked.py", *(folder.glob("*.py") if section else ())]
    found = {name for file in files for name in _NAME.findall(file.read_text("utf-8"))}
    return tuple(sorted(found if section in _SECTIONS else _DOOR))


def _texts(known: Sequence[str]) -> st.SearchStrategy[str]:
    """Texts that are mostly sensible, or as they should not be."""
    odd = st.sampled_from(HOSTILE)
    return st.one_of(st.sampled_from(tuple(known)), odd, odd, st.text(max_size=30))


def _encoded(pairs: Sequence[tuple[str, str]]) -> bytes:
    # Half a surrogate pair goes as the bytes that a careless client would send.
    parts = (
        "=".join(
            quote_from_bytes(text.encode("utf-8", "surrogatepass")) for text in pair
        )
        for pair in pairs
    )
    return "&".join(parts).encode()


def asked(
    place: Place,
    known: Mapping[str, Sequence[str]],
    *,
    people: Mapping[str, tuple[str, str]],
    program: str,
) -> st.SearchStrategy[Asked]:
    """Return requests of one route.

    Args:
        place: The route.
        known: By name of a part of a path, what the store has of it; under
            nothing, all that may be asked about.
        people: By name the cookie of a session and its form token.
        program: A bearer token.
    """
    section = place.path.split("/")[1]
    said, texts = names(section), _texts(known[""])
    few = st.lists(st.tuples(st.sampled_from(said), texts), max_size=4)
    # All at once tries more texts, and few at a time come further.
    every = st.tuples(*(st.tuples(st.just(name), texts) for name in said)).map(list)
    pairs = few | every

    @st.composite
    def draw_one(draw: st.DrawFn) -> Asked:
        method = draw(st.sampled_from((*place.methods * 9, *METHODS)))
        who = draw(st.sampled_from((*people, *people, *people, "", "program")))
        ours = draw(st.sampled_from((True, True, False)))
        headers = [(b"host", b"localhost")]
        token = ""
        if who == "program":
            headers.append((b"authorization", b"Bearer " + program.encode()))
        elif who:
            cookie, token = people[who]
            headers.append((b"cookie", cookie.encode()))
        csrf, origin, kind = token, ORIGIN, KINDS[0]
        if not ours:
            others = [other for _, other in people.values() if other != token]
            wrong = (*others, "", token.upper(), token + "\x00", token[:-1], "0" * 64)
            csrf = draw(st.sampled_from((token, *wrong)))
            origin = draw(st.sampled_from(ORIGINS))
            kind = draw(st.sampled_from(KINDS))
        if origin:
            headers.append((b"origin", origin.encode()))
        headers.append((b"content-type", kind))
        if draw(st.booleans()):
            headers.append(draw(st.sampled_from(ODD_HEADERS)))
        body = b""
        if method not in {"GET", "HEAD", "OPTIONS"}:
            form = draw(pairs)
            if draw(st.booleans()):
                form.insert(0, ("csrf", csrf))
            else:
                headers.append((b"x-csrf-token", csrf.encode()))
            as_json = json.dumps(dict(form)).encode()
            plain = as_json if b"json" in kind else _encoded(form)
            body = draw(st.sampled_from((plain,) * 6 + BODIES) | st.binary(max_size=60))
        ours = bool(token) and csrf == token and origin == ORIGIN
        return Asked(
            method=method,
            path=_filled(draw, place.path, known),
            query=draw(pairs.map(_encoded) | st.binary(max_size=20)),
            headers=tuple(headers),
            body=body,
            may_change=(ours or who == "program")
            and (method == "POST" or place.path.endswith("/result")),
        )

    return draw_one()


def singly(
    place: Place, known: Mapping[str, Sequence[str]], *, cookie: str, csrf: str
) -> Iterator[Asked]:
    """Yield a request for each odd text in each query or field, all else being right.

    Drawing them is left to chance, and one wrong value hides what comes after it.
    """
    path = re.sub(r"\{(\w+)\}", lambda part: known.get(part[1], ("",))[0], place.path)
    method = place.methods[0]
    headers = (
        (b"host", b"localhost"),
        (b"origin", ORIGIN.encode()),
        (b"cookie", cookie.encode()),
        (b"x-csrf-token", csrf.encode()),
        (b"content-type", KINDS[0]),
    )
    said = names(place.path.split("/")[1])
    for name in said:
        right = [(one, known[one][0]) for one in said if one in known and one != name]
        for text in HOSTILE:
            pair = _encoded([(name, text), *right])
            yield Asked(
                method=method,
                path=path,
                query=pair,
                headers=headers,
                body=pair if method == "POST" else b"",
                may_change=method == "POST" or place.path.endswith("/result"),
            )


def _filled(draw: st.DrawFn, path: str, known: Mapping[str, Sequence[str]]) -> str:
    def fill(part: re.Match[str]) -> str:
        right = tuple(known.get(part[1], known[""]))
        text = draw(st.sampled_from(right) | st.sampled_from(right) | _texts(right))
        # Servers decode paths, and put a mark for bytes that mean nothing.
        return unquote(text).encode("utf-8", "replace").decode()

    return re.sub(r"\{(\w+)\}", fill, path)


def ask(runner: asyncio.Runner, app: Any, one: Asked) -> Answer:
    """Send a request, and return what came back; of a stream the beginning."""
    return runner.run(asyncio.wait_for(_ask(app, one), PATIENCE))


async def _ask(app: Any, one: Asked) -> Answer:
    answer, begun = Answer(), asyncio.Event()
    left = [one.body[half:][:size] for half, size in _halves(one.body)]

    async def receive() -> dict[str, Any]:
        if left:
            return {
                "type": "http.request",
                "body": left.pop(0),
                "more_body": bool(left),
            }
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = tuple((k, v) for k, v in message.get("headers", ()))
            return
        answer.body += message.get("body", b"")
        answer.ended = not message.get("more_body", False)
        if not answer.ended:
            answer.endless = True
            begun.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": one.method,
        "path": one.path,
        "raw_path": one.path.encode(),
        "root_path": "",
        "query_string": one.query,
        "headers": list(one.headers),
        "client": ("127.0.0.1", 5),
        "server": ("localhost", 80),
    }
    await app(scope, receive, send)
    return answer


def _halves(body: bytes) -> list[tuple[int, int]]:
    half = len(body) // 2
    return [(0, half), (half, len(body))] if half else [(0, len(body))]

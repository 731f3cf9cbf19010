"""What must be true of each answer of the console, whatever was asked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

from console_people import ORIGIN

from llmguard_fallbacks.console._shield import HEADERS, POLICY

__all__ = ["EVIL", "Answer", "check"]

EVIL: Final = "\"'></textarea></title><zq7 onzq7=1><script>zq7()</script>{{7*7777}}"


@dataclass
class Answer:
    """What was sent."""

    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    ended: bool = False
    endless: bool = False


class _Page(HTMLParser):
    """Fails on elements and attributes that no template of ours has."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one."""
        assert tag not in {"zq7", "iframe", "object", "base", "embed", "style"}
        given = dict(attrs)
        assert tag != "script" or str(given.get("src")).startswith("/static/")
        for name, value in given.items():
            assert not name.startswith("on")
            assert name != "style"
            if name in {"href", "src", "action", "hx-get", "hx-post"}:
                assert not re.match(r"\s*(javascript:|//|\\)", value or ""), value


def check(answer: Answer) -> None:
    """No failure of ours, no trace of one, every header, strangers say only text."""
    assert 200 <= answer.status < 500, (answer.status, answer.body[:300])
    assert answer.ended or answer.endless
    head: dict[bytes, bytes] = {}
    for name, value in answer.headers:
        assert not {*b"\r\n\0"} & {*name, *value}
        assert b"zq7" not in name
        head[name.lower()] = value
    policies = [v for k, v in answer.headers if k.lower() == b"content-security-policy"]
    assert [POLICY.encode()] == policies
    for known, expected in HEADERS.items():
        assert expected.encode() == head[known.lower().encode()]
    for name in (b"location", b"hx-redirect"):
        # The framework names this very host where a slash was missing.
        goal = head.get(name, b"/").removeprefix(ORIGIN.encode())
        assert re.match(rb"/(?![/\\])", goal)
    assert b"Traceback" not in answer.body
    assert b'File "' not in answer.body
    kind = head.get(b"content-type", b"").partition(b";")[0]
    if kind == b"text/html":
        assert EVIL.encode() not in answer.body
        assert b"54439" not in answer.body
        _Page().feed(answer.body.decode())
    elif kind.endswith(b"json") and answer.body:
        json.loads(answer.body, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")

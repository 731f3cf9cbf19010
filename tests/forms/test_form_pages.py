"""The HTML: what a real browser posts for it, buttons, labels, escaping."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from llmguard_fallbacks.forms import (
    FieldError,
    blank,
    decode,
    edit,
    encode,
    fill,
    render,
)
from llmguard_fallbacks.forms._text import same

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
EVIL = "\"'><script>alert(1)</script></textarea><img src=x onerror=alert(2)>&amp;"
VOID = {"input", "img", "br"}


class Page(HTMLParser):
    """Reads a page's elements, their texts' owners and whether it is balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert [] == self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep one."""
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last, and nothing else."""
        assert tag == self._open.pop()

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of some kinds."""
        return [attributes for name, attributes in self.found if name in tags]


def press(schema: Any, pairs: list[tuple[str, str]], *buttons: str) -> Any:
    """Press buttons one after the other, each of which the page must have."""
    form = decode(schema, pairs).form
    for button in buttons:
        shown = [b["value"] for b in Page(render(form)).all("button")]
        assert button in shown
        done = edit(schema, [*form.pairs(), ("op", button)])
        assert () == done.errors
        form = done.form
    return form


def test_every_control_is_named_labelled_and_described(order: Any, value: Any) -> None:
    """Labels and descriptions point to what is there; ids are said once."""
    form = fill(order, value)
    wrong = [FieldError(name=part.name, message="no good") for part in form.fields()]
    page = Page(render(form, wrong, action="/answer", hidden={"csrf": "t"}))
    ids = [a["id"] for _, a in page.found if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.found:
        for one in (attributes.get("aria-describedby") or "").split():
            assert one in ids
    targets = {label["for"] for label in page.all("label")}
    for control in page.all("input", "select", "textarea"):
        if control.get("type") != "hidden":
            assert control.get("id") in targets or control.get("aria-label")
    links = {(a["href"] or "")[1:] for a in page.all("a")}
    assert links <= set(ids)
    assert len(links) == len({part.name for part in form.fields()})


def test_nothing_breaks_out_and_no_policy_is_broken() -> None:
    """Titles, names, help, options, values, errors: all are text."""
    schema = {
        "title": EVIL,
        "description": EVIL,
        "type": "object",
        "properties": {
            EVIL: {"type": "string", "title": EVIL, "pattern": EVIL},
            "pick": {"enum": [EVIL], "description": EVIL},
            "map": {"additionalProperties": {"type": "string"}},
            "ways": {"oneOf": [{"type": "string", "title": EVIL}, {"type": "integer"}]},
        },
    }
    value = {EVIL: EVIL, "pick": EVIL, "map": {EVIL: EVIL}, "ways": 1, "more": EVIL}
    form = fill(schema, value)
    wrong = [FieldError(name=name, message=EVIL) for name in ("v", EVIL, "v/pick")]
    page = Page(render(form, wrong, action=EVIL, submit=EVIL, hidden={EVIL: EVIL}))
    assert [] == page.all("script", "img", "style")
    for _, attributes in page.found:
        assert [] == [name for name in attributes if name.startswith(("on", "style"))]
    assert same(value, decode(schema, form.pairs()).value)


def test_enter_in_a_field_presses_check(order: Any) -> None:
    """Browsers press the first button: it must change nothing."""
    page = Page(render(blank(order), action="/"))
    assert "check" == page.all("button")[0]["value"]
    assert edit(order, [*blank(order).pairs(), ("op", "check")]).errors


def test_buttons_add_move_and_remove(order: Any, value: Any) -> None:
    """Items move with all they hold; their names follow their places."""
    form = press(order, encode(order, value), "add v/lines", "up v/lines/2")
    pairs = form.pairs()
    assert ("v/lines/1/name", "") in pairs
    assert ("v/lines/2/name!is", "empty") in pairs
    form = press(order, pairs, "remove v/lines/1", "remove v/lines/0")
    assert same(value["lines"][1:], decode(order, form.pairs()).value["lines"])


def test_buttons_fill_in_a_whole_answer(order: Any) -> None:
    """From nothing: give a value, take a branch, add to a map, leave out again."""
    form = press(
        order,
        blank(order).pairs(),
        *("set v/address", "set v/address/inside", "null v/address/inside"),
        *("branch:1 v/owner", "set v/labels", "add v/labels", "add v/lines"),
    )
    typed = dict(
        word.split("=")
        for line in (
            "v/id=3 v/note=n v/kind=0 v/paid=0 v/total=1.5 v/owner/:1=me",
            "v/labels/@0!key=k v/labels/@0=l v/lines/0/name=line",
            "v/address/city=Rome",
        )
        for word in line.split()
    )
    pairs = [(name, typed.get(name, text)) for name, text in form.pairs()]
    answer: dict[str, Any] = {
        "id": 3,
        "note": "n",
        "kind": "new",
        "paid": True,
        "total": 1.5,
        "lines": [{"name": "line"}],
        "address": {"city": "Rome", "inside": None},
        "owner": "me",
        "labels": {"k": "l"},
    }
    assert same(answer, decode(order, pairs).value)
    less = press(order, pairs, "omit v/address", "remove v/labels/@0", "json v")
    del answer["address"]
    answer["labels"] = {}
    assert same(answer, decode(order, less.pairs()).value)
    again = press(order, less.pairs(), "form v")
    assert same(answer, decode(order, again.pairs()).value)
    assert ["v/extra"] == [p.name for p in again.fields() if p.state == "json"]


@pytest.mark.parametrize(
    ("button", "part"),
    [
        ("add v/id", "takes no further item"),
        ("remove v", "is no item"),
        ("up v/lines/0", "cannot move up"),
        ("omit v/lines", "cannot be left out"),
        ("null v/lines", "cannot be null"),
        ("form v", "no other form"),
        ("branch:7 v/owner", "has no choice '7'"),
        ("branch:x v/owner", "has no choice 'x'"),
        ("explode v", "has no button"),
        ("add v/nowhere", "has no button"),
        ("", "has no button"),
    ],
)
def test_buttons_that_no_page_has(
    button: str, part: str, order: Any, value: Any
) -> None:
    """They change nothing and say why."""
    pairs = encode(order, value)
    done = edit(order, [*pairs, ("op", button)])
    assert part in done.errors[0].message
    assert pairs == done.form.pairs()
    assert edit(order, [*pairs, ("op", button), ("op", button)]).errors


def test_a_missing_member_of_a_models_answer_is_a_blank_field() -> None:
    """The reviewer is asked for it: a blank text is not taken for an empty one."""
    schema: dict[str, Any] = {"type": "object", "required": ["name"]}
    schema["properties"] = {"name": {"type": "string"}, "size": {"type": "integer"}}
    form = fill(schema, {"size": "large"})
    assert "json" == form.root.members["size"].state
    found = decode(schema, form.pairs())
    assert ["v/name"] == [error.name for error in found.errors]
    assert "write a text" in found.errors[0].message


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the browser's command; continuous integration must have one."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"no browser: install one of {', '.join(NAMES)}", pytrace=False)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    return found


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, str], list[bytes]]]:
    """Give a site: its address, its pages by path, and the bodies posted to it."""
    pages: dict[str, str] = {}
    posts: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def _send(self, text: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            policy = "default-src 'none'; script-src 'nonce-go'; form-action 'self'"
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._send(pages.get(self.path, ""))

        def do_POST(self) -> None:
            posts.append(self.rfile.read(int(self.headers["Content-Length"])))
            self._send("<p id=done>posted</p>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", pages, posts
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("which", ["value", "blank"])
def test_chromium_posts_exactly_what_encode_gives(  # noqa: PLR0917 - fixtures
    which: str,
    chromium: str,
    site: tuple[str, dict[str, str], list[bytes]],
    tmp_path: Path,
    order: Any,
    value: Any,
) -> None:
    """The page goes through a real parser and a real submit, under a strict policy."""
    address, pages, posts = site
    form = blank(order) if which == "blank" else fill(order, value, draft=False)
    # Only this test's page has a script: it presses the last button, as a person would.
    pages["/"] = (
        "<!doctype html><meta charset=utf-8><title>t</title>"
        + render(form, action="/post")
        + "<script nonce=go>onload = () => [...document.querySelectorAll('button')]"
        ".at(-1).click()</script>"
    )
    done = subprocess.run(
        [
            chromium,
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--disable-dev-shm-usage", "--no-first-run", "--timeout=20000"),
            *("--virtual-time-budget=20000", "--enable-logging=stderr"),
            f"--user-data-dir={tmp_path / 'profile'}",
            address + "/",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "Content Security Policy" not in done.stderr
    assert 1 == len(posts), done.stdout
    posted = parse_qsl(
        posts[0].decode(), keep_blank_values=True, strict_parsing=True, errors="strict"
    )
    assert [*form.pairs(), ("op", "submit")] == posted
    if which == "value":
        assert encode(order, value) == posted[:-1]
        assert same(value, decode(order, posted[:-1]).value)


def test_a_word_that_is_not_in_the_list_is_chosen_anew(order: Any, value: Any) -> None:
    """A single value asks again; a group waits for JSON that fits, and keeps it."""
    form = fill(order, {**value, "kind": "old", "lines": 3})
    again = press(order, form.pairs(), "form v/kind")
    assert ("v/kind", "") in again.pairs()
    done = edit(order, [*form.pairs(), ("op", "form v/lines")])
    assert "does not fit the form" in done.errors[0].message
    assert form.pairs() == done.form.pairs()

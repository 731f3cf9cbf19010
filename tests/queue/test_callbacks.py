"""Callbacks to a real receiver: signed, tried again, never to places inside."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import cast

import pytest
from store_backends import make_store

from llmguard.errors import ConfigError
from llmguard.monitor.alerts._post import Refused, public_addresses
from llmguard.promotion.overview import gather
from llmguard.store import NewTicket, Store
from llmguard.testing import VirtualClock
from llmguard_fallbacks import human
from llmguard_fallbacks.queue import (
    CallbackSender,
    Sending,
    SentCallbacks,
    keep_sending,
    verify_callback,
)
from llmguard_fallbacks.queue._callback_url import check_url
from llmguard_fallbacks.queue._sender import stop_sending

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef").decode()
HERE = ["127.0.0.1"]


@dataclass
class Receiver:
    """What came in, and what is answered next."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    seen: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.seen.append((dict(self.headers), body))
            status, headers = found.answers.pop(0) if found.answers else (204, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            found.came.set()

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def answered(store: Store) -> Callable[[str], str]:
    """Ask with a callback, and answer."""

    def make(url: str) -> str:
        new = NewTicket(
            id="t1", queue="q", key="k", fingerprint="f", inputs={}, callback=url
        )
        store.tickets.enqueue(new)
        store.tickets.answer("t1", {"category": "billing"}, reviewer="ann")
        return new.id

    return make


Answered = Callable[[str], str]


def _sender(store: Store, **more: object) -> CallbackSender:
    given = {"secret": SECRET, "private": HERE, "rng": random.Random(1), **more}
    return CallbackSender(store, **given)  # type: ignore[arg-type]  # a helper's free keywords


def _last(store: Store) -> tuple[str, str]:
    one = store.tickets.events("t1")[-1]
    return one.event, one.detail


def test_a_receiver_can_tell_that_it_is_ours(
    store: Store, receiver: Receiver, answered: Answered
) -> None:
    """By signature and time; a changed byte or an old request is refused."""
    answered(receiver.url)
    assert _sender(store).run().sent == 1
    headers, body = receiver.seen[0]
    assert verify_callback(SECRET, headers, body)
    assert not verify_callback(SECRET, headers, body + b" ")
    at = int(next(v for k, v in headers.items() if k.lower() == "webhook-timestamp"))
    assert verify_callback(SECRET, headers, body, now=at + 299)
    assert not verify_callback(SECRET, headers, body, now=at + 301)
    other = "whsec_" + base64.b64encode(b"another secret..").decode()
    assert not verify_callback(other, headers, body)
    document = json.loads(body)
    assert document["type"] == "llmguard.ticket.answered"
    assert document["data"]["value"] == {"category": "billing"}
    assert _last(store) == ("callback_sent", "try 1: answered 204")
    assert _sender(store).run().sent == 0


def test_failures_are_tried_again_later(
    store: Store, receiver: Receiver, answered: Answered
) -> None:
    """Under the same id, not before the time the receiver asks for."""
    answered(receiver.url)
    receiver.answers = [(503, {"Retry-After": "120"})]
    assert _sender(store).run().failed == 1
    (row,) = store.callbacks.list()
    assert (row.state, row.attempts) == ("due", 1)
    assert _last(store) == ("callback_failed", "try 1: answered 503; again in 120 s")
    assert store.callbacks.take() is None


def test_what_repeating_does_not_change_is_given_up(
    store: Store, receiver: Receiver, answered: Answered
) -> None:
    """A redirect too: where it leads was never looked at."""
    answered(receiver.url)
    receiver.answers = [(302, {"Location": receiver.url + "/inside"})]
    assert _sender(store).run().dead == 1
    assert len(receiver.seen) == 1
    assert _last(store)[0] == "callback_dead"


def test_nothing_inside_is_talked_to_unless_named(
    store: Store, receiver: Receiver, answered: Answered
) -> None:
    """Not even connected to."""
    answered(receiver.url.replace("http:", "https:"))
    assert _sender(store, private=()).run().dead == 1
    assert "no public address" in _last(store)[1]
    assert receiver.seen == []


def test_plain_http_is_for_named_receivers(store: Store, answered: Answered) -> None:
    answered("http://example.org/hook")
    assert _sender(store).run().dead == 1
    assert "not `https://`" in _last(store)[1]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104 - what is refused
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2130706433",
        "0x7f.1",
    ],
)
def test_addresses_that_lead_inside(host: str) -> None:
    """However they are written."""
    with pytest.raises(Refused, match="no public address"):
        public_addresses(host, 443, allow_private=False)


def test_tries_end(tmp_path: object, receiver: Receiver) -> None:
    """After ten failures over hours the callback is dead, and can be revived."""
    clock = VirtualClock(epoch=1_000_000.0)
    store = make_store(f"{tmp_path}/s.db", clock=clock)
    new = NewTicket(
        id="t1", queue="q", key="k", fingerprint="f", inputs={}, callback=receiver.url
    )
    store.tickets.enqueue(new)
    store.tickets.cancel("t1", actor="app", reason="x")
    receiver.answers = [(500, {})] * 10
    sender = _sender(store, clock=clock)
    start = clock.time()
    while store.callbacks.list(states=["due"]):
        sender.run()
        clock.advance(60.0)
    assert len(receiver.seen) == 10
    assert 4 * 3600 < clock.time() - start < 11 * 3600
    ids = {headers["webhook-id"] for headers, _ in receiver.seen}
    assert len(ids) == 1
    store.tickets.revive("t1", actor="lead", reason="they are back")
    assert sender.run().sent == 1
    store.close()


def test_errors_of_our_own_end_too(
    tmp_path: object, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that was written around the check: no such port; others are sent."""
    clock = VirtualClock(epoch=1_000_000.0)
    store = make_store(f"{tmp_path}/s.db", clock=clock)
    for name, url in (("t1", "http://127.0.0.1:99999/"), ("t2", receiver.url)):
        new = NewTicket(
            id=name, queue="q", key=name, fingerprint=name, inputs={}, callback=url
        )
        store.tickets.enqueue(new)
        store.tickets.answer(name, {"word": "inside"}, reviewer="ann")
    sender = _sender(store, clock=clock)
    assert SentCallbacks(sent=1, failed=1, dead=0) == sender.run()
    start, tries = clock.time(), 1
    while store.callbacks.list(states=["due"]):
        clock.advance(60.0)
        done = sender.run()
        tries += done.failed + done.dead
    assert 10 == tries
    assert 4 * 3600 < clock.time() - start < 11 * 3600
    event, why = _last(store)
    assert "callback_dead" == event
    assert "try 10: ValueError, unexpected: the sender's log says where" == why
    assert "Port out of range" in caplog.text
    (line,) = gather(store, window=60.0, now=clock.time()).todo
    assert line.startswith("1 callback was given up in queue 'q': `llmguard queue ")
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "https:///x",
        "https://user:pass@example.org/",
        "https://example.org/a b",
        "https://exämple.org/",
        "https://example.org:99999/",
        "https://example.org/" + "x" * 2000,
        "file:///etc/passwd",
        "//example.org",
    ],
)
def test_urls_that_are_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match="callback"):
        check_url(url)
    with pytest.raises(ConfigError, match="callback"):
        human("q", callback=url)


def test_no_secret_no_sender(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repair is told; the tickets are not touched."""
    monkeypatch.delenv("LLMGUARD_CALLBACK_SECRET", raising=False)
    with pytest.raises(ConfigError, match="LLMGUARD_CALLBACK_SECRET"):
        CallbackSender(store)
    assert not keep_sending(store)


def test_the_asking_program_sends_by_itself(
    store: Store,
    receiver: Receiver,
    call: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As soon as the ticket is answered in it; the URL may come from the call."""
    monkeypatch.setenv("LLMGUARD_CALLBACK_SECRET", SECRET)
    monkeypatch.setenv("LLMGUARD_CALLBACK_PRIVATE", "127.0.0.1")
    tier = human("q", store=store, callback=lambda _call: receiver.url)
    with pytest.raises(Exception, match="person"):
        tier.run(call())  # type: ignore[arg-type]  # the fixture's own type
    (ticket,) = store.tickets.list()
    store.tickets.answer(
        ticket.id, {"category": "billing", "order_id": None}, reviewer="ann"
    )
    assert receiver.came.wait(20)
    stop_sending()
    assert json.loads(receiver.seen[0][1])["data"]["ticket"] == ticket.id


def test_a_broken_function_costs_the_notice_alone(
    store: Store, call: Callable[..., object]
) -> None:
    tier = human("q", store=store, callback=lambda _call: "ftp://x")
    with pytest.raises(Exception, match="person"):
        tier.run(call())  # type: ignore[arg-type]  # the fixture's own type
    assert store.tickets.list()[0].callbacks == 0


def test_a_sender_lives_as_long_as_wanted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMGUARD_CALLBACK_SECRET", SECRET)
    sending = Sending(store, every=60.0)
    assert sending.alive
    sending.stop()
    assert not sending.alive


class _Reviving:
    """A store in which a ticket is opened again just after its callback is taken."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.callbacks = self

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def take(self, **given: object) -> object:
        found = self._store.callbacks.take(**given)  # type: ignore[arg-type]  # handed on
        if found is not None:
            self._store.tickets.revive(found.ticket_id, actor="lead", reason="late")
        return found


def test_nobody_is_told_of_an_open_ticket(store: Store, receiver: Receiver) -> None:
    """It was taken to be sent, and then its ticket's end was none."""
    new = NewTicket(
        id="t1",
        queue="q",
        key="k",
        fingerprint="f",
        inputs={},
        callback=receiver.url,
        expires_at=1.0,
    )
    store.tickets.enqueue(new)
    store.tickets.sweep()
    _sender(cast("Store", _Reviving(store))).run()
    assert [] == receiver.seen
    store.tickets.cancel("t1", actor="app", reason="x")
    assert 1 == _sender(store).run().sent


def test_who_sends_looks_at_the_time(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that is called back waits nowhere, and nobody took its ticket."""
    monkeypatch.setenv("LLMGUARD_CALLBACK_SECRET", SECRET)
    monkeypatch.setenv("LLMGUARD_CALLBACK_PRIVATE", "127.0.0.1")
    past = store.tickets.enqueue(
        NewTicket(
            id="t1",
            queue="q",
            key="k",
            fingerprint="f",
            inputs={},
            callback=receiver.url,
            expires_at=1.0,
        )
    )
    assert past.created
    sending = Sending(store, every=0.05)
    assert receiver.came.wait(20)
    sending.stop()
    assert "llmguard.ticket.expired" == json.loads(receiver.seen[0][1])["type"]

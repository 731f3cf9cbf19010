"""Webhooks: signed, sent where they may go, retried by what the receiver says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from llmguard import config
from llmguard.errors import ConfigError
from llmguard.monitor import alerts
from llmguard.monitor.alerts import Alert, RetryLaterError, Webhook, sign, verify
from llmguard.monitor.alerts._post import Refused, public_addresses

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = 1_614_265_330.0


class Receiver(HTTPServer):
    """Answers with the next status; keeps headers and bodies."""

    statuses: list[int]
    got: list[tuple[dict[str, str], bytes]]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append((headers, body))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.send_response(status)
        if status == 429:
            self.send_header("retry-after", "7")
        if status == 302:
            self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Yield an HTTP server on loopback."""
    server = Receiver(("127.0.0.1", 0), _Handler)
    server.statuses, server.got = [], []
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _hook(receiver: Receiver, **options: Any) -> Webhook:
    url = f"http://127.0.0.1:{receiver.server_port}/hook?team=llm"
    return Webhook(url, secret=SECRET, allow_private=True, **options)


def test_the_published_vector() -> None:
    """The signature is the one of the specification's example."""
    assert sign(
        SECRET,
        delivery="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1_614_265_330,
        body=b'{"test": 2432232314}',
    ) == ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")


def test_a_receiver_can_check_it(receiver: Receiver, alert: Alert) -> None:
    """What arrives is signed, and neither a changed body nor an old request passes."""
    _hook(receiver).deliver(alert, delivery="d1", at=AT)
    headers, body = receiver.got[0]
    assert headers["webhook-id"] == "msg_d1"
    assert verify(SECRET, headers, body, now=AT + 299)
    assert not verify(SECRET, headers, body + b" ", now=AT)
    assert not verify(SECRET, headers, body, now=AT + 301)
    assert not verify(SECRET, {}, body, now=AT)
    document = json.loads(body)
    assert document["type"] == "llmguard.alert"
    assert document["data"] == alert.document()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_it_is_asked_again_later(receiver: Receiver, alert: Alert, status: int) -> None:
    """What may pass is tried again, as late as the receiver asks."""
    receiver.statuses = [status]
    with pytest.raises(RetryLaterError) as caught:
        _hook(receiver).deliver(alert, delivery="d1", at=AT)
    assert caught.value.after == (7.0 if status == 429 else None)


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410])
def test_what_does_not_pass_ends_it(
    receiver: Receiver, alert: Alert, status: int
) -> None:
    """Other answers end the delivery; redirects are not followed."""
    receiver.statuses = [status]
    with pytest.raises(Refused, match=str(status)):
        _hook(receiver).deliver(alert, delivery="d1", at=AT)
    assert len(receiver.got) == 1


def test_nobody_listens(alert: Alert) -> None:
    """A refused connection is tried again."""
    hook = Webhook("http://127.0.0.1:1/", allow_private=True)
    with pytest.raises(RetryLaterError):
        hook.deliver(alert, delivery="d1", at=AT)


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "ftp://example.com", "https://", "nonsense"]
)
def test_only_https(url: str) -> None:
    """Plain HTTP needs a word of the operator."""
    with pytest.raises(ConfigError, match="https://"):
        Webhook(url)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "::ffff:10.0.0.8", "224.0.0.1"],
)
def test_inner_addresses_are_refused(host: str) -> None:
    """A URL cannot be turned against services inside."""
    with pytest.raises(Refused, match="allow_private"):
        public_addresses(host, 443, allow_private=False)
    assert public_addresses(host, 443, allow_private=True) == [host]


def test_a_public_address_passes() -> None:
    """Nothing is looked up for a literal address."""
    assert public_addresses("9.9.9.9", 443, allow_private=False) == ["9.9.9.9"]


@pytest.mark.parametrize("host", ["a..example", f"{'a' * 64}.example"])
def test_what_can_be_no_host_is_given_up_at_once(host: str) -> None:
    """Trying again for hours would not make it one."""
    with pytest.raises(Refused, match="no name of a host"):
        public_addresses(host, 443, allow_private=False)


@pytest.mark.parametrize("secret", ["plain", "whsec_not base64"])
def test_a_wrong_secret_says_how_to_make_one(secret: str) -> None:
    """The message holds the command."""
    with pytest.raises(ConfigError, match="python -c"):
        Webhook("https://example.com/", secret=secret)


def test_secrets_are_not_printed() -> None:
    """Neither a log nor a traceback shows them."""
    hook = Webhook("https://example.com/", secret=SECRET, headers={"x": "token"})
    assert "whsec" not in repr(hook)
    assert "token" not in repr(hook)


def test_the_settings_name_sinks(
    receiver: Receiver, alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`alerts` may name a function of the program; what is sent reaches it."""
    got: list[Alert] = []
    receiver.statuses = [200]
    monkeypatch.setattr(config, "got", got.append, raising=False)
    monkeypatch.setenv("LLMGUARD_ALERTS", "log,llmguard.config:got")
    config.reset()
    alerts.reset()
    try:
        alerts.add_sink(hook := _hook(receiver))
        assert alerts.send(alert)
        assert not alerts.send(alert)
        assert alerts.flush(10.0)
        alerts.remove_sink(hook)
        assert got == [alert] == alerts.recent()
        assert len(receiver.got) == 1
        assert alerts.counts().delivered == 3
    finally:
        monkeypatch.undo()
        config.reset()
        alerts.reset()


@pytest.mark.parametrize("text", ["slack", "nowhere.at.all:f", "llmguard.config:no"])
def test_a_sink_that_is_none(text: str) -> None:
    """A wrong word is refused by name."""
    with pytest.raises(ConfigError, match="alerts"):
        alerts._send.sink_of(text)

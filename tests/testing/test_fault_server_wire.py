"""What the fault server puts on the wire, seen without any SDK."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from llmguard.errors import ConfigError
from llmguard.testing import FAULTS, FaultServer

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
ANSWER = {"category": "billing", "note": "äöü"}


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[FaultServer]:
    with FaultServer(answer=ANSWER, delay=0.2) as server:
        yield server


def ask(
    base_url: str, path: str = CHAT, *, stream: bool = False, timeout: float = 2.0
) -> tuple[int, dict[str, str], bytes]:
    """Send one request and read everything."""
    url = urlsplit(base_url)
    conn = http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)
    try:
        body = json.dumps({"model": "m-1", "stream": stream})
        prefix = url.path.removesuffix("/v1")
        conn.request("POST", prefix + path, body, {"X-Trace": "7"})
        response = conn.getresponse()
        headers = {k.lower(): v for k, v in response.getheaders()}
        return response.status, headers, response.read()
    finally:
        conn.close()


def events(body: bytes) -> list[dict[str, object]]:
    """Parse the JSON events of a stream."""
    lines = [line[6:] for line in body.decode().split("\n") if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def test_the_good_chat_answer_echoes_the_model_and_carries_the_answer(
    server: FaultServer,
) -> None:
    """A plain request gets the answer as JSON text."""
    status, headers, body = ask(server.base_url)
    data = json.loads(body)
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert data["model"] == "m-1"
    assert json.loads(data["choices"][0]["message"]["content"]) == ANSWER


def test_the_good_responses_answer_is_complete(server: FaultServer) -> None:
    """The Responses API gets the same answer in its own format."""
    data = json.loads(ask(server.base_url, RESPONSES)[2])
    assert data["status"] == "completed"
    assert json.loads(data["output"][0]["content"][0]["text"]) == ANSWER


def test_a_chat_stream_joins_to_the_answer_and_says_why_it_ended(
    server: FaultServer,
) -> None:
    """Deltas add up, the last chunk has the finish reason, `[DONE]` closes."""
    _, headers, body = ask(server.base_url, stream=True)
    choices = [event["choices"][0] for event in events(body)]
    text = "".join(choice["delta"].get("content", "") for choice in choices)
    assert headers["content-type"].startswith("text/event-stream")
    assert json.loads(text) == ANSWER
    assert choices[-1]["finish_reason"] == "stop"
    assert body.endswith(b"data: [DONE]\n\n")


def test_a_responses_stream_numbers_its_events(server: FaultServer) -> None:
    """Sequence numbers have no gap, and the last event is the whole response."""
    found = events(ask(server.base_url, RESPONSES, stream=True)[2])
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert found[-1]["type"] == "response.completed"
    deltas = [e["delta"] for e in found if e["type"] == "response.output_text.delta"]
    assert json.loads("".join(deltas)) == ANSWER


def test_gzip_and_chunks_carry_the_same_body(server: FaultServer) -> None:
    """Both healthy variants decode to the good answer."""
    _, headers, body = ask(server.url("ok_gzip"))
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["choices"][0]["finish_reason"] == "stop"
    _, headers, body = ask(server.url("ok_chunked"))
    assert headers["transfer-encoding"] == "chunked"
    assert json.loads(body)["choices"][0]["finish_reason"] == "stop"


STATUSES = [name for name, fault in FAULTS.items() if fault.group == "status"]


@pytest.mark.parametrize("name", STATUSES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_status_fault_sends_its_status_and_an_error_object(
    server: FaultServer, name: str, stream: bool
) -> None:
    """Streams get the error as a plain response too."""
    status, _, body = ask(server.url(name), stream=stream)
    assert status == int(name[:3])
    assert json.loads(body)["error"]["message"]


@pytest.mark.parametrize(
    ("name", "seconds"), [("429", "1"), ("429_long", "300"), ("429_quota", None)]
)
def test_throttling_says_how_long(
    server: FaultServer, name: str, seconds: str | None
) -> None:
    """`Retry-After` is short, long, or absent."""
    assert ask(server.url(name))[1].get("retry-after") == seconds


@pytest.mark.parametrize("name", ["reset", "close"])
def test_a_broken_connection_is_an_error_of_the_client(
    server: FaultServer, name: str
) -> None:
    """A reset is a reset, and a close is an end without a response."""
    expected = {
        "reset": ConnectionResetError,
        "close": http.client.RemoteDisconnected,
    }
    with pytest.raises(expected[name]) as caught:
        ask(server.url(name))
    assert type(caught.value) is expected[name]


def test_nothing_listens_where_connections_are_refused(server: FaultServer) -> None:
    """The port is ours, and shut."""
    with pytest.raises(ConnectionRefusedError):
        ask(server.url("refused"))


def test_the_unresolvable_host_has_a_reserved_name(server: FaultServer) -> None:
    """`.invalid` never resolves, so no query can hit a real machine."""
    host = urlsplit(server.url("dns")).hostname
    assert host is not None
    assert host.endswith(".invalid")


def test_tls_meets_plain_http(server: FaultServer) -> None:
    """The handshake fails at once instead of hanging."""
    url = urlsplit(server.url("tls"))
    context = ssl.create_default_context()
    with (
        socket.create_connection(("127.0.0.1", url.port), timeout=2) as sock,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(sock, server_hostname="localhost")


def test_tls_meets_silence(server: FaultServer) -> None:
    """The handshake runs into the client's timeout."""
    url = urlsplit(server.url("tls_mute"))
    context = ssl.create_default_context()
    with (
        socket.create_connection(("127.0.0.1", url.port), timeout=0.1) as sock,
        pytest.raises(TimeoutError),
    ):
        context.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize("name", ["hang", "slow_first_byte"])
def test_silence_outlasts_the_client(server: FaultServer, name: str) -> None:
    """The client gives up first."""
    with pytest.raises(TimeoutError):
        ask(server.url(name), timeout=0.05)


@pytest.mark.parametrize("name", ["slow_first_byte", "slow_drip"])
def test_slow_answers_do_arrive(server: FaultServer, name: str) -> None:
    """A timeout per read never fires on a drip."""
    data = json.loads(ask(server.url(name))[2])
    assert json.loads(data["choices"][0]["message"]["content"]) == ANSWER


def test_the_dripped_answer_comes_in_many_pieces(server: FaultServer) -> None:
    """A drip is not one late burst."""
    url = urlsplit(server.url("slow_drip"))
    with socket.create_connection(("127.0.0.1", url.port), timeout=2) as sock:
        path = url.path.removesuffix("/v1") + CHAT
        sock.sendall(f"POST {path} HTTP/1.1\r\ncontent-length: 0\r\n\r\n".encode())
        pieces = list(iter(lambda: sock.recv(65_536), b""))
    assert len(pieces) > 10


@pytest.mark.parametrize(
    ("name", "body"),
    [("html", b"<!doctype html>"), ("empty_body", b""), ("malformed_body", b'{"id"')],
)
def test_a_200_may_hold_anything(server: FaultServer, name: str, body: bytes) -> None:
    """The status alone proves nothing."""
    status, _, found = ask(server.url(name))
    assert status == 200
    assert found.startswith(body)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
        json.loads(found)


def test_a_body_cut_short_breaks_its_promise(server: FaultServer) -> None:
    """Fewer bytes arrive than the length says."""
    with pytest.raises(http.client.IncompleteRead):
        ask(server.url("truncated_body"))


@pytest.mark.parametrize(
    ("name", "message", "finish"),
    [
        ("refusal", {"content": None}, "stop"),
        ("content_filter", {"content": ""}, "content_filter"),
        ("empty_content", {"content": ""}, "stop"),
        ("null_content", {"content": None}, "stop"),
        ("tool_call", {"content": None}, "tool_calls"),
    ],
)
def test_the_model_says_nothing_in_several_ways(
    server: FaultServer, name: str, message: dict[str, object], finish: str
) -> None:
    """Content and finish reason tell them apart."""
    choice = json.loads(ask(server.url(name))[2])["choices"][0]
    assert {"content": choice["message"]["content"]} == message
    assert choice["finish_reason"] == finish


def test_choices_may_be_missing(server: FaultServer) -> None:
    """An empty list and null are different faults."""
    assert json.loads(ask(server.url("no_choices"))[2])["choices"] == []
    assert json.loads(ask(server.url("null_choices"))[2])["choices"] is None


def test_truncation_is_visible_only_in_the_finish_reason(server: FaultServer) -> None:
    """Half an answer, and a whole one, both end for `length`."""
    half = json.loads(ask(server.url("truncated"))[2])["choices"][0]
    whole = json.loads(ask(server.url("length_valid"))[2])["choices"][0]
    assert (half["finish_reason"], whole["finish_reason"]) == ("length", "length")
    assert json.loads(whole["message"]["content"]) == ANSWER
    with pytest.raises(ValueError, match=r"."):
        json.loads(half["message"]["content"])


def test_another_model_may_answer(server: FaultServer) -> None:
    """The echo is the only sign."""
    assert json.loads(ask(server.url("wrong_model"))[2])["model"] != "m-1"


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("name", ["stream_cut", "stream_reset", "stream_stall"])
def test_a_stream_may_never_end(server: FaultServer, name: str, path: str) -> None:
    """Cut, reset, or silent: the last chunk never comes."""
    broken = (http.client.IncompleteRead, ConnectionResetError, TimeoutError)
    with pytest.raises(broken):
        ask(server.url(name), path, stream=True, timeout=0.2)


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_stream_may_end_without_saying_why(server: FaultServer, path: str) -> None:
    """Only the finish is missing from the good stream."""
    good = ask(server.base_url, path, stream=True)[2]
    body = ask(server.url("stream_no_finish"), path, stream=True)[2]
    assert len(events(body)) == len(events(good)) - 1
    assert b"[DONE]" not in body
    assert b"response.completed" not in body
    assert b'"finish_reason": "stop"' not in body


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_stream_may_carry_an_error(server: FaultServer, path: str) -> None:
    """The error is the last event, after part of the answer."""
    found = events(ask(server.url("stream_error"), path, stream=True)[2])
    assert "error" in (found[-1].get("type"), *found[-1])
    assert len(found) > 1


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_a_stream_may_carry_rubbish(server: FaultServer, path: str) -> None:
    """One event is no JSON, or the whole stream is a page."""
    with pytest.raises(ValueError, match="Unterminated"):
        events(ask(server.url("stream_bad_json"), path, stream=True)[2])
    _, headers, body = ask(server.url("stream_html"), path, stream=True)
    assert headers["content-type"].startswith("text/html")
    assert body.startswith(b"<!doctype html>")


@pytest.mark.parametrize("name", [n for n, f in FAULTS.items() if f.stream_only])
def test_stream_faults_leave_plain_requests_alone(
    server: FaultServer, name: str
) -> None:
    """A plain request under a stream fault gets the good answer."""
    assert json.loads(ask(server.url(name))[2])["choices"][0]["finish_reason"] == "stop"


def test_unknown_faults_are_refused_with_a_suggestion() -> None:
    """The error names the nearest fault."""
    with pytest.raises(ConfigError, match="did you mean 'refusal'"):
        FaultServer("refusa")

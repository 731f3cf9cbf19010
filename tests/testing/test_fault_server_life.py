"""How a fault server is steered, what it remembers, and that it leaves nothing."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmguard.errors import ConfigError
from llmguard.testing import FaultServer, ServedRequest, VirtualClock, no_leaks

CHAT = "/v1/chat/completions"


def status(server: FaultServer, *, path: str = CHAT, method: str = "POST") -> int:
    """Send one request and return the status."""
    conn = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
    try:
        conn.request(method, path, json.dumps({"model": "m-1"}), {"X-Trace": "7"})
        response = conn.getresponse()
        response.read()
        return response.status
    finally:
        conn.close()


def text(server: FaultServer) -> str:
    """Send one request and return what the model wrote."""
    conn = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
    try:
        conn.request("POST", CHAT, json.dumps({"model": "m-1"}))
        data = json.loads(conn.getresponse().read())
        return data["choices"][0]["message"]["content"]
    finally:
        conn.close()


def test_a_script_is_served_in_order_and_its_last_entry_repeats() -> None:
    """Two failures, then health for good."""
    with FaultServer(["500", "429", "ok"]) as server:
        assert [status(server) for _ in range(4)] == [500, 429, 200, 200]
        assert [r.fault for r in server.requests] == ["500", "429", "ok", "ok"]


def test_a_script_is_served_once_however_many_ask_at_the_same_time() -> None:
    """Every entry goes to exactly one of eight threads."""
    with FaultServer(["500"] * 10 + ["ok"]) as server, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: status(server), range(20)))
    assert sorted(found) == [200] * 10 + [500] * 10


def test_the_fault_can_be_swapped_while_it_runs() -> None:
    """An outage begins and ends on the same port."""
    with FaultServer() as server:
        port = server.port
        before = status(server)
        server.fault = "refused"
        with pytest.raises(ConnectionRefusedError):
            status(server)
        server.fault = ["503", "ok"]
        assert [before, status(server), status(server)] == [200, 503, 200]
        assert server.port == port


def test_a_server_may_start_refusing() -> None:
    """Its port is known before anything listens on it."""
    with FaultServer("refused") as server:
        with pytest.raises(ConnectionRefusedError):
            status(server)
        server.fault = "ok"
        assert status(server) == 200


def test_the_path_beats_the_servers_own_fault() -> None:
    """One server can be several providers."""
    with FaultServer("500") as server:
        assert status(server, path=f"/fault/ok{CHAT}") == 200
        assert status(server) == 500


@pytest.mark.parametrize("name", ["dns", "tls", "tls_mute"])
def test_faults_before_http_change_the_url(name: str) -> None:
    """They cannot be swapped in, scripted, or put in a path."""
    with FaultServer(name) as server:
        assert server.base_url == server.url(name)
    with FaultServer() as server, pytest.raises(ConfigError, match=r"server\.url"):
        server.fault = name
    with pytest.raises(ConfigError, match="cannot be part of a list"):
        FaultServer([name, "ok"])


def test_an_empty_script_is_refused() -> None:
    """A server must know what to do."""
    with pytest.raises(ConfigError, match="name at least one"):
        FaultServer([])


def test_a_request_is_remembered_whole() -> None:
    """Everything a test may want to look at, headers lower-cased."""
    clock = VirtualClock(start=5.0)
    with FaultServer("500", clock=clock) as server:
        status(server)
        (request,) = server.requests
    assert request.method == "POST"
    assert request.path == CHAT
    assert request.headers["x-trace"] == "7"
    assert request.json == {"model": "m-1"}
    assert request.fault == "500"
    assert request.at == 5.0


def test_requests_are_counted_by_fault_until_forgotten() -> None:
    """`count` and `connections` start again at zero."""
    with FaultServer(["500", "ok"]) as server:
        for _ in range(3):
            status(server)
        counts = server.count(), server.count("500"), server.count("ok")
        assert (*counts, server.connections) == (3, 1, 2, 3)
        server.forget()
        assert (server.count(), server.connections) == (0, 0)


def test_unknown_paths_are_404_and_count_as_no_fault() -> None:
    """A wrong base URL shows up instead of being answered."""
    with FaultServer() as server:
        assert status(server, path="/chat/completions") == 404
        assert status(server, path="/fault/typo/v1/chat/completions") == 404
        assert status(server, path=CHAT, method="GET") == 404
        assert [r.fault for r in server.requests] == ["", "", ""]


def test_the_models_are_listed() -> None:
    """Readiness probes ask for it."""
    with FaultServer(served_model="m-2") as server:
        assert status(server, path="/v1/models", method="GET") == 200


def test_the_answer_may_be_a_function_of_the_request() -> None:
    """It sees the request and returns text or data."""

    def answer(request: ServedRequest) -> object:
        assert isinstance(request.json, dict)
        return {"echo": request.json["model"]}

    with FaultServer(answer=answer) as server:
        assert json.loads(text(server)) == {"echo": "m-1"}


def test_an_answer_that_raises_fails_the_test_that_wrote_it() -> None:
    """The client sees a 500, and the block raises the real error."""

    def answer(request: ServedRequest) -> object:
        raise KeyError(request.method)

    with pytest.raises(KeyError, match="POST"), FaultServer(answer=answer) as server:
        assert status(server) == 500


def test_connections_are_reused_when_asked() -> None:
    """Two requests travel on one connection."""
    with FaultServer(keep_alive=True) as server:
        conn = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
        for _ in range(2):
            conn.request("POST", CHAT, "{}")
            conn.getresponse().read()
        conn.close()
        assert (server.count(), server.connections) == (2, 1)


def test_a_stopped_server_says_how_to_use_it() -> None:
    """The port exists only inside the block, and a block is entered once."""
    server = FaultServer()
    with pytest.raises(ConfigError, match="with FaultServer"):
        server.base_url  # noqa: B018 - the property raises
    with server, pytest.raises(ConfigError, match="already running"):
        server.start()


def _hang(port: int, seen: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(f"POST {CHAT} HTTP/1.1\r\ncontent-length: 0\r\n\r\n".encode())
        seen.append(sock.recv(100))


def test_leaving_cuts_hanging_connections_and_leaks_nothing() -> None:
    """Ten clients hang; the block still ends, and so do they."""
    seen: list[bytes] = []
    all_asked = threading.Barrier(11)

    def answer(_: ServedRequest) -> str:
        all_asked.wait(5)
        return ""

    with no_leaks():
        with FaultServer("hang", answer=answer) as server:
            clients = [
                threading.Thread(target=_hang, args=(server.port, seen))
                for _ in range(10)
            ]
            for client in clients:
                client.start()
            all_asked.wait(5)
        for client in clients:
            client.join()
    assert seen == [b""] * 10


def test_every_special_url_is_closed_too() -> None:
    """Mute and dead ports belong to the server."""
    with no_leaks(), FaultServer() as server:
        server.url("refused")
        server.url("tls_mute")


def test_it_works_as_an_async_context_manager() -> None:
    """The same server inside `async with`."""

    async def main() -> int:
        async with no_leaks(), FaultServer() as server:
            return await asyncio.to_thread(status, server)

    assert asyncio.run(main()) == 200


def test_its_pins_call_it() -> None:
    """Through the real provider, with the fault asked for."""
    with FaultServer() as server:
        pin = server.pin("triage", model="m-7")
        assert (pin.route, pin.model, pin.endpoint) == (
            "triage",
            "m-7",
            server.base_url,
        )
        assert server.pin(fault="500").endpoint == server.url("500")

"""Behind real servers: streams in flight, workers forked late, callers that leave."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gunicorn_host import GunicornHost

from llmguard.pins import edit_lock, prepare
from llmguard.testing import FaultServer

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).parents[1] / "support/served/gunicorn.conf.py"
SERVERS = [
    pytest.param("gthread", "service:wsgi", id="gthread"),
    pytest.param("asgi", "service:asgi", id="gunicorn-asgi"),
]


@pytest.fixture
def provider() -> Iterator[FaultServer]:
    with FaultServer(answer="a few words that take a while", delay=2.0) as server:
        yield server


@pytest.fixture
def env(tmp_path: Path, provider: FaultServer) -> dict[str, str]:
    lock = tmp_path / "models.lock"
    opaque = replace(provider.pin("talk"), accept_opaque="a server of the test")
    edit_lock(lock, lambda old: old.with_pin(prepare(opaque)))
    return {
        **os.environ,
        "LLMGUARD_STORE": str(tmp_path / "store.db"),
        "LLMGUARD_LOCK": str(lock),
        "LLMGUARD_EXERCISE": "0",
        "KINDS": str(tmp_path / "kinds"),
    }


def _open(port: int, path: str) -> socket.socket:
    caller = socket.create_connection(("127.0.0.1", port), timeout=30)
    caller.sendall(
        f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
    )
    return caller


def _rest(caller: socket.socket) -> str:
    parts: list[bytes] = []
    while part := caller.recv(65536):
        parts.append(part)
    return b"".join(parts).decode()


@pytest.mark.parametrize(("kind", "app"), SERVERS)
def test_a_stream_in_flight_ends_before_its_worker(
    kind: str, app: str, tmp_path: Path, env: dict[str, str], provider: FaultServer
) -> None:
    """A server told to stop lets the stream reach its verdict, and then ends."""
    provider.fault = "slow_drip"
    host = GunicornHost(tmp_path, CONFIG, app, env | {"WORKER_CLASS": kind})
    with host:
        with _open(host.port, "/talk") as caller:
            first = caller.recv(65536).decode()
            while "event: chunk" not in first:
                first += caller.recv(65536).decode()
            host.process.send_signal(signal.SIGTERM)
            text = first + _rest(caller)
        assert '"kind": "ok", "keep": true' in text
        assert 0 == host.process.wait(30)


@pytest.mark.parametrize("first", [False, True], ids=["quiet", "used"])
def test_workers_forked_from_a_loaded_process_answer(
    first: bool, tmp_path: Path, env: dict[str, str], provider: FaultServer
) -> None:
    """Also from one that has made guarded calls before it forked."""
    env |= {"CALL_FIRST": "1"} if first else {}
    with GunicornHost(tmp_path, CONFIG, "service:wsgi", env) as host:
        answers = [a for _ in range(4) for a in host.spread("/say/t", 8)]
        # A busy machine may let one worker take all of them, a few times over.
        while len({got.body["worker"] for got in answers}) < 2 and len(answers) < 400:
            answers += host.spread("/say/t", 8)
    assert {200} == {got.status for got in answers}
    assert {"a few words that take a while"} == {got.body["said"] for got in answers}
    assert {"talk"} == {got.headers["x-llmguard-tier"] for got in answers}
    assert 2 == len({got.body["worker"] for got in answers})


def test_a_caller_that_leaves_gunicorn_cancels_its_call(
    tmp_path: Path, env: dict[str, str], provider: FaultServer
) -> None:
    """The native ASGI worker tells the middleware, as uvicorn does."""
    provider.fault = "hang"
    kinds = Path(env["KINDS"])
    with GunicornHost(
        tmp_path, CONFIG, "service:asgi", env | {"WORKER_CLASS": "asgi"}
    ) as host:
        with _open(host.port, "/say/t"):
            while not provider.requests:
                time.sleep(0.02)
        end = time.monotonic() + 10
        while not kinds.exists() and time.monotonic() < end:
            time.sleep(0.05)
    assert "cancelled\n" == kinds.read_text()

"""Every wait of a client ends at the deadline: names, addresses, slow readers."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from httpcore import AnyIOBackend

from llmguard.adapters import _resolve
from llmguard.adapters._deadline_backend import (
    DEADLINE,
    AsyncDeadlineBackend,
    install,
    keeps_deadlines,
)
from llmguard.adapters._resolve import addresses_of


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """Return a client under the deadline backend."""
    with httpx.Client(trust_env=False) as made:
        assert install(made)
        yield made


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    token = DEADLINE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        DEADLINE.reset(token)


@contextmanager
def slow_reader() -> Iterator[str]:
    """Accept one connection and read a few bytes at a time, for ever."""
    done = threading.Event()
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server.bind(("127.0.0.1", 0))
    server.listen()

    def serve() -> None:
        try:
            connection, _ = server.accept()
        except OSError:  # shut down before anybody came
            return
        with connection:
            while not done.wait(0.02):
                if not connection.recv(8192):
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    finally:
        done.set()
        with suppress(OSError):  # wakes `accept`
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def test_a_reader_that_trickles_does_not_start_the_time_anew(
    client: httpx.Client,
) -> None:
    """32 MB at 400 kB a second are far from written after a second."""
    with slow_reader() as url, deadline(1.0):
        began = time.monotonic()
        with pytest.raises(httpx.TimeoutException):
            client.post(url, content=b"x" * (32 << 20), timeout=30)
        assert time.monotonic() - began < 10


def _names(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[str]:
    """Stand in for the system's resolver, which tests cannot break."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *given: Any, **options: Any) -> Any:
        if _resolve._is_address(host):
            return real(host, port, *given, **options)
        asked.append(host)
        return answer(host, port, **options)

    monkeypatch.setattr(_resolve.socket, "getaddrinfo", look_up)
    return asked


def test_a_name_server_that_does_not_answer_costs_the_deadline_and_one_thread(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def hang(host: str, port: int, **options: Any) -> Any:
        release.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, f"{host}:{port} {options}")

    asked = _names(monkeypatch, hang)
    began = time.monotonic()
    for _ in range(3):
        with deadline(0.2), pytest.raises(httpx.ConnectTimeout, match="no name server"):
            client.get("http://model.invalid/", timeout=30)
    assert time.monotonic() - began < 15
    assert ["model.invalid"] == asked
    release.set()
    for thread in threading.enumerate():
        if thread.name == "llmguard-resolver":
            thread.join()
    assert not _resolve._lookups._pending


def test_an_unknown_name_is_a_connection_error(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(host: str, port: int, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, f"unknown {host}:{port} {options}")

    _names(monkeypatch, unknown)
    with (
        deadline(5),
        pytest.raises(httpx.ConnectError, match=r"unknown model\.invalid"),
    ):
        client.get("http://model.invalid/")
    with deadline(5), pytest.raises(httpx.ConnectError):
        client.get(f"http://{'a' * 70}.invalid/")


def test_the_next_address_is_tried_when_the_first_refuses(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """127.0.0.2 is bound to nothing at that port."""
    with slow_reader() as url:
        port = int(url.rpartition(":")[2].strip("/"))
        both = [(0, 0, 0, "", (each, port)) for each in ("127.0.0.2", "127.0.0.1")]
        _names(monkeypatch, lambda host, port, **options: [*both, *both])
        with deadline(0.5), pytest.raises(httpx.ReadTimeout):
            client.get(f"http://model.invalid:{port}/", timeout=30)
        both.pop()
        with deadline(5), pytest.raises(httpx.ConnectError):
            client.get(f"http://model.invalid:{port}/", timeout=30)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%eth0", "localhost"])
def test_an_address_needs_no_lookup(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    asked = _names(monkeypatch, None)
    assert (host,) == addresses_of(host, 80, 1.0)
    assert not asked


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_asks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that asks is not in the child; waiting for it would be for ever."""
    release = threading.Event()
    _names(monkeypatch, lambda *given, **options: release.wait(30) and [])
    with pytest.raises(TimeoutError):
        addresses_of("model.invalid", 80, 0.01)
    child = os.fork()
    if not child:
        os._exit(1 if _resolve._lookups._pending else 0)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    release.set()


def test_only_direct_connections_keep_to_the_deadline(client: httpx.Client) -> None:
    """TLS within TLS, as through a proxy, reads with a timeout for each piece."""
    assert keeps_deadlines(client)
    with httpx.Client(proxy="http://127.0.0.1:9", trust_env=False) as proxied:
        install(proxied)
        assert not keeps_deadlines(proxied)
    with httpx.Client(trust_env=False) as plain:
        assert not keeps_deadlines(plain)


@contextmanager
def talker() -> Iterator[tuple[int, Callable[[bytes], None]]]:
    """Serve one connection; what is said goes to it, and nothing closes it."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def say(text: bytes) -> None:
            if not accepted:
                accepted.append(server.accept()[0])
            if text:
                accepted[0].sendall(text)
            else:
                accepted[0].close()

        try:
            yield server.getsockname()[1], say
        finally:
            for connection in accepted:
                connection.close()


@pytest.mark.parametrize("last", [b"late", b""], ids=["speaks", "closes"])
def test_an_idle_connection_tells_when_the_other_side_moves(last: bytes) -> None:
    """A pool must not send a request on it then; it says what httpcore itself says."""
    seen: list[tuple[bool, bool]] = []

    async def use(port: int, say: Callable[[bytes], None]) -> None:
        stream = await AsyncDeadlineBackend(AnyIOBackend()).connect_tcp(
            "127.0.0.1", port
        )

        def look() -> None:
            own = stream.get_extra_info("is_readable")
            seen.append((own, stream._stream.get_extra_info("is_readable")))

        look()
        say(b"x")
        assert b"x" == await stream.read(10, timeout=10)
        look()
        say(last)
        look()
        assert ("127.0.0.1", port) == stream.get_extra_info("server_addr")
        await stream.aclose()
        look()

    with talker() as (port, say):
        asyncio.run(use(port, say))
    assert [(False, False), (False, False), (True, True), (True, True)] == seen


def test_a_connection_that_is_gone_before_anybody_looked_is_readable() -> None:
    """A pool throws it away."""

    async def use(port: int) -> bool:
        backend = AsyncDeadlineBackend(AnyIOBackend())
        stream = await backend.connect_tcp("127.0.0.1", port)
        await stream.aclose()
        found: bool = stream.get_extra_info("is_readable")
        return found

    with talker() as (port, _):
        assert asyncio.run(use(port))

"""Connections: shared, bounded by the deadline, and gone when they should be."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from llmguard.adapters import Model, close_providers, provider_for
from llmguard.adapters._deadline_backend import install
from llmguard.pins import Pin
from llmguard.testing import FaultServer, no_leaks


def test_threads_share_one_client(pin_for: Callable[..., Pin]) -> None:
    """Calls of eight threads go through one pool, and all are answered."""
    with FaultServer(keep_alive=True) as server:
        pin = pin_for(server.base_url)
        replies: list[object] = []

        def call() -> None:
            model = Model(pin, provider_for(pin))
            replies.extend(model.complete("hello").text for _ in range(5))

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 40 == len(replies)
        assert server.connections <= 8


def test_sync_and_async_calls_leave_nothing_behind(
    pin_for: Callable[..., Pin],
) -> None:
    """After `close` and the end of the loop no socket, thread or task is left."""
    with FaultServer(keep_alive=True) as server:
        pin = pin_for(server.base_url)
        Model(pin, provider_for(pin)).complete("warm up what is made once")
        close_providers()

        async def both() -> None:
            model = Model(pin, provider_for(pin))
            await model.acomplete("hello")
            stream = model.astream("hello")
            async with stream:
                await anext(stream)

        with no_leaks():
            Model(pin, provider_for(pin)).complete("hello")
            asyncio.run(both())
            close_providers()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_stream_closed_early_drops_its_connection(
    mode: str, server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """Giving up half-way frees the connection at once; the next call works."""
    model = model_for(server.base_url)

    async def give_up() -> None:
        stream = model.astream("hello")
        assert await anext(stream)
        await stream.aclose()
        assert [text async for text in stream] == []
        await model.acomplete("again")

    if mode == "async":
        asyncio.run(give_up())
    else:
        with model.stream("hello") as stream:
            assert next(stream)
        assert list(stream) == []
        assert stream.reply is None
        model.complete("again")
    assert 2 == server.count()


def test_cancelled_call_frees_its_connection(
    server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """Cancelling a hanging call ends it now, and leaves no task."""
    model = model_for(server.url("hang"))

    async def cancel() -> None:
        await model_for(server.base_url).acomplete("warm up")
        async with no_leaks():
            task = asyncio.ensure_future(model.acomplete("hello"))
            while server.count("hang") == 0:  # noqa: ASYNC110 - a server's thread counts
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            aclose: Any = getattr(provider_for(model.pin), "aclose")  # noqa: B009 - not in the protocol
            await aclose()

    asyncio.run(cancel())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_opens_its_own_connections() -> None:
    """A child never writes into the parent's sockets, and both go on working."""
    code = """
import os, warnings
from llmguard.adapters import Model, provider_for
from llmguard.pins import Pin
from llmguard.testing import FaultServer
warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork, on purpose
with FaultServer(keep_alive=True) as server:
    pin = Pin(route="t", provider="openai", model="m", endpoint=server.base_url)
    Model(pin, provider_for(pin)).complete("parent")
    before = provider_for(pin)
    child = os.fork()
    if child == 0:
        fresh = provider_for(pin) is not before
        ok = Model(pin, provider_for(pin)).complete("child").text == "ok"
        os._exit(0 if ok and fresh else 1)
    _, status = os.waitpid(child, 0)
    Model(pin, provider_for(pin)).complete("parent again")
    print(os.waitstatus_to_exitcode(status), server.connections, server.count())
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "0 2 3" == ran.stdout.strip()


def test_process_exits_without_resource_warnings() -> None:
    """Whoever forgets to close anything still leaves no open socket at exit."""
    code = """
import asyncio
from llmguard.adapters import Model, provider_for
from llmguard.pins import Pin
from llmguard.testing import FaultServer
server = FaultServer(keep_alive=True).start()
pin = Pin(route="t", provider="openai", model="m", endpoint=server.base_url)
model = Model(pin, provider_for(pin))
model.complete("x")
asyncio.run(model.acomplete("x"))
server.close()
"""
    ran = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "" == ran.stderr


def test_deadline_reaches_every_read_below_the_client() -> None:
    """Both kinds of HTTP client still have the backend that the deadline wraps."""
    clients = [openai.DefaultHttpxClient(), openai.DefaultAsyncHttpxClient()]
    assert [True, True] == [install(client) for client in clients]
    clients[0].close()
    assert install(SimpleNamespace()) is False


def test_endpoint_that_accepts_and_stays_mute_is_left_by_the_deadline(
    model_for: Callable[..., Model],
) -> None:
    """A listening socket that nobody serves ends as a timeout, not as a wait."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/v1"
        with pytest.raises(Exception, match="timed out"):
            model_for(url, seconds=0.2).complete("hello")

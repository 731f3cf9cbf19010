"""A receiver that talks slowly holds nobody: the time is that of the whole exchange."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from llmguard.monitor.alerts import RetryLaterError
from llmguard.monitor.alerts._post import post

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def receiver(pause: float) -> Iterator[str]:
    """Answer one request, one byte every `pause` seconds."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                for place in range(len(ANSWER)):
                    if ended.wait(pause):
                        return
                    try:
                        connection.sendall(ANSWER[place : place + 1])
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
        ended.set()
        thread.join()


def test_a_slow_answer_is_none() -> None:
    """Each byte comes well before a socket would give up."""
    with (
        receiver(0.05) as url,
        pytest.raises(RetryLaterError, match=r"TimeoutError"),
    ):
        post(url, b"{}", {}, timeout=0.5, allow_private=True)


@pytest.mark.parametrize("pause", [0.0, 0.001])
def test_an_answer_in_time_is_read(pause: float) -> None:
    """Also one that comes in pieces, from a receiver that closes at once."""
    with receiver(pause) as url:
        found = post(url, b"{}" * 1000, {}, timeout=20.0, allow_private=True)
    assert (200, None) == found

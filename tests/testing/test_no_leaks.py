"""`no_leaks` finds what stays behind, and nothing else."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from llmguard.testing import no_leaks


def test_a_thread_left_running_is_found() -> None:
    """It is named."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="straggler")
    with (
        pytest.raises(AssertionError, match="thread 'straggler'"),
        no_leaks(grace=0.05),
    ):
        thread.start()
    stop.set()
    thread.join()


def test_a_socket_left_open_is_found() -> None:
    """As long as somebody holds it."""
    held: list[socket.socket] = []
    with (
        pytest.raises(AssertionError, match=r"descriptor .*socket"),
        no_leaks(grace=0.05),
    ):
        held.append(socket.socket())
    held[0].close()


def test_a_task_left_pending_is_found() -> None:
    """It is named, and the loop runs meanwhile."""

    async def main() -> None:
        async with no_leaks(grace=0.05):
            task = asyncio.create_task(asyncio.Event().wait(), name="dangling")
            task.add_done_callback(lambda _: None)

    with pytest.raises(AssertionError, match="task 'dangling'"):
        asyncio.run(main())


def test_what_ends_soon_is_no_leak() -> None:
    """Threads and tasks may take a moment."""

    async def main() -> None:
        async with no_leaks():
            thread = threading.Thread(target=threading.Event().wait, args=(0.05,))
            thread.start()
            asyncio.get_running_loop().call_soon(lambda: None)
            task = asyncio.create_task(asyncio.sleep(0.02))
            task.add_done_callback(lambda _: None)

    asyncio.run(main())


def test_what_was_there_before_is_no_leak() -> None:
    """Only the block itself is judged."""
    with socket.socket(), no_leaks(grace=0.05):
        pass


def test_known_stayers_can_be_ignored() -> None:
    """A pool that is meant to stay has a name."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="my-pool-1")
    with no_leaks(grace=0.05, ignore=("my-pool",)):
        thread.start()
    stop.set()
    thread.join()


def test_an_error_in_the_block_is_not_hidden() -> None:
    """The block's own error wins over what it left behind."""
    held: list[socket.socket] = []

    def fail() -> None:
        held.append(socket.socket())
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"), no_leaks(grace=0.05):
        fail()
    held[0].close()

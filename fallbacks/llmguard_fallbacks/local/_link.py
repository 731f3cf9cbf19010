"""The two ways to reach a server: in a process of its own, or in a thread of ours."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing import spawn
from typing import Any, Final, Protocol

from ._worker import Server, read_frame, write_frame

__all__ = ["Link", "ProcessLink", "ThreadLink"]

Message = Mapping[str, Any]
_TAIL: Final = 20
"""Lines of standard error kept for the message when a worker dies."""
_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from llmguard_fallbacks.local._worker import main; main()"
)
"""Not `-m`, and not `multiprocessing`: neither our parent's main script nor the
current directory may be imported, and the path must be the parent's."""


class Link(Protocol):
    """A server and the two directions to it."""

    def alive(self) -> bool:
        """Tell whether the server is still there, as far as can be seen at once."""
        ...

    def send(self, message: Message) -> None:
        """Send a message; never blocks, and does nothing once the server is gone."""
        ...

    def receive(self) -> Message | None:
        """Wait for a message; None when the server is gone."""
        ...

    def kill(self) -> None:
        """End the server at once, whatever it is doing."""
        ...

    def close(self) -> None:
        """Ask the server to end; it finishes nothing."""
        ...

    def obituary(self) -> str:
        """Say how it ended, once `receive` returned None."""
        ...

    def forget(self) -> None:
        """Drop the descriptors in a forked child, where the server is not ours."""
        ...


class ProcessLink:
    """A server in a process of its own."""

    def __init__(self) -> None:
        environment = {**os.environ, "GGML_NO_BACKTRACE": "1"}
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [_executable(), "-c", _START, json.dumps([p for p in sys.path if p])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            # Ctrl-C in the terminal is for the application, which then ends us.
            start_new_session=True,
        )
        assert self._process.stdout and self._process.stdin  # noqa: S101, PT018 - pipes
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._tail: collections.deque[bytes] = collections.deque(maxlen=_TAIL)
        self._outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=t, daemon=True) for t in (self._write, self._keep)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    def alive(self) -> bool:
        """Tell whether the process is there; see `Link`."""
        return self._process.poll() is None

    def send(self, message: Message) -> None:
        """Send a message; see `Link`."""
        self._outbox.put(message)

    def receive(self) -> Message | None:
        """Wait for a message; see `Link`."""
        try:
            return read_frame(self._stdout)
        except (OSError, ValueError):
            return None

    def kill(self) -> None:
        """Kill the process, stopped or not."""
        self._process.kill()

    def close(self) -> None:
        """Close the pipe, on which the worker ends itself."""
        self._outbox.put(None)

    def obituary(self) -> str:
        """Wait for the process and say how it ended."""
        self._outbox.put(None)
        code = self._process.wait()
        for thread in self._threads:
            thread.join(timeout=1)
        self._stdout.close()
        said = b"".join(self._tail).decode(errors="replace").strip()
        how = f"signal {_signal(-code)}" if code < 0 else f"exit code {code}"
        return f"{how}; it last wrote: {said[-600:]}" if said else how

    def forget(self) -> None:
        """Close our copies of the pipes; see `Link`."""
        for stream in (self._stdin, self._stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    os.close(stream.fileno())
        self._process.returncode = 0  # not our child: nobody may wait for it

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (message := self._outbox.get()) is not None:
                write_frame(self._stdin, message)
        with contextlib.suppress(OSError):
            self._stdin.close()

    def _keep(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - a pipe
        with self._process.stderr as stream:
            for line in stream:
                self._tail.append(line[-2000:])


class ThreadLink:
    """A server in a thread of this process, for scripts; it cannot be killed."""

    pid = 0

    def __init__(self) -> None:
        self._to: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._from: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        server = Server(receive=self._to.get, send=self._from.put, gone=lambda: None)
        self._server = server
        threading.Thread(target=self._run, daemon=True).start()

    def alive(self) -> bool:
        """Tell that a thread does not die."""
        return True

    def send(self, message: Message) -> None:
        """Send a message; see `Link`."""
        self._to.put(message)

    def receive(self) -> Message | None:
        """Wait for a message; see `Link`."""
        return self._from.get()

    def kill(self) -> None:
        """Ask it to stop at the next token: all that can be done with a thread."""
        self._to.put(None)

    close = kill

    def obituary(self) -> str:
        """Say that it ended."""
        return "the thread ended"

    def forget(self) -> None:
        """Do nothing: a forked child has no such thread."""

    def _run(self) -> None:
        try:
            self._server.serve()
        finally:
            self._from.put(None)


def _executable() -> str:
    # `multiprocessing.set_executable` is where embedders say which Python to start.
    found = spawn.get_executable()
    return os.fsdecode(found) if found else sys.executable


def _signal(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)

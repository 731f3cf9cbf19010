"""The process a model lives in: reads jobs, draws answers, obeys at each token.

Messages are JSON objects, each after its length as four bytes, on the standard
streams. Whatever the native libraries print goes to standard error instead. The
worker ends when its parent does: the parent's end of the pipe closes, and should a
fork have kept that open, the parent's process id changes.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any, Final

from llmguard.errors import ConfigError
from llmguard.outcome import Kind

from ._job import Delta, Engine, FailedError, Failure, Job

__all__ = ["Server", "main", "read_frame", "write_frame"]

Message = Mapping[str, Any]
_ORPHAN_CHECK: Final = 0.5
"""Seconds between looks at the parent's process id."""


def read_frame(stream: IO[bytes]) -> dict[str, Any] | None:
    """Read one message; None at the end of the stream, even inside a message."""
    head = stream.read(4)
    if len(head) < 4:  # noqa: PLR2004 - bytes of the length
        return None
    size = int.from_bytes(head, "big")
    body = stream.read(size)
    return json.loads(body) if len(body) == size else None


def write_frame(stream: IO[bytes], message: Message) -> None:
    """Write one message and flush it."""
    body = json.dumps(message).encode()
    stream.write(len(body).to_bytes(4, "big") + body)
    stream.flush()


class Server:
    """Answers the jobs of one parent with one engine, one at a time.

    Args:
        receive: Returns the next message; None when the parent is gone.
        send: Sends one message to the parent.
        gone: Called when the parent is gone, from the thread that receives.
    """

    def __init__(
        self,
        *,
        receive: Callable[[], Message | None],
        send: Callable[[Message], None],
        gone: Callable[[], None],
    ) -> None:
        self._receive = receive
        self._send = send
        self._gone = gone
        self._todo: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._ended = False

    def serve(self) -> None:
        """Load the model and answer until the parent is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        first = self._todo.get()
        if first is None:
            return
        try:
            engine = _load(first["options"])
        except (ConfigError, OSError, RuntimeError) as error:
            self._send({"op": "failed", "message": str(error)})
            return
        self._send({"op": "ready"})
        try:
            while (message := self._todo.get()) is not None:
                self._answer(engine, message)
        finally:
            engine.close()

    def _listen(self) -> None:
        while (message := self._receive()) is not None:
            if message["op"] == "cancel":
                self._cancelled.add(message["id"])
            else:
                self._todo.put(message)
        self._ended = True
        self._todo.put(None)
        self._gone()

    def _answer(self, engine: Engine, message: Message) -> None:
        number, end = message["id"], time.monotonic() + message["budget"]

        def halt() -> str:
            if self._ended or number in self._cancelled:
                return "cancelled"
            return "deadline" if time.monotonic() >= end else ""

        try:
            for event in engine.generate(Job(**message["job"]), halt=halt):
                op = "delta" if isinstance(event, Delta) else "done"
                body = event.text if isinstance(event, Delta) else event.as_json()
                self._send({"op": op, "id": number, "body": body})
        except FailedError as error:
            self._fail(number, error.failure)
        except Exception as error:  # noqa: BLE001 - any failure must reach the caller
            text = f"the engine failed: {type(error).__name__}: {error}"
            self._fail(number, Failure(kind=Kind.ERROR, message=text))
        self._cancelled.discard(number)

    def _fail(self, number: int, failure: Failure) -> None:
        self._send({"op": "error", "id": number, "body": failure.as_json()})


def _load(options: Message) -> Engine:
    from ._engine import LlamaCppEngine
    from ._llama import LlamaOptions

    known = dict(options)
    prompt_format = known.pop("prompt_format", "")
    return LlamaCppEngine(LlamaOptions(**known), prompt_format=prompt_format)


def main() -> None:
    """Serve the parent on the standard streams."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    with open(os.devnull) as nothing:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    # jsonschema would build a grammar for `iri` at import, two seconds of CPU; here
    # `iri` comes from a pattern of ours, and the contract checks it once more.
    modules: dict[str, Any] = sys.modules
    modules["rfc3987_syntax"] = None
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server = Server(
        receive=lambda: read_frame(incoming),
        send=lambda message: write_frame(outgoing, message),
        # Even in the middle of a long evaluation there is nobody left to answer.
        gone=lambda: os._exit(0),
    )
    try:
        server.serve()
    except BrokenPipeError:
        os._exit(0)
    sys.stderr.flush()


def _end_with_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK)
    os._exit(0)


if __name__ == "__main__":
    main()

"""A loopback server that speaks just enough of Chat Completions, in its own process.

`with stub() as url:` starts it and gives its root; `{url}/v1` answers at once with a
person in JSON (as a tool call where the request offers tools), `{url}/fail/v1` with
500, `{url}/hang/v1` never, `{url}/after/50/v1` after 50 ms, `{url}/bad/20/v1` with a
person of another age each time, in 20 % of answers without any. Connections are kept
alive.

`{url}/change/...` is what can change under load: `GET {url}/now/fail` makes it fail
from then on, `now/hang`, `now/ok`; `GET {url}/count` says how many requests it had, by
what became of them.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, ClassVar

__all__ = ["ANSWER", "MODEL", "stub"]

MODEL = "stub-1"
ANSWER = '{"name": "Ada", "age": 36}'


@contextmanager
def stub() -> Generator[str]:
    """Run the server in a process of its own.

    Yields:
        Its root, such as `http://127.0.0.1:40000`.
    """
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - this file
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


class _Now:
    """What `{url}/change` does, and has done."""

    mode = "ok"
    counts: ClassVar[Counter[str]] = Counter()
    random: ClassVar[random.Random] = random.Random(0)


class _Connection(asyncio.Protocol):
    """One connection; requests are answered in order."""

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].decode("latin-1")
            whole = end + 4 + _length(head)
            if len(self.buffer) < whole:
                return
            body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
            self._answer(head.split(" ", 2)[1], body)

    def _answer(self, path: str, body: bytes) -> None:
        first, _, rest = path[1:].partition("/")
        if first in {"now", "count"}:
            _Now.mode = rest or _Now.mode
            self._send(_Now.counts, failed=False)
            return
        if first == "change":
            _Now.counts[_Now.mode] += 1
            first, _, rest = rest.partition("/")
            first = first if _Now.mode == "ok" else _Now.mode
        if first == "hang":
            return
        failed = first == "fail"
        text = _person(rest) if first == "bad" else ANSWER
        reply = {"error": {"message": "down"}} if failed else _completion(body, text)
        seconds = int(rest.partition("/")[0]) / 1000 if first == "after" else 0.0
        if seconds:
            loop = asyncio.get_running_loop()
            loop.call_later(seconds, self._send, reply)
        else:
            self._send(reply, failed=failed)

    def _send(self, reply: dict[str, Any], *, failed: bool = False) -> None:
        status = "500 Internal Server Error" if failed else "200 OK"
        text = json.dumps(reply).encode()
        self.transport.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n".encode()
            + text
        )


def _length(head: str) -> int:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


def _person(path: str) -> str:
    """Return a person, without an age in so many percent as the path begins with."""
    person: dict[str, Any] = {"name": "Ada", "age": _Now.random.randrange(100)}
    if _Now.random.random() * 100 < int(path.partition("/")[0]):
        del person["age"]
    return json.dumps(person)


def _completion(body: bytes, text: str) -> dict[str, Any]:
    tools = json.loads(body or b"{}").get("tools")
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if tools:
        function = {"name": tools[0]["function"]["name"], "arguments": text}
        call = {"id": "call_1", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    finish = "tool_calls" if tools else "stop"
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21},
    }


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__" and sys.argv[1:] == ["serve"]:
    asyncio.run(_serve())

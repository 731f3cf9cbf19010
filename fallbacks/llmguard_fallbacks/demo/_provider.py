"""A loopback provider that speaks the OpenAI protocol, answered by the embedded model.

It exists so that the demo's first tier is a real HTTP call through the real SDK; its
`mode` is the switch that makes it fail.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from llmguard.adapters import Message, Provider, Request
from llmguard.errors import CallError

__all__ = ["LoopbackProvider", "Mode"]

Mode = Literal["up", "hangs", "errors"]


class LoopbackProvider:
    """Serves `POST /v1/chat/completions` on a free loopback port.

    Args:
        model: The model id that it answers to and echoes.
        engine: What really writes the answers.
    """

    def __init__(self, *, model: str, engine: Provider) -> None:
        self.model = model
        self.engine = engine
        self.mode: Mode = "up"
        self.hits = 0
        self._freed = threading.Event()
        outer = self

        class Handler(_Handler):
            provider = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = _forget  # type: ignore[method-assign] # clients that hung up
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="llmguard-demo", daemon=True
        )

    @property
    def base_url(self) -> str:
        """What a pin names as its endpoint."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._freed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def hang(self) -> None:
        """Hold a request until the demo ends."""
        self._freed.wait(timeout=60)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a chat completion for one request body."""
        shape = body.get("response_format", {}).get("json_schema", {}).get("schema")
        messages = tuple(
            Message(role=m["role"], content=m["content"]) for m in body["messages"]
        )
        reply = self.engine.complete(Request(messages=messages, schema=shape))
        return {
            "id": f"chatcmpl-{self.hits}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.model,
            "system_fingerprint": "fp_demo",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": reply.finish_reason or "stop",
                    "message": {"role": "assistant", "content": reply.text},
                }
            ],
        }


def _forget(request: object, client_address: object) -> None:
    """Print nothing when a client has gone: the demo makes them go."""


class _Handler(BaseHTTPRequestHandler):
    provider: LoopbackProvider
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer, fail or hang, as the switch says."""
        provider = self.provider
        provider.hits += 1
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if provider.mode == "hangs":
            provider.hang()
            self.close_connection = True
        elif provider.mode == "errors":
            self._send(503, {"error": {"message": "overloaded", "type": "server"}})
        else:
            try:
                self._send(200, provider.answer(body))
            except CallError as error:
                self._send(503, {"error": {"message": str(error), "type": "server"}})

    def _send(self, status: int, document: dict[str, Any]) -> None:
        payload = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Keep the demo's screen clean."""

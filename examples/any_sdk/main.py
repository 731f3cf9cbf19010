"""Guard a function that talks to a model through an SDK of its own.

llmguard reads what the SDK returned (text, refusal, finish reason, served model) by its
shape, and its errors by their status: nothing has to be rewritten. Run it with
`python main.py`; a small server on this machine plays the provider.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import httpx
from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Model,
    Pin,
    capture,
    contract,
    fallback_chain,
    pinned,
    static,
)


class Mood(BaseModel):
    """How a customer feels."""

    mood: Literal["happy", "angry"]


class Messages:
    """Stands for your SDK's client: one method that returns a message."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(base_url=base_url)

    def create(self, *, model: str, text: str, timeout: float) -> dict[str, Any]:
        """Ask, and return the message as the provider sent it."""
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        response = self._http.post("/v1/messages", json=body, timeout=timeout)
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found


# In your project this is a line of models.lock: `llmguard pin add mood --provider ...`
PIN = Pin(route="mood", provider="anthropic", model="claude-sonnet-5")


def guarded(client: Messages) -> Any:
    """Return the function as the rest of the program calls it."""

    @fallback_chain(static(Mood(mood="angry")), deadline=5.0, attempts=1)
    @contract(Mood)
    @pinned(PIN)
    def mood(text: str, *, model: Model = INJECTED) -> Any:
        # The pin names the version, the guard says how much time is left.
        return client.create(model=model.id, text=text, timeout=model.remaining)

    return mood


@contextmanager
def provider() -> Iterator[str]:
    """Serve answers: a good one, a refusal, another version, an overload."""
    good = [{"type": "text", "text": json.dumps({"mood": "happy"})}]
    no = [{"type": "text", "text": "I'm sorry, but I cannot help with that."}]
    script = iter(
        [
            (200, good, "claude-sonnet-5", "end_turn"),
            (200, no, "claude-sonnet-5", "refusal"),
            (529, [], "", ""),
            (200, good, "claude-sonnet-5.5", "end_turn"),
        ]
    )

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            status, content, model, reason = next(script)
            message = {
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": content,
                "stop_reason": reason,
                "usage": {"input_tokens": 9, "output_tokens": 5},
            }
            body = json.dumps(message).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def main() -> None:
    """Call it four times and print who answered, and why."""
    with provider() as url, capture() as outcomes:
        mood = guarded(Messages(url))
        for text in ("Great!", "Grr.", "Well.", "Hm."):
            print(f"{text!r}: {mood(text).mood}")
    for outcome in outcomes:
        print(" > ".join(f"{a.tier}:{a.kind}" for a in outcome.attempts))


if __name__ == "__main__":
    main()

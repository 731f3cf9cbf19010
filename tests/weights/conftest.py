"""Small GGUF files, written by hand, and a stand-in for the hub on loopback."""

from __future__ import annotations

import hashlib
import pathlib
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key: str, value: Any) -> bytes:
    """Return one metadata pair."""
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        items = b"".join(map(text, value))
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + items
    return text(key) + struct.pack("<II", 4, value)


def gguf_bytes(*, tail: int = 0, numbers: int = 256, **metadata: Any) -> bytes:
    """Return a GGUF file with one f32 tensor; `tail` bytes of it are missing."""
    known = {
        "general.architecture": "llama",
        "llama.context_length": 512,
        "general.file_type": 7,
        "tokenizer.ggml.tokens": ["a", "b", "c"],
        **{k.replace("__", "."): v for k, v in metadata.items()},
    }
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(known))
    head += b"".join(pair(k, v) for k, v in known.items())
    head += text("t") + struct.pack("<IQIQ", 1, numbers, 0, 0)
    head += b"\0" * (-len(head) % 32)
    data = b"\1" * (4 * numbers)
    return head + data[: len(data) - tail]


@pytest.fixture
def make_gguf(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Return a maker of GGUF files."""

    def make(name: str = "tiny.gguf", **fields: Any) -> pathlib.Path:
        path = tmp_path / name
        path.write_bytes(gguf_bytes(**fields))
        return path

    return make


@pytest.fixture
def tiny() -> bytes:
    """Return a GGUF file that is large enough to be cut."""
    return gguf_bytes(numbers=100_000)


class Hub(ThreadingHTTPServer):
    """Serves one file as the hub does: a commit, an etag, ranges."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.announced = hashlib.sha256(content).hexdigest()
        self.cut_at: int | None = None
        self.seen: list[tuple[str, str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        hub, asked = self.server, self.headers.get("Range", "")
        hub.seen.append((self.command, self.path, asked))
        revision = self.path.split("/")[4] if self.path.count("/") > 4 else ""
        if not self.path.endswith(".gguf") or revision not in ("main", COMMIT):
            return self._refuse()
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        part = hub.content[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(part)))
        if asked:
            end = len(hub.content) - 1
            size = len(hub.content)
            self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
        self.send_header("ETag", f'"{hub.announced}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self._write(part)
        return None

    def _write(self, part: bytes) -> None:
        cut = self.server.cut_at
        if cut is None or cut >= len(part):
            self.wfile.write(part)
            return
        self.wfile.write(part[:cut])
        self.server.cut_at = 0  # from now on there is no progress
        self.close_connection = True

    def _refuse(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def hub(tiny: bytes) -> Iterator[Hub]:
    """Return a hub with one file."""
    with Hub(tiny) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_ambient_hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep the machine's own hub settings out."""
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)

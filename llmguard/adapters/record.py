"""Record what a provider answers, for the `replay` provider."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from ..clock import SYSTEM_CLOCK, Clock
from ..reply import Reply
from ._records import key_of, open_append, record_of, request_digest
from .classify import classify
from .messages import Chunk, Request
from .provider import Provider

__all__ = ["Recorder", "record_to"]

_LOG: Final = logging.getLogger("llmguard.adapters")


def record_to(
    path: str | Path, provider: Provider, *, clock: Clock = SYSTEM_CLOCK
) -> Recorder:
    """Return a provider that answers as `provider` does and appends to `path`.

    To record every call of guarded functions:
    `register_provider("openai", lambda pin: record_to(path, OpenAIProvider(pin)))`.

    Args:
        path: A JSONL file; gzipped when its name ends in `.gz`.
        provider: What really answers.
        clock: What measures latencies.
    """
    return Recorder(Path(path), provider, clock=clock)


class Recorder:
    """Appends one record for each answer or failure; raw clients are not recorded.

    Attributes:
        path: The file.
        lost: Records that could not be written; the first one is logged.
    """

    def __init__(self, path: Path, provider: Provider, *, clock: Clock) -> None:
        self.path = path
        self._provider = provider
        self._clock = clock
        self._lock = threading.Lock()
        self._samples: Counter[str] = Counter()
        self.lost = 0

    @property
    def remote(self) -> bool:
        """What the recorded provider says."""
        return self._provider.remote

    def complete(self, request: Request) -> Reply:
        """Answer one request and record it."""
        started = self._clock.monotonic()
        try:
            reply = self._provider.complete(request)
        except Exception as exc:
            self._failed(request, exc, started)
            raise
        return self._answered(request, reply, started)

    async def acomplete(self, request: Request) -> Reply:
        """Answer one request and record it."""
        started = self._clock.monotonic()
        try:
            reply = await self._provider.acomplete(request)
        except Exception as exc:
            self._failed(request, exc, started)
            raise
        return self._answered(request, reply, started)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer piece by piece; recorded at the end, not when closed early."""
        started = self._clock.monotonic()
        try:
            for chunk in self._provider.stream(request):
                yield self._piece(request, chunk, started)
        except Exception as exc:
            self._failed(request, exc, started)
            raise

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Answer piece by piece; recorded at the end, not when closed early."""
        started = self._clock.monotonic()
        try:
            async for chunk in self._provider.astream(request):
                yield self._piece(request, chunk, started)
        except Exception as exc:
            self._failed(request, exc, started)
            raise

    def client(self, timeout: float) -> Any:
        """Return the raw client; its calls are not recorded."""
        return self._provider.client(timeout)

    def async_client(self, timeout: float) -> Any:
        """Return the raw client; its calls are not recorded."""
        return self._provider.async_client(timeout)

    def close(self) -> None:
        """Close the recorded provider."""
        self._provider.close()

    def _piece(self, request: Request, chunk: Chunk, started: float) -> Chunk:
        if chunk.reply is not None:
            self._answered(request, chunk.reply, started)
        return chunk

    def _answered(self, request: Request, reply: Reply, started: float) -> Reply:
        self._append(request, record_of(reply), started)
        return reply

    def _failed(self, request: Request, exc: Exception, started: float) -> None:
        failure = classify(exc)
        error = {"kind": str(failure.kind), "detail": failure.detail}
        self._append(request, {"error": error}, started)

    def _append(self, request: Request, fields: dict[str, Any], started: float) -> None:
        field, key = key_of(request)
        elapsed = self._clock.monotonic() - started
        with self._lock:
            sample = self._samples[key]
            self._samples[key] += 1
            record = {
                field: key,
                "request": request_digest(request.messages),
                "sample": sample,
                **fields,
                "latency_s": round(elapsed, 6),
            }
            if request.prompt_digest:
                record["prompt_digest"] = request.prompt_digest
            line = json.dumps(record, ensure_ascii=False, default=str)
            self._write(line)

    def _write(self, line: str) -> None:
        """Append a line; a disk that is full is no reason to give away an answer."""
        try:
            with open_append(self.path) as file:
                file.write(line + "\n")
        except OSError as error:
            if self.lost == 0:
                _LOG.warning("%s cannot be written, calls go on: %s", self.path, error)
            self.lost += 1

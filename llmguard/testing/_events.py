"""Server-sent events, as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Events", "sse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """One streamed answer, in the parts that faults tell apart.

    Attributes:
        body: Events that carry the answer.
        finish: Events that say why it ended.
        done: What closes the stream; empty in formats without such a mark.
    """

    body: tuple[bytes, ...]
    finish: tuple[bytes, ...]
    done: bytes = b""

    @property
    def all(self) -> tuple[bytes, ...]:
        """Every event of the healthy stream, in order."""
        return (*self.body, *self.finish, *([self.done] if self.done else []))

    @property
    def half(self) -> tuple[bytes, ...]:
        """The events before a fault strikes: about half of the answer."""
        return self.body[: (len(self.body) + 1) // 2]


def sse(data: Mapping[str, object], *, event: str = "") -> bytes:
    """Return one event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()

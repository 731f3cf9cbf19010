"""The `replay` provider: recorded answers, served as a model version.

A pin with `provider = "replay"` names a recording as its `model`. The same guarded
function, suite or shadow then runs against it as against a live version: without a
network, without cost, and with the same answers every time.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import ConfigError, TierFailedError, TierTimeoutError
from ..outcome import Kind
from ..reply import Reply
from ._duck import get_text
from ._records import key_of, read_records, reply_of
from .messages import Chunk, Request

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = ["ReplayProvider"]

_SELECT: Final = ("sequential", "seeded")
_EXHAUSTED: Final = ("wrap", "error")


class ReplayProvider:
    """Answers from a recording (see `docs/models.md` for its format).

    A request is found by its `prompt_id` input, else by the digest of its messages.

    Options of the pin: `select` ("sequential": samples in order, from the first one in
    each process; "seeded": drawn by `seed`, the same draw for the same place in the
    order), `exhausted` ("wrap": start again; "error"), `seed` (a whole number),
    `output` (name of the field with the text), `latency` (True waits as long as the
    recorded call took).

    Args:
        pin: The pin; its `model` is a path, relative to the lock file.
        clock: What waits for recorded latencies.

    Raises:
        ConfigError: An option is unknown, or has a value that it cannot have.
    """

    remote = False

    def __init__(self, pin: Pin, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.pin = pin
        self._clock = clock
        self._select = _choice(pin, "select", _SELECT)
        self._exhausted = _choice(pin, "exhausted", _EXHAUSTED)
        self._seed = pin.options.get("seed", 0)
        self._output = str(pin.options.get("output", "output"))
        self._latency = pin.options.get("latency") is True
        self._lock = threading.Lock()
        self._drawn: Counter[str] = Counter()
        path = getattr(pin, "path", None)
        self._path = Path(pin.model) if path is None else Path(path)
        self._records: dict[str, list[dict[str, Any]]] | None = None

    @property
    def bounded(self) -> bool:
        """True once the recording is read: its answers come from memory."""
        return self._records is not None

    def complete(self, request: Request) -> Reply:
        """Return the next recorded answer to a request.

        Raises:
            ConfigError: The recording is missing or cannot be read.
            TierFailedError: The recording has no answer to this request, or none left
                (`exhausted = "error"`).
            TierTimeoutError: The recorded call took longer than the request may.
        """
        record = self._draw(request)
        wait, late = self._wait(record, request)
        if wait:
            self._clock.sleep(wait)
        return self._answer(record, late=late)

    async def acomplete(self, request: Request) -> Reply:
        """Return the next recorded answer; the errors are those of `complete`."""
        record = self._draw(request)
        wait, late = self._wait(record, request)
        if wait:
            await self._clock.asleep(wait)
        return self._answer(record, late=late)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Yield the next answer by words; the errors are those of `complete`."""
        yield from _pieces(self.complete(request))

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Yield the next answer by words; the errors are those of `complete`."""
        for chunk in _pieces(await self.acomplete(request)):
            yield chunk

    def client(self, timeout: float) -> Any:
        """Refuse: a recording has no client.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"pin {self.pin.route!r} replays {self.pin.model!r}, which has no raw "
            f"client (asked for one with {timeout:.3g} s); use `model.complete(...)`"
        )

    def async_client(self, timeout: float) -> Any:
        """Refuse: a recording has no client.

        Raises:
            ConfigError: Always.
        """
        return self.client(timeout)

    def close(self) -> None:
        """Forget the recording and start again from its first samples."""
        with self._lock:
            self._records = None
            self._drawn.clear()

    def _draw(self, request: Request) -> dict[str, Any]:
        """Choose the sample for a request, and count it."""
        field, key = key_of(request)
        with self._lock:
            if self._records is None:
                self._records = read_records(self._path)
            samples = self._records.get(key)
            if not samples:
                raise self._absent(f"holds nothing for {field} {key!r}")
            turn = self._drawn[key]
            self._drawn[key] += 1
        if self._select == "seeded":
            return samples[_pick(self._seed, key, turn, len(samples))]
        if turn >= len(samples) and self._exhausted == "error":
            raise self._absent(f"has only {len(samples)} samples for {field} {key!r}")
        return samples[turn % len(samples)]

    def _absent(self, what: str) -> TierFailedError:
        return TierFailedError(
            f"the recording {self.pin.model!r} {what}; pass the function a `prompt_id` "
            f"argument that is in it, or record more with `record_to(path, provider)`",
            kind=Kind.ERROR,
            pin=self.pin.id,
        )

    def _wait(self, record: dict[str, Any], request: Request) -> tuple[float, bool]:
        """Return the seconds to wait, and whether the recorded call was too slow."""
        seconds = record.get("latency_s")
        if not self._latency or not isinstance(seconds, int | float):
            return 0.0, False
        if request.timeout is not None and seconds > request.timeout:
            return request.timeout, True
        return max(0.0, float(seconds)), False

    def _answer(self, record: dict[str, Any], *, late: bool) -> Reply:
        if late:
            raise TierTimeoutError(
                f"the call recorded in {self.pin.model!r} took {record['latency_s']} s",
                kind=Kind.TIMEOUT,
                pin=self.pin.id,
            )
        error = record.get("error")
        if error:
            raise self._failure(error)
        return reply_of(record, served=self._served(), output=self._output)

    def _failure(self, error: object) -> TierFailedError:
        name = get_text(error, "kind") or str(error)
        detail = get_text(error, "detail") or name
        kind = Kind(name) if name in set(Kind) else Kind.TRANSPORT
        return TierFailedError(
            f"recorded failure: {detail}",
            kind=kind,
            pin=self.pin.id,
        )

    def _served(self) -> str:
        echo = [name for name in self.pin.expect_echo if name != "*"]
        return echo[0] if echo else self.pin.model


def _choice(pin: Pin, name: str, known: tuple[str, ...]) -> str:
    value = pin.options.get(name, known[0])
    if value in known:
        return str(value)
    raise ConfigError(
        f"pin {pin.route!r}: option `{name}` is {value!r}; "
        f"it must be one of {', '.join(map(repr, known))}"
    )


def _pick(seed: object, key: str, turn: int, n: int) -> int:
    """Return a draw in [0, n) that depends on nothing but its arguments."""
    text = f"{seed}\n{key}\n{turn}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % n


def _pieces(reply: Reply) -> Iterator[Chunk]:
    text = reply.text or ""
    start = 0
    while start < len(text):
        space = text.find(" ", start)
        end = len(text) if space < 0 else space + 1
        yield Chunk(text=text[start:end])
        start = end
    yield Chunk(reply=reply)

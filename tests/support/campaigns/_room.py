"""Where a trial works and keeps its books."""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Room", "SkippedError", "in_child"]


class SkippedError(Exception):
    """This trial cannot run here; the message says what is missing."""


@dataclass(kw_only=True)
class Room:
    """One trial's folder, chance, size and books.

    Attributes:
        folder: Empty, and the trial's own.
        chance: Seeded.
        size: 1 for a quick run; a full one does that many times as much.
        tried: How often each thing was done.
        lost: One line for each loss; must stay empty.
    """

    folder: Path
    chance: random.Random
    size: int
    tried: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def did(self, what: str, count: int = 1) -> None:
        """Note what was tried."""
        self.tried[what] += count

    def check(self, holds: object, loss: str) -> None:
        """Note a loss unless something holds."""
        if not holds:
            self.lost.append(loss)


def in_child(work: Callable[[], list[str]], *, seconds: float = 60.0) -> list[str]:
    """Run `work` in a forked child; return the losses it tells, or how it died."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover - the child's coverage is not collected
        os.close(reader)
        # Where it hangs is the finding.
        faulthandler.dump_traceback_later(max(1.0, seconds - 5.0))
        try:
            told = work()
        except BaseException:  # noqa: BLE001 - told to the parent
            told = [traceback.format_exc()[-1500:]]
        text = "\x1e".join(told).encode("utf-8", "replace")
        try:
            os.write(writer, text[:60_000])
        finally:
            os._exit(0)
    os.close(writer)
    end = time.monotonic() + seconds
    while (done := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < end:
        time.sleep(0.005)
    if done[0] == 0:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        return [f"a child still ran after {seconds:g} s"]
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    if done[1]:
        return [f"a child ended with status {done[1]}"]
    return [line for line in text.decode().split("\x1e") if line]

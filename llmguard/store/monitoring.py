"""What the monitor keeps: outputs while a baseline is learnt, baselines, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["BaselineRow", "MonitorStore", "SketchRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRow:
    """A frozen baseline of one version.

    Attributes:
        env: Environment.
        function: Qualified name of the guarded function.
        pin: Id of the pin.
        extractor: Id of what read its outputs.
        digest: `sha256:` and 64 hex digits of the UTF-8 bytes of `body`.
        outputs: How many outputs it is made of.
        at: Epoch seconds when it was frozen.
        body: The document, JSON.
    """

    env: str
    function: str
    pin: str
    extractor: str
    digest: str
    outputs: int
    at: float
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SketchRow:
    """Figures of one version in one hour, added up over processes.

    Attributes:
        env: Environment.
        function: Qualified name of the guarded function.
        pin: Id of the pin.
        hour: Hours since the epoch.
        body: A `llmguard.monitor.sketch.Sketch` as JSON.
    """

    env: str
    function: str
    pin: str
    hour: int
    body: str


class MonitorStore(Protocol):
    """Shared by the processes that watch the same versions."""

    def put_baseline(self, row: BaselineRow, *, replace: bool = False) -> bool:
        """Freeze a baseline; False when the version has one and it is to stay.

        The outputs it was learnt from are forgotten either way.
        """
        ...

    def get_baseline(self, env: str, function: str, pin: str) -> BaselineRow | None:
        """Return the baseline of a version, or None."""
        ...

    def list_baselines(
        self, env: str, *, function: str | None = None
    ) -> Sequence[BaselineRow]:
        """Return baselines with empty bodies, the newest first."""
        ...

    def drop_baseline(self, env: str, function: str, pin: str) -> bool:
        """Forget a baseline, so that the version is learnt anew; False without one."""
        ...

    def learn(
        self,
        env: str,
        function: str,
        pin: str,
        extractor: str,
        rows: Sequence[tuple[float, str]],
        *,
        most: int,
    ) -> int:
        """Keep outputs, at most `most`; return how many there are of this extractor.

        Args:
            env: Environment.
            function: Qualified name.
            pin: Id of the pin.
            extractor: Id of what read them; those of another one are forgotten.
            rows: Epoch seconds and JSON of each, in order.
            most: What is not needed any more is not kept.
        """
        ...

    def learnt(
        self, env: str, function: str, pin: str, extractor: str
    ) -> Sequence[tuple[float, str]]:
        """Return the outputs kept so far, in the order of time."""
        ...

    def add_sketch(self, row: SketchRow, merge: Callable[[str, str], str]) -> None:
        """Add figures to those of the same hour, and forget hours over 400 days old.

        Args:
            row: The growth.
            merge: Adds two bodies; must have no other effects.
        """
        ...

    def sketches(
        self, env: str, *, since: float = 0.0, function: str | None = None
    ) -> Sequence[SketchRow]:
        """Return the hours from that of the epoch second `since` on, in order."""
        ...

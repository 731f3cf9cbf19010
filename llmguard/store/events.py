"""Events: what happened to models and who noticed, in one append-only log."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ..errors import ConfigError

__all__ = ["Event", "EventStore"]

_KIND: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened; nothing ever changes it.

    Attributes:
        env: Environment, such as `prod`.
        kind: Short dotted words, the subject first: `echo.mismatch`, `alarm.drift`,
            `breaker.quarantined`, `rollback.automatic`, `shadow.started`.
        route: Name of the route; empty when it is about none.
        pin: Id of the pin; empty when it is about none.
        process: Who noticed, `host:pid`; empty for a person at a command.
        detail: A JSON object with whatever explains it.
        at: Epoch seconds; 0 has the store stamp it.
        seq: Its place in the log, from 1; 0 before it is written.

    Raises:
        ConfigError: The kind is no dotted word, the environment is empty, or the
            detail is no JSON.
    """

    env: str
    kind: str
    route: str = ""
    pin: str = ""
    process: str = ""
    detail: Mapping[str, object] = field(default_factory=dict[str, object])
    at: float = 0.0
    seq: int = 0

    def __post_init__(self) -> None:
        if not self.env:
            raise ConfigError("`env` of an event is empty; name it, such as 'prod'")
        if not _KIND.fullmatch(self.kind):
            raise ConfigError(
                f"`kind` of an event is {self.kind!r}; it must be lower-case words "
                "joined by dots, the subject first: 'echo.mismatch'"
            )
        try:
            json.dumps(dict(self.detail), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"`detail` of the event {self.kind!r} is no JSON ({error}); give "
                "strings, finite numbers, lists and objects of these"
            ) from None


class EventStore(Protocol):
    """A durable log that all processes share."""

    def add(self, event: Event, *, once: str = "") -> Event | None:
        """Write an event durably and return it with its place and time.

        Args:
            event: What happened.
            once: Names the fact among all processes; when an event was already
                written under it, nothing is, and None is returned.

        Raises:
            StoreError: The store could not write.
        """
        ...

    def list(
        self,
        *,
        env: str | None = None,
        route: str | None = None,
        pin: str | None = None,
        kind: str | None = None,
        since: float | None = None,
        until: float | None = None,
        after: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Sequence[Event]:
        """Return events in the order they were written; None for any.

        Args:
            env: Environment.
            route: Route; the empty string for events about none.
            pin: Pin.
            kind: A kind, or its first words and a dot (`echo.`) for all below it.
            since: Epoch seconds, included.
            until: Epoch seconds, included.
            after: Only events with a greater `seq`.
            limit: At most so many.
            newest_first: From the end.
        """
        ...

"""What goes wrong, how often and where: declared, so that it can be reviewed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

from .._nested import read_toml
from ..errors import ConfigError

__all__ = ["DOES", "Change", "Fault", "Plan", "load_plan"]

Change: TypeAlias = Callable[[Any], Any]
"""Takes an answer (text, or a value of plain data) and returns another one."""

DOES: Final = MappingProxyType(
    {
        "delay": "the answer comes `seconds` later, or not within the deadline",
        "hang": "no answer",
        "transport": "the connection fails",
        "throttled": "the provider says 429, with `seconds` as Retry-After",
        "auth": "the provider says 401",
        "gone": "the provider says 404: the version does not exist any more",
        "refusal": "the model refuses",
        "truncated": "the answer stops half-way, at the token limit",
        "filtered": "a content filter took the answer",
        "empty": "an empty answer",
        "bad_json": "text that is no JSON",
        "wrong_model": "another version answers than the pin names",
        "change": "the answer is another one: what `change` makes of it",
        "cut": "a stream breaks after `chunks` chunks; other calls fail",
    }
)
"""What a fault can do."""

_LONGEST: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong in a share of the attempts of some tiers.

    An attempt is hit at most once: the first fault of the plan that fits and is drawn.

    Attributes:
        do: One of `DOES`.
        rate: Share of the attempts that fit, from 0 to 1.
        function: Only functions whose qualified name ends so; empty for all.
        tier: Only this tier; empty for every tier that runs a model.
        pin: Only this pin id; empty for all.
        labels: Only calls that carry these labels.
        seconds: For `delay` and `throttled`.
        jitter: Up to so many seconds more for `delay`.
        chunks: For `cut`: chunks that still arrive.
        change: For `change`: makes the other answer.

    Raises:
        ConfigError: A value that cannot work, or one that `do` does not use.
    """

    do: str
    rate: float = 1.0
    function: str = ""
    tier: str = ""
    pin: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    seconds: float = 0.0
    jitter: float = 0.0
    chunks: int = 1
    change: Change | None = None

    def __post_init__(self) -> None:
        if self.do not in DOES:
            raise ConfigError(f"`do={self.do!r}` is no fault; known: {', '.join(DOES)}")
        if not 0 <= self.rate <= 1:
            raise ConfigError(f"`rate={self.rate!r}` must be from 0 to 1, such as 0.2")
        for name in ("seconds", "jitter"):
            if not 0 <= getattr(self, name) <= _LONGEST:
                raise ConfigError(
                    f"`{name}={getattr(self, name)!r}` must be seconds, 0 to a day"
                )
        if self.chunks < 0:
            raise ConfigError(f"`chunks={self.chunks!r}` must be 0 or more")
        if self.do == "delay" and not self.seconds + self.jitter:
            raise ConfigError("a `delay` needs `seconds` or `jitter`")
        if (self.do == "change") != (self.change is not None):
            raise ConfigError(
                "`change` is a function for `do='change'`, and needed there"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A game day.

    Attributes:
        faults: Tried in order for each attempt.
        seed: Which attempts are hit: the same seed hits the same call ids.
        duration: Seconds after which it is over by itself.
        reason: Why, for the log.

    Raises:
        ConfigError: No fault, or no end.
    """

    faults: tuple[Fault, ...]
    seed: int = 0
    duration: float = 3600.0
    reason: str = ""

    def __post_init__(self) -> None:
        if not self.faults:
            raise ConfigError("a plan without `faults` does nothing; give it one")
        if not 0 < self.duration <= _LONGEST or math.isnan(self.duration):
            raise ConfigError(
                f"`duration={self.duration!r}` must be seconds, above 0 and at most a "
                "day: a game day ends"
            )


def load_plan(path: str | Path) -> Plan:
    """Return the plan in a TOML file.

    `[[fault]]` tables hold the fields of `Fault` (but `change`); `seed`, `duration` and
    `reason` stand on top.

    Raises:
        ConfigError: The file is missing or is no plan; the message names the place.
    """
    file = Path(path)
    try:
        document = read_toml(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as a plan: {error}") from error
    found: object = document.pop("fault", [])
    if not isinstance(found, list):
        raise ConfigError(f"{file}: write each fault as a `[[fault]]` table")
    tables = cast("list[Mapping[str, Any]]", found)
    _refuse_unknown(document, {"seed", "duration", "reason"}, str(file))
    faults = tuple(
        _fault(table, f"{file}: fault {number}")
        for number, table in enumerate(tables, start=1)
    )
    try:
        return Plan(faults=faults, **document)
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"{file}: {error}") from error


def _fault(table: Mapping[str, Any], where: str) -> Fault:
    known = {each.name for each in fields(Fault)} - {"change"}
    _refuse_unknown(table, known, where)
    try:
        return Fault(**table)
    except (TypeError, ConfigError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(
                f"{where}: unknown key `{key}`; known: {', '.join(sorted(known))}"
            )

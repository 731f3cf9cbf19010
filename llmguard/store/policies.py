"""What becomes of a ticket that people disagree about, or that nobody takes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, cast

from ..errors import ConfigError

__all__ = ["Agreement", "Expiry", "agreed"]

_MISSING: Final = "\0missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """When independent answers agree, and who decides when they do not.

    Attributes:
        on: JSON pointers of the fields that must be equal; empty for the whole answer.
        need: Equal answers that decide; 0 for as many as reviewers are asked.
        adjudicator: Role of the person whose answer decides when the reviewers asked
            first disagree; empty asks further reviewers one by one.
        limit: Answers after which a ticket without agreement is `dead`; 0 for twice
            the reviewers asked first, and one more.

    Raises:
        ConfigError: A pointer without its slash, or a negative number.
    """

    on: tuple[str, ...] = ()
    need: int = 0
    adjudicator: str = ""
    limit: int = 0

    def __post_init__(self) -> None:
        """Refuse what could never be."""
        wrong = [one for one in self.on if one and not one.startswith("/")]
        if wrong:
            raise ConfigError(
                f"`on` of `Agreement` has {wrong[0]!r}; JSON pointers start with a "
                f"slash: {'/' + wrong[0]!r}"
            )
        if self.need < 0 or self.limit < 0:
            raise ConfigError(
                f"`Agreement(need={self.need}, limit={self.limit})`: both must be 0 "
                "(the default) or more"
            )

    def wanted(self, reviewers: int) -> int:
        """Return how many equal answers decide."""
        return self.need or reviewers

    def most(self, reviewers: int) -> int:
        """Return after how many answers without agreement the ticket is dead."""
        return self.limit or 2 * reviewers + 1

    def to_json(self) -> Mapping[str, object]:
        """Return it as JSON."""
        return {} if self == Agreement() else asdict(self)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Agreement:
        """Return what `to_json` gave; without anything the default."""
        values = dict(given)
        values["on"] = tuple(given.get("on", ()))
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """What becomes of a ticket that nobody took in time.

    Whatever it is, the ticket's history says that no person decided.

    Attributes:
        do: `expire` closes it unanswered; `answer` closes it as expired with a value
            that its caller gets; `escalate` hands it to another role.
        value: The value, for `answer`.
        role: The role, for `escalate`.
        seconds: Time that role has, for `escalate`; None for ever.
        then: What becomes of it after that.

    Raises:
        ConfigError: A wrong word, one that misses its role, or seconds not above 0.
    """

    do: Literal["expire", "answer", "escalate"] = "expire"
    value: object = None
    role: str = ""
    seconds: float | None = None
    then: Expiry | None = None

    def __post_init__(self) -> None:
        """Refuse what says less or more than it does."""
        if self.do not in {"expire", "answer", "escalate"}:
            raise ConfigError(
                f"`Expiry(do={self.do!r})`: write `expire`, `answer` or `escalate`"
            )
        if (self.do == "escalate") is not bool(self.role):
            raise ConfigError(
                f"`Expiry(do={self.do!r}, role={self.role!r})`: `escalate` and only "
                "`escalate` has a role"
            )
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise ConfigError(
                f"`Expiry(seconds={self.seconds!r})` must be above 0, or None"
            )

    def to_json(self) -> Mapping[str, object]:
        """Return it as JSON."""
        return {} if self == Expiry() else asdict(self)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Expiry:
        """Return what `to_json` gave; without anything the default."""
        values = dict(given)
        if values.get("then") is not None:
            values["then"] = cls.from_json(values["then"])
        return cls(**values)


def agreed(answers: Sequence[object], on: Sequence[str], need: int) -> int | None:
    """Return the place of the first answer that `need` of them equal, or None.

    1 and 1.0 are equal, as they are in JSON Schema; true and 1 are not.
    """
    seen: dict[str, list[int]] = {}
    for place, answer in enumerate(answers):
        seen.setdefault(_compared(answer, on), []).append(place)
    most = max(seen.values(), key=len, default=list[int]())
    return most[0] if len(most) >= need else None


def _compared(answer: object, on: Sequence[str]) -> str:
    parts = [_at(answer, pointer) for pointer in on] if on else answer
    return json.dumps(_plain(parts), sort_keys=True)


def _plain(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        found = cast("Mapping[str, object]", value)
        return {name: _plain(part) for name, part in found.items()}
    if isinstance(value, list):
        return [_plain(part) for part in cast("list[object]", value)]
    return value


def _at(value: object, pointer: str) -> object:
    """Follow a JSON pointer (RFC 6901)."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = cast("Mapping[str, object]", value).get(name, _MISSING)
        elif isinstance(value, list) and name.isdecimal():
            items = cast("list[object]", value)
            value = items[int(name)] if int(name) < len(items) else _MISSING
        else:
            return _MISSING
    return value

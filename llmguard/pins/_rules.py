"""What a project says about a route: who its units are, and slices of its traffic."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import Any, Final, cast

from .. import config
from .._dataclass import dataclass
from ..errors import ConfigError

__all__ = ["ProbeRules", "RouteRules", "Slice", "rules_of"]

UNITS: Final = ("user", "tenant")
"""Labels that name the unit of a call where neither a key nor the route does."""
_KEYS: Final = frozenset({"unit", "slices", "probes"})
_SLICE_KEYS: Final = frozenset({"when", "route", "pin"})
_PROBE_KEYS: Final = frozenset({"prompts", "draws", "every", "alpha"})
_SPAN: Final = re.compile(r"(\d{1,5})([mhd])")
_SECONDS: Final = {"m": 60.0, "h": 3_600.0, "d": 86_400.0}
_FEWEST_DRAWS: Final = 5


def _no_labels() -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Calls with certain labels, which another route or pin answers.

    Attributes:
        when: Accepted values by label, such as `{"request_type": ("refund",)}`; a call
            belongs to the slice when all of them fit.
        route: The route that answers: its own active pin, canary and experiment count.
        pin: The pin that answers, of this route or another one; exactly one of both.

    Raises:
        ConfigError: There is no condition, or not exactly one of `route` and `pin`.
    """

    when: Mapping[str, str | Sequence[str]] = field(default_factory=_no_labels)
    route: str = ""
    pin: str = ""

    def __post_init__(self) -> None:
        if bool(self.route) == bool(self.pin):
            raise ConfigError(
                f"a slice has the route {self.route!r} and the pin {self.pin!r}: name "
                "one of them, who answers its calls"
            )
        if not self.when:
            raise ConfigError(
                f"the slice to {self.route or self.pin!r} has no `when`: say which "
                'calls it takes, such as when = { request_type = "refund" }'
            )
        accepted = {label: _texts(label, self.when[label]) for label in self.when}
        object.__setattr__(self, "when", MappingProxyType(accepted))

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a call with these labels belongs to it."""
        return all(labels.get(name, "") in self.when[name] for name in self.when)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRules:
    """A small set of prompts whose answers say whether a version is still the same.

    Attributes:
        prompts: Each is sent as one user message.
        draws: Answers drawn of each, every time.
        every: Seconds between two probes by the running processes together; 0 for none
            but those of `llmguard pin probe`.
        alpha: Chance that a version which did not change is said to have.
    """

    prompts: tuple[str, ...]
    draws: int = 10
    every: float = 0.0
    alpha: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRules:
    """What is declared about one route.

    Attributes:
        unit: Labels that name the unit of a call, the first one that it has; a key
            given to `call_context` comes before them.
        slices: Taken in order; the first that fits a call answers it.
        probes: What its versions are probed with; None for nothing.
    """

    unit: tuple[str, ...] = UNITS
    slices: tuple[Slice, ...] = ()
    probes: ProbeRules | None = None


def rules_of(route: str, *, slices: Sequence[Slice] = ()) -> RouteRules:
    """Return what is declared about a route: in code first, then in the settings.

    Args:
        route: Name of the route.
        slices: Those declared in code.

    Raises:
        ConfigError: `[tool.llmguard.routes]` says something wrong about the route.
    """
    table = config.load().routes.get(route, {})
    where = f"`[tool.llmguard.routes.{route}]`"
    _known(where, table, _KEYS)
    listed = table.get("slices", ())
    if not isinstance(listed, list | tuple):
        raise ConfigError(f"`slices` in {where} is {listed!r}, not a list of tables")
    made = tuple(_slice(where, one) for one in cast("Sequence[object]", listed))
    unit = _texts("unit", table.get("unit", UNITS), where=where)
    return RouteRules(
        unit=unit, slices=(*slices, *made), probes=_probes(route, table.get("probes"))
    )


def _probes(route: str, found: object) -> ProbeRules | None:
    if found is None:
        return None
    where = f"`[tool.llmguard.routes.{route}.probes]`"
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where} is {found!r}, not a table")
    table = cast("Mapping[str, object]", found)
    _known(where, table, _PROBE_KEYS)
    draws, alpha = table.get("draws", 10), table.get("alpha", 0.01)
    if not isinstance(draws, int) or draws < _FEWEST_DRAWS:
        raise ConfigError(
            f"`draws` in {where} is {draws!r}; give {_FEWEST_DRAWS} or more, for fewer "
            "answers cannot show a change"
        )
    if not isinstance(alpha, float) or not 0 < alpha < 1:
        raise ConfigError(f"`alpha` in {where} is {alpha!r}; give a share such as 0.01")
    return ProbeRules(
        prompts=_texts("prompts", table.get("prompts", ()), where=where),
        draws=draws,
        every=_span(table.get("every", "0m"), where),
        alpha=alpha,
    )


def _span(value: object, where: str) -> float:
    found = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ConfigError(
            f"`every` in {where} is {value!r}; give a span such as '6h', '30m' or '1d'"
        )
    return int(found[1]) * _SECONDS[found[2]]


def _slice(where: str, entry: object) -> Slice:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"a slice in {where} is {entry!r}, not a table")
    given = cast("Mapping[str, Any]", entry)
    _known(f"a slice in {where}", given, _SLICE_KEYS)
    when = given.get("when", {})
    if not isinstance(when, Mapping):
        raise ConfigError(f"`when` of a slice in {where} is {when!r}, not a table")
    try:
        return Slice(
            when=cast("Mapping[str, Any]", when),
            route=given.get("route", ""),
            pin=given.get("pin", ""),
        )
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _known(where: str, table: Mapping[str, object], known: frozenset[str]) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"unknown key {key!r} in {where}; known: {sorted(known)}")


def _texts(name: str, value: object, *, where: str = "a slice") -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not items:
        raise ConfigError(f"`{name}` of {where} is {value!r}; give text or a list")
    texts = cast("Sequence[object]", items)
    for one in texts:
        if not isinstance(one, str) or not one:
            raise ConfigError(f"`{name}` of {where} is {value!r}; give text or a list")
    return tuple(cast("Sequence[str]", texts))

"""`[tool.llmguard.gates]`: what a pin must pass before it gets traffic.

Tables are laid over each other, key by key, the later ones over the earlier:
`gates`, `gates.STAGE`, `gates.env.ENV`, `gates.env.ENV.STAGE`, `gates.route.ROUTE`,
`gates.route.ROUTE.STAGE`, and the same two of `gates.env.ENV.route.ROUTE`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

from .. import config
from ..errors import ConfigError

__all__ = [
    "STAGES",
    "ApprovalRule",
    "CanaryRule",
    "Rules",
    "ShadowRule",
    "SuiteRule",
    "rules_for",
]

STAGES: Final = ("shadow", "canary", "active", "resume")
"""Moves that have gates of their own."""
_WHERE: Final = "[tool.llmguard.gates]"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRule:
    """The verdict of the declared suites of the route.

    Attributes:
        names: Suites that must say PROMOTE; () for every declared one of the route.
        days: Oldest verdict that counts.
        after_blocks: Earlier runs of the same suite on the same pin, within `days`,
            that may have said BLOCK: a PROMOTE after them is a repeated draw.
    """

    names: tuple[str, ...] = ()
    days: float = 30.0
    after_blocks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRule:
    """A shadow report about the pin and the version that serves.

    Attributes:
        days: Oldest report that counts.
        max_net: Highest net rate of tail divergence, upper bound where the report has
            one; None to take the report's verdict alone.
        max_excess: The same for the excess over both versions' own noise.
    """

    days: float = 14.0
    max_net: float | None = None
    max_excess: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRule:
    """The canary's contract-valid rate against the incumbent's, from live calls.

    Attributes:
        min_calls: Judged answers that each of both must have.
        max_worse: How much lower the canary's rate may be, as a share.
        confidence: Of the interval that must lie below `max_worse`.
    """

    min_calls: int = 300
    max_worse: float = 0.02
    confidence: float = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRule:
    """Signed approvals.

    Attributes:
        need: How many, of distinct people with distinct keys.
        people: Whose count; () for every signer of the file.
        days: How long one is good for.
        signers: File of allowed signers, from the project's root.
        revoked: File of revoked keys (a KRL, or public keys); may be missing.
        folder: Where approval files are.
    """

    need: int = 1
    people: tuple[str, ...] = ()
    days: float = 7.0
    signers: str = "allowed_signers"
    revoked: str = "revoked_signers"
    folder: str = "approvals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The gates of one environment, route and target stage.

    Attributes:
        suite: None for no such gate; likewise the next three.
        shadow: See `ShadowRule`.
        canary: See `CanaryRule`.
        approvals: See `ApprovalRule`.
        horizon: Days that the model must still be served; None for no such gate.
        fallback: Every lower tier of the route's functions must be proven.
        custom: Gates of your own, `module:function`.
        force: Names of the gates that `--force` may go past.
    """

    suite: SuiteRule | None = None
    shadow: ShadowRule | None = None
    canary: CanaryRule | None = None
    approvals: ApprovalRule | None = None
    horizon: float | None = None
    fallback: bool = False
    custom: tuple[str, ...] = ()
    force: frozenset[str] = frozenset()


_GATES: Final = ("suite", "shadow", "canary", "horizon", "fallback", "custom")
_FORCIBLE: Final = frozenset({*_GATES, "approvals"})
_SHARES: Final = frozenset({"max_net", "max_excess", "max_worse"})
# Nothing is forced past a person's signature unless somebody wrote so.
_BUT_APPROVALS: Final = frozenset(_GATES)
_SHIPPED: Final[Mapping[str, Mapping[str, Any]]] = {
    "shadow": {"force": True},
    "canary": {"suite": True, "horizon": 14, "force": True},
    "active": {"suite": True, "horizon": 14},
    "resume": {},
}


def rules_for(
    env: str, route: str, stage: str, *, settings: Mapping[str, Any] | None = None
) -> Rules:
    """Return the gates of one target.

    Args:
        env: Environment.
        route: Route.
        stage: `shadow`, `canary`, `active`, or `resume` for lifting a quarantine,
            which asks for the approvals that `active` asks for unless told otherwise.
        settings: The table; None for the configured one.

    Raises:
        ConfigError: The table has an unknown key or a wrong value.
    """
    table = config.load().gates if settings is None else settings
    _check_shape(table)
    merged: dict[str, Any] = dict(_SHIPPED[stage])
    for each in _layers(table, env, route, stage):
        merged.update(each)
    if stage == "resume":
        active = list(_layers(table, env, route, "active"))
        found = [each["approvals"] for each in active if "approvals" in each]
        merged = {"approvals": found[-1]} | merged if found else merged
    known = {spec.name for spec in fields(Rules)}
    return Rules(
        **{
            key: _PARSERS[key](value, f"{_WHERE} {key}")
            for key, value in merged.items()
            if key in known
        }
    )


def _layers(
    table: Mapping[str, Any], env: str, route: str, stage: str
) -> Iterator[Mapping[str, Any]]:
    ours = table.get("env", {}).get(env, {})
    named = (table.get("route", {}), ours.get("route", {}))
    for layer in (table, ours, *(each.get(route, {}) for each in named)):
        yield {k: v for k, v in layer.items() if k not in _NESTED}
        # `gates.shadow` and `gates.canary` name a stage, and a gate of other stages:
        # a table there is the stage's.
        yield layer.get(stage, {}) if isinstance(layer.get(stage), Mapping) else {}


_NESTED: Final = frozenset({*STAGES, "env", "route"})
_KEYS: Final = frozenset({spec.name for spec in fields(Rules)})


def _check_shape(table: Mapping[str, Any]) -> None:
    _check_layer(table, _WHERE, {"env", "route"})
    for env, layer in _named(table, "env", _WHERE):
        _check_layer(layer, f"[tool.llmguard.gates.env.{env}]", {"route"})
        for route, inner in _named(layer, "route", env):
            _check_layer(inner, f"[tool.llmguard.gates.env.{env}.route.{route}]", ())
    for route, layer in _named(table, "route", _WHERE):
        _check_layer(layer, f"[tool.llmguard.gates.route.{route}]", ())


def _named(
    table: Mapping[str, Any], key: str, where: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, layer in _mapping(table.get(key, {}), f"{where} {key}").items():
        yield name, _mapping(layer, f"{where} {key}.{name}")


def _check_layer(
    layer: Mapping[str, Any], where: str, nested: set[str] | tuple[()]
) -> None:
    for key, value in layer.items():
        if key in STAGES:
            for inner, given in _mapping(value, f"{where} {key}").items():
                _known(inner, f"{where} {key}", _KEYS)
                _PARSERS[inner](given, f"{where} {key}.{inner}")
        elif key not in nested:
            allowed = _KEYS - {"shadow", "canary"} | set(STAGES) | set(nested)
            _known(key, where, frozenset(allowed))
            _PARSERS[key](value, f"{where} {key}")


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} is {value!r}; it must be a table")
    return cast("Mapping[str, Any]", value)


def _known(key: str, where: str, known: frozenset[str]) -> None:
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {sorted(known)}"
        raise ConfigError(f"unknown key `{key}` in {where}; {hint}")


def _rule(cls: type[_T], **names: str) -> Callable[[object, str], _T | None]:
    """Return a parser: true for the defaults, false for none, a table for values."""

    def parse(value: object, where: str) -> _T | None:
        if value is False:
            return None
        given = _mapping({} if value is True else value, where)
        known = {names.get(s.name, s.name): s for s in fields(cast("Any", cls))}
        for key in given:
            _known(key, where, frozenset(known))
        return cls(
            **{
                known[key].name: _setting(
                    known[key].name, item, known[key].default, f"{where}.{key}"
                )
                for key, item in given.items()
            }
        )

    return parse


def _setting(name: str, value: object, default: object, where: str) -> Any:
    """Return a value of the default's type; what is a share, at most 1.

    Percent there would be a gate that lets everything pass.
    """
    found = _typed(value, default, where)
    if name in _SHARES and found > 1:
        raise ConfigError(f"{where} is {value!r}; it must be a share, such as 0.02")
    if name == "confidence" and not 0 < found < 1:
        raise ConfigError(
            f"{where} is {value!r}; it must lie between 0 and 1, such as 0.99"
        )
    return found


def _typed(value: object, default: object, where: str) -> Any:
    """Return a value of the default's type; numbers at least 0."""
    if isinstance(default, tuple):
        return _texts(value, where)
    if isinstance(default, str):
        if isinstance(value, str) and value:
            return value
        raise ConfigError(f"{where} is {value!r}; it must be text")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = not isinstance(default, int) or isinstance(value, int)
    if (
        default is MISSING
        or not number
        or not whole
        or not cast("float", value) >= 0  # NaN, too, of which nothing is ever too old
    ):
        raise ConfigError(f"{where} is {value!r}; it must be a number, 0 or more")
    return value if isinstance(default, int) else float(cast("float", value))


def _texts(value: object, where: str) -> tuple[str, ...]:
    items = cast("list[object]", value) if isinstance(value, list | tuple) else [None]
    if not all(isinstance(each, str) and each for each in items):
        raise ConfigError(f"{where} is {value!r}; it must be a list of names")
    return tuple(cast("list[str]", items))


def _days(value: object, where: str) -> float | None:
    return None if value is False else cast("float", _typed(value, 0.0, where))


def _flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise ConfigError(f"{where} is {value!r}; it must be true or false")


def _force(value: object, where: str) -> frozenset[str]:
    if isinstance(value, bool):
        return _BUT_APPROVALS if value else frozenset()
    names = _texts(value, where)
    for name in names:
        _known(name, where, _FORCIBLE)
    return frozenset(names)


_PARSERS: Final[Mapping[str, Callable[[Any, str], Any]]] = MappingProxyType(
    {
        "suite": _rule(SuiteRule),
        "shadow": _rule(ShadowRule),
        "canary": _rule(CanaryRule),
        "approvals": _rule(ApprovalRule, people="from"),
        "horizon": _days,
        "fallback": _flag,
        "custom": _texts,
        "force": _force,
    }
)

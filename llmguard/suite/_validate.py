"""What can be known to be wrong with a suite before the first call is paid for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from ..errors import ConfigError
from ._digest import jsonable
from ._near import did_you_mean, quoted

if TYPE_CHECKING:
    from ._assertion import Assertion
    from ._suite import Suite
    from ._types import Case

__all__ = ["check_name", "check_settings", "check_suite"]

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_TEXT_KINDS: Final = ("sentiment", "tone", "format", "custom")
_SCOPES: Final = ("suite", "traffic")


def check_name(name: object) -> None:
    """Refuse names that a command line or a file name cannot hold.

    Raises:
        ConfigError: It is no such name.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"a suite cannot be called {name!r}: use letters, digits, `_`, `-` and "
            "`.`, such as `triage`"
        )


def check_settings(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse error rates and limits that make no sense.

    Raises:
        ConfigError: One of them does.
    """
    if not callable(settings["function"]):
        raise ConfigError(
            f"suite `{name}`: {settings['function']!r} is no function; give the "
            "guarded function itself"
        )
    for key in ("alpha", "beta"):
        _in_range(name, key, settings[key], "a chance between 0 and 0.5, such as 0.01")
    for key in ("min_rounds", "n_min", "cap"):
        _count(name, key, settings[key])
    if settings["max_calls"] is not None:
        _count(name, "max_calls", settings["max_calls"])
    if settings["budget"] is not None and not settings["budget"] > 0:
        raise ConfigError(
            f"suite `{name}`: `budget` is {settings['budget']!r}; write US dollars "
            "above 0, or leave it out"
        )
    if settings["min_rounds"] > settings["cap"]:
        raise ConfigError(
            f"suite `{name}`: `min_rounds` {settings['min_rounds']!r} is above `cap` "
            f"{settings['cap']!r}, so nothing could be accepted; raise `cap`"
        )
    if not isinstance(settings["defaults"], bool):
        raise ConfigError(
            f"suite `{name}`: `defaults` is {settings['defaults']!r}; write true or "
            "false"
        )
    if settings["scope"] not in _SCOPES:
        raise ConfigError(
            f"suite `{name}`: `scope` is {settings['scope']!r}; "
            f"{did_you_mean(str(settings['scope']), _SCOPES)}"
        )


def _in_range(name: str, key: str, value: object, wanted: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < cast("float", value) < 0.5:  # noqa: PLR2004 - half
        raise ConfigError(f"suite `{name}`: `{key}` is {value!r}; write {wanted}")


def _count(name: str, key: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(
            f"suite `{name}`: `{key}` is {value!r}; write a whole number from 1 on"
        )


def check_suite(suite: Suite) -> None:
    """Refuse a suite that could not be run or never decided.

    Raises:
        ConfigError: The first thing that is wrong.
    """
    where = f"suite `{suite.name}`" + (f" ({suite.source})" if suite.source else "")
    if not suite.cases:
        raise ConfigError(f"{where} has no cases: write some, 20 to 40 are usual")
    if not suite.assertions:
        raise ConfigError(f"{where} has no assertions: give some of `expect`, or None")
    _unique(where, "cases", [case.id for case in suite.cases])
    _unique(where, "assertions", [each.name for each in suite.assertions])
    _check_inputs(suite, where)
    for each in suite.assertions:
        _check_assertion(suite, each, where)
    if suite.needs_incumbent and suite.incumbent_pin is None:
        relative = [one.name for one in suite.assertions if one.relative or one.prepare]
        raise ConfigError(
            f"{where}: {quoted(relative)} compare with the incumbent, and nobody says "
            "which version that is; give `incumbent='route'`, or pin the function"
        )


def _unique(where: str, what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(
                f"{where}: two {what} are called {name!r}; give one of them another "
                f"{'`id`' if what == 'cases' else '`name`'}"
            )
        seen.add(name)


def _check_inputs(suite: Suite, where: str) -> None:
    guard = suite.guard
    if "." in guard.function.__qualname__.rpartition("<locals>.")[2]:
        raise ConfigError(
            f"{where}: `{guard.name}` is a method, and a suite has no object to call "
            "it on; guard a function that calls it"
        )
    for case in suite.cases:
        try:
            guard.binder.bind((), dict(case.inputs))
        except TypeError as error:
            raise ConfigError(
                f"{where}: the inputs of case {case.id!r} do not fit `{guard.name}`: "
                f"{error}"
            ) from error
        jsonable(case.inputs, f"{where}: the inputs of case {case.id!r}")


def _check_assertion(suite: Suite, each: Assertion, where: str) -> None:
    here = f"{where}, assertion `{each.name}`"
    cases = suite.cases_of(each)
    if not cases:
        raise ConfigError(f"{here} is about no case: {_why_none(suite.cases, each)}")
    if each.calibration is not None:
        each.calibration.require(each.detector)
    try:
        _, unacceptable = each.decided_rates
    except ConfigError as error:
        raise ConfigError(f"{here}: {error}") from error
    _check_field(suite, each, here)
    _check_text(suite, each, here)
    if each.gating and not each.relative:
        _check_reach(suite, each, unacceptable, len(cases), here)


def _why_none(cases: Iterable[Case], each: Assertion) -> str:
    found = tuple(cases)
    slices = {case.slice for case in found}
    tags = frozenset[str]().union(*(case.tags for case in found))
    for name in sorted(each.slices - slices):
        return f"no case is of slice {name!r}; {did_you_mean(name, sorted(slices))}"
    for name in sorted(each.tags - tags):
        return f"no case has the tag {name!r}; {did_you_mean(name, sorted(tags))}"
    if each.boundary and all(case.boundary != each.boundary for case in found):
        return f"mark some with `boundary` {each.boundary!r}, or drop the assertion"
    if each.needs_expected and not any(case.has_expected for case in found):
        return "none has an `expected` answer; give some, or drop the assertion"
    return "its selectors (tags, slices, boundary, expected) leave none together"


def _check_field(suite: Suite, each: Assertion, here: str) -> None:
    contract = suite.guard.contract
    if not each.field or contract is None:
        return
    from ..contract import Check, Contract

    probe = Check(name=each.name, function=bool, field=each.field)
    try:
        Contract(contract.value_schema, checks=[probe])
    except ConfigError as error:
        raise ConfigError(f"{here}: {error}") from error


def _check_text(suite: Suite, each: Assertion, here: str) -> None:
    """Refuse detectors of texts on answers that are none."""
    contract = suite.guard.contract
    reads_text = each.detector and not each.waits and each.kind in _TEXT_KINDS
    if reads_text and not each.field and contract is not None and not contract.is_text:
        raise ConfigError(
            f"{here} reads a text, and the answer of `{suite.guard.name}` is none: "
            "name the `field` that holds it"
        )


def _check_reach(
    suite: Suite, each: Assertion, unacceptable: float, cases: int, here: str
) -> None:
    """Refuse what no run could accept: zero failures would not be enough.

    With no failure in `n` calls a rate `p` is refuted at `beta` only if
    (1 - p)^n <= beta, whatever the test.
    """
    needed = math.ceil(math.log(suite.beta) / math.log1p(-min(unacceptable, 1 - 1e-12)))
    if each.per_prompt:
        calls, what = suite.cap, f"{suite.cap} rounds give a case {suite.cap}"
    else:
        calls = cases * suite.cap
        what = f"{cases} case{'s' * (cases > 1)} and {suite.cap} rounds give {calls}"
    if calls < needed:
        least = 1 - suite.beta ** (1 / calls)
        raise ConfigError(
            f"{here} can never be accepted: {needed} calls without a failure are "
            f"needed to rule out {unacceptable:.2%}, and {what}. Add cases, raise "
            f"`cap`, or set `unacceptable` above {least:.2%}"
        )
    if each.per_prompt and suite.n_min > suite.cap:
        raise ConfigError(
            f"{here} can never be accepted: `n_min` {suite.n_min} is above `cap` "
            f"{suite.cap}; raise `cap`"
        )

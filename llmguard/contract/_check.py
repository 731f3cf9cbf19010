"""Semantic checks: what a schema cannot say about an answer.

A check is a plain function of the value, or of the value and the call's inputs. It
objects by returning False, a sentence, a `Violation` or several of them, or a score
below its declared threshold; True and None are "no objection". A check that raises
says nothing about the answer: the verdict is then `error`, unless another check found
a breach for certain.
"""

from __future__ import annotations

import inspect
import itertools
import math
import numbers
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, cast, overload

from .._dataclass import dataclass
from ..errors import ConfigError
from ..outcome import Violation
from ._digest import source_digest
from ._fields import pick
from ._pointer import join, split_field
from ._schema import Shape, find_field, json_types
from ._show import show

__all__ = ["Bound", "Check", "as_check", "bind", "check", "run_checks"]

Result = bool | float | str | Violation | Iterable["Violation | str"] | None
"""What a check may return."""

_MAX_RESULTS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A named check.

    Attributes:
        name: Shown in violations and metrics.
        function: Called with the value, or with the value and the inputs.
        field: The part of the value that the function is given, as `a.b`,
            `items.*.price` or a JSON pointer; empty for the whole value. Parts that
            are null or absent are not checked: that is the schema's business.
        path: Where violations point when the function is given the whole value.
        threshold: Scores below it are violations; needed when scores are returned.
        message: The sentence of a violation when the function returns False.
        version: Stands for the function in the contract's digest; empty for a digest
            of its source.
        inputs: Names of the inputs it reads; checked against the guarded function.
        types: JSON types of fields it can be used on; empty for any.

    Raises:
        ConfigError: No name, a threshold that is not finite, or an async function.
    """

    name: str
    function: Callable[..., object]
    field: str = ""
    path: str = ""
    threshold: float | None = None
    message: str = ""
    version: str = ""
    inputs: tuple[str, ...] = ()
    types: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a check needs a name; pass `name='...'`")
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise ConfigError(
                f"the check `{self.name}` has the threshold {self.threshold!r}; "
                "give a finite number"
            )
        _refuse_async(self)

    @property
    def description(self) -> list[object]:
        """What stands for this check in the digest of a contract."""
        how = self.version or source_digest(self.function)
        return [self.name, self.field, self.path, self.threshold, how]


def _refuse_async(each: Check) -> None:
    function = each.function
    candidates = (function, getattr(function, "__call__", None))  # noqa: B004 - its code
    if any(
        inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
        for one in candidates
    ):
        raise ConfigError(
            f"the check `{each.name}` is async; a contract judges without waiting. "
            "Make it a plain function, and ask services from the guarded function"
        )


@overload
def check(function: Callable[..., object], /) -> Check: ...
@overload
def check(
    *,
    name: str = "",
    field: str = "",
    path: str = "",
    threshold: float | None = None,
    message: str = "",
    version: str = "",
    inputs: Iterable[str] = (),
) -> Callable[[Callable[..., object]], Check]: ...
def check(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str = "",
    field: str = "",
    path: str = "",
    threshold: float | None = None,
    message: str = "",
    version: str = "",
    inputs: Iterable[str] = (),
) -> Check | Callable[[Callable[..., object]], Check]:
    """Make a check of a function; options as in `Check`.

    Raises:
        ConfigError: The function is async or cannot be called.
    """

    def make(function: Callable[..., object]) -> Check:
        if not callable(function):
            raise ConfigError(f"a check must be a function, not {show(function)}")
        return Check(
            name=name or _name_of(function),
            function=function,
            field=field,
            path=path,
            threshold=threshold,
            message=message,
            version=version,
            inputs=tuple(inputs),
        )

    return make if function is None else make(function)


def _name_of(function: Callable[..., object]) -> str:
    inner = getattr(function, "func", function)  # functools.partial
    name = str(getattr(inner, "__name__", type(inner).__name__))
    return "check" if name == "<lambda>" else name


def as_check(given: object) -> Check:
    """Take a `Check` as it is and make one of a plain function."""
    return given if isinstance(given, Check) else check(cast("Any", given))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A check, bound to the shape of a contract.

    Attributes:
        check: The check.
        parts: Parts of its field; None for the whole value.
        path: Pointer that violations carry when the check saw the whole value.
        with_inputs: True when the function takes the inputs as well.
    """

    check: Check
    parts: tuple[str, ...] | None
    path: str
    with_inputs: bool


def bind(each: Check, shape: Shape) -> Bound:
    """Resolve a check's field against the schema.

    Raises:
        ConfigError: The schema has no such field, or it is of another type.
    """
    if each.path:
        find_field(each.path, shape)
    schemas = find_field(each.field, shape)
    found = json_types(schemas)
    if each.types and not each.types & found:
        raise ConfigError(
            f"the check `{each.name}` is for {' or '.join(sorted(each.types))}, and "
            f"{f'the field {each.field!r}' if each.field else 'the answer'} is "
            f"{' or '.join(sorted(found))}; name another `field`"
        )
    return Bound(
        check=each,
        parts=split_field(each.field) if each.field else None,
        path=join(split_field(each.path)),
        with_inputs=_takes_inputs(each),
    )


def _takes_inputs(each: Check) -> bool:
    try:
        signature = inspect.signature(each.function)
    except (TypeError, ValueError):  # some functions written in C do not tell
        return False
    if _accepts(signature, 1):
        return _accepts(signature, 2) and _wants_inputs(signature)
    if _accepts(signature, 2):
        return True
    raise ConfigError(
        f"the check `{each.name}` cannot be called with (value) or (value, inputs); "
        "bind what else it needs by `functools.partial` or a closure"
    )


def _accepts(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _wants_inputs(signature: inspect.Signature) -> bool:
    """Tell `(value, inputs=None)` and `(*args)` from `(value, unrelated=3)`."""
    return any(
        each.name == "inputs" or each.kind is each.VAR_POSITIONAL
        for each in [*signature.parameters.values()][:2]
    )


def run_checks(
    checks: Iterable[Bound], value: object, inputs: Mapping[str, object]
) -> tuple[list[Violation], str]:
    """Run every check: the breaches found, and the first error of a check itself."""
    violations: list[Violation] = []
    failure = ""
    for bound in checks:
        try:
            _run(bound, value, inputs, violations)
        except Exception as error:  # noqa: BLE001 - a check is a user's code
            failure = failure or (
                f"the check `{bound.check.name}` raised "
                f"{type(error).__name__}: {show(str(error), limit=200)}"
            )
    return violations, failure


def _run(
    bound: Bound,
    value: object,
    inputs: Mapping[str, object],
    violations: list[Violation],
) -> None:
    places = [(bound.path, value)]
    if bound.parts is not None:
        places = [place for place in pick(value, bound.parts) if place[1] is not None]
    for path, part in places:
        call = bound.check.function
        result = call(part, inputs) if bound.with_inputs else call(part)
        violations.extend(_objections(bound.check, result, path))


def _objections(each: Check, result: object, path: str) -> Iterable[Violation]:
    item = getattr(result, "item", None)
    if callable(item) and hasattr(result, "dtype"):  # a number of an array library
        result = item()
    if result is None or result is True:
        return ()
    if result is False:
        message = each.message or f"does not satisfy the check `{each.name}`"
        return (_violation(each, path, message),)
    if isinstance(result, numbers.Real):
        return _below(each, float(result), path)
    if isinstance(result, str | Violation):
        result = [result]
    several: object = result
    odd = isinstance(several, Awaitable | bytes | Mapping)
    if odd or not isinstance(several, Iterable):
        _close(result)
        raise TypeError(
            f"returned {_type_name(result)}; return a bool, a score, a sentence, "
            "a Violation, several of them, or None"
        )
    items = itertools.islice(cast("Iterable[object]", several), _MAX_RESULTS)
    return [_one(each, path, one) for one in items]


def _type_name(value: object) -> str:
    return type(value).__name__


def _close(result: object) -> None:
    """Close a coroutine that nobody will await."""
    close = getattr(result, "close", None)
    if isinstance(result, Awaitable) and callable(close):
        close()


def _below(each: Check, score: float, path: str) -> Iterable[Violation]:
    if each.threshold is None:
        raise TypeError(
            f"returned the score {score!r} without a threshold; declare "
            "`@check(threshold=...)`, or return a bool"
        )
    if score >= each.threshold:
        return ()
    reason = each.message or f"is too low on `{each.name}`"
    message = f"{reason}: it scores {score:.3g}, and {each.threshold:g} is needed"
    return (_violation(each, path, message),)


def _one(each: Check, path: str, result: object) -> Violation:
    if isinstance(result, Violation):
        return result if result.check else _violation(each, result.path, result.message)
    if isinstance(result, str):
        return _violation(each, path, result)
    raise TypeError(f"returned {_type_name(result)} among its violations")


def _violation(each: Check, path: str, message: str) -> Violation:
    return Violation(path=path, message=message, check=each.name)

"""The three decorators. They only collect; `Guard` holds and `_engine` does."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import (
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from ..adapters import Model
from ..breaker import BreakerPolicy
from ..contract import Contract
from ..errors import ConfigError
from ..pins import Pin, Slice
from ..telemetry.objectives import Objective, declare
from ._builtin_tiers import as_tier
from ._guard import extend, guard_of, refuse_odd_targets
from .tiers import Tier, TierContext, TierOptions, check_seconds

__all__ = ["ContractOptions", "contract", "fallback_chain", "pinned"]

P = ParamSpec("P")
R = TypeVar("R")


class ContractOptions(TypedDict, total=False):
    """Options of `@contract`, as in `Contract`."""

    checks: Iterable[Callable[..., object]]
    parse: Literal["raw", "fenced", "lenient", "text"] | None
    refusal: bool | Callable[[str], bool]
    name: str
    confidence: str | Callable[..., float] | None
    strict: bool
    length_ok: bool
    schemas: Mapping[str, object] | None
    slos: Iterable[Objective]


class _Transparent(Protocol):
    """A decorator that leaves the function's type as it is."""

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...


class _Injecting(Protocol):
    """`@pinned(...)`: a leading `model: Model` parameter is taken away."""

    @overload
    def __call__(
        self, function: Callable[Concatenate[Model, P], R], /
    ) -> Callable[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]: ...


def _is_guarded_or_plain(candidate: object) -> bool:
    return inspect.isfunction(candidate) or hasattr(candidate, "__llmguard__")


def _evaluated_return(target: Callable[..., Any]) -> object:
    """Evaluate that annotation alone: parameters may name what is not imported."""
    written = target.__annotations__.get("return", inspect.Signature.empty)

    def probe() -> None: ...

    probe.__annotations__ = {"return": written}
    names = dict(target.__globals__)
    for name, cell in zip(
        target.__code__.co_freevars, target.__closure__ or (), strict=True
    ):
        with contextlib.suppress(ValueError):  # its own name is not bound yet
            names[name] = cell.cell_contents
    return inspect.get_annotations(probe, globals=names, eval_str=True)["return"]


def _returned_type(function: Callable[..., Any]) -> object:
    """Return what a function is annotated to return.

    Raises:
        ConfigError: It is not annotated, or the annotation cannot be evaluated.
    """
    target = inspect.unwrap(function)
    name = getattr(target, "__qualname__", repr(target))
    try:
        annotation = _evaluated_return(target)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise ConfigError(
            f"`@contract` cannot evaluate the return annotation of `{name}` ({error}): "
            "name the schema, `@contract(Answer)`"
        ) from error
    if annotation is inspect.Signature.empty:
        raise ConfigError(
            f"`@contract` on `{name}` needs a schema: annotate what it returns, or "
            "write `@contract(Answer)`"
        )
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        return str
    return annotation


@overload
def contract(  # type: ignore[overload-overlap] # a class is a schema, never a target
    schema: type[Any],
    /,
    **options: Unpack[ContractOptions],
) -> _Transparent: ...
@overload
def contract(  # type: ignore[overload-overlap] # a plain function is a target
    function: Callable[P, R], /
) -> Callable[P, R]: ...
@overload
def contract(
    schema: object = ...,
    /,
    **options: Unpack[ContractOptions],
) -> _Transparent: ...
def contract(schema: Any = ..., /, **options: Any) -> Any:
    """Say what every answer of a function must satisfy, whichever tier gives it.

    Bare `@contract` takes the schema from the return annotation.

    Args:
        schema: A pydantic model, dataclass, TypedDict, Literal, enum, `str`, a JSON
            Schema dict, or a ready `Contract`; the return annotation when left out.
        **options: As in `Contract`: `checks`, `parse`, `refusal`, `confidence`, ...;
            and `slos`, what share of the calls must be good (`llmguard.slo`).

    Returns:
        A decorator that keeps the function's type.

    Raises:
        ConfigError: The schema is no schema, or a check names a field it lacks.
    """
    if _is_guarded_or_plain(schema):
        return extend(schema, "contract", contract=Contract(_returned_type(schema)))
    if type(schema) in {classmethod, staticmethod}:
        refuse_odd_targets(schema, "contract")

    owed = tuple(options.pop("slos", ()))

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        made = schema
        if not isinstance(made, Contract):
            wanted = _returned_type(function) if made is ... else made
            made = Contract(wanted, **options)
        elif options:
            raise ConfigError(
                f"`@contract` got a ready `Contract` and {sorted(options)}: give the "
                "options to `Contract(...)`"
            )
        guarded = extend(function, "contract", contract=made)
        if owed:
            declare(guard_of(guarded).name, owed)
        return guarded

    return decorate


def pinned(
    pin: str | Pin,
    /,
    *,
    breaker: BreakerPolicy | None = None,
    slices: Sequence[Slice] = (),
) -> _Injecting:
    """Run a function on one exact model version, injected as its `model` argument.

    Args:
        pin: A route of `models.lock` (`llmguard pin add` writes it), or a `Pin`.
        breaker: When the breakers of this function's models trip, where the defaults
            do not fit.
        slices: Calls with certain labels that another route or pin answers, before
            those of `[tool.llmguard.routes]`; the first that fits takes the call.

    Returns:
        A decorator; the function's `model` parameter disappears for its callers.

    Raises:
        ConfigError: Used without a pin, or the function takes no `model`, or slices
            were given without a route.
        LockError: The route is not in `models.lock`.
    """
    if not isinstance(cast("object", pin), str | Pin):
        name = getattr(pin, "__name__", repr(pin))
        raise ConfigError(
            f"`@pinned` needs to know which model: write `@pinned('route')` over "
            f"`{name}`, where `llmguard pin list` shows the routes"
        )

    if slices and isinstance(pin, Pin):
        raise ConfigError(
            f"`@pinned` got slices for the pin {pin.id!r}, which is no route: name "
            "the route of `models.lock` that they are slices of"
        )

    def decorate(function: Any) -> Any:
        return extend(
            function, "pinned", pin=pin, breaker=breaker, slices=tuple(slices)
        )

    return decorate


def _check_last(tiers: tuple[Tier, ...]) -> None:
    last = tiers[-1]
    if last.terminal and last.options.when is None:
        return
    why = "has a condition" if last.terminal else "can fail"
    raise ConfigError(
        f"the last tier, `{last.name}`, {why}: a chain must end in one that always "
        "answers. Add `human('queue')`, `static(value)`, or give `rules(...)` a "
        "`default=`."
    )


def fallback_chain(
    *tiers: Tier | Callable[..., Any],
    deadline: float | None = None,
    attempts: int = 2,
    timeout: float | None = None,
    concurrency: int | None = None,
    min_confidence: float | None = None,
    when: Callable[[TierContext], bool] | None = None,
    stream: Literal["passthrough", "buffer"] = "passthrough",
    isolate: bool = True,
    idempotent: bool | None = None,
    exercise: float | None = None,
) -> _Transparent:
    """Say who answers when the function itself cannot, and by when.

    Args:
        *tiers: In order: `on_pin(...)`, plain functions, `rules(...)`, and last one
            that always answers: `human(...)`, `static(...)` or rules with a default.
        deadline: Seconds that a call may take over all tiers, attempts and waits, by
            default the configured 30; a shorter one of the caller wins.
        attempts: Tries of the function itself, re-asks included.
        timeout: Seconds that one try of the function itself may take; by default what
            the deadline leaves after the reserves of the lower tiers.
        concurrency: Calls that may be in the function itself at once.
        min_confidence: Answers of the function itself below it go down the chain.
        when: Skip the function itself for calls where this returns False.
        stream: For generators: hand chunks on as they come (`passthrough`), or hold
            them until the whole is known to be good (`buffer`).
        isolate: False runs a sync body in the caller's own thread: thread-locals are
            visible and some 40 us are saved, but only the model's client keeps the
            deadline, not the rest of the body. A body that does nothing but ask its
            model runs there anyway.
        idempotent: False when a second run of the function or of a tier for the same
            call would do harm; `on_pin` runs the body again. Then nothing is exercised,
            and a shadow repeats the model's call only. True says that it does none, so
            that a shadow may run the whole body; unsaid, a shadow repeats the call of a
            body that does nothing else.
        exercise: Share of answered calls, from 0 to 1, whose lower tiers also run in
            the background, so that they are known to work; by default the configured
            0.01. Only in processes that keep a store.

    Returns:
        A decorator that keeps the function's type.

    Raises:
        ConfigError: No tier, something that is no tier, a last tier that can fail, a
            limit that is not positive, a share that is none, or another `stream`.
    """
    if not tiers or (len(tiers) == 1 and _looks_bare(tiers[0])):
        raise ConfigError(
            "`@fallback_chain` needs its tiers: write "
            "`@fallback_chain(on_pin('local'), static(value))`"
        )
    chain = tuple(as_tier(tier) for tier in tiers)
    _check_last(chain)
    check_seconds(deadline=deadline)
    TierOptions(
        when=when,
        min_confidence=min_confidence,
        timeout=timeout,
        concurrency=concurrency,
        attempts=attempts,
    )
    if stream not in ("passthrough", "buffer"):
        raise ConfigError(
            f"`stream={stream!r}` of `@fallback_chain` must be `passthrough` or "
            "`buffer`"
        )
    if exercise is not None and not 0 <= exercise <= 1:
        raise ConfigError(
            f"`exercise={exercise!r}` of `@fallback_chain` must be a share from 0 to "
            "1, such as 0.01 for one call in a hundred"
        )

    def primary(options: TierOptions) -> TierOptions:
        return replace(
            options,
            when=when,
            min_confidence=min_confidence,
            timeout=timeout,
            concurrency=concurrency,
            attempts=attempts,
        )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return extend(
            function,
            "fallback_chain",
            tiers=chain,
            deadline=deadline,
            stream=stream,
            isolate=isolate,
            idempotent=idempotent,
            exercise=exercise,
            primary=primary,
        )

    return decorate


def _looks_bare(candidate: object) -> bool:
    """Tell `@fallback_chain` over a guarded function from a plain function tier."""
    return hasattr(candidate, "__llmguard__")

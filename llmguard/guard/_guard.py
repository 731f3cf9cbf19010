"""What the decorators have said about one function, and the wrapper made of it.

Each decorator adds to one frozen `Guard` kept at `function.__llmguard__` and has the
one wrapper rebuilt, so their order does not matter.
"""

from __future__ import annotations

import functools
import inspect
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from .. import config
from .._dataclass import dataclass
from ..errors import ConfigError
from ._binder import Binder, visible_signature
from ._bounded import waits_for_model_only
from ._builtin_tiers import FunctionTier
from ._call import Call
from ._drive_sync import drive, drive_stream
from ._engine import Walk
from ._loops import on_event_loop, warn_blocking
from ._loose_schema import warn_loose_schema
from ._plan import Step, build_steps
from ._runtime import current_runtime
from ._stream import StreamWalk
from .tiers import Tier, TierOptions

if TYPE_CHECKING:
    from ..breaker import BreakerPolicy
    from ..contract import Contract
    from ..pins import Pin
    from ..pins._rules import Slice

__all__ = [
    "Guard",
    "extend",
    "guard_of",
    "guarded_functions",
    "refuse_odd_targets",
]

FunctionKind = Literal["sync", "async", "gen", "agen"]
F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__llmguard__"
_WRAPPERS: weakref.WeakSet[Any] = weakref.WeakSet()
_REGISTERING = threading.RLock()
_TOLD: set[str] = set()


@dataclass(frozen=True, kw_only=True)
class Guard:
    """The policies on one function.

    Attributes:
        function: The function as its author wrote it.
        kind: `sync`, `async`, `gen` or `agen`.
        contract: What answers must satisfy; None when not declared.
        pin: Route or pin of the first tier; None when the body picks its own model.
        tiers: The tiers below the function itself, in order.
        deadline: Seconds that a call may take in all; None for the configured ones.
        breaker: How the breakers of this function's models trip; None for the defaults.
        primary: Limits of the first tier.
        stream: `passthrough` or `buffer`, for streaming functions.
        isolate: Whether a sync body runs on a thread that can be left at the deadline.
        idempotent: False when running the body twice for one call would do harm, True
            when its author says that it does none; None when nobody said.
        exercise: Share of live calls that also run the lower tiers; None for the
            configured one.
        shadow: What `@shadow` said; None without it.
        slices: Slices of the first tier's calls that go elsewhere.
        declared: Names of the decorators used so far.
    """

    function: Callable[..., Any]
    kind: FunctionKind
    contract: Contract | None = None
    pin: str | Pin | None = None
    tiers: tuple[Tier, ...] = ()
    deadline: float | None = None
    breaker: BreakerPolicy | None = None
    primary: TierOptions = field(
        default_factory=lambda: TierOptions(reserve=0.0, attempts=2)
    )
    stream: Literal["passthrough", "buffer"] = "passthrough"
    isolate: bool = True
    idempotent: bool | None = None
    exercise: float | None = None
    shadow: object = None
    slices: tuple[Slice, ...] = ()
    declared: frozenset[str] = frozenset()

    @cached_property
    def name(self) -> str:
        """Module and qualified name of the function."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @cached_property
    def schema(self) -> Mapping[str, Any] | None:
        """The contract's JSON Schema, which models are asked to follow."""
        return None if self.contract is None else self.contract.json_schema

    @cached_property
    def schema_name(self) -> str:
        """What models are told that the schema is called."""
        return "" if self.contract is None else self.contract.name

    @cached_property
    def contract_digest(self) -> str:
        """Digest of the contract; empty when there is none."""
        return "" if self.contract is None else self.contract.digest

    @cached_property
    def fixed_pins(self) -> tuple[Pin | None, ...]:
        """The pin of every step; empty when a route has to be looked up per call."""
        if any(step.pins is not None and step.pins.route for step in self.steps):
            return ()
        return tuple(None if s.pins is None else s.pins.current for s in self.steps)

    @cached_property
    def seconds(self) -> float:
        """Seconds that a call may take in all."""
        return config.load().deadline if self.deadline is None else self.deadline

    @cached_property
    def exercised(self) -> float:
        """Share of live calls that also run the lower tiers; 0 for none."""
        if self.idempotent is False or not self.tiers:
            return 0.0
        return config.load().exercise if self.exercise is None else self.exercise

    @cached_property
    def managed(self) -> bool:
        """True when this function belongs to a project with a lock or a store.

        That is: a route of `models.lock`, a configured store, or a tier that keeps
        tickets. Only then is anything written: a script that guards one function with
        a pin made in code leaves no files behind.
        """
        routed = any(s.pins is not None and s.pins.route for s in self.steps)
        durable = any(getattr(tier, "durable", False) for tier in self.tiers)
        return routed or durable or config.where()["store"] != "default"

    @cached_property
    def bounded(self) -> bool:
        """True when the body waits for its model only, and no own code judges it."""
        return (
            self.kind == "sync"
            and self.isolate
            and not (self.contract is not None and self.contract.runs_own_code)
            and waits_for_model_only(self.function)
        )

    @property
    def pin_name(self) -> str:
        """The route of the first tier; empty when there is no pin."""
        if self.pin is None or isinstance(self.pin, str):
            return self.pin or ""
        return self.pin.route

    @property
    def is_stream(self) -> bool:
        """True for generators and async generators."""
        return self.kind in {"gen", "agen"}

    @cached_property
    def binder(self) -> Binder:
        """Names the arguments of calls."""
        return Binder(self.function, has_model=self.pin is not None)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The chain with its pins looked up."""
        return build_steps(self)

    def validate(self) -> None:
        """Refuse what can be known to be wrong before the first call.

        Raises:
            ConfigError: A pinned function takes no `model`, a tier can never satisfy
                the contract, a route is unknown, or two tiers share a name.
        """
        if self.pin is not None:
            self._check_model_parameter()
        self._check_inputs()
        for tier in self.tiers:
            self._check_function(tier)
            tier.check(self.contract)
        names = [step.name for step in self.steps]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(
                    f"two tiers of `{self.name}` are called {name!r}: give one of them "
                    "another name with `name=...`, so that outcomes tell them apart"
                )

    def _check_inputs(self) -> None:
        """Refuse checks that read an argument which the function does not have."""
        parameters = inspect.signature(self.function).parameters
        if self.contract is None or any(
            p.kind is p.VAR_KEYWORD for p in parameters.values()
        ):
            return
        missing = sorted(set(self.contract.inputs) - set(parameters))
        if missing:
            raise ConfigError(
                f"a check of `{self.contract.name}` reads the argument {missing[0]!r}, "
                f"which `{self.name}` does not have: it has {sorted(parameters)}"
            )

    def _check_function(self, tier: Tier) -> None:
        """Refuse functions that could never answer for this one."""
        if not isinstance(tier, FunctionTier):
            return
        function = tier.function
        if _kind_of(function) in {"gen", "agen"}:
            raise ConfigError(
                f"the tier `{tier.name}` is a generator: a fallback of `{self.name}` "
                "gives the whole answer at once, so `return` it"
            )
        if self.kind in {"sync", "gen"} and inspect.iscoroutinefunction(function):
            raise ConfigError(
                f"the tier `{tier.name}` is `async def` but `{self.name}` is not: "
                "nobody could await it. Make both `async def`, or neither."
            )

    def _check_model_parameter(self) -> None:
        parameters = inspect.signature(self.function).parameters
        if "model" not in parameters:
            raise ConfigError(
                f"`@pinned` injects the model, but `{self.name}` has no parameter "
                "`model`. Write `def "
                f"{self.function.__name__}(..., *, model: Model = INJECTED)` and call "
                "`model.complete(...)` or `model.client` with `model.id` in it."
            )
        if parameters["model"].kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ConfigError(
                f"`model` of `{self.name}` is positional-only: drop the `/` after it"
            )


def guard_of(function: object) -> Guard:
    """Return the guard of a decorated function.

    Raises:
        ConfigError: It has none.
    """
    guard = getattr(function, _ATTRIBUTE, None)
    if not isinstance(guard, Guard):
        raise ConfigError(
            f"{function!r} is not guarded: decorate it with `@contract`, `@pinned` or "
            "`@fallback_chain`"
        )
    return guard


def guarded_functions() -> list[Guard]:
    """Return the guards of all decorated functions of this process, by name."""
    with _REGISTERING:
        wrappers = list(_WRAPPERS)
    found = {id(guard.function): guard for guard in map(guard_of, wrappers)}
    return sorted(found.values(), key=lambda guard: guard.name)


def _kind_of(function: Callable[..., Any]) -> FunctionKind:
    if inspect.isasyncgenfunction(function):
        return "agen"
    if inspect.iscoroutinefunction(function):
        return "async"
    return "gen" if inspect.isgeneratorfunction(function) else "sync"


def refuse_odd_targets(function: object, decorator: str) -> None:
    """Raise `ConfigError` for what cannot be decorated, with the right form."""
    form = f"`@{decorator}(...)`"
    if type(function) in {classmethod, staticmethod}:
        kind = type(function).__name__
        raise ConfigError(
            f"{form} got a {kind} object: put `@{kind}` on top of it, not below"
        )
    if isinstance(function, type):
        raise ConfigError(
            f"{form} got the class {function.__name__!r}: decorate a function or method"
        )
    if isinstance(function, functools.partial):
        raise ConfigError(
            f"{form} got a `functools.partial`: decorate the function, then bind it"
        )
    if not inspect.isfunction(function):
        raise ConfigError(
            f"{form} got {function!r}: decorate a plain function or method"
        )


def extend(function: F, decorator: str, **changes: Any) -> F:
    """Add what one decorator says and rebuild the wrapper.

    Raises:
        ConfigError: The target is no function, or the decorator was used twice.
    """
    guard = getattr(function, _ATTRIBUTE, None)
    if guard is not None and function not in _WRAPPERS:
        raise ConfigError(
            f"another decorator stands between `@{decorator}` and llmguard's other "
            f"decorators on `{guard.name}`, and would be lost: put llmguard's "
            "together, and the other one above or below all of them"
        )
    if guard is None:
        refuse_odd_targets(function, decorator)
        guard = Guard(function=function, kind=_kind_of(function))
    if decorator in guard.declared:
        raise ConfigError(
            f"`@{decorator}` is on `{guard.name}` twice: put both into one"
        )
    if "primary" in changes:
        changes["primary"] = changes["primary"](guard.primary)
    guard = replace(guard, declared=guard.declared | {decorator}, **changes)
    guard.validate()
    warn_loose_schema(guard, _TOLD)
    return cast("F", _wrap(guard))


def _wrap(guard: Guard) -> Callable[..., Any]:
    wrapper = _BUILDERS[guard.kind](guard)
    functools.update_wrapper(wrapper, guard.function)
    setattr(wrapper, _ATTRIBUTE, guard)
    shown = visible_signature(guard.function, hide_model=guard.pin is not None)
    wrapper.__signature__ = shown  # type: ignore[attr-defined] # inspect's documented hook
    hidden = {"model"} if guard.pin is not None else set[str]()
    wrapper.__annotations__ = {
        name: kind
        for name, kind in guard.function.__annotations__.items()
        if name not in hidden
    }
    with _REGISTERING:
        _WRAPPERS.add(wrapper)
    return wrapper


def _sync(guard: Guard) -> Callable[..., Any]:
    warned = False

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal warned
        if not warned and on_event_loop():
            warned = True
            warn_blocking(guard.name, guard.seconds)
        runtime = current_runtime()
        return drive(Walk(Call(guard, runtime, args, kwargs)).run(), runtime)

    return wrapper


def _async(guard: Guard) -> Callable[..., Any]:
    from ._drive_async import adrive  # asyncio is heavy; sync programs need none of it

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        runtime = current_runtime()
        return await adrive(Walk(Call(guard, runtime, args, kwargs)).run(), runtime)

    return wrapper


def _gen(guard: Guard) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any]:
        runtime = current_runtime()
        walk = StreamWalk(Call(guard, runtime, args, kwargs))
        yield from drive_stream(walk.run(), runtime)

    return wrapper


def _agen(guard: Guard) -> Callable[..., Any]:
    from ._drive_async import adrive_stream

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        runtime = current_runtime()
        walk = StreamWalk(Call(guard, runtime, args, kwargs))
        stream = adrive_stream(walk.run(), runtime)
        try:
            async for chunk in stream:
                yield chunk
        finally:
            await stream.aclose()

    return wrapper


_BUILDERS: dict[FunctionKind, Callable[[Guard], Callable[..., Any]]] = {
    "sync": _sync,
    "async": _async,
    "gen": _gen,
    "agen": _agen,
}

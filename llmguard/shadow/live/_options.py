"""How a shadow samples, what it may spend, and what it keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, Final, Literal, TypedDict

from ..._dataclass import dataclass
from ...errors import ConfigError
from ...telemetry.redact import Redact

__all__ = ["Redact", "ShadowOptions", "ShadowValues"]

_HOURS: Final = 48.0
_CALLS: Final = 10_000


class ShadowValues(TypedDict, total=False):
    """Keyword arguments of `@shadow`, as in `ShadowOptions`."""

    share: float
    shares: Mapping[str, float]
    by: tuple[str, ...]
    minimum: int
    cluster: str
    double: float
    run: Literal["auto", "body", "model"]
    deadline: float | None
    concurrency: int
    capacity: int
    max_calls: int | None
    max_cost: float | None
    prices: str
    hours: float | None
    on_exit: Literal["drop", "drain"]
    drain_seconds: float
    content: bool
    redact: str | Redact
    max_chars: int
    keep_days: float
    keep_pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowOptions:
    """Everything about a shadow but the two versions.

    Attributes:
        share: Share of the route's calls that also run on the challenger, by a hash
            of the request's id.
        shares: Other shares for single strata, such as `{"intent=refund": 0.5}`.
        by: Labels of `call_context(...)` that make up the stratum.
        minimum: A stratum is sampled ten times as densely until it has this many
            requests; 0 for no such care. Rates over all strata then lean
            towards the rare ones: read the strata one by one.
        cluster: Label that names the user or session: requests of one are not
            independent. `unit` takes the unit that canaries are split by, too. Only
            a digest of it is kept.
        double: Share of the sampled requests that run twice on both versions, which
            measures how often each disagrees with itself.
        run: `body` runs the whole function again, `model` repeats its one model call;
            `auto` runs the body of functions that say `idempotent=True` only.
        deadline: Seconds that one draw may take; None for the function's own.
        concurrency: Draws under way at once in one process.
        capacity: Sampled requests that may wait; more are dropped and counted.
        max_calls: Model calls that the shadow may make in all, in all processes
            together; None for no limit.
        max_cost: What they may cost in all, by `prices`; None for no limit.
        prices: TOML file of prices, as `llmguard suite run --prices` reads it.
        hours: Hours after which it stops by itself; None for never.
        on_exit: Whether a process that ends runs what waits (`drain`) or not.
        drain_seconds: Longest time that draining may hold up the end of a process.
        content: Keep what was asked and answered; off, because it may hold personal
            data. Counts, directions, labels of decisions and times are always kept.
        redact: `pii` blanks mail addresses, card, phone and account numbers, keys and
            IP addresses before anything is kept; `none`; a function from text to text,
            or its name, `module:function`.
        max_chars: Characters kept of any one text.
        keep_days: Days that pairs are kept.
        keep_pairs: Pairs kept of one shadow; those that part stay longest.

    Raises:
        ConfigError: An option is out of its range, or an unknown word.
    """

    share: float = 0.05
    shares: Mapping[str, float] = field(default_factory=dict[str, float])
    by: tuple[str, ...] = ()
    minimum: int = 0
    cluster: str = ""
    double: float = 0.25
    run: Literal["auto", "body", "model"] = "auto"
    deadline: float | None = None
    concurrency: int = 2
    capacity: int = 64
    max_calls: int | None = _CALLS
    max_cost: float | None = None
    prices: str = ""
    hours: float | None = _HOURS
    on_exit: Literal["drop", "drain"] = "drop"
    drain_seconds: float = 5.0
    content: bool = False
    redact: str | Redact = "pii"
    max_chars: int = 8_000
    keep_days: float = 14.0
    keep_pairs: int = 5_000

    def __post_init__(self) -> None:
        found: dict[str, float] = dict(self.shares)
        object.__setattr__(self, "shares", found)
        object.__setattr__(self, "by", tuple(self.by))
        for name, value in {
            "share": self.share,
            "double": self.double,
            **{f"shares[{key!r}]": value for key, value in found.items()},
        }.items():
            _require(name, value, 0 <= value <= 1, "a share from 0 to 1, such as 0.05")
        for name in ("concurrency", "capacity", "max_chars", "keep_days", "keep_pairs"):
            value = getattr(self, name)
            _require(name, value, value > 0, "more than 0")
        for name in ("deadline", "max_calls", "max_cost", "hours"):
            value = getattr(self, name)
            good = value is None or value > 0
            _require(name, value, good, "more than 0, or left out")
        for name in ("minimum", "drain_seconds"):
            value = getattr(self, name)
            _require(name, value, value >= 0, "0 or more")
        self._check_words()

    def _check_words(self) -> None:
        words = {"run": ("auto", "body", "model"), "on_exit": ("drop", "drain")}
        for name, known in words.items():
            value = getattr(self, name)
            _require(name, value, value in known, " or ".join(map(repr, known)))
        named = isinstance(self.redact, str)
        good = not named or self.redact in {"pii", "none"} or ":" in str(self.redact)
        _require(
            "redact",
            self.redact,
            good,
            "'pii', 'none', 'module:function' or a function",
        )
        strata = all("=" in key for key in self.shares) and (self.by or not self.shares)
        _require("shares", self.shares, bool(strata), "{'label=value': share} of `by`")
        if self.max_cost is not None and not self.prices:
            raise ConfigError(
                f"`max_cost={self.max_cost!r}` of a shadow needs `prices=`: a file of "
                "US dollars per million tokens, as `llmguard suite run` reads it"
            )

    def text(self) -> str:
        """Return it as JSON; a function that redacts goes by its name."""
        document = {each.name: getattr(self, each.name) for each in fields(self)}
        if not isinstance(self.redact, str):
            name = getattr(self.redact, "__qualname__", repr(self.redact))
            document["redact"] = f"{getattr(self.redact, '__module__', '?')}:{name}"
        return json.dumps(document, sort_keys=True)

    @classmethod
    def read(cls, text: str) -> ShadowOptions:
        """Read what `text` wrote; options of a newer version are left out.

        Raises:
            ConfigError: It is no such JSON, or a value cannot be.
        """
        try:
            document: dict[str, Any] = dict(json.loads(text).items())
            known = {each.name for each in fields(cls)}
            return cls(**{key: document[key] for key in document if key in known})
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"the options of a shadow in the store cannot be read ({error}); stop "
                "it with `llmguard shadow stop` and start it again"
            ) from error


def _require(name: str, value: object, good: bool, wanted: str) -> None:
    if not good:
        raise ConfigError(f"`{name}={value!r}` of a shadow must be {wanted}")

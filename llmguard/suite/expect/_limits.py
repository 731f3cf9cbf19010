"""Assertions on what a call takes: length, seconds, dollars."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Unpack

from ...contract._fields import pick
from ...contract._pointer import split_field
from ...errors import ConfigError
from ...outcome import Kind
from .._assertion import Assertion, Judge
from .._types import Case, Finding, Sample
from ._make import Options, declined, make

__all__ = ["cost", "latency", "length"]

Unit = Literal["characters", "words", "tokens"]
Measure = Callable[[Sample], "float | None"]

_UNITS: Final = ("characters", "words", "tokens")
_SLACK: Final = 1.25
_QUANTILE: Final = 0.95


def length(
    limit: float | None = None,
    *,
    unit: Unit = "characters",
    field: str = "",
    slack: float = _SLACK,
    **options: Unpack[Options],
) -> Assertion:
    """Assert that answers are not too long.

    A cut-off answer has failed; a refusal says nothing. Default rates 5 % and 12 %.

    Args:
        limit: The longest allowed; None for `slack` times the incumbent's 95th
            percentile on the same cases.
        unit: `characters`, `words`, or `tokens` as the provider counted its output.
        field: Measure only the texts there; empty for all that the model wrote.
        slack: Factor on the incumbent's percentile.
        **options: As in `Options`.

    Raises:
        ConfigError: A limit or factor that is not positive, an unknown unit, or
            tokens of a field.
    """
    if unit not in _UNITS:
        raise ConfigError(f"`length`: `unit` is {unit!r}; write one of {_UNITS}")
    if unit == "tokens" and field:
        raise ConfigError(
            "`length`: providers count the tokens of the whole output, not of "
            f"`field={field!r}`; use `characters` or `words`"
        )
    size = _Size(unit, split_field(field))
    name = f"length:{field}" if field else "length"
    scale = _Scale(measure=size, unit=unit, limit=limit, slack=slack)
    return _limited("length", scale, options, name=name, field=field)


def latency(
    limit: float | None = None, *, slack: float = _SLACK, **options: Unpack[Options]
) -> Assertion:
    """Assert that calls are not too slow.

    Measured are calls that ended in an answer or a refusal; timeouts are failures of
    infrastructure and counted there. Default rates 5 % and 12 %.

    Args:
        limit: Seconds; None for `slack` times the incumbent's 95th percentile.
        slack: Factor on the incumbent's percentile.
        **options: As in `Options`.

    Raises:
        ConfigError: A limit or factor that is not positive.
    """
    scale = _Scale(measure=_latency, unit="s", limit=limit, slack=slack)
    return _limited("latency", scale, options, name="latency")


def cost(
    limit: float | None = None, *, slack: float = _SLACK, **options: Unpack[Options]
) -> Assertion:
    """Assert that calls are not too expensive; without a known price nothing is said.

    Default rates 5 % and 12 %.

    Args:
        limit: US dollars a call; None for `slack` times the incumbent's 95th
            percentile.
        slack: Factor on the incumbent's percentile.
        **options: As in `Options`.

    Raises:
        ConfigError: A limit or factor that is not positive.
    """
    scale = _Scale(measure=_cost, unit="USD", limit=limit, slack=slack)
    return _limited("cost", scale, options, name="cost")


def _latency(sample: Sample) -> float | None:
    return sample.latency


def _cost(sample: Sample) -> float | None:
    return sample.cost


class _Size:
    """Measures what a model wrote."""

    def __init__(self, unit: Unit, parts: tuple[str, ...]) -> None:
        self.unit = unit
        self.parts = parts

    def __call__(self, sample: Sample) -> float | None:
        if declined(sample):
            return None
        if sample.kind is Kind.TRUNCATED:
            return math.inf
        if self.unit == "tokens":
            return None if sample.usage is None else sample.usage.output_tokens
        texts = self._texts(sample)
        if self.unit == "words":
            return sum(len(text.split()) for text in texts) if texts else None
        return sum(map(len, texts)) if texts else None

    def _texts(self, sample: Sample) -> list[str]:
        if self.parts:
            found = [place[1] for place in pick(sample.value, self.parts)]
            return [text for text in found if isinstance(text, str)]
        return [] if sample.text is None else [sample.text]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """What is measured, and against which limit."""

    measure: Measure
    unit: str
    limit: float | None
    slack: float

    def check(self, kind: str) -> None:
        for what, given in (("limit", self.limit), ("slack", self.slack)):
            if given is not None and not 0 < given < math.inf:
                raise ConfigError(
                    f"`{kind}`: `{what}` is {given!r}; write a number above 0"
                )


def _limited(
    kind: Literal["length", "latency", "cost"],
    scale: _Scale,
    options: Options,
    *,
    name: str,
    field: str = "",
) -> Assertion:
    scale.check(kind)
    limit, relative = scale.limit, scale.limit is None

    def prepare(samples: Sequence[Sample]) -> Judge:
        sizes = [scale.measure(one) for one in samples if not one.infrastructure]
        return _judge(scale, scale.slack * _percentile(sizes, name))

    slack = scale.slack if relative else None
    return make(
        kind,
        _unprepared(name) if limit is None else _judge(scale, limit),
        options,
        name=name,
        field=field,
        prepare=prepare if relative else None,
        version=[f"{kind}/1", limit, slack, scale.unit, field],
    )


def _judge(scale: _Scale, limit: float) -> Judge:
    def judge(_case: Case, sample: Sample) -> Finding | None:
        size = None if sample.infrastructure else scale.measure(sample)
        if size is None:
            return None
        if size == math.inf:
            return Finding(failed=True, detail="cut off at the provider's limit")
        detail = f"{size:.6g} {scale.unit}, at most {limit:.6g} allowed"
        return Finding(failed=size > limit, detail=detail, score=size)

    return judge


def _unprepared(name: str) -> Judge:
    def judge(_case: Any, _sample: Any) -> Finding | None:
        raise ConfigError(
            f"`{name}` takes its limit from the incumbent's samples: judge with "
            "`assertion.prepare(samples)`, or give a `limit`"
        )

    return judge


def _percentile(sizes: Sequence[float | None], name: str) -> float:
    """Return the 95th percentile: the least size that 95 % do not exceed."""
    found = sorted(size for size in sizes if size is not None and size < math.inf)
    if not found:
        raise ConfigError(
            f"`{name}` takes its limit from the incumbent, and none of its samples "
            "could be measured; give a `limit`"
        )
    return found[math.ceil(_QUANTILE * len(found)) - 1]

"""The assertion on the worst single prompt, which an average hides."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from ...errors import ConfigError
from .._assertion import Assertion
from ._contract import schema
from ._make import Options, Rates, make

__all__ = ["worst_prompt"]

_REFUSALS = Rates(0.2, 0.5)


def worst_prompt(
    of: Assertion | None = None, /, **options: Unpack[Options]
) -> Assertion:
    """Assert that no single case fails too often.

    One case in forty that always fails moves the mean by 2.5 points: a claim about
    the mean may accept that. This one watches each case by itself. Default rates per
    case 5 % and 30 %; 20 % and 50 % for refusals, which hang on the wording.

    Args:
        of: The assertion whose failures count, with its cases; `schema()` unless
            given.
        **options: As in `Options`; selectors given here replace those of `of`.

    Raises:
        ConfigError: `of` is relative or about single cases itself.
    """
    inner = schema() if of is None else of
    if inner.relative or inner.per_prompt:
        raise ConfigError(
            f"`worst_prompt` of `{inner.name}`: single cases have rates of their own; "
            "give an absolute assertion (`relative=False`), not another worst prompt"
        )
    refusals = inner.kind in {"refusal", "compliance"}
    made = make(
        "worst-prompt",
        inner.judge,
        options,
        name=f"worst-prompt:{inner.name}",
        version=["worst-prompt/1", inner.version],
        rates=_REFUSALS if refusals else None,
        per_prompt=True,
        field=inner.field,
        needs_expected=inner.needs_expected,
        detector=inner.detector,
        calibration=inner.calibration,
        prepare=inner.prepare,
        waits=inner.waits,
    )
    return replace(
        made,
        tags=made.tags or inner.tags,
        slices=made.slices or inner.slices,
        boundary=made.boundary or inner.boundary,
        without="" if made.boundary else inner.without,
    )

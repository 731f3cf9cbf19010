"""`llmguard shadow plan`: how many requests, how long, what it costs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from ._options import json_option
from ._text import Share, emit_json, examples, table

if TYPE_CHECKING:
    from ..shadow import Plan

__all__ = ["plan_command"]

_PER: Final = {"": 1.0, "day": 1.0, "hour": 24.0, "minute": 1440.0, "second": 86400.0}
_DAY: Final = 24


class _Traffic(click.ParamType):  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument] - not generic before click 8.2
    """A rate such as `20000/day` or `3/second`."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return requests a day."""
        found = re.fullmatch(
            r"([\d_,]+(?:\.\d+)?)(?:/(day|hour|minute|second))?", str(value)
        )
        if found is None:
            self.fail(
                f"{value!r} is no rate; write requests a day, or 300/hour", param, ctx
            )
        return float(re.sub("[_,]", "", found[1])) * _PER[found[2] or ""]


@click.command("plan", epilog=examples("llmguard shadow plan --traffic 20000"))
@click.option("--traffic", type=_Traffic(), required=True, help="Requests a day.")
@click.option(
    "--sample",
    type=Share(),
    default="10%",
    show_default=True,
    help="Share of the traffic that is shadowed.",
)
@click.option(
    "--double",
    type=Share(),
    default="25%",
    show_default=True,
    help="Share of those that are drawn twice.",
)
@click.option(
    "--detect",
    type=Share(),
    default="3%",
    show_default=True,
    help="Net divergence to declare, in points.",
)
@click.option(
    "--floor",
    type=Share(),
    default="9%",
    show_default=True,
    help="The incumbent's own noise.",
)
@click.option(
    "--slice",
    "slice_share",
    type=Share(),
    default="100%",
    show_default=True,
    help="Share of the traffic that the claim is about.",
)
@click.option("--call-cost", type=float, help="What one call costs.")
@json_option
def plan_command(*, as_json: bool, **options: Any) -> None:
    """Say how long a shadow must run to declare a net divergence of `--detect`.

    `--sample` of the traffic is shadowed; on `--double` of that both versions are drawn
    twice. `--floor` is how often the incumbent differs from itself (2 to 20 %, measure
    it); `--slice` the share of the traffic that matters to you.
    """
    from ..shadow import plan

    found = plan(**options)
    if as_json:
        emit_json(dataclasses.asdict(found))
        return
    click.echo(table(_rows(found), indent=0))
    click.echo("\n" + "\n".join(_advice(found)))


def _rows(found: Plan) -> list[tuple[str, str]]:
    rows = [
        (
            "to declare",
            (
                f"a net divergence of {100 * found.detect:.3g} points over a floor of "
                f"{100 * found.floor:.3g} %"
            ),
        ),
        (
            "drawn twice",
            (
                f"{found.needed:,} requests (four chances in five; even chances: "
                f"{found.even:,}; never a verdict below {found.minimum})"
            ),
        ),
        (
            "time",
            (
                f"{_span(found.hours)} at {found.traffic:,.0f} requests a day, "
                f"{100 * found.sample:.3g} % shadowed, "
                f"{100 * found.double:.3g} % of these drawn twice"
            ),
        ),
        (
            "run",
            (
                f"{_span(found.run)}: {found.sampled:,} shadowed, "
                f"{found.doubled:,} twice; raw rate to +-"
                f"{100 * found.raw_interval:.2g} points"
            ),
        ),
        (
            "extra calls",
            f"{found.extra_calls:,}, {100 * found.extra_share:.3g} % more than today"
            + (
                "" if found.extra_cost is None else f", costing {found.extra_cost:,.2f}"
            ),
        ),
    ]
    rows += [
        (f"seen in {hours} h", f"a net divergence from {100 * least:.2g} points on")
        for hours, least in found.sees.items()
    ]
    return rows


def _advice(found: Plan) -> Iterator[str]:
    if not found.reachable:
        yield (
            "This is out of reach: more than two weeks. Shadow more of the traffic, "
            "look for a larger divergence, or decide by a contract suite instead."
        )
    if found.hours > 2 * _DAY:
        if found.sample_needed is None:
            yield "Not even all of the traffic shows it within two days."
        else:
            yield (
                "To be done within two days, shadow "
                f"{100 * found.sample_needed:.2g} % of the traffic."
            )
    yield (
        "Plan whole days, 24 to 48 hours: what is asked, and by whom, follows the time "
        "of day, and a second day tells a difference of versions from one of days.\n"
        "At 5 to 10 % the extra calls stay below a sixth of the bill; a smaller share "
        "only takes longer."
    )


def _span(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.0f} minutes"
    return f"{hours:.3g} hours" if hours < 4 * _DAY else f"{hours / _DAY:.3g} days"

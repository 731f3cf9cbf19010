"""The report of one shadow run: rates, directions, slices, and the tail itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from llmguard.errors import ConfigError
from llmguard.shadow._rungs import Rung, Severity
from llmguard.shadow.live import report_of, status_of
from llmguard.shadow.render._diff import Piece, pieces
from llmguard.suite.render._words import tame

from .._axes import percent
from .._svg import interval

if TYPE_CHECKING:
    from llmguard.shadow import Report
    from llmguard.shadow._estimate import Estimate
    from llmguard.shadow._examples import Example
    from llmguard.shadow._rates import Rates
    from llmguard.shadow.live import ShadowStatus
    from llmguard.store import ShadowRun, Store

__all__ = ["ExampleView", "RateView", "ShadowPage", "Wanted", "points", "shadow_report"]

_EXAMPLES: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which examples are asked for; empty for any.

    Attributes:
        stratum: Slice of the traffic; `-` for the one without a label.
        transition: Path and ends, as `ExampleView.transition` says them.
        severity: `critical`, `major`, `minor`, or `note`.
        everything: All that were kept, not only the first.
    """

    stratum: str = ""
    transition: str = ""
    severity: str = ""
    everything: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RateView:
    """A rate or a difference with its interval.

    Attributes:
        name: What it is.
        text: In words.
        plot: As an image; empty where nothing is known.
    """

    name: str
    text: str
    plot: Markup | str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleView:
    """One request on which the versions part.

    Attributes:
        request: Its id.
        stratum: Its slice.
        transition: Where and from what to what.
        severity: How much that matters.
        rung: Name of the rung.
        detail: One phrase.
        sure: Which version agreed with itself when drawn again; empty for none.
        input: What was asked; empty where it was not kept.
        left: The incumbent's answer, in pieces that both have or only it has.
        right: The challenger's.
        repeats: Further draws of either.
    """

    request: str
    stratum: str
    transition: str
    severity: str
    rung: str
    detail: str
    sure: str
    input: str
    left: tuple[Piece, ...]
    right: tuple[Piece, ...]
    repeats: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def kept(self) -> bool:
        """True when what was said was kept."""
        return bool(self.left or self.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPage:
    """Everything about one run.

    Attributes:
        status: How it stands.
        report: What it found; None before anything was compared.
        waits: Why there is no report yet.
        rates: The headline's rates.
        strata: Name, rates in words and plot, the worst first.
        examples: Those that were asked for, the most severe first.
        many: How many there are of them.
        choices: Strata, transitions and severities that examples have.
    """

    status: ShadowStatus
    report: Report | None
    waits: str
    rates: tuple[RateView, ...] = ()
    strata: tuple[tuple[str, RateView, int], ...] = ()
    examples: tuple[ExampleView, ...] = ()
    many: int = 0
    choices: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]] = ((), (), ())


def shadow_report(
    store: Store, run: ShadowRun, *, now: float, wanted: Wanted, function: str = ""
) -> ShadowPage:
    """Read one run.

    Args:
        store: The store.
        run: The run.
        now: Epoch seconds.
        wanted: Which examples.
        function: Which function, where the route has several.

    Raises:
        ConfigError: Its options are those of another version.
    """
    status = status_of(store, run, now=now)
    try:
        found = report_of(store, run, now=now, function=function)
    except ConfigError as error:
        return ShadowPage(status=status, report=None, waits=str(error))
    limit = found.thresholds.excess
    reach = _reach([row.rates for row in found.strata], limit)
    examples = [_example(one) for one in found.examples]
    chosen = [one for one in examples if _fits(one, wanted)]
    return ShadowPage(
        status=status,
        report=found,
        waits="",
        rates=tuple(_headline(found.main, limit)),
        strata=tuple(
            (
                row.name or "(no label)",
                _rate("beyond noise", row.rates.beyond_noise, reach, limit),
                row.rates.raw.n if row.rates.raw else 0,
            )
            for row in found.strata
        ),
        examples=tuple(chosen if wanted.everything else chosen[:_EXAMPLES]),
        many=len(chosen),
        choices=(
            tuple(sorted({one.stratum or "-" for one in examples})),
            tuple(dict.fromkeys(one.transition for one in examples)),
            tuple(dict.fromkeys(one.severity for one in examples)),
        ),
    )


def _headline(rates: Rates, limit: float) -> list[RateView]:
    reach = _reach([rates], limit)
    named = (
        ("raw: they differ", rates.raw),
        ("floor: the incumbent differs from itself", rates.floor_a),
        ("floor: the challenger differs from itself", rates.floor_b),
        ("net: raw less the incumbent's floor", rates.net),
        ("excess: beyond both versions' own noise", rates.excess),
    )
    return [_rate(name, found, reach, limit) for name, found in named if found]


def _rate(
    name: str, found: Estimate | None, reach: tuple[float, float], limit: float
) -> RateView:
    if found is None:
        return RateView(name=name, text="not known: nothing was drawn twice")
    css = "s3" if found.low > limit else "s1"
    return RateView(
        name=name,
        text=f"{percent(found.value)} ({percent(found.low)} to {percent(found.high)})",
        plot=interval(
            found.value,
            found.low,
            found.high,
            title=name,
            reach=reach,
            limit=limit,
            show=percent,
            css=css,
        ),
    )


def _reach(rates: Sequence[Rates], limit: float) -> tuple[float, float]:
    """Return the ends of the scale that all intervals of a table share."""
    found = [
        each
        for one in rates
        for each in (one.raw, one.floor_a, one.net, one.excess)
        if each is not None
    ]
    low = min([0.0, *(each.low for each in found)])
    high = max([limit * 2, *(each.high for each in found)])
    return max(low, -1.0), min(high, 1.0)


def points(value: float | None) -> str:
    """Write a difference of shares with its sign."""
    return "-" if value is None else f"{value * 100:+.2f}"


def _fits(one: ExampleView, wanted: Wanted) -> bool:
    return (
        wanted.stratum in {"", one.stratum or "-"}
        and wanted.transition in {"", one.transition}
        and wanted.severity in {"", one.severity}
    )


def _example(one: Example) -> ExampleView:
    _, _, path, before, after = one.group
    left, right = pieces(tame(one.incumbent), tame(one.challenger))
    mine, theirs = one.repeats
    return ExampleView(
        request=one.request,
        stratum=one.stratum,
        transition=tame(f"{path or '(whole answer)'}: {before} \u2192 {after}"),
        severity=Severity(one.severity).name.lower(),
        rung=Rung(one.rung).label,
        detail=tame(one.detail),
        sure=one.sure,
        input=tame(one.input),
        left=tuple(left),
        right=tuple(right),
        repeats=(tuple(map(tame, mine)), tuple(map(tame, theirs))),
    )

"""The report as one page: offline, light and dark, one small script of its own."""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from importlib import resources
from typing import Any, Final

from ...suite.render._html import page_template
from ...suite.render._words import tame
from .._examples import Example
from .._rates import Rates
from .._report import Report
from .._rungs import Rung
from .._words import many, percent, signed
from ._diff import pieces
from ._lines import RATES, brief, cells, change, facts, shift, some, unseen, where
from ._plots import rates_plot, strip

__all__ = ["html", "need_jinja"]

_ROWS: Final = 60
_HERE: Final = __package__ or ""


def html(report: Report) -> str:
    """Return a report as one self-contained HTML page.

    Everything a model or a person wrote is escaped. The page loads nothing; its policy
    allows its own styles and the one script that filters examples, by its digest, and
    without the script all examples are shown.

    Raises:
        ConfigError: jinja2 is missing.
    """
    script = _source("filter.js")
    reach = max((abs(_end(row.rates)) for row in report.strata), default=0.0)
    rendered = page_template(_HERE).render(
        report=report,
        script=script,
        policy=_policy(script),
        facts=facts(report),
        unseen=unseen(report),
        columns=RATES,
        cells=cells,
        brief=brief,
        some=some,
        change=change,
        where=where,
        percent=percent,
        signed=signed,
        shift=shift,
        plot=rates_plot(report.main, limit=report.thresholds.excess),
        strip=partial(_strip, reach=reach, limit=report.thresholds.excess),
        most=_ROWS,
        examples=[_example(each) for each in report.examples],
        strata=sorted({each.stratum for each in report.examples}),
        directions=sorted({_direction(each) for each in report.examples}),
        rungs=sorted({each.rung for each in report.examples}),
        rung=_label,
        many=many,
    )
    return tame(rendered)


def _strip(rates: Rates, *, reach: float, limit: float) -> str:
    return strip(rates.beyond_noise, reach=reach, limit=limit)


def _label(rung: int) -> str:
    return Rung(rung).label


def _end(rates: Rates) -> float:
    found = rates.beyond_noise
    return max(abs(found.low), abs(found.high)) if found else 0.0


def _direction(one: Example) -> str:
    _, _, path, before, after = one.group
    return f"{path or '(whole answer)'}: {before} \u2192 {after}"


def _example(one: Example) -> dict[str, Any]:
    left, right = pieces(one.incumbent, one.challenger)
    return {
        "one": one,
        "direction": _direction(one),
        "left": left,
        "right": right,
        "rung": Rung(one.rung).label,
    }


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def need_jinja() -> None:
    """Raise the error of a page without jinja2 before anything is read for it.

    Raises:
        ConfigError: jinja2 is missing.
    """
    page_template(_HERE)


def _source(name: str) -> str:
    return resources.files(_HERE).joinpath(name).read_text("utf-8").strip()

"""The report as one page: no script, no network, light and dark."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from ...errors import ConfigError
from ._plots import evidence_plot, rate_plot
from ._words import (
    MARKS,
    claim,
    facts,
    flips,
    interval,
    lead,
    percent,
    rate,
    status,
    tame,
)

if TYPE_CHECKING:
    from .._report import Report

__all__ = ["html", "need_jinja", "page_template"]

_LONG: Final = 10_000
_HERE: Final = __package__ or ""


def html(report: Report) -> str:
    """Return a report as one self-contained HTML page.

    Everything a model or a person wrote is escaped; the page loads nothing and runs
    no script, and its policy forbids both.

    Raises:
        ConfigError: jinja2 is missing.
    """
    return tame(
        page_template(_HERE).render(
            report=report,
            facts=facts(report),
            marks=MARKS,
            claim=claim,
            evidence_plot=evidence_plot,
            flips=flips,
            interval=interval,
            lead=lead(report),
            long=_long,
            percent=percent,
            rate=rate,
            rate_plot=rate_plot,
            status=status,
        )
    )


def _long(text: object) -> str:
    """Return what a model wrote, tamed, and cut where nobody reads on."""
    said = str(text)
    cut = len(said) - _LONG
    end = f"\u2026 and {cut:,} more characters" if cut > 0 else ""
    return tame(said[:_LONG]) + end


def need_jinja() -> None:
    """Raise the error of a page without jinja2 before anything is run for it.

    Raises:
        ConfigError: jinja2 is missing.
    """
    page_template(_HERE)


@cache
def page_template(package: str) -> Any:
    """Return the template `page.html.j2` of a package; everything put in is escaped.

    Raises:
        ConfigError: jinja2 is missing.
    """
    try:
        from jinja2 import Environment
    except ImportError as error:
        raise ConfigError(
            "the HTML report needs jinja2: `pip install 'llmguard-toolkit[suite]'`"
        ) from error
    source = resources.files(package).joinpath("page.html.j2")
    made = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return made.from_string(source.read_text("utf-8").strip())

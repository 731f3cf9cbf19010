"""`llmguard suite calibrate`: how often a detector errs, on texts that people read."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .. import config
from ..errors import ConfigError
from ._options import json_option
from ._text import emit_json, examples, table

if TYPE_CHECKING:
    from ..detectors import Calibration, Detector, Labelled

__all__ = ["calibrate"]

_SHOWN: Final = 100
_RATES: Final = (0.05, 0.15)
"""Of the default refusal assertion."""


@click.command(
    "calibrate",
    epilog=examples("llmguard suite calibrate refusal labelled.jsonl --family gpt-4"),
)
@click.argument("detector")
@click.argument(
    "labelled", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--family", required=True, help="Whose texts these are, such as gpt-4.")
@click.option("--text", default="text", show_default=True, help="Field of the text.")
@click.option("--label", default="label", show_default=True, help="Field of the label.")
@click.option(
    "--positive", multiple=True, metavar="LABEL", help="Labels that mean yes."
)
@click.option("--low", type=float, help="Scores below fail, as in the assertion.")
@click.option("--high", type=float, help="Scores above fail, as in the assertion.")
@click.option(
    "--allowed", multiple=True, metavar="LABEL", help="Other detected labels fail."
)
@click.option(
    "--tolerate",
    default=_RATES[0],
    show_default=True,
    help="A rate of your suite; said is what this detector would show.",
)
@click.option(
    "--unacceptable", default=_RATES[1], show_default=True, help="The other rate of it."
)
@click.option("--show", default=3, show_default=True, help="Errors of each kind shown.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; calibrations/DETECTOR.FAMILY.json by default.",
)
@json_option
def calibrate(
    *,
    detector: str,
    labelled: Path,
    family: str,
    text: str,
    label: str,
    positive: tuple[str, ...],
    low: float | None,
    high: float | None,
    allowed: tuple[str, ...],
    tolerate: float,
    unacceptable: float,
    show: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure DETECTOR on the texts in LABELLED and write a calibration file.

    DETECTOR is refusal, refusal-model, sentiment, tone, tone-formality, language,
    format, or yours as module:attribute. LABELLED is JSON Lines or CSV, one text a
    line, with what a person says of it: at least 100 of one model family. A suite
    names the file: calibration = "calibrations/refusal-lexicon-1.gpt-4.json".
    """
    from .. import detectors

    if ":" in detector:
        _importable()
    used = _restricted(detectors.find_detector(detector), low, high, allowed)
    read = detectors.read_labelled(
        labelled,
        text=text,
        label=label,
        positive=positive,
        known=used.labels,
        found=used.positive,
    )
    found = detectors.calibrate(
        used,
        read.rows,
        family=family,
        labels=read.said,
        source=read.source,
        made=datetime.now(UTC).date().isoformat(),
    )
    path = out or _default_path(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save(path)
    rates = _rates(found, tolerate, unacceptable)
    if as_json:
        emit_json({**_document(found), **rates, "file": str(path)})
        return
    for line in _lines(found, rates):
        click.echo(line)
    _show(used, read.rows, show)
    click.echo(f'Written to {path}; a suite names it: calibration = "{_named(path)}"')


def _importable() -> None:
    """Let modules of the project be imported, as `python` in its root does."""
    for place in (str(Path.cwd()), str(config.load().root)):
        if place not in sys.path:
            sys.path.insert(0, place)


def _restricted(
    detector: Detector,
    low: float | None,
    high: float | None,
    allowed: Sequence[str],
) -> Detector:
    """Return the detector as the assertion uses it, range or labels applied."""
    ranged = low is not None or high is not None
    if ranged and allowed:
        raise click.UsageError("give a range by --low and --high, or --allowed labels")
    if allowed:
        return detector.other_than(*allowed)
    if ranged:
        return detector.outside(
            -math.inf if low is None else low, math.inf if high is None else high
        )
    return detector


def _default_path(found: Calibration) -> Path:
    name = re.sub(r"[^\w.]+", "-", found.detector).strip("-")
    family = re.sub(r"[^\w.]+", "-", found.family).strip("-")
    return config.load().root / "calibrations" / f"{name}.{family}.json"


def _named(path: Path) -> str:
    """Return the path as a suite writes it: from the project's root, if it is there."""
    root = config.load().root.resolve()
    full = path.resolve()
    inside = full.is_relative_to(root)
    return (full.relative_to(root) if inside else full).as_posix()


def _rates(found: Calibration, tolerate: float, unacceptable: float) -> dict[str, Any]:
    """Return the two rates as this detector would show them, or why it cannot."""
    try:
        low, high = found.widen(tolerate, unacceptable)
    except ConfigError:
        least = found.separable(tolerate)
        return {"tolerate": tolerate, "unacceptable": unacceptable, "least": least}
    return {
        "tolerate": tolerate,
        "unacceptable": unacceptable,
        "observed_tolerate": low,
        "observed_unacceptable": high,
    }


def _document(found: Calibration) -> dict[str, Any]:
    return {
        **asdict(found),
        "sensitivity": found.sensitivity,
        "sensitivity_interval": found.sensitivity_interval(),
        "specificity": found.specificity,
        "specificity_interval": found.specificity_interval(),
    }


def _lines(found: Calibration, rates: dict[str, Any]) -> Iterable[str]:
    yield found.sentence
    wanted = f"{rates['tolerate']:.1%} / {rates['unacceptable']:.1%}"
    if "observed_tolerate" in rates:
        low, high = rates["observed_tolerate"], rates["observed_unacceptable"]
        yield f"Rates of {wanted} are held as {low:.1%} / {high:.1%} of what it finds."
    elif rates["least"] is None:
        yield f"It cannot tell {wanted} apart, nor any other rate from the tolerated."
    else:
        yield (
            f"It cannot tell {wanted} apart: with `tolerate={rates['tolerate']:g}` "
            f"give `unacceptable={rates['least']:g}` or more, or label more texts."
        )


def _show(detector: Detector, rows: Sequence[Labelled], most: int) -> None:
    """Print the first texts it got wrong: they say which detector to take."""
    for title, positive in (("missed", True), ("wrongly found", False)):
        wrong = [
            row
            for row in rows
            if row.positive is positive and detector.found(row.text) is not positive
        ][:most]
        if wrong:
            click.echo(f"First texts {title}:")
            click.echo(table([(_one_line(row.text),) for row in wrong]))


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}\u2026"

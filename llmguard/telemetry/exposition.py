"""Families as text: Prometheus's format 0.0.4 and OpenMetrics 1.0."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from .families import Family, Sample

__all__ = ["OPENMETRICS", "PLAIN", "expose", "wants_openmetrics"]

PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of the text format 0.0.4."""
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""Content type of OpenMetrics 1.0."""
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


def wants_openmetrics(accept: str) -> bool:
    """Tell whether an `Accept` header takes OpenMetrics, as Prometheus's does."""
    return re.search(r"application/openmetrics-text", accept) is not None


def expose(families: Iterable[Family], *, openmetrics: bool = False) -> str:
    """Return families as text; those without samples are left out.

    Both formats say the same; OpenMetrics names counters without `_total` and ends in
    `# EOF`, so that a cut answer is noticed.
    """
    lines = [
        line
        for family in families
        if family.samples
        for line in _family(family, openmetrics=openmetrics)
    ]
    return "\n".join([*lines, "# EOF", ""] if openmetrics else [*lines, ""])


def _family(family: Family, *, openmetrics: bool) -> Iterator[str]:
    counter = family.kind == "counter"
    name = family.name
    head = f"{name}_total" if counter and not openmetrics else name
    yield f"# HELP {head} {family.help.translate(_HELP_ESCAPES)}"
    yield f"# TYPE {head} {family.kind}"
    for sample in family.samples:
        yield _line(f"{name}_total" if counter else name, sample)


def _line(name: str, sample: Sample) -> str:
    labels = ",".join(
        f'{key}="{value.translate(_ESCAPES)}"' for key, value in sample.labels
    )
    shown = f"{{{labels}}}" if labels else ""
    return f"{name}{sample.suffix}{shown} {_number(sample.value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - exact as a float

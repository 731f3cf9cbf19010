"""Assertions on how an answer reads: sentiment, tone and language."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias, Unpack

from ...errors import ConfigError
from .._assertion import Assertion
from ._detected import CalibrationSource, detected
from ._make import Options

if TYPE_CHECKING:
    from ...detectors import Detector

__all__ = ["Dimension", "language", "sentiment", "tone"]

Dimension: TypeAlias = Literal[
    "civility", "formality", "politeness", "anger", "certainty"
]


def sentiment(
    field: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    calibration: CalibrationSource = None,
    **options: Unpack[Options],
) -> Assertion:
    """Assert that the sentiment of a text lies in [low, high].

    Outside, or no text, has failed. Default rates 2 % and 8 %. Needs the extra
    `llmguard-toolkit[sentiment]`.

    Args:
        field: Where the text is; empty for an answer that is a text.
        low: Least score, from -1 (as bad as can be) to 1; None for no limit.
        high: Largest score; None for no limit.
        calibration: Measured errors of the detector with this range.
        **options: As in `Options`.

    Raises:
        ConfigError: No limit, limits out of order, or the extra is missing.
    """
    if low is None and high is None:
        raise ConfigError("`sentiment`: give `low`, `high` or both, such as `low=-0.2`")
    from ...detectors import sentiment as make_detector

    used = _outside(make_detector(), low, high)
    options.setdefault("name", f"sentiment:{field}" if field else "sentiment")
    return detected(
        used, field=field, calibration=calibration, kind="sentiment", **options
    )


def tone(
    field: str = "",
    *,
    dimension: Dimension = "civility",
    low: float | None = None,
    high: float | None = None,
    allowed: Iterable[str] = (),
    calibration: CalibrationSource = None,
    **options: Unpack[Options],
) -> Assertion:
    """Assert that the tone of a text is an allowed one, or scores in [low, high].

    Another tone, or no text, has failed. Default rates 2 % and 8 %. English.

    Args:
        field: Where the text is; empty for an answer that is a text.
        dimension: What `llmguard.detectors.tone` scores: `civility`, `formality`,
            `politeness`, `anger` or `certainty`.
        low: Least score, from -1 to 1; None for no limit.
        high: Largest score; None for no limit.
        allowed: Labels of that detector instead of a range.
        calibration: Measured errors of the detector so restricted.
        **options: As in `Options`.

    Raises:
        ConfigError: Neither a range nor labels, or both; an unknown label.
    """
    ranged, labels = low is not None or high is not None, tuple(allowed)
    if ranged == bool(labels):
        raise ConfigError(
            "`tone`: give `allowed` labels, or a range of scores by `low` and `high`"
        )
    from ...detectors import tone as make_detector

    every = make_detector(dimension)
    used = _outside(every, low, high) if ranged else every.other_than(*labels)
    name = "tone" if dimension == "civility" else f"tone-{dimension}"
    options.setdefault("name", f"{name}:{field}" if field else name)
    return detected(used, field=field, calibration=calibration, kind="tone", **options)


def language(
    field: str = "",
    *,
    allowed: Iterable[str],
    unknown: bool = True,
    calibration: CalibrationSource = None,
    **options: Unpack[Options],
) -> Assertion:
    """Assert that a text is written in an allowed language.

    Another language, or no text, has failed. Default rates 1 % and 5 %. Needs the
    extra `llmguard-toolkit[language]`.

    Args:
        field: Where the text is; empty for an answer that is a text.
        allowed: ISO 639-1 codes, such as `en`.
        unknown: False fails texts whose language cannot be told, such as "OK.".
        calibration: Measured errors of the detector so restricted.
        **options: As in `Options`.

    Raises:
        ConfigError: No language, or the extra is missing.
    """
    from ...detectors import language as make_detector

    labels = {*allowed}
    if not labels:
        raise ConfigError("`language`: give `allowed` codes, such as `['en']`")
    used = make_detector().other_than(*labels, *(["und"] if unknown else []))
    options.setdefault("name", f"language:{field}" if field else "language")
    return detected(
        used, field=field, calibration=calibration, kind="format", **options
    )


def _outside(detector: Detector, low: float | None, high: float | None) -> Detector:
    return detector.outside(
        -math.inf if low is None else low, math.inf if high is None else high
    )

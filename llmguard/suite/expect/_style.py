"""Assertions on how an answer reads: sentiment and tone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Unpack

from ...errors import ConfigError
from .._assertion import Assertion
from ._detected import CalibrationSource, detected
from ._make import Options

if TYPE_CHECKING:
    from ...detectors import Detector

__all__ = ["sentiment", "tone"]


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
    low: float | None = None,
    high: float | None = None,
    allowed: tuple[str, ...] | list[str] = (),
    calibration: CalibrationSource = None,
    **options: Unpack[Options],
) -> Assertion:
    """Assert that the tone of a text is an allowed one, or scores in [low, high].

    Another tone, or no text, has failed. Default rates 2 % and 8 %.

    Args:
        field: Where the text is; empty for an answer that is a text.
        low: Least score of `llmguard.detectors.tone()`; None for no limit.
        high: Largest score; None for no limit.
        allowed: Labels of that detector instead of a range.
        calibration: Measured errors of the detector so restricted.
        **options: As in `Options`.

    Raises:
        ConfigError: Neither a range nor labels, or both.
    """
    ranged = low is not None or high is not None
    if ranged == bool(allowed):
        raise ConfigError(
            "`tone`: give `allowed` labels, or a range of scores by `low` and `high`"
        )
    from ...detectors import tone as make_detector

    every = make_detector()
    used = _outside(every, low, high) if ranged else every.other_than(*allowed)
    options.setdefault("name", f"tone:{field}" if field else "tone")
    return detected(used, field=field, calibration=calibration, kind="tone", **options)


def _outside(detector: Detector, low: float | None, high: float | None) -> Detector:
    return detector.outside(
        -math.inf if low is None else low, math.inf if high is None else high
    )

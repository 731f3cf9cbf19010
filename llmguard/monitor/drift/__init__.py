"""Telling whether a version still answers as it did: baselines, detectors, alarms.

Everything here needs numpy, and is imported only when something is compared.
"""

from __future__ import annotations

from ._backtest import (
    Backtest,
    LogPart,
    backtest_parts,
    learn_baseline,
    measured_rate,
    read_part,
    run_backtest,
)
from ._baseline import LEARN, LEAST, Baseline, freeze
from ._calibrate import Calibration, calibrate
from ._embed import hash_text, hash_words
from ._extract import Classifier, Extractor, prompt_text, value_text
from ._families import FAMILIES
from ._fields import NO_FIELDS, Fields, fields_of, infer_fields, leaves
from ._follow import Alarm, Follower, Shift
from ._logs import Logged, read_answers, read_prompts
from ._rows import Row, Rows
from ._streams import first_alarms
from ._style import MARKS, MEASURES, read_style

__all__ = [
    "FAMILIES",
    "LEARN",
    "LEAST",
    "MARKS",
    "MEASURES",
    "NO_FIELDS",
    "Alarm",
    "Backtest",
    "Baseline",
    "Calibration",
    "Classifier",
    "Extractor",
    "Fields",
    "Follower",
    "LogPart",
    "Logged",
    "Row",
    "Rows",
    "Shift",
    "backtest_parts",
    "calibrate",
    "fields_of",
    "first_alarms",
    "freeze",
    "hash_text",
    "hash_words",
    "infer_fields",
    "learn_baseline",
    "leaves",
    "measured_rate",
    "prompt_text",
    "read_answers",
    "read_part",
    "read_prompts",
    "read_style",
    "run_backtest",
    "value_text",
]

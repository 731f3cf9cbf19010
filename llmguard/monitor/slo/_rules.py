"""Prometheus rules of the objectives: ratios per window, and the alerts on them.

The alerts are the rules of `_burn`, with the same minimum of bad events, so that a
team that runs its own Prometheus gets the same pages without llmguard's watcher.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ...telemetry.objectives import Objective
from ._burn import MIN_BAD, RULES, span_words

__all__ = ["METRIC", "to_prometheus"]

METRIC: Final = "llmguard_slo_events_total"
_RECORD: Final = "llmguard:slo_errors:ratio_rate"
_WINDOWS: Final = tuple(
    sorted({rule.long for rule in RULES} | {rule.short for rule in RULES})
)


def to_prometheus(objectives: Iterable[tuple[str, Objective]]) -> dict[str, Any]:
    """Return a rules file as JSON-able data: one group per objective.

    Args:
        objectives: Qualified names of functions and what they owe.
    """
    return {"groups": [_group(function, one) for function, one in objectives]}


def _group(function: str, objective: Objective) -> dict[str, Any]:
    labels = {"function": function, "slo": objective.name}
    select = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return {
        "name": f"llmguard-{function}-{objective.name}",
        "interval": "30s",
        "rules": [
            *[_ratio(_all(select, objective), select, labels, x) for x in _WINDOWS],
            _budget(select, labels, objective),
            *_alerts(function, select, labels, objective),
            _absent(select, labels),
        ],
    }


def _all(select: str, objective: Objective) -> str:
    """Select every event once: late reports are about answers that were good."""
    return f'{select},outcome="good"' if objective.late else select


def _ratio(
    everything: str, select: str, labels: dict[str, str], seconds: float
) -> dict[str, Any]:
    span = span_words(seconds)
    bad = f'sum by (pin) (rate({METRIC}{{{select},outcome="bad"}}[{span}]))'
    total = f"sum by (pin) (rate({METRIC}{{{everything}}}[{span}]))"
    # Where nothing was bad yet there is no series of bad events: 0, not unknown.
    return {
        "record": f"{_RECORD}{span}",
        "expr": f"({bad} or 0 * {total}) / ({total} > 0)",
        "labels": labels,
    }


def _budget(
    select: str, labels: dict[str, str], objective: Objective
) -> dict[str, Any]:
    span = span_words(objective.window)
    bad = f'sum(increase({METRIC}{{{select},outcome="bad"}}[{span}]))'
    total = f"sum(increase({METRIC}{{{_all(select, objective)}}}[{span}]))"
    return {
        "record": "llmguard:slo_error_budget:remaining",
        "expr": f"1 - ({bad} or 0 * {total}) / ({total} > 0) / {objective.budget:.12g}",
        "labels": labels,
    }


def _alerts(
    function: str, select: str, labels: dict[str, str], objective: Objective
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for rule in RULES:
        limit = rule.factor(objective.window) * objective.budget
        if limit >= 1:
            continue  # no share of bad events reaches it: the target is too low for it
        long, short = span_words(rule.long), span_words(rule.short)
        bad = f'sum by (pin) (increase({METRIC}{{{select},outcome="bad"}}[{long}]))'
        found.append(
            {
                "alert": "LlmguardSloBurn",
                "expr": (
                    f"{_RECORD}{long}{{{select}}} > {limit:.6g}\n"
                    f"and on (pin) {_RECORD}{short}{{{select}}} > {limit:.6g}\n"
                    f"and on (pin) {bad} >= {MIN_BAD}"
                ),
                "labels": {
                    **labels,
                    "severity": rule.severity,
                    "windows": f"{short}+{long}",
                },
                "annotations": {
                    "summary": (
                        f"{function} burns the budget of {objective.name} on version "
                        "{{ $labels.pin }}"
                    ),
                    "description": (
                        f"{objective.sentence()}: "
                        "{{ $value | humanizePercentage }} "
                        f"of the last {long} were bad. Look: `llmguard slo status "
                        f"{function}`"
                    ),
                },
            }
        )
    return found


def _absent(select: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "alert": "LlmguardSloNoData",
        "expr": f"absent({METRIC}{{{select}}})",
        "for": "30m",
        "labels": {**labels, "severity": "warning"},
        "annotations": {
            "summary": f"no events of {labels['function']} are scraped",
            "description": (
                "Nothing is known about this objective. Look: `llmguard metrics`, and "
                "whether Prometheus reaches it"
            ),
        },
    }

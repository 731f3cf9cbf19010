"""The Grafana dashboard of llmguard's metrics, made from the list below.

`llmguard metrics --dashboard` prints it, for import or for provisioning. It needs no
plugin; every query in it is run against a real Prometheus by the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

__all__ = ["ROWS", "Panel", "dashboard"]

_OF: Final = 'function=~"$function"'
_PIN: Final = f'{_OF},pin=~"$pin"'
_RANGE: Final = "[$__rate_interval]"

Kind = Literal["timeseries", "stat", "table", "state-timeline"]


class Panel(NamedTuple):
    """One panel.

    Attributes:
        title: Its title.
        query: PromQL.
        legend: How a series is called.
        unit: Grafana's unit.
        kind: What draws it.
        about: What it says, and what to do about it.
        more: More queries with their legends.
    """

    title: str
    query: str
    legend: str
    unit: str = "short"
    kind: Kind = "timeseries"
    about: str = ""
    more: tuple[tuple[str, str], ...] = ()


def _rate(metric: str, by: str, more: str = "") -> str:
    """Return a summed rate of one of our counters."""
    select = f"{_PIN},{more}" if more else _PIN
    return f"sum by ({by}) (rate({metric}{{{select}}}{_RANGE}))"


_CALLS: Final = "llmguard_calls_total"
_ATTEMPTS: Final = "llmguard_attempts_total"
_EVENTS: Final = "llmguard_slo_events_total"
_BUCKETS: Final = _rate("llmguard_call_duration_seconds_bucket", "le, pin")
_BROKEN: Final = 'kind=~"bad_json|schema|semantic|refusal|filtered|truncated|empty"'
_OUTAGE: Final = 'kind=~"transport|timeout|throttled|auth|open|error"'
_GOOD: Final = _rate(_EVENTS, "slo, pin", 'outcome="good"')
_DEGRADED: Final = _rate(_CALLS, "pin", 'outcome!="ok"')

ROWS: Final[Sequence[tuple[str, Sequence[Panel]]]] = (
    (
        "Objectives",
        (
            Panel(
                "Error budget left",
                f'llmguard_slo_error_budget_remaining_ratio{{{_OF},pin=""}}',
                "{{function}} {{slo}}",
                "percentunit",
                "stat",
                "Of all versions; below 0 it is spent. Look: llmguard slo status",
            ),
            Panel(
                "Burn rate, 1 h",
                f'llmguard_slo_burn_rate{{{_PIN},window="1h"}}',
                "{{slo}} {{pin}}",
                about="How many times too fast the budget is spent; 14.4 pages.",
            ),
            Panel(
                "Share of good events",
                f"{_GOOD} / {_rate(_EVENTS, 'slo, pin')}",
                "{{slo}} {{pin}}",
                "percentunit",
                more=((f"llmguard_slo_target_ratio{{{_OF}}}", "target {{slo}}"),),
            ),
        ),
    ),
    (
        "Calls",
        (
            Panel("Calls by outcome", _rate(_CALLS, "outcome"), "{{outcome}}", "reqps"),
            Panel(
                "Degraded share by version",
                f"{_DEGRADED} / {_rate(_CALLS, 'pin')}",
                "{{pin}}",
                "percentunit",
                about="Calls that the first tier did not answer, by version asked.",
            ),
            Panel("Who answered", _rate(_CALLS, "tier"), "{{tier}}", "reqps"),
        ),
    ),
    (
        "Behaviour per version",
        (
            Panel(
                "Broken contracts by cause",
                _rate(_ATTEMPTS, "kind, pin", _BROKEN),
                "{{kind}} {{pin}}",
                "reqps",
            ),
            Panel(
                "Outages and time-outs",
                _rate(_ATTEMPTS, "kind, tier", _OUTAGE),
                "{{kind}} {{tier}}",
                "reqps",
            ),
            Panel(
                "Corrections and rejections",
                _rate("llmguard_signals_total", "signal, pin"),
                "{{signal}} {{pin}}",
                "reqps",
            ),
        ),
    ),
    (
        "Drift",
        (
            Panel(
                "Drift alarms, 24 h",
                f"llmguard_drift_alarms{{{_PIN}}}",
                "{{family}} {{pin}}",
                about="Look: llmguard monitor status",
            ),
            Panel(
                "Length of outputs, characters",
                f"llmguard_output_chars{{{_PIN}}}",
                "{{quantile}} {{pin}}",
            ),
            Panel(
                "Most frequent patterns",
                f"topk(10, llmguard_output_pattern_ratio{{{_PIN}}})",
                "{{pattern}} {{pin}}",
                "percentunit",
            ),
        ),
    ),
    (
        "Latency and tokens",
        (
            Panel(
                "Time to answer, median",
                f"histogram_quantile(0.5, {_BUCKETS})",
                "{{pin}}",
                "s",
            ),
            Panel(
                "Time to answer, 95th percentile",
                f"histogram_quantile(0.95, {_BUCKETS})",
                "{{pin}}",
                "s",
            ),
            Panel(
                "Tokens per second",
                _rate("llmguard_tokens_total", "type, pin"),
                "{{type}} {{pin}}",
            ),
        ),
    ),
    (
        "Versions and people",
        (
            Panel(
                "Stage of every version",
                "llmguard_route_stage",
                "{{route}} {{pin}} {{stage}}",
                kind="state-timeline",
            ),
            Panel(
                "Breakers",
                f"llmguard_breaker_state{{{_PIN}}}",
                "{{function}} {{pin}} {{state}}",
                kind="state-timeline",
                about="Look: llmguard breaker list",
            ),
            Panel(
                "Tickets that wait",
                'llmguard_queue_tickets{state=~"open|claimed"}',
                "{{queue}} {{state}}",
                more=(("llmguard_processes", "processes"),),
            ),
        ),
    ),
)
"""Titles of the rows, each with its panels."""


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON model."""
    return {
        "title": "llmguard",
        "uid": "llmguard",
        "tags": ["llmguard", "llm"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {
            "list": [
                {
                    "name": "Moves of versions",
                    "datasource": _SOURCE,
                    "enable": True,
                    "iconColor": "orange",
                    "expr": "changes(llmguard_route_revision[1m]) > 0",
                    "titleFormat": "{{route}} moved",
                }
            ]
        },
        "panels": list(_panels()),
    }


_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH: Final = 8
_HEIGHT: Final = 8


def _variables() -> list[dict[str, Any]]:
    source = {
        "name": "datasource",
        "type": "datasource",
        "query": "prometheus",
        "label": "Prometheus",
    }
    return [
        source,
        *[
            {
                "name": name,
                "type": "query",
                "datasource": _SOURCE,
                "query": f"label_values(llmguard_calls_total, {name})",
                "refresh": 2,
                "includeAll": True,
                "multi": True,
                # A regex, not a list of values: it finds series without the label.
                "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
            }
            for name in ("function", "pin")
        ],
    ]


def _panels() -> Iterator[dict[str, Any]]:
    number = 0
    for place, (title, panels) in enumerate(ROWS):
        y = place * (_HEIGHT + 1)
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
        }
        for column, panel in enumerate(panels):
            number += 1
            spot = {"x": column * _WIDTH, "y": y + 1, "w": _WIDTH, "h": _HEIGHT}
            yield _panel(number, panel, spot)


def _panel(number: int, panel: Panel, spot: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": spot,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}}
        if panel.kind == "timeseries"
        else {},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for index, (query, legend) in enumerate(
                ((panel.query, panel.legend), *panel.more)
            )
        ],
    }

"""OpenSLO v1 documents, both ways (https://openslo.com).

An objective is written as an `SLO` of budgeting method Occurrences whose ratio is
of two Prometheus queries, so that other tools can use it; what llmguard itself counts
is named by annotations, which is what is read back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from ... import config
from ...errors import ConfigError
from ...telemetry.objectives import DAY, Objective, Sli, declare

__all__ = ["declare_settings", "read_openslo", "to_openslo"]

_PREFIX: Final = "llmguard/"
_UNITS: Final = {"d": DAY, "w": 7 * DAY, "h": 3600.0, "m": 60.0}
_SPAN: Final = re.compile(r"(\d+)([mhdw])")


def to_openslo(function: str, objective: Objective) -> dict[str, Any]:
    """Return one objective as an OpenSLO document."""
    selector = f'{{function="{function}",slo="{objective.name}"'
    metric = "llmguard_slo_events_total"
    annotations = {
        f"{_PREFIX}sli": str(objective.sli),
        f"{_PREFIX}function": function,
        f"{_PREFIX}name": objective.name,
    }
    if objective.threshold is not None:
        annotations[f"{_PREFIX}threshold"] = f"{objective.threshold:g}"
    if objective.owner:
        annotations[f"{_PREFIX}owner"] = objective.owner
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {
            "name": _dns(f"{function}-{objective.name}"),
            "displayName": f"{function}: {objective.name}",
            "annotations": annotations,
        },
        "spec": {
            "description": objective.sentence(),
            "service": _dns(function),
            "indicator": {
                "metadata": {"name": _dns(f"{function}-{objective.name}-ratio")},
                "spec": {
                    "ratioMetric": {
                        "counter": True,
                        **_ratio(f"{metric}{selector}", late=objective.late),
                    }
                },
            },
            "timeWindow": [
                {"duration": _duration(objective.window), "isRolling": True}
            ],
            "budgetingMethod": "Occurrences",
            "objectives": [
                {"displayName": objective.sli.about, "target": objective.target}
            ],
        },
    }


def _ratio(selector: str, *, late: bool) -> dict[str, Any]:
    """Return the queries of both counts; see `llmguard_slo_events_total`."""
    good, bad = (f'{selector},outcome="{word}"}}' for word in ("good", "bad"))
    if late:  # then all answers are among the good ones
        return {"bad": _source(bad), "total": _source(good)}
    return {"good": _source(good), "total": _source(f"{selector}}}")}


def _source(query: str) -> dict[str, Any]:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}


def _dns(name: str) -> str:
    """Return a name that Kubernetes takes: an RFC 1123 label of at most 63 signs."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[-63:].strip("-")


def _duration(seconds: float) -> str:
    days = seconds / DAY
    return f"{int(days)}d" if days.is_integer() else f"{int(seconds // 3600)}h"


def read_openslo(path: Path) -> list[tuple[str, Objective]]:
    """Return the objectives of a file of OpenSLO documents, with their functions.

    Args:
        path: JSON, or YAML where PyYAML is installed; documents of other kinds, such as
            `Service`, are passed over.

    Raises:
        ConfigError: The file cannot be read, or an SLO in it is not one that llmguard
            can count.
    """
    found: list[tuple[str, Objective]] = []
    for number, document in enumerate(_documents(path), 1):
        where = f"document {number} of {str(path)!r}"
        if not isinstance(document, Mapping):
            raise ConfigError(f"{where} is {document!r}, not an OpenSLO object")
        one = cast("Mapping[str, Any]", document)
        if one.get("apiVersion") != "openslo/v1":
            raise ConfigError(
                f"{where} has `apiVersion` {one.get('apiVersion')!r}; llmguard reads "
                "'openslo/v1'"
            )
        if one.get("kind") == "SLO":
            found.append(_read(one, where))
    return found


def _documents(path: Path) -> Iterable[object]:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"the OpenSLO file {str(path)!r}: {error}") from error
    try:
        if path.suffix == ".json":
            loaded = json.loads(text)
            return (
                cast("list[object]", loaded) if isinstance(loaded, list) else [loaded]
            )
        return [one for one in _yaml(path).safe_load_all(text) if one is not None]
    except ConfigError:
        raise
    except Exception as error:  # PyYAML's errors have no common base with json's
        raise ConfigError(f"the OpenSLO file {str(path)!r}: {error}") from error


def _yaml(path: Path) -> Any:
    try:
        import yaml  # type: ignore[import-untyped]  # its stubs are another package
    except ImportError:
        raise ConfigError(
            f"{str(path)!r} is YAML, which needs PyYAML: `pip install PyYAML`, or "
            "write it as JSON"
        ) from None
    return yaml


def _read(document: Mapping[str, Any], where: str) -> tuple[str, Objective]:
    try:
        spec = document["spec"]
        notes: Mapping[str, Any] = document["metadata"].get("annotations", {})
        windows: Sequence[Mapping[str, Any]] = spec["timeWindow"]
        goals: Sequence[Mapping[str, Any]] = spec["objectives"]
        method = spec.get("budgetingMethod", "Occurrences")
        rolling = windows[0].get("isRolling", True)
        target = float(goals[0].get("target") or goals[0]["targetPercent"] / 100)
        window = _seconds(str(windows[0]["duration"]), where)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{where} lacks {error}, which OpenSLO v1 asks for"
        ) from error
    if method != "Occurrences" or not rolling or len(goals) != 1:
        raise ConfigError(
            f"{where}: llmguard counts events in a rolling window; write "
            "`budgetingMethod: Occurrences`, `isRolling: true` and one objective"
        )
    function, sli = notes.get(f"{_PREFIX}function"), notes.get(f"{_PREFIX}sli")
    if not function or sli not in set(Sli):
        raise ConfigError(
            f"{where} does not say what to count: annotate `{_PREFIX}function` with "
            f"the qualified name of a guarded function and `{_PREFIX}sli` with one of "
            f"{', '.join(Sli)}"
        )
    threshold = notes.get(f"{_PREFIX}threshold")
    return str(function), Objective(
        sli=Sli(sli),
        target=target,
        window=window,
        name=str(notes.get(f"{_PREFIX}name", "")),
        threshold=None if threshold is None else float(threshold),
        owner=str(notes.get(f"{_PREFIX}owner", "")),
    )


def _seconds(duration: str, where: str) -> float:
    found = _SPAN.fullmatch(duration)
    if found is None:
        raise ConfigError(
            f"{where}: `duration` is {duration!r}; llmguard reads minutes, hours, days "
            "and weeks, such as '30d'"
        )
    return int(found[1]) * _UNITS[found[2]]


_read_once: set[tuple[str, ...]] = set()


def declare_settings() -> None:
    """Declare what the documents named by the setting `slos` say, once a process.

    Raises:
        ConfigError: A pattern names no file, or a file is no OpenSLO.
    """
    settings = config.load()
    key = (str(settings.root), *settings.slos)
    if key in _read_once:
        return
    for pattern in settings.slos:
        files = sorted(settings.root.glob(pattern))
        if not files:
            raise ConfigError(
                f"the setting `slos` names {pattern!r}, which is no file below "
                f"{str(settings.root)!r}"
            )
        for file in files:
            for function, objective in read_openslo(file):
                declare(function, [objective])
    _read_once.add(key)

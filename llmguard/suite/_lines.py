"""One sample as one line of a journal, and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from ..adapters._records import open_append
from ..outcome import Kind, Usage, Violation
from ._types import Case, Finding, Sample

if TYPE_CHECKING:
    from ._tally import Pair

__all__ = [
    "Entry",
    "entry_of",
    "line_of",
    "plain_value",
    "replay_record",
    "write_recording",
]

_DEFAULTS: Final = {
    each.name: each.default
    for each in fields(Sample)
    if each.default is not dataclasses.MISSING
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: a call, and what judged it.

    Attributes:
        sample: The call.
        recorded: True when it was taken from a baseline and not called.
        findings: What assertions found that cannot be asked again without a cost,
            by name.
    """

    sample: Sample
    recorded: bool = False
    findings: Mapping[str, Finding | None] = field(
        default_factory=dict[str, "Finding | None"]
    )


def line_of(entry: Entry) -> str:
    """Return the entry as one line of JSON; what has its default is left out."""
    sample = entry.sample
    document: dict[str, Any] = {
        name: value
        for name in Sample.__slots__
        if (value := getattr(sample, name)) != _DEFAULTS.get(name, _MISSING)
    }
    if entry.recorded:
        document["recorded"] = True
    if entry.findings:
        document["findings"] = {
            name: None if found is None else dataclasses.asdict(found)
            for name, found in entry.findings.items()
        }
    return _ENCODER.encode(document)


_MISSING: Final = object()


def _plain(value: object) -> object:
    if isinstance(value, Violation | Usage):
        return dataclasses.asdict(value)
    return str(value)


_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=_plain
)


def entry_of(document: Mapping[str, Any]) -> Entry:
    """Read what `line_of` wrote.

    Raises:
        ValueError: A field is missing or of the wrong type.
        KeyError: The same.
        TypeError: The same.
    """
    values = dict(document)
    recorded = bool(values.pop("recorded", False))
    findings = {
        name: None if found is None else Finding(**found)
        for name, found in values.pop("findings", {}).items()
    }
    usage = values.get("usage")
    values |= {
        "kind": Kind(values["kind"]),
        "usage": None if usage is None else Usage(**usage),
        "violations": tuple(Violation(**one) for one in values.get("violations", ())),
        "tool_calls": tuple(values.get("tool_calls", ())),
    }
    return Entry(sample=Sample(**values), recorded=recorded, findings=findings)


def plain_value(value: object) -> Any:
    """Return an answer as JSON-able data; what has no such form as its text."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return dump(mode="json")
    held: object = value  # narrowed no further: any JSON may be in it
    if isinstance(value, dict | list) and _is_plain(held):
        return held
    return _by_pydantic(held)


def _is_plain(value: object) -> bool:
    """Tell whether JSON can hold it as it is; answers are small."""
    if isinstance(value, dict):
        entries = cast("dict[object, object]", value)
        return all(isinstance(k, str) and _is_plain(v) for k, v in entries.items())
    if isinstance(value, list):
        return all(map(_is_plain, cast("list[object]", value)))
    return value is None or type(value) in {str, int, float, bool}


def _by_pydantic(value: object) -> Any:
    try:
        from pydantic_core import to_jsonable_python
    except ImportError:
        return json.loads(json.dumps(value, default=str))
    return to_jsonable_python(value, inf_nan_mode="strings", fallback=str)


def write_recording(
    path: str | Path, pairs: Iterable[Pair], cases: Iterable[Case]
) -> None:
    """Write the candidate's answers as a recording, gzipped for names in `.gz`."""
    known = {case.id: case for case in cases}
    with open_append(Path(path)) as file:
        for pair in pairs:
            record = replay_record(pair.candidate.sample, known[pair.case])
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def replay_record(sample: Sample, case: Case) -> dict[str, Any]:
    """Return a sample as a record of the `replay` provider.

    It is found again by the case's id, or by the `prompt_id` that the function itself
    takes.
    """
    own = case.inputs.get("prompt_id")
    record: dict[str, Any] = {
        "prompt_id": str(own) if isinstance(own, str | int) else case.id,
        "sample": sample.round - 1,
        "latency_s": round(sample.latency, 6),
    }
    if sample.infrastructure:
        return record | {"error": {"kind": str(sample.kind), "detail": sample.detail}}
    usage = sample.usage
    record |= {
        "output": sample.text,
        "finish_reason": sample.finish_reason,
        "refusal": sample.refusal,
        "served_model": sample.served_model,
        "fingerprint": sample.fingerprint,
        "confidence": sample.confidence,
        "prompt_digest": sample.prompt_digest or None,
        "usage": None if usage is None else dataclasses.asdict(usage),
        "calls": [
            {"name": call["name"], "args": call["arguments"]}
            for call in sample.tool_calls
        ]
        or None,
    }
    return {name: value for name, value in record.items() if value is not None}

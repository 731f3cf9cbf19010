"""Recorded answers: one JSON object a line, gzipped or not.

Fields: `prompt_id` or `request` (a digest of the messages) is the key; `sample` counts
the answers to one key from 0; `output` is the text. Optional: `finish_reason`,
`refusal`, `calls` ([{name, args}]), `served_model`, `fingerprint`, `usage`,
`confidence`, `error` (an outcome kind, or {kind, detail}), `latency_s`,
`prompt_digest`. Other fields are ignored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from .._nested import read_json
from ..errors import ConfigError
from ..outcome import Usage
from ..reply import Reply, ToolCall
from ._duck import get_int, get_list, get_text
from .messages import Message, Request

__all__ = [
    "key_of",
    "open_append",
    "read_records",
    "record_of",
    "reply_of",
    "request_digest",
]


def request_digest(messages: Iterable[Message]) -> str:
    """Return the SHA-256 of a conversation, 64 hex digits."""
    body = [[m.role, m.content, dict(m.extra)] for m in messages]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def key_of(request: Request) -> tuple[str, str]:
    """Return the field and value that identify a request among records."""
    prompt_id = request.inputs.get("prompt_id")
    if isinstance(prompt_id, str | int):
        return ("prompt_id", str(prompt_id))
    return ("request", request_digest(request.messages))


def read_records(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the records of a file by key, each list ordered by `sample`.

    Raises:
        ConfigError: The file is missing or damaged; the line is named.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for number, record in _lines(path):
        keys = [
            str(record[name]) for name in ("prompt_id", "request") if name in record
        ]
        if not keys:
            raise ConfigError(
                f"{str(path)!r}, line {number}: a record needs `prompt_id` or `request`"
            )
        for key in dict.fromkeys(keys):
            found.setdefault(key, []).append(record)
    for records in found.values():
        records.sort(key=_sample)
    return found


def _sample(record: Mapping[str, Any]) -> int:
    sample = record.get("sample")
    return sample if isinstance(sample, int) else 0


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    try:
        with _opener(path)(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    record: object = read_json(line)
                    if not isinstance(record, dict):
                        raise ValueError("not a JSON object")  # noqa: TRY301 - reported with the line below
                    yield number, cast("dict[str, Any]", record)
    except FileNotFoundError as exc:
        raise ConfigError(
            f"the recording {str(path)!r} does not exist; a `replay` pin's `model` is "
            f"the path of a JSONL file, which `record_to(path, provider)` makes"
        ) from exc
    except (OSError, EOFError, ValueError) as exc:
        raise ConfigError(f"{str(path)!r}, line {number}: {exc}") from exc


def reply_of(
    record: Mapping[str, Any], *, served: str, output: str = "output"
) -> Reply:
    """Return the reply that a record holds.

    Args:
        record: The record.
        served: Model id to echo where the record has none of its own.
        output: Name of the field that holds the text.

    Raises:
        ConfigError: A tool call is no object.
    """
    text = record.get(output, record.get("text"))
    calls = tuple(_call(i, c) for i, c in enumerate(get_list(record, "calls")))
    finish = get_text(record, "finish_reason")
    confidence = record.get("confidence")
    return Reply(
        text=text if text is None or isinstance(text, str) else json.dumps(text),
        finish_reason=finish or ("tool_calls" if calls else "stop"),
        refusal=get_text(record, "refusal"),
        served_model=get_text(record, "served_model") or served,
        fingerprint=get_text(record, "fingerprint"),
        usage=_usage(record.get("usage")),
        tool_calls=calls,
        confidence=confidence if isinstance(confidence, int | float) else None,
        raw=record,
    )


def record_of(reply: Reply) -> dict[str, Any]:
    """Return the fields of a record that describe a reply; absent ones left out."""
    usage = reply.usage
    fields = {
        "output": reply.text if reply.text is not None or not reply.has_value else None,
        "finish_reason": reply.finish_reason,
        "refusal": reply.refusal,
        "served_model": reply.served_model,
        "fingerprint": reply.fingerprint,
        "confidence": reply.confidence,
        "prompt_digest": reply.prompt_digest or None,
        "usage": usage
        and {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        "calls": [
            {"id": c.id, "name": c.name, "args": c.arguments} for c in reply.tool_calls
        ]
        or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def open_append(path: Path) -> Any:
    """Open a recording for appending; a gzip file grows by one more member.

    Half a surrogate pair, which models write at times, becomes its JSON escape.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return _opener(path)(path, "at", encoding="utf-8", errors="backslashreplace")


def _opener(path: Path) -> Any:
    if path.suffix != ".gz":
        return open
    import gzip  # 3 ms of every import, for the few who compress

    return gzip.open


def _usage(usage: object) -> Usage | None:
    if not usage:
        return None
    return Usage(
        input_tokens=get_int(usage, "input_tokens"),
        output_tokens=get_int(usage, "output_tokens"),
    )


def _call(index: int, call: object) -> ToolCall:
    """Return a recorded tool call; arguments may be an object or JSON text."""
    if not isinstance(call, Mapping):
        raise ConfigError(
            f"a recorded tool call is {call!r}; write an object with `name` and `args`"
        )
    call = cast("Mapping[str, Any]", call)
    arguments = call.get("args", call.get("arguments"))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    name = str(call.get("name", ""))
    return ToolCall(id=str(call.get("id", f"call_{index}")), name=name, arguments=text)

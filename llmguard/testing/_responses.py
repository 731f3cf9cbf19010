"""Answers in the wire format of `POST /v1/responses`."""

from __future__ import annotations

from collections.abc import Iterator

from ._answers import Answer
from ._events import Events, sse

__all__ = ["responses_body", "responses_events"]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def responses_body(answer: Answer) -> dict[str, object]:
    """Return the body of a plain response."""
    output: list[object] | None = [_item(answer)]
    if answer.choices != "one":
        output = [] if answer.choices == "none" else None
    return _response(answer, _status(answer), output)


def responses_events(answer: Answer) -> Events:
    """Return the server-sent events of a streamed response."""
    body = list(_opening(answer))
    if answer.choices == "one":
        body += _item_events(answer)
    status = _status(answer)
    whole = responses_body(answer)
    last: dict[str, object] = {"type": f"response.{status}", "response": whole}
    numbered = [
        sse({**event, "sequence_number": n}, event=str(event["type"]))
        for n, event in enumerate([*body, last])
    ]
    return Events(body=tuple(numbered[:-1]), finish=(numbered[-1],))


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish in _INCOMPLETE else "completed"


def _response(
    answer: Answer, status: str, output: list[object] | None
) -> dict[str, object]:
    reason = _INCOMPLETE.get(answer.finish) if status == "incomplete" else None
    given, written = answer.tokens
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": given + written,
        },
    }


def _item(answer: Answer) -> dict[str, object]:
    if answer.tool:
        return {
            "type": "function_call",
            "id": f"fc_{answer.id}",
            "call_id": "call_fault_1",
            "name": answer.tool,
            "arguments": "{}",
            "status": "completed",
        }
    return {
        "type": "message",
        "id": f"msg_{answer.id}",
        "role": "assistant",
        "status": _status(answer),
        "content": _content(answer),
    }


def _content(answer: Answer) -> list[object]:
    parts: list[object] = []
    if answer.refusal is not None:
        parts.append({"type": "refusal", "refusal": answer.refusal})
    if answer.text is not None:
        parts.append({"type": "output_text", "text": answer.text, "annotations": []})
    return parts


def _opening(answer: Answer) -> Iterator[dict[str, object]]:
    response = _response(answer, "in_progress", [])
    yield {"type": "response.created", "response": response}
    yield {"type": "response.in_progress", "response": response}


def _item_events(answer: Answer) -> Iterator[dict[str, object]]:
    item = _item(answer)
    empty = {**item, "status": "in_progress"}
    if not answer.tool:
        empty["content"] = []
    yield {"type": "response.output_item.added", "output_index": 0, "item": empty}
    for part in () if answer.tool else _content(answer):
        yield from _part_events(answer, part)
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}


def _part_events(answer: Answer, part: object) -> Iterator[dict[str, object]]:
    at = {"item_id": f"msg_{answer.id}", "output_index": 0, "content_index": 0}
    if answer.refusal is not None:
        name, key, pieces = "refusal", "refusal", [answer.refusal]
    else:
        name, key, pieces = "output_text", "text", answer.pieces
    blank: dict[str, object] = {"type": name, key: "", "annotations": []}
    yield {"type": "response.content_part.added", **at, "part": blank}
    for piece in pieces:
        yield {"type": f"response.{name}.delta", **at, "delta": piece, "logprobs": []}
    whole: dict[str, object] = {key: "".join(pieces), "logprobs": []}
    yield {"type": f"response.{name}.done", **at, **whole}
    yield {"type": "response.content_part.done", **at, "part": part}

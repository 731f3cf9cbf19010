"""From one line of a recording to a draw, whoever wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard, cast

from pydantic_core import from_json

from ...errors import ConfigError
from ...outcome import Kind
from ...reply import ToolCall
from .._draw import Draw

__all__ = ["BadRecordError", "Fields", "Row"]

_IDS: Final = ("id", "prompt_id", "request_id", "custom_id", "request")
_OUTPUTS: Final = ("output", "text", "response", "completion", "answer", "choices")
_INPUTS: Final = ("input", "prompt", "question")
_CALLS: Final = ("calls", "tool_calls")
_MS: Final = 1000.0


class BadRecordError(ValueError):
    """A line that cannot be used; the message says why and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Where in a record things are; dotted names lead inside (`labels.correct`).

    Attributes:
        id: Of the request. Empty: `id`, `prompt_id`, `request_id`, `custom_id` or
            `request`, the first there is.
        output: What the model answered: text, JSON, or a chat completion. Empty:
            `output`, `text`, `response`, `completion`, `answer` or `choices`.
        calls: Tool calls. Empty: `calls` or `tool_calls`.
        sample: Number of the repeat, for several draws of one request.
        stratum: Slice of the traffic; empty for none.
        stratum_pattern: Regular expression of which the match is the slice.
        cluster: Who sent the request; empty for independent requests.
        input: What was asked. Empty: `input`, `prompt` or `question`.
        executed: Verdict of running the output.

    Raises:
        ConfigError: `stratum_pattern` is no regular expression.
    """

    id: str = ""
    output: str = ""
    calls: str = ""
    sample: str = "sample"
    stratum: str = ""
    stratum_pattern: str = ""
    cluster: str = ""
    input: str = ""
    executed: str = "executed"

    def __post_init__(self) -> None:
        try:
            re.compile(self.stratum_pattern)
        except re.error as error:
            raise ConfigError(
                f"`stratum_pattern` {self.stratum_pattern!r} is no regular expression: "
                f"{error}"
            ) from None


class Row:
    """One record, and where it came from.

    Args:
        line: The line, as it stands in the file.
        fields: Where in it things are.

    Raises:
        BadRecordError: It is no JSON object, or has no id.
    """

    __slots__ = ("_fields", "_record", "request")

    def __init__(self, line: bytes, fields: Fields) -> None:
        self._fields = fields
        found = _parsed(line)
        if not _is_object(found):
            raise BadRecordError(f"it is a JSON {type(found).__name__}, not an object")
        self._record = found
        self.request = self._id()

    def _id(self) -> str:
        names = (self._fields.id,) if self._fields.id else _IDS
        for name in names:
            found = at(self._record, name)
            if isinstance(found, str | int) and not isinstance(found, bool):
                return str(found)
        wanted = " or ".join(f"`{name}`" for name in names)
        raise BadRecordError(f"it has no {wanted}; {self._has()}")

    @property
    def sample(self) -> float:
        """Number of the repeat; 0 when it has none."""
        found = at(self._record, self._fields.sample)
        return found if isinstance(found, int | float) else 0

    @property
    def stratum(self) -> str:
        """The slice that the request belongs to; empty for none."""
        found = _word(at(self._record, self._fields.stratum))
        if self._fields.stratum_pattern:
            match = re.search(self._fields.stratum_pattern, found or self.request)
            return match[0] if match else ""
        return found

    @property
    def cluster(self) -> str:
        """Who sent the request; empty for not known."""
        return _word(at(self._record, self._fields.cluster))

    @property
    def input(self) -> str:
        """What was asked, where the record has it."""
        names = (self._fields.input,) if self._fields.input else _INPUTS
        found = next((v for n in names if (v := at(self._record, n)) is not None), "")
        return found if isinstance(found, str) else json.dumps(found)

    def draw(self) -> Draw:
        """Return what the model answered.

        Raises:
            BadRecordError: There is no output, or it cannot be read.
        """
        record = self._record
        error = record.get("error")
        if _is_object(error) and "kind" in error:
            return _failure(error)
        output, known = self._output()
        calls = self._calls()
        if _is_object(output) and (chat := _chat(output)) is not None:
            return _of_chat(chat, record)
        if not known and not calls:
            wanted = f"`{self._fields.output or 'output'}`"
            raise BadRecordError(f"it has no {wanted}; {self._has()}")
        text = output if isinstance(output, str) else None
        return Draw(
            text=text,
            value=None if text is not None else output,
            has_value=text is None and output is not None,
            calls=calls,
            finish_reason=_text(record.get("finish_reason")),
            refusal=_text(record.get("refusal")),
            executed=_word(at(record, self._fields.executed)),
            latency_s=_latency(record),
            cost=_number(record.get("cost")),
            served_model=_text(record.get("served_model")),
        )

    def _output(self) -> tuple[object, bool]:
        """Return the output, and whether the record has one at all."""
        record = self._record
        if self._fields.output:
            found = at(record, self._fields.output)
            return found, found is not None or self._fields.output in record
        for name in _OUTPUTS:
            if name in record:
                return (record if name == "choices" else record[name]), True
        return None, False

    def _calls(self) -> tuple[ToolCall, ...]:
        names = (self._fields.calls,) if self._fields.calls else _CALLS
        found = next((v for n in names if (v := at(self._record, n)) is not None), None)
        return _tool_calls(found)

    def _has(self) -> str:
        names = ", ".join(f"`{name}`" for name in list(self._record)[:8])
        return f"it has {names}" if names else "it is empty"


def at(record: Mapping[str, Any], name: str) -> Any:
    """Return what a dotted name leads to; None when it leads nowhere."""
    if name in record:
        return record[name]
    if "." not in name:
        return None
    here: object = record
    for part in name.split("."):
        if _is_object(here):
            here = here.get(part)
        elif _is_array(here) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            return None
    return here


def _parsed(line: bytes) -> object:
    """Read a line fast, or else by the more lenient parser, which explains itself."""
    try:
        return cast("object", from_json(line))
    except ValueError:
        pass
    try:
        return cast("object", json.loads(line))
    except RecursionError:
        raise BadRecordError("it is nested too deeply to read") from None
    except ValueError as error:
        raise BadRecordError(f"it is no JSON: {error}") from None


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _failure(error: Mapping[str, Any]) -> Draw:
    try:
        kind = Kind(error["kind"])
    except ValueError:
        raise BadRecordError(
            f"its error has the kind {error['kind']!r}, which is none of "
            f"{', '.join(Kind)}"
        ) from None
    return Draw(kind=kind, detail=str(error.get("detail", "")))


def _chat(output: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the first choice of a chat completion, alone or in a batch's response."""
    body = output.get("body", output)
    choices = body.get("choices") if _is_object(body) else None
    if _is_array(choices) and choices and _is_object(choices[0]):
        first: Mapping[str, Any] = choices[0]
        return first if _is_object(first.get("message")) else None
    return None


def _of_chat(choice: Mapping[str, Any], record: Mapping[str, Any]) -> Draw:
    message: Mapping[str, Any] = choice["message"]
    return Draw(
        text=_text(message.get("content")),
        calls=_tool_calls(message.get("tool_calls")),
        finish_reason=_text(choice.get("finish_reason")),
        refusal=_text(message.get("refusal")),
        latency_s=_latency(record),
        cost=_number(record.get("cost")),
        served_model=_text(record.get("model")),
    )


def _tool_calls(found: object) -> tuple[ToolCall, ...]:
    if found is None:
        return ()
    if not _is_array(found) or not all(_is_object(each) for each in found):
        raise BadRecordError("its tool calls are not a list of objects")
    return tuple(_tool_call(i, each) for i, each in enumerate(found))


def _tool_call(index: int, call: Mapping[str, Any]) -> ToolCall:
    inner = call.get("function")
    named: Mapping[str, Any] = inner if _is_object(inner) else call
    name = named.get("name")
    if not isinstance(name, str):
        raise BadRecordError("one of its tool calls has no `name`")
    given = named.get("args", named.get("arguments"))
    text = given if isinstance(given, str) else json.dumps(given)
    return ToolCall(id=str(call.get("id", f"call_{index}")), name=name, arguments=text)


def _latency(record: Mapping[str, Any]) -> float | None:
    seconds = _number(record.get("latency_s"))
    if seconds is not None:
        return seconds
    ms = _number(record.get("latency_ms"))
    return None if ms is None else ms / _MS


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _word(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(cast("Sequence[object]", value))

"""What a client asked for, whichever of the two APIs it used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from llmguard.adapters import Message
from llmguard.reply import Reply

from ._errors import ApiError
from ._fields import Fields

__all__ = [
    "Asked",
    "Head",
    "Reader",
    "Shape",
    "read_content",
    "read_format",
    "read_sampling",
]

_ROLES: Final = ("system", "developer", "user", "assistant")
_MOST_SEED: Final = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, checked.

    Attributes:
        model: The name of a served model.
        messages: The conversation.
        schema: JSON Schema of the answer; None for free text.
        schema_name: What the client calls it.
        params: Sampling parameters, those that were given.
        stream: The client wants events.
        include_usage: It wants the tokens counted at the end of the events.
        echo: Fields of the request that the answer repeats.
    """

    model: str
    messages: Sequence[Message]
    schema: Any = None
    schema_name: str = ""
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    stream: bool = False
    include_usage: bool = False
    echo: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What identifies one answer.

    Attributes:
        id: Unique text without a prefix.
        created: Unix time, whole seconds.
        asked: The request.
    """

    id: str
    created: int
    asked: Asked


Reader = Callable[[object, int], Asked]


class Shape(Protocol):
    """Turns replies into the JSON and the events of one API."""

    def __init__(self, head: Head) -> None: ...

    def whole(self, reply: Reply) -> dict[str, Any]:
        """Return a whole answer as one JSON object."""
        ...

    def opening(self) -> Iterator[bytes]:
        """Yield the events before the first text."""
        ...

    def delta(self, text: str) -> Iterator[bytes]:
        """Yield the events of a piece of text."""
        ...

    def closing(self, reply: Reply) -> Iterator[bytes]:
        """Yield the events of the end."""
        ...

    def failed(self, error: ApiError) -> Iterator[bytes]:
        """Yield the events of an answer that broke off."""
        ...


def read_content(role: object, content: object, at: str) -> Message:
    """Return one message of text.

    Raises:
        ApiError: A role or content part that the local runtime does not have.
    """
    if role not in _ROLES:
        raise ApiError(
            400,
            f"`{at}.role` must be one of {', '.join(_ROLES)}, not {role!r}",
            param=f"{at}.role",
        )
    # Chat templates know `system`; OpenAI renamed it for its own newer models.
    name = "system" if role == "developer" else str(role)
    return Message(role=name, content=_text(content, f"{at}.content"))


def _text(content: object, at: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ApiError(
            400, f"`{at}` must be a string or an array of text parts", param=at
        )
    texts: list[str] = []
    for index, part in enumerate(cast("list[object]", content)):
        fields = Fields(part, at=f"{at}[{index}]")
        kind = fields.text("type")
        if kind not in ("text", "input_text", "output_text"):
            raise ApiError(
                400,
                f"`{at}[{index}].type` = {kind!r} is not supported: the local models "
                "read text only",
                code="unsupported_parameter",
                param=at,
            )
        texts.append(fields.text("text") or "")
    return "".join(texts)


def read_format(given: Fields | None, *, nested: bool) -> tuple[Any, str]:
    """Return the JSON Schema of a response format and its name.

    Args:
        given: `response_format` or `text.format`; None for plain text.
        nested: Chat Completions keeps the schema one level deeper.

    Raises:
        ApiError: An unknown type, or no schema.
    """
    if given is None:
        return None, ""
    match given.text("type"):
        case "text":
            return None, ""
        case "json_object":
            return {"type": "object"}, "json_object"
        case "json_schema":
            return _read_schema(given.table("json_schema") if nested else given)
        case other:
            raise given.wrong("type", other, "text, json_object or json_schema")


def _read_schema(given: Fields | None) -> tuple[Any, str]:
    schema = given.any("schema") if given else None
    if given is None or not isinstance(schema, dict):
        raise ApiError(
            400,
            "a `json_schema` response format needs the JSON Schema itself, an object, "
            "under `schema`",
            code="missing_required_parameter",
            param="response_format",
        )
    name = given.required_text("name")
    # Every schema is held, whether the client insists on it or not.
    given.flag("strict")
    given.ignore("description")
    given.done()
    return schema, name  # pyright: ignore[reportUnknownVariableType] - JSON


def read_sampling(fields: Fields, *names: str, limit: int) -> dict[str, Any]:
    """Return the sampling parameters that were given.

    Args:
        fields: The request.
        names: What the API calls the most tokens of an answer.
        limit: The most that this server gives; 0 for what the context holds.
    """
    params: dict[str, Any] = {
        "temperature": fields.number("temperature", low=0, high=2),
        "top_p": fields.number("top_p", low=0, high=1),
    }
    seed = fields.integer("seed", low=-_MOST_SEED, high=_MOST_SEED)
    params["seed"] = None if seed is None else seed % _MOST_SEED
    most = [fields.integer(n, low=1, high=limit or 10**9) for n in names]
    params["max_tokens"] = next((m for m in most if m), limit or None)
    return {name: value for name, value in params.items() if value is not None}

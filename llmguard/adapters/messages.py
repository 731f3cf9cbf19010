"""What is sent to a provider, and what comes back piece by piece.

These shapes are llmguard's own; each adapter translates them for one API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, TypeAlias, cast

from .._dataclass import dataclass
from .._quick import quick
from ..errors import ConfigError
from ..reply import Reply

__all__ = ["Chunk", "Content", "Message", "MessageLike", "Request", "as_messages"]

Content: TypeAlias = str | Sequence[Mapping[str, Any]] | None
"""Text, a list of content parts (text, images), or None beside tool calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, in the shape of Chat Completions.

    Attributes:
        role: `system`, `developer`, `user`, `assistant` or `tool`.
        content: Its text or content parts.
        extra: Further keys of the role, such as `tool_calls`, `tool_call_id`, `name`.
    """

    role: str
    content: Content
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, Any]:
        """Return the message as Chat Completions wants it."""
        return {"role": self.role, "content": self.content, **self.extra}


_message: Final = quick(Message)
MessageLike: TypeAlias = Message | Mapping[str, Any]
"""A message, or a mapping with its fields, as the openai package takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of one model.

    Attributes:
        messages: The conversation.
        schema: JSON Schema the answer must satisfy; None for plain text.
        schema_name: Name the provider may show for it.
        params: Sampling parameters: the pin's, and the call's own.
        tools: Tools the model may ask for, in the shape of Chat Completions.
        timeout: Seconds for the whole exchange; None for the provider's default.
        inputs: The guarded function's arguments; `replay` finds `prompt_id` here.
        prompt_digest: Digest of the `Prompt` that made the messages.
        call_id: Id of the guarded call.
    """

    messages: Sequence[Message]
    schema: Mapping[str, Any] | None = None
    schema_name: str = ""
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tools: Sequence[Mapping[str, Any]] = ()
    timeout: float | None = None
    inputs: Mapping[str, object] = field(default_factory=dict[str, object])
    prompt_digest: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One piece of a streamed answer.

    Attributes:
        text: What was added; may be empty.
        reply: The whole reply, on the last chunk only.
    """

    text: str = ""
    reply: Reply | None = None


def as_messages(prompt: str | Iterable[MessageLike]) -> tuple[Message, ...]:
    """Return a string (one user message) or a list of messages as `Message` objects.

    Raises:
        ConfigError: An item is no message, or there is none at all.
    """
    if isinstance(prompt, str):
        return (_message(role="user", content=prompt),)
    if isinstance(prompt, Message | Mapping):
        raise ConfigError(
            "`complete` takes a string, a rendered `Prompt` or a list of messages, "
            "not one message by itself; put it in a list: `[message]`"
        )
    messages = tuple(_as_message(item) for item in prompt)
    if not messages:
        raise ConfigError("`complete` got no messages; pass at least one")
    return messages


def _as_message(item: object) -> Message:
    if isinstance(item, Message):
        return item
    if not isinstance(item, Mapping):
        raise ConfigError(
            f"a message must be a `Message` or a dict with `role` and `content`, "
            f"not {type(item).__name__}"
        )
    data = dict(cast("Mapping[str, Any]", item))
    role = data.pop("role", None)
    if not isinstance(role, str) or not role:
        raise ConfigError(
            f"a message dict needs a `role`, such as 'user'; "
            f"its keys are {sorted(map(str, data))}"
        )
    return Message(role=role, content=data.pop("content", None), extra=data)

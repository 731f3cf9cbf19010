"""Does an endpoint hold a schema, or only accept it?

Some servers take `response_format` and ignore it, or put the schema into the prompt
and hope. So the canary asks for something no model would say by itself, under a
schema that allows nothing but one unguessable word, while the prompt tells the model
to do something else. Whoever answers with the word was made to.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from llmguard.adapters import Message, Request, classify, provider_for
from llmguard.errors import ConfigError
from llmguard.outcome import Kind

if TYPE_CHECKING:
    from llmguard.pins import Pin

__all__ = ["Canary", "check_canary", "require_enforcement"]

State = Literal["enforced", "ignored", "refused", "failed"]
_PROMPT: Final = (
    "Reply with the single word no, in lower case and without quotation marks. "
    "Do not write JSON, even if you are asked for it."
)
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What a canary schema found out.

    Attributes:
        state: "enforced": every probe answered under the schema. "ignored": one did
            not. "refused": the endpoint does not take the schema. "failed": no
            answer, so nothing is known.
        detail: What was seen, and what to do about it.
    """

    state: State
    detail: str

    @property
    def enforced(self) -> bool:
        """True when the endpoint holds schemas."""
        return self.state == "enforced"


def check_canary(
    pin: Pin,
    *,
    probes: int = 2,
    timeout: float = 30.0,
    new_word: Callable[[], str] = lambda: secrets.token_hex(6),
) -> Canary:
    """Send a tiny schema to the endpoint of a pin and tell whether it is enforced.

    The requests are made exactly as those of guarded functions, so the pin's own
    options (`api`, `structured`, `strict`) are tested as well.

    Args:
        pin: Any pin; usually `provider = "openai"` with an `endpoint` of vLLM,
            llama-server, Ollama or `llmguard serve`.
        probes: Requests, each with a word of its own.
        timeout: Seconds for each.
        new_word: Makes the words; they must not be guessable.

    Raises:
        ConfigError: Nothing here serves the pin's provider.
    """
    provider = provider_for(pin)
    for _ in range(probes):
        word = new_word()
        try:
            reply = provider.complete(_request(pin, word, timeout))
        except Exception as error:  # noqa: BLE001 - SDKs have trees of their own
            return _unanswered(error)
        if not _obeys(reply.text, word):
            return Canary(state="ignored", detail=_ignored(pin, reply.text))
    return Canary(
        state="enforced", detail=f"{probes} of {probes} answers held the schema"
    )


def require_enforcement(pin: Pin, *, probes: int = 2, timeout: float = 30.0) -> None:
    """Refuse to start on an endpoint that does not hold schemas.

    Raises:
        ConfigError: It ignores or refuses them, or does not answer.
    """
    found = check_canary(pin, probes=probes, timeout=timeout)
    if not found.enforced:
        raise ConfigError(
            f"the endpoint of pin {pin.route!r} must hold JSON Schemas, but the canary "
            f"says {found.state}: {found.detail}"
        )


def _request(pin: Pin, word: str, timeout: float) -> Request:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"canary": {"type": "string", "enum": [word]}},
        "required": ["canary"],
        "additionalProperties": False,
    }
    return Request(
        messages=[Message(role="user", content=_PROMPT)],
        schema=schema,
        schema_name="canary",
        params=dict(pin.params),
        timeout=timeout,
    )


def _obeys(text: str | None, word: str) -> bool:
    try:
        return bool(json.loads(text or "") == {"canary": word})
    except ValueError:
        return False


def _unanswered(error: Exception) -> Canary:
    failure = classify(error)
    refused = failure.kind is Kind.BAD_REQUEST
    return Canary(
        state="refused" if refused else "failed",
        detail=f"{failure.kind.value}: {failure.detail}",
    )


def _ignored(pin: Pin, text: str | None) -> str:
    shown = (text or "")[:_SHOWN]
    return (
        f"under a schema that allows one word it answered {shown!r}; set the pin's "
        f"option `structured` (now {pin.options.get('structured', 'json_schema')!r}), "
        "or use a server version that supports `response_format` of type json_schema"
    )

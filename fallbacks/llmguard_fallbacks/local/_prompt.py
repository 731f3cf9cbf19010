"""From messages to the text a model was trained to read."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from llmguard.errors import ConfigError

from ._imports import load
from ._schema_types import is_map

__all__ = ["ChatPrompt", "plain_text"]


def plain_text(content: object) -> str:
    """Return the text of a message's content, which may be a list of parts.

    Raises:
        ConfigError: It holds an image or another part that is no text.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        raise ConfigError(f"a message's content must be text, not {content!r}")
    texts: list[str] = []
    for part in cast("Sequence[Any]", content):
        if not is_map(part) or "text" not in part:
            raise ConfigError(
                f"the local runtime reads text only, not {part!r}; "
                "leave other parts out for this tier"
            )
        texts.append(str(part["text"]))
    return "".join(texts)


class ChatPrompt:
    """Renders messages with the chat template of a model.

    Args:
        template: The Jinja template of the GGUF file; None joins the contents by
            new lines (the format `raw`).
        control: Texts of the control tokens of the vocabulary. Where one stands in
            a message it is broken up, so that a user cannot write control tokens.
        bos: Text of the begin token.
        eos: Text of the end token.
    """

    def __init__(
        self, template: str | None, *, control: Sequence[str], bos: str, eos: str
    ) -> None:
        self._template = _compile(template) if template else None
        found = sorted((re.escape(c) for c in control if len(c) > 1), reverse=True)
        self._control = re.compile("|".join(found)) if found else None
        self._tokens = {"bos_token": bos, "eos_token": eos}

    @property
    def special(self) -> bool:
        """True when the text holds control tokens that the template wrote."""
        return self._template is not None

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """Return the prompt, ready for the model to answer."""
        if self._template is None:
            return "\n".join(plain_text(m.get("content")) for m in messages)
        safe = [
            {**m, "content": self._harmless(plain_text(m.get("content")))}
            for m in messages
        ]
        return str(
            self._template.render(
                messages=safe, add_generation_prompt=True, **self._tokens
            )
        )

    def _harmless(self, text: str) -> str:
        if self._control is None:
            return text
        return self._control.sub(lambda m: f"{m[0][0]} {m[0][1:]}", text)


def _compile(template: str) -> Any:
    jinja2 = load("jinja2")
    environment = load("jinja2.sandbox").ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    try:
        return environment.from_string(template)
    except jinja2.TemplateError as error:
        raise ConfigError(
            f"the model's chat template is not valid: {error}; set "
            '`prompt_format = "raw"` in the pin\'s options'
        ) from error


def _tojson(value: object, **_options: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refuse(message: str) -> None:
    raise ConfigError(f"the model's chat template refuses these messages: {message}")


def _now(style: str) -> str:
    return dt.datetime.now(tz=dt.UTC).strftime(style)

"""`Prompt`: a prompt as a versioned artifact, with a digest that pins can name.

A template is text with `{name}` placeholders, nothing else: no attributes, indexes,
conversions or format specifications, so a value can never reach into an object.
Values are inserted once and never read as templates themselves. For loops and
conditions there is `engine="jinja"`, which uses jinja2's sandbox.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

from .._dataclass import dataclass
from ..errors import ConfigError
from ._prompt_engines import engine_for
from ._prompt_files import parse_prompt
from .messages import Message

__all__ = ["Engine", "Prompt", "RenderedPrompt"]

Engine: TypeAlias = Literal["format", "jinja"]

_ROLES: Final = ("system", "developer", "user", "assistant")
_MAX_NAME: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPrompt:
    """A prompt with its values filled in; pass it to `Model.complete`.

    Attributes:
        messages: The conversation.
        digest: Digest of the prompt it came from.
    """

    messages: tuple[Message, ...]
    digest: str

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the messages as a raw client wants them."""
        return [message.as_dict() for message in self.messages]

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __str__(self) -> str:
        return "\n\n".join(str(message.content) for message in self.messages)


class Prompt:
    """A prompt template: one user message, or several messages.

    Args:
        template: Text of the user message, or messages as `(role, text)` pairs or
            dicts with `role` and `content`.
        system: Text of a system message put first.
        engine: "format" for `{name}` placeholders, "jinja" for jinja2.
        name: Shown in errors.

    Raises:
        ConfigError: A template that does not parse, an unknown role or engine.

    Examples:
        Values are inserted once, and never read as templates.

        >>> from llmguard import Prompt
        >>> sort = Prompt("Sort: {ticket}", system="Answer with one word.")
        >>> [message["content"] for message in sort.format(ticket="{x}").as_dicts()]
        ['Answer with one word.', 'Sort: {x}']
    """

    __slots__ = ("_digest", "_engine", "_name", "_templates", "_variables")

    def __init__(
        self,
        template: str | Iterable[tuple[str, str] | Mapping[str, str]],
        *,
        system: str | None = None,
        engine: Engine = "format",
        name: str = "",
    ) -> None:
        pairs = [] if system is None else [("system", system)]
        if isinstance(template, str):
            pairs.append(("user", template))
        else:
            pairs += [_pair(item) for item in template]
        if not pairs:
            raise ConfigError("a `Prompt` needs at least one message")
        self._engine = engine_for(engine)
        self._templates = tuple((role, _canonical(text)) for role, text in pairs)
        self._name = name or self._templates[-1][1].strip()[:_MAX_NAME]
        self._variables = frozenset[str]().union(
            *(self._names_in(text) for _role, text in self._templates)
        )
        self._digest = _digest(engine, self._templates)

    @classmethod
    def from_file(cls, path: str | Path) -> Prompt:
        """Read a prompt from a `.toml` file, or from text with TOML front matter.

        A TOML file holds `system`, `user`, or a list of `[[messages]]` tables with
        `role` and `content`, and optionally `engine`. Any other file is the user
        message; a first part between two `+++` lines is TOML and may set `system`,
        `engine` and earlier `[[messages]]`.

        Raises:
            ConfigError: The file is missing, is no UTF-8, or does not parse.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(
                f"cannot read the prompt file {str(path)!r}: {exc}"
            ) from exc
        parsed = parse_prompt(text, toml=path.suffix.lower() == ".toml", path=path)
        return cls(
            parsed.messages,
            system=parsed.system,
            engine=cast("Engine", parsed.engine),
            name=path.name,
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the engine and the templates, 64 hex digits.

        Line ends and Unicode composition do not count, so that the digest survives a
        checkout on another system.
        """
        return self._digest

    @property
    def variables(self) -> frozenset[str]:
        """Names that `format` must be given."""
        return self._variables

    def format(self, /, **values: object) -> RenderedPrompt:
        """Fill in the values, each by its `str`.

        Raises:
            ConfigError: A placeholder has no value, or a value no placeholder.
        """
        missing = sorted(self._variables - values.keys())
        unused = sorted(values.keys() - self._variables)
        if missing or unused:
            raise ConfigError(self._mismatch(missing, unused))
        render = self._engine.render
        messages = tuple(
            Message(role=role, content=render(text, values, self._name))
            for role, text in self._templates
        )
        return RenderedPrompt(messages=messages, digest=self._digest)

    def __repr__(self) -> str:
        return f"Prompt({self._name!r}, digest={self._digest[:12]!r})"

    def __eq__(self, other: object) -> bool:
        return (
            self._digest == other.digest
            if isinstance(other, Prompt)
            else NotImplemented  # Python asks the other side
        )

    def __hash__(self) -> int:
        return hash(self._digest)

    def _names_in(self, text: str) -> frozenset[str]:
        return self._engine.names(text, self._name)

    def _mismatch(self, missing: list[str], unused: list[str]) -> str:
        parts = [f"prompt {self._name!r}:"]
        if missing:
            parts.append(f"no value for {_listed(missing)};")
        if unused:
            parts.append(f"{_listed(unused)} fills no placeholder;")
        parts.append(
            f"its placeholders are {_listed(sorted(self._variables)) or 'none'}"
        )
        return " ".join(parts)


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _pair(item: object) -> tuple[str, str]:
    """Return one message as role and template."""
    if isinstance(item, Mapping):
        data = cast("Mapping[str, object]", item)
        item = (data.get("role"), data.get("content"))
    match item:
        case (str(role), str(text)) if role in _ROLES:
            return (role, text)
        case (str(role), str()):
            raise ConfigError(
                f"a `Prompt` message has the role {role!r}; it must be one of "
                f"{', '.join(map(repr, _ROLES))}"
            )
        case _:
            raise ConfigError(
                f"a `Prompt` message must be a (role, text) pair, not {item!r:.80}"
            )


def _canonical(text: str) -> str:
    """Return text in one form on every system: NFC, and line feeds at line ends."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", lines)


def _digest(engine: str, templates: tuple[tuple[str, str], ...]) -> str:
    body = {"engine": engine, "messages": [list(pair) for pair in templates]}
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # Lone surrogates are legal in a str; the digest must exist for them too.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

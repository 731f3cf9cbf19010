"""The two template languages of `Prompt`, behind one small interface."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

from ..errors import ConfigError

__all__ = ["TemplateEngine", "engine_for"]


class TemplateEngine(Protocol):
    """Finds the placeholders of a template and fills them in."""

    def names(self, template: str, prompt: str) -> frozenset[str]:
        """Return the placeholders; raise `ConfigError` naming `prompt` if it is bad."""
        ...

    def render(self, template: str, values: Mapping[str, object], prompt: str) -> str:
        """Return the template with its values filled in."""
        ...


class _Format:
    """`{name}` placeholders; `{{` and `}}` are literal braces."""

    def names(self, template: str, prompt: str) -> frozenset[str]:
        return frozenset(name for _text, name in _fields(template, prompt) if name)

    def render(self, template: str, values: Mapping[str, object], prompt: str) -> str:
        return "".join(
            text + (str(values[name]) if name else "")
            for text, name in _fields(template, prompt)
        )


@lru_cache(maxsize=1024)
def _fields(template: str, prompt: str) -> tuple[tuple[str, str], ...]:
    return tuple(_parse(template, prompt))


def _parse(template: str, prompt: str) -> Iterator[tuple[str, str]]:
    """Yield literal text and the placeholder after it, empty at the end."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as exc:
        raise ConfigError(_bad(prompt, str(exc))) from exc
    for text, name, spec, conversion in parts:
        if name is None:
            yield text, ""
        elif spec or conversion or not name.isidentifier():
            shown = name + (f"!{conversion}" if conversion else "")
            shown += f":{spec}" if spec else ""
            raise ConfigError(_bad(prompt, f"`{{{shown}}}` is no plain name"))
        else:
            yield text, name


def _bad(prompt: str, what: str) -> str:
    return (
        f"prompt {prompt!r}: {what}. A placeholder is a plain `{{name}}`; write "
        f"`{{{{` and `}}}}` for literal braces, as in JSON examples, or use "
        f'engine="jinja"'
    )


class _Jinja:
    """jinja2 templates in its sandbox; an undefined name is an error."""

    def __init__(self) -> None:
        try:
            from jinja2 import StrictUndefined, sandbox
        except ImportError as exc:
            raise ConfigError(
                'engine="jinja" needs jinja2: run `pip install jinja2`'
            ) from exc
        self._environment: Any = sandbox.ImmutableSandboxedEnvironment(
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,
        )

    def names(self, template: str, prompt: str) -> frozenset[str]:
        from jinja2 import TemplateError, meta

        try:
            tree = self._environment.parse(template)
        except TemplateError as exc:
            raise ConfigError(f"prompt {prompt!r}: {exc}") from exc
        return frozenset(meta.find_undeclared_variables(tree))

    def render(self, template: str, values: Mapping[str, object], prompt: str) -> str:
        from jinja2 import TemplateError

        try:
            return str(self._environment.from_string(template).render(values))
        except TemplateError as exc:
            raise ConfigError(f"prompt {prompt!r}: {exc}") from exc


_ENGINES: Final[Mapping[str, Callable[[], TemplateEngine]]] = {
    "format": _Format,
    "jinja": _Jinja,
}


@lru_cache(maxsize=2)
def engine_for(name: str) -> TemplateEngine:
    """Return the engine of a name; raise `ConfigError` for others."""
    if name not in _ENGINES:
        raise ConfigError(
            f"a `Prompt` has engine {name!r}; it must be 'format' or 'jinja'"
        )
    return _ENGINES[name]()

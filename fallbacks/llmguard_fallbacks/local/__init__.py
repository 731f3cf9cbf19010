"""Local models by llama.cpp: constrained, supervised, in processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._schema_types import SchemaRefusedError, Unenforced

if TYPE_CHECKING:
    from llmguard.pins import Pin

    from ._provider import LocalProvider

__all__ = ["SchemaRefusedError", "Unenforced", "provider", "schema_report"]


def provider(pin: Pin) -> LocalProvider:
    """Return the provider of a pin with `provider = "llama.cpp"`.

    Nothing is loaded before the first call.

    Raises:
        ConfigError: An unknown option or parameter of the pin.
    """
    from ._provider import LocalProvider

    return LocalProvider(pin)


def schema_report(schema: Any) -> tuple[Unenforced, ...]:
    """Return the keywords of a JSON Schema that decoding cannot enforce.

    They are checked after decoding, and the answer is drawn again when they fail; an
    empty tuple means that every answer is valid as it is drawn.

    Raises:
        SchemaRefusedError: The local runtime cannot answer under this schema.
        ConfigError: `llguidance` is not installed.
    """
    from ._grammar import compile_first

    return compile_first(schema)[1].finite.unenforced

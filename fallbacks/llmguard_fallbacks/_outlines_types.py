"""Which Outlines output type holds a model to a contract, and what it may cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from llmguard.errors import ConfigError

if TYPE_CHECKING:
    from llmguard.contract import Contract

__all__ = ["INSTALL", "OutputType", "is_local", "is_steerable", "load", "output_type"]

INSTALL: Final = "pip install 'llmguard-fallbacks[outlines]'"
_GUIDANCE: Final = {
    # Flexible white space lets a small model emit blank lines for ever.
    "whitespace_flexible": False,
    # Branches that may overlap are told apart by the contract, afterwards.
    "coerce_one_of": True,
}
_NARROW: Final = frozenset({"enum", "const", "pattern"})


def load(name: str) -> Any:
    """Import a module that the extra `outlines` brings.

    Raises:
        ConfigError: It is not installed, or does not load on this machine.
    """
    try:
        return import_module(name)
    except (ImportError, OSError, RuntimeError) as error:
        raise ConfigError(
            f"the `outlines` tier needs `{name}`: {error}; install it with `{INSTALL}`"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputType:
    """What to ask a model for.

    Attributes:
        type: Outlines output type; None for free text.
        bare: True when the text may be the value itself (a word of an enum), not JSON.
        tokens: Tokens that the longest answer can take; None when it has no bound.
    """

    type: Any = None
    bare: bool = False
    tokens: int | None = None


def is_steerable(model: object) -> bool:
    """Return True when Outlines masks the logits of `model` itself, in this process."""
    return isinstance(model, load("outlines.models").SteerableModel)


def is_local(model: object) -> bool:
    """Return True for whatever is not one of Outlines' clients of an API."""
    ours = type(model).__module__.startswith("outlines.models.")
    offline = load("outlines.models").VLLMOffline
    return not ours or is_steerable(model) or isinstance(model, offline)


def output_type(
    contract: Contract | None, *, given: object = None, finite: bool = False
) -> OutputType:
    """Return what to ask for, so that answers can satisfy `contract`.

    Args:
        contract: The contract; None asks for free text.
        given: The user's own output type, taken as it is.
        finite: Bound whatever the schema leaves open, for the llguidance backend.

    Raises:
        ConfigError: No output type says what the schema says.
    """
    if contract is None:
        return OutputType(type=given)
    schema = contract.value_schema
    if given is not None:
        return OutputType(type=given, bare=_is_string(schema, contract))
    if contract.is_text:
        return OutputType(type=_text_type(schema))
    bare = _is_string(schema, contract) and not _NARROW.isdisjoint(schema)
    if not finite:
        return OutputType(type=_json_schema(schema), bare=bare)
    return _finite(schema, bare=bare)


def _is_string(schema: Mapping[str, object], contract: Contract) -> bool:
    return not contract.is_text and schema.get("type") == "string"


def _text_type(schema: Mapping[str, object]) -> Any:
    """Return the choice or the pattern that the text itself must follow."""
    types = load("outlines.types")
    choices, pattern = schema.get("enum"), schema.get("pattern")
    if isinstance(choices, list):
        return types.Choice(cast("list[object]", choices))
    # A pattern that is not anchored matches anywhere, which no output type says.
    anchored = re.fullmatch(r"\^([^|]*)\$", pattern) if type(pattern) is str else None
    return None if anchored is None else types.regex(anchored[1])


def _json_schema(schema: Mapping[str, object]) -> Any:
    """Return Outlines' own form of a JSON schema."""
    jsonschema = load("jsonschema")
    try:
        return load("outlines.types").json_schema(dict(schema))
    except (ValueError, TypeError, jsonschema.SchemaError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"Outlines does not take the contract's JSON schema: {reason}; pass an "
            "`output_type=` of your own, or change the schema"
        ) from error


def _finite(schema: Mapping[str, object], *, bare: bool) -> OutputType:
    """Compile the schema once, before any token is drawn, with everything bounded."""
    from .local._grammar import compile_first
    from .local._schema import SchemaRefusedError

    load("llguidance")
    try:
        finite = compile_first(dict(schema))[1].finite
    except SchemaRefusedError as error:
        raise ConfigError(
            f"no grammar can be built for the contract's schema: {error}; pass an "
            "`output_type=` of your own, or change the schema"
        ) from error
    kind = _json_schema({**finite.schema, "x-guidance": _GUIDANCE})
    return OutputType(type=kind, bare=bare, tokens=finite.worst_bytes + 1)

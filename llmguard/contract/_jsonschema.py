"""Contracts over JSON Schema documents, draft 2020-12 and draft 7.

Formats are asserted, not only annotated. References are resolved from the schema
itself, the official metaschemas and the documents the caller gives; nothing is ever
fetched, and a reference that leads elsewhere is refused when the contract is made.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from .._linear import with_linear_patterns
from ..errors import ConfigError, LLMGuardWarning
from ..outcome import Violation
from ._ecma import ORIGINAL, translated
from ._formats import ALONE, stricter
from ._jsonschema_errors import violation_of
from ._kinds import is_object
from ._pointer import join
from ._show import show

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator
    from referencing import Registry, Specification

__all__ = ["SchemaShape", "missing_formats"]

_DRAFTS: Final[Mapping[str, str]] = {
    "https://json-schema.org/draft/2020-12/schema": "Draft202012Validator",
    "http://json-schema.org/draft-07/schema": "Draft7Validator",
}
_DEFAULT: Final = "https://json-schema.org/draft/2020-12/schema"
_FORMATS: Final[Mapping[str, tuple[str, ...]]] = {
    "Draft7Validator": (
        *("date", "date-time", "email", "hostname", "idn-email", "idn-hostname"),
        *("ipv4", "ipv6", "iri", "iri-reference", "json-pointer", "regex"),
        *("relative-json-pointer", "time", "uri", "uri-reference", "uri-template"),
    ),
    "Draft202012Validator": (
        *("date", "date-time", "duration", "email", "hostname", "idn-email"),
        *("idn-hostname", "ipv4", "ipv6", "iri", "iri-reference", "json-pointer"),
        *("regex", "relative-json-pointer", "time", "uri", "uri-reference"),
        *("uri-template", "uuid"),
    ),
}
"""The formats that each draft defines, from their validation vocabularies."""


def missing_formats(draft: str = "2020-12") -> tuple[str, ...]:
    """List the standard formats whose optional dependency is not installed here.

    Args:
        draft: `2020-12` or `7`.
    """
    name = "Draft7Validator" if draft == "7" else "Draft202012Validator"
    return tuple(sorted(set(_FORMATS[name]) - _checked(name)))


def _checked(name: str) -> frozenset[str]:
    import jsonschema

    return ALONE.union(getattr(jsonschema, name).FORMAT_CHECKER.checkers)


class SchemaShape:
    """Reads JSON as a JSON Schema describes it; values stay plain JSON."""

    __slots__ = ("_validator", "names", "schema", "unchecked_formats")

    def __init__(
        self,
        schema: Mapping[str, object] | bool,
        *,
        documents: Mapping[str, object] | None = None,
    ) -> None:
        self.schema = cast("Mapping[str, object] | bool", _plain(schema))
        self.names = self.schema
        name = _validator_name(self.schema)
        dialect = _specification(name)
        registry = _registry(documents or {}, dialect)
        own = translated(self.schema)
        self._validator = _validator(own, name, registry)
        _check_references(own, registry, dialect)
        self.unchecked_formats = _warn_formats(self.schema, name)

    @property
    def own_code(self) -> bool:
        """False: a document has no functions."""
        return False

    def read(self, document: object, text: str) -> tuple[object, list[Violation]]:
        """Validate a document; the text is not needed."""
        del text
        try:
            found = [violation_of(error) for error in self._errors(document)]
        except (RecursionError, OverflowError):
            message = "is nested too deeply, or has numbers too large, to be checked"
            return None, [Violation(path="", message=message, check="schema")]
        return document, found

    def _errors(self, document: Any) -> list[Any]:
        errors = self._validator.iter_errors(document)
        return sorted(errors, key=lambda error: join(error.absolute_path))

    def write(self, value: object) -> str:
        """Write a value as JSON text; dates, models and the like are written out."""
        from pydantic_core import to_json

        return to_json(value, inf_nan_mode="constants").decode()


def _plain(schema: object) -> object:
    """Copy a schema; what is not JSON cannot be one."""
    try:
        return cast("object", json.loads(json.dumps(schema, allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"the JSON schema {show(schema)} is not JSON: {error}. Write it with "
            "dicts, lists, strings, numbers, booleans and None only"
        ) from error


def _validator_name(schema: object) -> str:
    if not isinstance(schema, Mapping):
        return _DRAFTS[_DEFAULT]
    dialect = cast("Mapping[str, object]", schema).get("$schema", _DEFAULT)
    name = _DRAFTS.get(str(dialect).removesuffix("#"))
    if name is None:
        raise ConfigError(
            f"the JSON schema names the dialect {dialect!r}; llmguard reads draft "
            f"2020-12 ({_DEFAULT!r}, the default) and draft 7 "
            "('http://json-schema.org/draft-07/schema#'). Edit `$schema` or remove it"
        )
    return name


def _specification(name: str) -> Specification[Any]:
    from referencing.jsonschema import (
        DRAFT7,
        DRAFT202012,
    )

    return DRAFT7 if name == "Draft7Validator" else DRAFT202012


def _registry(
    documents: Mapping[str, object], dialect: Specification[Any]
) -> Registry[Any]:
    from referencing import Registry, Resource

    pairs = [
        (
            uri,
            Resource.from_contents(
                translated(_plain(document)), default_specification=dialect
            ),
        )
        for uri, document in documents.items()
    ]
    official = import_module("jsonschema_specifications").REGISTRY
    make = cast("Callable[..., Registry[Any]]", Registry)
    registry = make(retrieve=_refuse_to_fetch)
    return registry.combine(official).with_resources(pairs)


def _refuse_to_fetch(uri: str) -> NoReturn:
    raise ConfigError(
        f"the JSON schema refers to {uri!r}, which is never fetched; pass the document "
        f"as `Contract(..., schemas={{{uri!r}: document}})`"
    )


def _validator(schema: Any, name: str, registry: Registry[Any]) -> Validator:
    import jsonschema

    factory = getattr(jsonschema, name)
    try:
        factory.check_schema(schema)
    except jsonschema.SchemaError as error:
        where = join(error.absolute_path) or "the top level"
        raise ConfigError(
            f"the JSON schema is wrong at {where}: "
            f"{violation_of(_plain_error(error)).message}. Correct the keyword there"
        ) from error
    validator = with_linear_patterns(factory, ORIGINAL)(
        schema,
        registry=registry,
        format_checker=stricter(factory.FORMAT_CHECKER, frozenset(_FORMATS[name])),
    )
    return cast("Validator", validator)


def _plain_error(error: Any) -> ValidationError:
    """Read an error about a schema like one about an answer: they are built alike."""
    return cast("ValidationError", error)


def _check_references(
    schema: Any, registry: Registry[Any], dialect: Specification[Any]
) -> None:
    """Resolve every reference now, so that no call can meet an unknown one."""
    from referencing import Resource

    resource = dialect.create_resource(schema)
    pending = [(resource, registry.resolver_with_root(resource))]
    seen: set[int] = set()
    while pending:
        here, resolver = pending.pop()
        contents: object = here.contents
        if id(contents) in seen or not is_object(contents):
            continue
        seen.add(id(contents))
        for word in ("$ref", "$dynamicRef"):
            target = _resolve(contents, word, resolver)
            if target is not None:
                found = Resource.from_contents(
                    target.contents, default_specification=dialect
                )
                pending.append((found, target.resolver))
        pending.extend(
            (below, resolver.in_subresource(below)) for below in here.subresources()
        )


def _resolve(schema: Mapping[str, object], word: str, resolver: Any) -> Any:
    from referencing.exceptions import Unresolvable

    reference = schema.get(word)
    if not isinstance(reference, str):
        return None
    try:
        return resolver.lookup(reference)
    except Unresolvable as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ConfigError):
                raise cause from None
            cause = cause.__cause__
        raise ConfigError(
            f"the JSON schema has the reference {reference!r}, which leads nowhere; "
            "define it under `$defs`, or pass the document by `schemas={uri: document}`"
        ) from error


def _warn_formats(schema: object, name: str) -> tuple[str, ...]:
    """Return the formats that nobody checks; warn of those that one could check."""
    used = set(_formats(schema))
    unchecked = used - _checked(name)
    lacking = sorted(unchecked & set(_FORMATS[name]))
    if lacking:
        warnings.warn(
            f"the formats {', '.join(lacking)} are not checked here: an optional "
            "dependency is missing; `pip check` names it",
            LLMGuardWarning,
            stacklevel=4,
        )
    return tuple(sorted(unchecked))


def _formats(schema: object) -> Iterator[str]:
    """Yield every `format` in the document; one inside an `enum` does no harm."""
    pending = [copy.copy(schema)]
    while pending:
        node = pending.pop()
        if isinstance(node, Mapping):
            members = cast("Mapping[str, object]", node)
            if isinstance(members.get("format"), str):
                yield cast("str", members["format"])
            pending.extend(members.values())
        elif isinstance(node, list):
            pending.extend(cast("list[object]", node))

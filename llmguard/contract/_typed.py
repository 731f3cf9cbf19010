"""Contracts over Python types: whatever pydantic's `TypeAdapter` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from ..errors import ConfigError
from ..outcome import Violation
from ._pydantic_errors import violations_of
from ._show import show

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["TypedShape", "show_type"]

_FACTORIES: Final[tuple[object, ...]] = (list, dict, set, tuple, frozenset)
_NOT_READING: Final = frozenset({"metadata", "serialization"})
_NO_TYPES: Final[tuple[type, ...]] = (str, int, float, list, tuple, set)


class TypedShape:
    """Reads JSON into a Python type."""

    __slots__ = (
        "_adapter",
        "_error",
        "_strict",
        "_validate",
        "names",
        "schema",
        "unchecked_formats",
    )

    def __init__(self, kind: object, *, strict: bool) -> None:
        from pydantic import ValidationError

        self._adapter = _adapter(kind)
        self._error = ValidationError
        self._strict = strict
        self._validate = self._adapter.validator.validate_json
        self.schema: Mapping[str, object] | bool = _derive(
            self._adapter, kind, by_alias=True
        )
        self.names: Mapping[str, object] | bool = _derive(
            self._adapter, kind, by_alias=False
        )
        self.unchecked_formats: tuple[
            str, ...
        ] = ()  # pydantic validates by type, not by format

    @property
    def own_code(self) -> bool:
        """True when reading a value runs functions that are not pydantic's own."""
        return _runs_functions(self._adapter.core_schema)

    def read(self, document: object, text: str) -> tuple[object, list[Violation]]:
        """Validate a document; raises what a user's own validator raises."""
        try:
            return self._validate(text, strict=self._strict), []
        except self._error as error:
            found = cast("list[Mapping[str, object]]", error.errors(include_url=False))
            return None, violations_of(found, document)

    def write(self, value: object) -> str:
        """Write a value as JSON text, as its own type says, not as the contract's."""
        from pydantic_core import to_json

        return to_json(
            value, by_alias=True, round_trip=True, inf_nan_mode="constants"
        ).decode()


def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    _refuse_instances(kind)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        _ = adapter.validator.validate_json  # builds what pydantic had put off
    except (PydanticUserError, TypeError, NameError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(
            f"a contract cannot be made of {show_type(kind)}: {first} Pass a pydantic "
            "model, a dataclass, a TypedDict, a Literal, an enum or a JSON Schema dict"
        ) from error
    return adapter


def _refuse_instances(kind: Any) -> None:
    value: object = kind
    if kind is None or isinstance(kind, _NO_TYPES):
        raise ConfigError(
            f"a contract needs a type or a JSON Schema dict, not {show(value)}; "
            "pass the class itself, such as `Triage`, or `Literal['yes', 'no']`"
        )
    made_by = cast("type[object]", type(kind))
    if hasattr(made_by, "__pydantic_validator__"):
        raise ConfigError(
            f"a contract needs a type, not an instance of `{made_by.__name__}`; "
            f"pass `{made_by.__name__}` itself"
        )


def _runs_functions(core: object) -> bool:
    """Look for validators, factories and hooks in a core schema of pydantic."""
    pending, seen = [core], set[int]()
    while pending:
        node = pending.pop()
        if isinstance(node, list | tuple):
            pending.extend(cast("list[object]", node))
        if not isinstance(node, dict) or id(cast("object", node)) in seen:
            continue
        members = cast("dict[str, object]", node)
        seen.add(id(members))
        if str(members.get("type")).startswith("function-") or any(
            members.get(hook) for hook in ("custom_init", "post_init")
        ):
            return True
        factory = members.get("default_factory", list)
        if not any(factory is harmless for harmless in _FACTORIES):
            return True
        pending.extend(v for k, v in members.items() if k not in _NOT_READING)
    return False


def show_type(kind: object) -> str:
    """Name a type as its author wrote it."""
    return f"`{kind.__qualname__}`" if isinstance(kind, type) else f"`{kind!r}`"


def _derive(
    adapter: TypeAdapter[Any], kind: object, *, by_alias: bool
) -> dict[str, object]:
    from pydantic.errors import PydanticUserError

    try:
        return adapter.json_schema(mode="validation", by_alias=by_alias)
    except PydanticUserError as error:
        raise ConfigError(
            f"{show_type(kind)} holds something that JSON cannot write: "
            f"{str(error).splitlines()[0]}. Keep to types that pydantic gives a JSON "
            "schema, or annotate the field with `WithJsonSchema`"
        ) from error

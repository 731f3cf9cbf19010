"""Finds rules that can never satisfy a contract, when the function is decorated."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from llmguard.errors import ConfigError
from llmguard.outcome import Kind

if TYPE_CHECKING:
    from llmguard.contract import Contract

__all__ = ["check_rules", "check_value"]

# Checks that compare with the inputs cannot be judged before a call.
_LATER: Final = frozenset({Kind.OK, Kind.SEMANTIC, Kind.LOW_CONFIDENCE, Kind.ERROR})
_DEPTH: Final = 20
# Stands for fields that a document declares which is not part of this schema.
_ELSEWHERE: Final = ""


def check_rules(
    thens: Sequence[tuple[str, object, bool]],
    base: object,
    contract: Contract,
    *,
    merge: bool,
) -> None:
    """Refuse answers with unknown fields, missing fields or wrong values.

    Args:
        thens: Name, answer, and whether it depends on the call, of each rule.
        base: The default, None when partial answers are not completed.
        contract: What answers must satisfy.
        merge: Rules decide fields, not whole answers.

    Raises:
        ConfigError: The first rule that can never satisfy the contract.
    """
    schema = contract.json_schema or {}
    known = set(_properties(schema, schema, _DEPTH))
    if _ELSEWHERE in known:
        known.clear()
    required = _required(schema)
    for name, then, dynamic in thens:
        whole: object = then
        if isinstance(then, Mapping):
            fields = cast("Mapping[str, object]", then)
            _refuse_unknown(name, fields, known, contract)
            whole = {**cast("Mapping[str, object]", base or {}), **fields}
            missing = sorted(required - set(whole))
            if missing and merge:
                continue
            _refuse_missing(name, missing, contract)
        if not dynamic:
            check_value(f"rule {name!r}", whole, contract)


def check_value(what: str, value: object, contract: Contract) -> None:
    """Refuse a constant that breaks the contract.

    Raises:
        ConfigError: With the contract's own reasons.
    """
    verdict = contract.judge_value(copy.deepcopy(value), {})
    if verdict.kind not in _LATER:
        reasons = "; ".join(map(str, verdict.violations)) or verdict.detail
        raise ConfigError(
            f"{what} answers {value!r}, which breaks the contract "
            f"`{contract.name}`: {reasons}"
        )


def _refuse_unknown(
    name: str, fields: Mapping[str, object], known: set[str], contract: Contract
) -> None:
    for field in fields:
        if known and field not in known:
            near = difflib.get_close_matches(field, known, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"it has {sorted(known)}"
            raise ConfigError(
                f"rule {name!r} sets `{field}`, which the contract "
                f"`{contract.name}` does not have; {hint}"
            )


def _refuse_missing(name: str, missing: list[str], contract: Contract) -> None:
    if missing:
        raise ConfigError(
            f"rule {name!r} leaves out {', '.join(f'`{each}`' for each in missing)}, "
            f"which the contract `{contract.name}` requires; set it, complete answers "
            "from `default={...}`, or let rules decide fields with `mode='merge'`"
        )


def _properties(node: object, root: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield every field that a value of the schema may have at its top level."""
    if not isinstance(node, Mapping) or depth == 0:
        return
    schema = cast("Mapping[str, Any]", node)
    yield from schema.get("properties", {})
    if "$ref" in schema:
        target = _target(schema, root)
        yield from (_ELSEWHERE,) if target is None else ()
        yield from _properties(target, root, depth - 1)
    for key in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(key, ()):
            yield from _properties(part, root, depth - 1)


def _required(schema: Mapping[str, Any]) -> set[str]:
    target = _target(schema, schema) or schema
    return set(cast("Mapping[str, Any]", target).get("required", ()))


def _target(schema: Mapping[str, Any], root: Mapping[str, Any]) -> object:
    """Return what a local `$ref` points at; None when there is none."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        inner = cast("Mapping[str, Any]", found if isinstance(found, Mapping) else {})
        found = inner.get(part, {})
    return found

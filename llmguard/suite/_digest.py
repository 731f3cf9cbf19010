"""The digest of a suite: equal digests mean the same claims about the same cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..contract._digest import digest_of, source_digest
from ..errors import ConfigError
from ._assertion import Assertion
from ._types import Case

__all__ = ["assertion_document", "case_document", "jsonable", "suite_digest"]

_FORMAT: Final = 1


def suite_digest(
    cases: Iterable[Case],
    assertions: Iterable[Assertion],
    settings: Mapping[str, object],
) -> str:
    """Return `sha256:` and the digest of everything that a verdict rests on.

    Cases count in their order, because the seed shuffles them from it; assertions do
    not. `meta`, `owner` and whatever only reports read are left out.

    Args:
        cases: The suite's cases.
        assertions: Its assertions; each judge stands by its `version`, else by its own
            source.
        settings: Function, contract, error rates and limits, as JSON.

    Raises:
        ConfigError: A case cannot be written as JSON.
    """
    return digest_of(
        {
            "format": _FORMAT,
            "settings": settings,
            "cases": [case_document(case) for case in cases],
            "assertions": sorted(
                (assertion_document(each) for each in assertions),
                key=lambda one: str(one["name"]),
            ),
        }
    )


def case_document(case: Case) -> dict[str, Any]:
    """Return what identifies a case, as JSON."""
    document: dict[str, Any] = {
        "id": case.id,
        "inputs": jsonable(case.inputs, f"the inputs of case {case.id!r}"),
        "tags": sorted(case.tags),
        "slice": case.slice,
        "boundary": case.boundary,
        "weight": case.weight,
    }
    if case.has_expected:
        document["expected"] = jsonable(
            case.expected, f"the expected answer of case {case.id!r}"
        )
    return document


def assertion_document(each: Assertion) -> dict[str, Any]:
    """Return what identifies an assertion, as JSON."""
    return {
        "name": each.name,
        "kind": each.kind,
        "judge": each.version or source_digest(each.judge),
        "tolerate": each.tolerate,
        "unacceptable": each.unacceptable,
        "tags": sorted(each.tags),
        "slices": sorted(each.slices),
        "boundary": [each.boundary, each.without],
        "needs_expected": each.needs_expected,
        "relative": each.relative,
        "per_prompt": each.per_prompt,
        "scope": each.scope,
        "gating": each.gating,
        "detector": each.detector,
        "calibration": (
            None if each.calibration is None else digest_of(each.calibration.to_json())
        ),
    }


def jsonable(value: object, what: str) -> Any:
    """Write pydantic models, dataclasses, dates and the like as plain JSON.

    Args:
        value: Anything.
        what: Names the value in errors.

    Raises:
        ConfigError: There is something in it that has no JSON form.
    """
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return to_jsonable_python(value, inf_nan_mode="strings")
    except (PydanticSerializationError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{what} cannot be written as JSON ({error}): journals and digests hold "
            "texts, numbers, lists, objects, dates, dataclasses and pydantic models"
        ) from error

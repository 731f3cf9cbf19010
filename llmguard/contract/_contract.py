"""The contract: a schema, a parse mode and checks, made once and never changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, NoReturn

from .._quick import quick
from ..errors import ContractError
from ..outcome import Kind, Violation
from ..reply import Reply
from ._check import Bound, Check, as_check, bind, run_checks
from ._confidence import Confidence, Source, confidence_source
from ._digest import digest_of, source_digest
from ._make import (
    OWN_DETECTORS,
    check_list,
    is_exact,
    make_shape,
    name_of,
    parse_mode,
    refusal_detector,
    starts_of,
)
from ._parse import Parsed, ParseMode, parse_text
from ._reask import feedback
from ._reply import before_text, unreadable
from ._schema import Shape
from ._verdict import Verdict, refused

__all__ = ["Contract"]

_verdict: Final = quick(Verdict)
_NO_INPUTS: Final[Mapping[str, object]] = MappingProxyType({})


class Contract:
    """What an answer must be, whoever gives it: a model, a rule or a person.

    Args:
        schema: A pydantic model, dataclass, TypedDict, `Literal`, enum or any type
            that pydantic's `TypeAdapter` takes; `str` for free text; or a JSON Schema
            as a dict (draft 2020-12, or draft 7 by `$schema`).
        checks: Semantic checks: plain functions of (value) or (value, inputs), or
            what `llmguard.contract.checks` makes.
        parse: How JSON is found in text: `raw`, `fenced`, `lenient`; or `text`, where
            the text itself is the value. None means `text` for `str`, else `raw`.
        refusal: True to recognise refusals by their words; False to trust only the
            provider's mark; a function of the text for a detector of your own.
        name: Shown in messages; the type's name unless given.
        confidence: Where a confidence in [0, 1] comes from: a field of the value, or
            a function of (value) or (value, inputs). None leaves the reply's own.
        strict: False lets pydantic turn `"3"` into 3 and the like; by default a
            contract is about what was written. Types only.
        length_ok: True accepts an answer that is complete although the provider says
            that it stopped at the length limit.
        schemas: JSON Schema documents by URI, for references; nothing is ever fetched.

    Raises:
        ConfigError: An argument is wrong; the message says how to repair it.

    Examples:
        >>> from typing import Literal
        >>> from llmguard import Contract, Reply
        >>> yes_or_no = Contract(Literal["yes", "no"], parse="text")
        >>> verdict = yes_or_no.judge(Reply(text="perhaps"))
        >>> print(verdict.kind, verdict.violations[0])
        schema (whole answer): must be one of 'yes' or 'no'; the answer has "perhaps"
    """

    __slots__ = (
        "_checks",
        "_confidence",
        "_digest",
        "_exact",
        "_length_ok",
        "_name",
        "_parse",
        "_refusal",
        "_shape",
        "_starts",
    )

    _checks: tuple[Bound, ...]
    _confidence: Source | None
    _digest: str
    _exact: bool
    _length_ok: bool
    _name: str
    _parse: ParseMode
    _refusal: Callable[[str], bool]
    _shape: Shape
    _starts: str

    def __init__(
        self,
        schema: object,
        *,
        checks: Iterable[Check | Callable[..., object]] = (),
        parse: ParseMode | None = None,
        refusal: bool | Callable[[str], bool] = True,
        name: str = "",
        confidence: Confidence | None = None,
        strict: bool = True,
        length_ok: bool = False,
        schemas: Mapping[str, object] | None = None,
    ) -> None:
        shape = make_shape(schema, strict=strict, schemas=schemas)
        given = [as_check(each) for each in check_list(checks)]
        mode = parse_mode(schema, shape, parse)
        own: dict[str, object] = {
            "_shape": shape,
            "_parse": mode,
            "_exact": is_exact(shape),
            "_starts": starts_of(shape),
            "_name": name or name_of(schema, shape),
            "_checks": tuple(bind(each, shape) for each in given),
            "_refusal": refusal_detector(refusal),
            "_confidence": confidence_source(confidence, shape),
            "_length_ok": length_ok,
        }
        own["_digest"] = digest_of(
            {
                "reader": type(shape).__name__,
                "schema": shape.schema,
                "schemas": schemas or {},
                "strict": strict,
                "parse": mode,
                "refusal": source_digest(refusal) if callable(refusal) else refusal,
                "length_ok": length_ok,
                "confidence": (
                    source_digest(confidence) if callable(confidence) else confidence
                ),
                "checks": [each.description for each in given],
            }
        )
        for key, value in own.items():
            object.__setattr__(self, key, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"a contract never changes; make a new one to set {name!r}"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a contract never changes; {name!r} stays")

    def __repr__(self) -> str:
        checks = [bound.check.name for bound in self._checks]
        return f"Contract({self._name!r}, parse={self._parse!r}, checks={checks!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Contract):
            return NotImplemented  # Python asks the other side
        return self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __deepcopy__(self, memo: object) -> Contract:
        return self

    def __copy__(self) -> Contract:
        return self

    @property
    def name(self) -> str:
        """The name that messages use."""
        return self._name

    @property
    def digest(self) -> str:
        """Digest of everything that decides a verdict; the name is not part of it.

        Code that a check or a validator calls is not seen; see `Check.version`.
        """
        return self._digest

    @property
    def parse(self) -> ParseMode:
        """The declared parse mode."""
        return self._parse

    @property
    def is_text(self) -> bool:
        """True when the text of the answer is the value."""
        return self._parse == "text"

    @property
    def json_schema(self) -> dict[str, object] | None:
        """A copy of the JSON schema to ask for structured output; None for text."""
        return None if self.is_text else self.value_schema

    @property
    def value_schema(self) -> dict[str, object]:
        """A copy of the JSON schema of the value, for forms and for storage."""
        schema = self._shape.schema
        if isinstance(schema, bool):
            return {} if schema else {"not": {}}
        return copy.deepcopy(dict(schema))

    @property
    def unchecked_formats(self) -> tuple[str, ...]:
        """Formats that its JSON Schema names and nobody checks here."""
        return self._shape.unchecked_formats

    @property
    def inputs(self) -> frozenset[str]:
        """Names of the inputs that its checks read."""
        return frozenset(name for each in self._checks for name in each.check.inputs)

    @property
    def runs_own_code(self) -> bool:
        """True when judging runs functions of its author, which may take any time.

        Checks, validators of types, a detector of refusals, a source of confidence.
        """
        return (
            bool(self._checks)
            or self._confidence is not None
            or self._refusal not in OWN_DETECTORS
            or self._shape.own_code
        )

    def judge(self, reply: Reply, inputs: Mapping[str, object] = _NO_INPUTS) -> Verdict:
        """Judge an answer; never raises.

        The first of these that applies decides: `filtered`, `refusal` (the provider's
        mark), `truncated` (the provider's mark), `empty`, `refusal` (by its words,
        where no JSON could be read), `truncated` or `bad_json`, `schema`, `semantic`,
        `error`.

        Args:
            reply: What the tier answered.
            inputs: The call's arguments by name, for checks that read them.
        """
        try:
            verdict = before_text(reply, length_ok=self._length_ok)
            if verdict is not None:
                return verdict
            if reply.has_value:
                return self._judge_ready(reply.value, inputs, reply.confidence)
            return self._judge_text(reply, reply.text or "", inputs)
        except Exception as error:  # noqa: BLE001 - validators and detectors are a user's
            return _failed(error)

    def judge_value(
        self, value: object, inputs: Mapping[str, object] = _NO_INPUTS
    ) -> Verdict:
        """Judge a ready value: of a rule, a default, a person; never raises.

        The value is written as JSON and read back, so that every tier is held to the
        same contract and the value returned shares nothing with the one given.
        """
        try:
            return self._judge_ready(value, inputs, None)
        except Exception as error:  # noqa: BLE001 - validators are a user's code
            return _failed(error)

    def _judge_text(
        self, reply: Reply, text: str, inputs: Mapping[str, object]
    ) -> Verdict:
        if self._parse == "text":
            if self._refusal(text):
                return refused(Kind.REFUSAL, detail="the answer declines the request")
            text = text if self._exact else text.strip()
        parsed = parse_text(text, self._parse, starts=self._starts)
        if isinstance(parsed, Parsed):
            return self._judge_document(parsed, inputs, reply.confidence)
        if self._refusal(text):
            return refused(Kind.REFUSAL, detail="the answer declines the request")
        return unreadable(parsed, reply, text, mode=self._parse, starts=self._starts)

    def _judge_ready(
        self, value: object, inputs: Mapping[str, object], confidence: float | None
    ) -> Verdict:
        parsed = self._written(value)
        if isinstance(parsed, Violation):
            return refused(Kind.SCHEMA, [parsed])
        return self._judge_document(parsed, inputs, confidence)

    def _written(self, value: object) -> Parsed | Violation:
        """Write a ready value as strict JSON, or say why that cannot be done."""
        try:
            parsed = parse_text(self._shape.write(value), "raw")
        except (ValueError, TypeError, RecursionError) as error:
            reason = str(error).splitlines()[0]
            message = f"cannot be written as JSON: {reason}"
            return Violation(path="", message=message, check="json")
        if isinstance(parsed, Parsed):
            return parsed
        return Violation(path="", message=parsed.message, check="json")

    def _judge_document(
        self,
        parsed: Parsed,
        inputs: Mapping[str, object],
        confidence: float | None,
    ) -> Verdict:
        value, violations = self._shape.read(parsed.document, parsed.text)
        if violations:
            return refused(Kind.SCHEMA, violations)
        failure = ""
        if self._checks:
            violations, failure = run_checks(self._checks, value, inputs)
        if self._confidence is not None:
            confidence, breach = self._confidence(value, inputs)
            violations = [*violations, *breach]
        if violations:
            return refused(Kind.SEMANTIC, violations)
        if failure:
            return refused(Kind.ERROR, detail=failure)
        return _verdict(kind=Kind.OK, value=value, confidence=confidence)

    def feedback(self, verdict: Verdict, text: str | None = None) -> str:
        """Write the message that asks the model again, every violation quoted.

        Args:
            verdict: What `judge` said; an `ok` one gives an empty string.
            text: The answer as it was written; quoted, at most 2000 characters.
        """
        return feedback(verdict, text, parse=self._parse)

    def dump(self, value: object) -> object:
        """Write a value as plain JSON: dicts, lists, strings, numbers, None.

        Raises:
            ContractError: The value cannot be written as JSON.
        """
        parsed = self._written(value)
        if isinstance(parsed, Violation):
            raise _contract_error(self._name, [parsed])
        return parsed.document

    def load(self, document: object) -> object:
        """Read a value from plain JSON, without running the checks.

        Raises:
            ContractError: The document does not fit the schema.
        """
        parsed = parse_text(json.dumps(document), "raw")
        if not isinstance(parsed, Parsed):
            violation = Violation(path="", message=parsed.message, check="json")
            raise _contract_error(self._name, [violation])
        value, violations = self._shape.read(parsed.document, parsed.text)
        if violations:
            raise _contract_error(self._name, violations)
        return value


def _failed(error: Exception) -> Verdict:
    detail = f"the contract's own code raised {type(error).__name__}: {error}"
    return refused(Kind.ERROR, detail=" ".join(detail.split())[:300])


def _contract_error(name: str, violations: list[Violation]) -> ContractError:
    return ContractError(
        f"the value breaks the contract {name!r}: {violations[0]}",
        kind=Kind.SCHEMA,
        violations=violations,
    )

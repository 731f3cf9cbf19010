"""What is compared: one output of one version (a draw), and the draws of a request."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final, cast

from .._dataclass import dataclass
from ..contract import Verdict
from ..errors import ConfigError
from ..outcome import Kind, Violation
from ..reply import Reply, ToolCall

__all__ = ["LOST", "Act", "Draw", "Pair"]


class Act(enum.StrEnum):
    """What a version did on a request: the first rung of every ladder."""

    ANSWER = "answer"
    REFUSAL = "refusal"
    CLARIFICATION = "clarification"
    CALL = "tool call"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    FILTERED = "filtered"
    ERROR = "error"


LOST: Final = frozenset(
    {Kind.TRANSPORT, Kind.TIMEOUT, Kind.THROTTLED, Kind.AUTH, Kind.BAD_REQUEST}
    | {Kind.WRONG_MODEL, Kind.CANCELLED, Kind.OPEN, Kind.SKIPPED}
)
"""Kinds that say nothing about how a version behaves: counted apart, never compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One output of one version on one request.

    Attributes:
        text: What the model wrote; None when there is no text.
        value: The value instead of text, or parsed from it: JSON, a dataclass, a
            pydantic object.
        has_value: True when `value` is the answer.
        calls: Tool calls it asked for; they are compared, never executed.
        kind: How the guarded attempt ended; None when no contract has judged it yet.
        violations: Why the contract refused it.
        finish_reason: `stop`, `length`, ... as the provider said.
        refusal: The provider's own mark of a refusal.
        executed: What running the output gave, such as `pass` and `fail`; empty when
            nothing was run.
        latency_s: Seconds it took.
        cost: What it cost, in the currency of the prices in use.
        served_model: Model id that the provider echoed.
        detail: One line for people, such as the error.
    """

    text: str | None = None
    value: object = None
    has_value: bool = False
    calls: tuple[ToolCall, ...] = ()
    kind: Kind | None = None
    violations: tuple[Violation, ...] = ()
    finish_reason: str | None = None
    refusal: str | None = None
    executed: str = ""
    latency_s: float | None = None
    cost: float | None = None
    served_model: str | None = None
    detail: str = ""

    @property
    def lost(self) -> bool:
        """True when the attempt ended before the version could show anything."""
        return self.kind in LOST

    @classmethod
    def of(
        cls,
        reply: Reply,
        verdict: Verdict | None = None,
        *,
        latency_s: float | None = None,
        cost: float | None = None,
    ) -> Draw:
        """Make a draw of a reply, and of what the contract said of it.

        Args:
            reply: What the model answered.
            verdict: What `Contract.judge` said; None leaves that to the ladder.
            latency_s: Seconds it took.
            cost: What it cost.
        """
        return cls(
            text=reply.text,
            value=reply.value,
            has_value=reply.has_value,
            calls=tuple(reply.tool_calls),
            kind=verdict.kind if verdict else None,
            violations=verdict.violations if verdict else (),
            finish_reason=reply.finish_reason,
            refusal=reply.refusal,
            latency_s=latency_s,
            cost=cost,
            served_model=reply.served_model,
            detail=verdict.detail if verdict else "",
        )

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data; what is absent is left out."""
        found: dict[str, Any] = {
            "text": self.text,
            "calls": [_call_document(each) for each in self.calls] or None,
            "kind": None if self.kind is None else self.kind.value,
            "violations": [_violation_document(v) for v in self.violations] or None,
            "finish_reason": self.finish_reason,
            "refusal": self.refusal,
            "executed": self.executed or None,
            "latency_s": self.latency_s,
            "cost": self.cost,
            "served_model": self.served_model,
            "detail": self.detail or None,
        }
        found = {name: each for name, each in found.items() if each is not None}
        if self.has_value:
            found["value"] = plain(self.value)
        return found

    @classmethod
    def load(cls, document: Mapping[str, Any]) -> Draw:
        """Read what `document` wrote.

        Raises:
            ConfigError: It is no draw.
        """
        try:
            kind = document.get("kind")
            return cls(
                text=document.get("text"),
                value=document.get("value"),
                has_value="value" in document,
                calls=tuple(ToolCall(**each) for each in document.get("calls", ())),
                kind=None if kind is None else Kind(kind),
                violations=tuple(
                    Violation(**each) for each in document.get("violations", ())
                ),
                finish_reason=document.get("finish_reason"),
                refusal=document.get("refusal"),
                executed=document.get("executed", ""),
                latency_s=document.get("latency_s"),
                cost=document.get("cost"),
                served_model=document.get("served_model"),
                detail=document.get("detail", ""),
            )
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"this is no draw ({type(error).__name__}: {error}); write one with "
                "`Draw.document`"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The draws of one request.

    Attributes:
        request: Id of the request.
        a: The incumbent's draw, the one that was served.
        b: The challenger's.
        a2: A second draw of the incumbent, which measures its own noise.
        b2: A second draw of the challenger.
        more_a: Further draws of the incumbent.
        more_b: Further draws of the challenger.
        stratum: Slice of the traffic: a route, an intent, a language.
        cluster: Who sent it: requests of one user or session are not independent.
        input: What was asked, for the reader of examples; empty for not kept.
    """

    request: str
    a: Draw
    b: Draw
    a2: Draw | None = None
    b2: Draw | None = None
    more_a: tuple[Draw, ...] = ()
    more_b: tuple[Draw, ...] = ()
    stratum: str = ""
    cluster: str = ""
    input: str = ""

    @property
    def draws_a(self) -> tuple[Draw, ...]:
        """Every draw of the incumbent."""
        return (self.a, *((self.a2,) if self.a2 else ()), *self.more_a)

    @property
    def draws_b(self) -> tuple[Draw, ...]:
        """Every draw of the challenger."""
        return (self.b, *((self.b2,) if self.b2 else ()), *self.more_b)

    @classmethod
    def of(
        cls,
        request: str,
        a: tuple[Draw, ...],
        b: tuple[Draw, ...],
        *,
        stratum: str = "",
        cluster: str = "",
        input: str = "",  # noqa: A002 - the field's name
    ) -> Pair:
        """Make a pair of any number of draws, at least one on each side."""
        return cls(
            request=request,
            a=a[0],
            b=b[0],
            a2=a[1] if len(a) > 1 else None,
            b2=b[1] if len(b) > 1 else None,
            more_a=a[2:],
            more_b=b[2:],
            stratum=stratum,
            cluster=cluster,
            input=input,
        )

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data: one line of a file of pairs."""
        found: dict[str, Any] = {
            "request": self.request,
            "a": [each.document() for each in self.draws_a],
            "b": [each.document() for each in self.draws_b],
        }
        rest = {"stratum": self.stratum, "cluster": self.cluster, "input": self.input}
        return found | {name: each for name, each in rest.items() if each}

    @classmethod
    def load(cls, document: Mapping[str, Any]) -> Pair:
        """Read what `document` wrote.

        Raises:
            ConfigError: It is no pair.
        """
        try:
            a, b = (
                tuple(Draw.load(each) for each in document[side]) for side in ("a", "b")
            )
            return cls.of(
                str(document["request"]),
                a,
                b,
                stratum=str(document.get("stratum", "")),
                cluster=str(document.get("cluster", "")),
                input=str(document.get("input", "")),
            )
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise ConfigError(
                f"this is no pair ({type(error).__name__}: {error}); write one with "
                "`Pair.document`"
            ) from None


def plain(value: object) -> object:
    """Return a value as plain JSON data: models, dataclasses, enums and dates too."""
    if value is None or isinstance(value, bool | int | float | str):
        return cast("object", value)
    from pydantic_core import to_jsonable_python

    return cast("object", to_jsonable_python(value, fallback=repr))


def _call_document(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "name": call.name, "arguments": call.arguments}


def _violation_document(violation: Violation) -> dict[str, Any]:
    return {
        "path": violation.path,
        "message": violation.message,
        "check": violation.check,
    }

"""One span per guarded call, and below it one per attempt, open while the body runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ...outcome import Attempt, Kind, Outcome
from ...reply import Reply
from ..tracing import AttemptStart, Content
from ._content import Capture, as_text, input_json, output_json
from ._names import PARAMS, Names

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from ..tracing import AttemptTrace, CallTrace

__all__ = ["Measure", "SpanTracer"]

_PASSED: Final = frozenset({Kind.SKIPPED, Kind.OPEN})
_NO_ERROR: Final = frozenset({Kind.OK, Kind.CANCELLED, Kind.SKIPPED})

Measure = Callable[["AttemptStart", "Attempt"], None]
"""Told of every attempt of a model, for histograms."""


class SpanTracer:
    """Implements `llmguard.telemetry.tracing.Tracer` on OpenTelemetry's API."""

    def __init__(
        self,
        tracer: Tracer,
        *,
        names: Names,
        capture: Capture,
        logger: Logger | None,
        measure: Measure,
    ) -> None:
        self.tracer = tracer
        self.names = names
        self.capture = capture
        self.content = capture is not Capture.NO_CONTENT
        self.logger = logger
        self.measure = measure

    def call(self, function: str, call_id: str) -> CallTrace:
        """Open the span of one call, below whatever is current."""
        n = self.names
        span = self.tracer.start_span(
            f"guard {function}", attributes={n.function: function, n.call_id: call_id}
        )
        return _CallSpan(self, span)


class _CallSpan:
    """The span of a call; attempts are its children."""

    __slots__ = ("_context", "_kit", "_span")

    def __init__(self, kit: SpanTracer, span: Span) -> None:
        from opentelemetry.trace import set_span_in_context

        self._kit = kit
        self._span = span
        self._context = set_span_in_context(span)

    def attempt(self, start: AttemptStart) -> AttemptTrace:
        """Open the span of one attempt."""
        from opentelemetry.trace import SpanKind

        if start.model:
            name, kind = f"chat {start.model}", SpanKind.CLIENT
        else:
            name, kind = f"tier {start.tier}", SpanKind.INTERNAL
        span = self._kit.tracer.start_span(
            name,
            context=self._context,
            kind=kind,
            attributes=_before(start, self._kit.names),
        )
        return _AttemptSpan(self._kit, span, start, self._context)

    def end(self, outcome: Outcome) -> None:
        """Say how the call ended, and which tiers were passed over."""
        span, n = self._span, self._kit.names
        if span.is_recording():
            for one in outcome.attempts:
                if one.kind in _PASSED:
                    span.add_event(
                        n.passed_over,
                        {n.tier: one.tier, n.kind: str(one.kind), n.detail: one.detail},
                    )
            span.set_attributes(_after_call(outcome, n))
            if outcome.kind not in _NO_ERROR:
                _fail(span, n, outcome.kind, f"no tier answered: {outcome.kind}")
        span.end()


class _AttemptSpan:
    """The span of an attempt."""

    __slots__ = ("_context", "_kit", "_span", "_start")

    def __init__(
        self, kit: SpanTracer, span: Span, start: AttemptStart, context: Context
    ) -> None:
        self._kit = kit
        self._span = span
        self._start = start
        self._context = context

    def enter(self) -> object:
        """Make it current in this thread or task; on a courier too."""
        from opentelemetry.context import attach
        from opentelemetry.trace import set_span_in_context

        return attach(set_span_in_context(self._span))

    def leave(self, token: object) -> None:
        """Make the one before current again."""
        from opentelemetry.context import detach

        made: Any = token
        detach(made)

    def end(self, attempt: Attempt, reply: Reply | None, content: Content) -> None:
        """Say how it ended."""
        kit, span, n = self._kit, self._span, self._kit.names
        finish = None if reply is None else reply.finish_reason
        if span.is_recording():
            span.set_attributes(_after(attempt, finish, n))
            if kit.capture.in_spans and self._start.model:
                span.set_attributes(_said(content, finish, n))
            if attempt.kind not in _NO_ERROR:
                _fail(span, n, attempt.kind, attempt.detail)
        if kit.capture.in_events and self._start.model:
            self._event(content, finish)
        span.end()
        if self._start.model:
            kit.measure(self._start, attempt)

    def _event(self, content: Content, finish: str | None) -> None:
        from opentelemetry._logs import LogRecord, SeverityNumber
        from opentelemetry.trace import set_span_in_context

        kit, n = self._kit, self._kit.names
        if kit.logger is None:
            return
        kit.logger.emit(
            LogRecord(
                event_name=n.content_event,
                severity_number=SeverityNumber.DEBUG,
                context=set_span_in_context(self._span),
                attributes={
                    n.operation: "chat",
                    n.request_model: self._start.model,
                    **_said(content, finish, n),
                },
            )
        )


def _fail(span: Span, names: Names, kind: Kind, detail: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute(names.error_type, str(kind))
    span.set_status(Status(StatusCode.ERROR, detail or str(kind)))


def _before(start: AttemptStart, n: Names) -> dict[str, Any]:
    found: dict[str, Any] = {n.tier: start.tier, n.attempt: start.number}
    if not start.model:
        return found
    found |= {
        n.pin: start.pin,
        n.operation: "chat",
        n.provider: start.provider,
        n.request_model: start.model,
        n.output_type: "json" if start.structured else "text",
    }
    if start.stream:
        found[n.stream] = True
    found |= {
        PARAMS[key]: value
        for key, value in start.params.items()
        if key in PARAMS and isinstance(value, int | float)
    }
    return found | _server(start.endpoint, n)


def _server(endpoint: str, n: Names) -> dict[str, Any]:
    if not endpoint:
        return {}
    parts = urlsplit(endpoint)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    found: dict[str, Any] = {n.server_address: parts.hostname or endpoint}
    return found if port is None else {**found, n.server_port: port}


def _after(attempt: Attempt, finish: str | None, n: Names) -> dict[str, Any]:
    usage = attempt.usage
    given: dict[str, Any] = {
        n.kind: str(attempt.kind),
        n.response_model: attempt.served_model,
        n.fingerprint: attempt.fingerprint,
        n.finish_reasons: None if finish is None else [finish],
        n.input_tokens: None if usage is None else usage.input_tokens,
        n.output_tokens: None if usage is None else usage.output_tokens,
        n.confidence: attempt.confidence,
        n.rule: attempt.rule or None,
        n.ticket: attempt.ticket_id or None,
        n.prompt: attempt.prompt_digest or None,
        # Paths and names only: a message may quote what the model said.
        n.violations: [f"{one.path or '/'} {one.check}" for one in attempt.violations]
        or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _after_call(outcome: Outcome, n: Names) -> dict[str, Any]:
    given: dict[str, Any] = {
        n.outcome: str(outcome.kind),
        n.degraded: outcome.degraded,
        n.tier: outcome.tier or None,
        n.pin: outcome.pin or None,
        n.ticket: outcome.ticket_id or None,
        n.contract: outcome.contract_digest or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _said(content: Content, finish: str | None, n: Names) -> dict[str, Any]:
    return {
        n.input_messages: as_text(input_json(content)),
        n.output_messages: as_text(output_json(content, finish)),
    }

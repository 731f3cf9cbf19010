"""OpenTelemetry's SDK in memory, and guarded functions on fake models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from llmguard import config
from llmguard.telemetry import otel
from llmguard.telemetry.tally import TALLY


class Sdk:
    """Providers that keep what they get."""

    def __init__(self) -> None:
        self.spans_kept = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.spans_kept))
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider(metric_readers=[self.reader])
        self.logs_kept = InMemoryLogRecordExporter()
        self.logger_provider = LoggerProvider()
        self.logger_provider.add_log_record_processor(
            SimpleLogRecordProcessor(self.logs_kept)
        )

    def enable(self, **options: Any) -> None:
        otel.enable(
            tracer_provider=self.tracer_provider,
            meter_provider=self.meter_provider,
            logger_provider=self.logger_provider,
            **options,
        )

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.spans_kept.get_finished_spans()}

    @property
    def metrics(self) -> dict[str, list[Any]]:
        """Data points by name of the metric."""
        otel.flush()
        data = self.reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    @property
    def events(self) -> list[Any]:
        return [one.log_record for one in self.logs_kept.get_finished_logs()]


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sdk]:
    for name in (otel.CAPTURE, otel.OPT_IN):
        monkeypatch.delenv(name, raising=False)
    config.reset()
    TALLY.renew()
    sdk = Sdk()
    yield sdk
    otel.disable()
    sdk.tracer_provider.shutdown()
    sdk.meter_provider.shutdown()
    sdk.logger_provider.shutdown()


@pytest.fixture
def by_name() -> Callable[[list[Any]], dict[str, Any]]:
    """Index samples by one label's value."""
    return lambda points: {p.attributes["outcome"]: p.value for p in points}

"""How queues stand, for Prometheus and OpenTelemetry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from llmguard.monitor.metrics import queue_families
from llmguard.store import NewTicket, Store
from llmguard.telemetry.exposition import expose


def test_the_store_tells_how_queues_stand(store: Store) -> None:
    """Open, late, oldest, answered, given up: by queue."""
    for number in range(3):
        new = NewTicket(
            id=f"t{number}",
            queue="q",
            key=f"k{number}",
            fingerprint=f"f{number}",
            inputs={},
            due_at=1.0,
            callback="https://example.org/",
        )
        store.tickets.enqueue(new)
    store.tickets.answer("t0", 1, reviewer="ann")
    store.tickets.answer("t1", 1, reviewer="ann")
    taken = store.callbacks.take()
    assert taken is not None
    store.callbacks.failed(taken, result="x", retry=None)
    text = expose(queue_families(store))
    for line in (
        'llmguard_queue_tickets{queue="q",state="answered"} 2',
        'llmguard_queue_tickets{queue="q",state="open"} 1',
        'llmguard_queue_overdue{queue="q"} 1',
        'llmguard_queue_callbacks{queue="q",state="dead"} 1',
        'llmguard_queue_callbacks{queue="q",state="due"} 1',
        'llmguard_queue_lease_losses{queue="q"} 0',
    ):
        assert line in text.splitlines()
    assert 'llmguard_queue_oldest_seconds{queue="q"}' in text


SCRIPT = """
import sys
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from llmguard.store import NewTicket, open_store
from llmguard.telemetry import otel, prometheus
from llmguard_fallbacks.queue import export_metrics
from llmguard.testing import VirtualClock

store = open_store(sys.argv[1])
clock = VirtualClock()
export_metrics(store, clock=clock)
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
otel.enable()
store.tickets.enqueue(NewTicket(id="t", queue="q", key="k", fingerprint="f", inputs={}))
clock.advance(6)
assert 'llmguard_queue_tickets{queue="q",state="open"} 1' in prometheus.render()
found = {
    metric.name: metric.data.data_points
    for resource in reader.get_metrics_data().resource_metrics
    for scope in resource.scope_metrics
    for metric in scope.metrics
}
(point,) = found["llmguard.queue.tickets"]
assert point.value == 1 and dict(point.attributes) == {"queue": "q", "state": "open"}
"""


def test_a_process_shows_them_beside_its_own(tmp_path: Path) -> None:
    """In a process of its own, since sources are kept for its whole life."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "s.db")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)

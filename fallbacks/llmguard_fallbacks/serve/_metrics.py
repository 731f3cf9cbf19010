"""Counts of the server, in the text format that Prometheus reads."""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

__all__ = ["Histogram", "Metrics", "content_type"]

content_type: Final = "text/plain; version=0.0.4; charset=utf-8"
"""https://prometheus.io/docs/instrumenting/exposition_formats/"""
_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
Labels = tuple[tuple[str, str], ...]


class Histogram:
    """Seconds, sorted into fixed bins."""

    def __init__(self) -> None:
        self.bins = [0] * (len(_BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self.bins[bisect.bisect_left(_BOUNDS, seconds)] += 1
        self.total += seconds


class Metrics:
    """What the server has done; used from one event loop only."""

    def __init__(self) -> None:
        self._requests: collections.Counter[Labels] = collections.Counter()
        self._tokens: collections.Counter[Labels] = collections.Counter()
        self._gone: collections.Counter[Labels] = collections.Counter()
        self._seconds: dict[Labels, Histogram] = {}
        self._first: dict[Labels, Histogram] = {}

    def request(self, *, model: str, api: str, status: int) -> None:
        """Count a request by what became of it."""
        key = (("model", model), ("api", api), ("status", str(status)))
        self._requests[key] += 1

    def gone(self, model: str) -> None:
        """Count a client that left before its answer was complete."""
        self._gone[("model", model),] += 1

    def tokens(self, model: str, *, read: int, written: int) -> None:
        """Count the tokens of one answer."""
        self._tokens[("model", model), ("direction", "input")] += read
        self._tokens[("model", model), ("direction", "output")] += written

    def answered(self, model: str, seconds: float) -> None:
        """Count how long one answer took."""
        _histogram(self._seconds, model).observe(seconds)

    def began(self, model: str, seconds: float) -> None:
        """Count how long the first text of a stream took."""
        _histogram(self._first, model).observe(seconds)

    def text(self, gauges: Mapping[str, tuple[str, Mapping[str, float]]]) -> str:
        """Return everything as text.

        Args:
            gauges: Name -> help, and the value now by model.
        """
        lines = [
            *_counter("requests", "Requests answered, by status.", self._requests),
            *_counter("tokens", "Tokens read and written.", self._tokens),
            *_counter("disconnects", "Clients that left early.", self._gone),
            *_histograms("answer_seconds", "Time to a whole answer.", self._seconds),
            *_histograms("first_text_seconds", "Time to first text.", self._first),
        ]
        for name, (help_text, values) in gauges.items():
            lines += _head(name, help_text, "gauge")
            rows = (((("model", m),), v) for m, v in values.items())
            lines += [_row(name, labels, value) for labels, value in rows]
        return "\n".join(lines) + "\n"


def _histogram(found: dict[Labels, Histogram], model: str) -> Histogram:
    return found.setdefault((("model", model),), Histogram())


def _head(name: str, help_text: str, kind: str) -> list[str]:
    full = f"llmguard_serve_{name}"
    return [f"# HELP {full} {help_text}", f"# TYPE {full} {kind}"]


def _counter(name: str, help_text: str, counts: Mapping[Labels, int]) -> Iterator[str]:
    yield from _head(f"{name}_total", help_text, "counter")
    for labels, count in sorted(counts.items()):
        yield _row(f"{name}_total", labels, count)


def _histograms(
    name: str, help_text: str, found: Mapping[Labels, Histogram]
) -> Iterator[str]:
    yield from _head(name, help_text, "histogram")
    for labels, histogram in sorted(found.items()):
        count = 0
        bounds = [*(f"{b:g}" for b in _BOUNDS), "+Inf"]
        for bound, inside in zip(bounds, histogram.bins, strict=True):
            count += inside
            yield _row(f"{name}_bucket", (*labels, ("le", bound)), count)
        yield _row(f"{name}_sum", labels, histogram.total)
        yield _row(f"{name}_count", labels, count)


def _row(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    inner = ",".join(f'{key}="{_escape(text)}"' for key, text in labels)
    return f"llmguard_serve_{name}{{{inner}}} {value:.10g}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

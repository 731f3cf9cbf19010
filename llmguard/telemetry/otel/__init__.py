"""OpenTelemetry: spans of calls and attempts, and metrics, once it is enabled.

    from llmguard.telemetry import otel

    otel.enable()  # on the providers that the program has set up

Until then nothing of `opentelemetry` is imported and calls cost nothing more. It
needs the extra: `pip install 'llmguard-toolkit[otel]'`.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING

from ... import config
from ..._version import __version__
from ...errors import ConfigError
from .. import tracing
from .._hooks import add_hook
from ..tally import TALLY
from ._content import CAPTURE, Capture, capture_of
from ._names import NAMES, OPT_IN, Names, Profile, profile_of

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from ._metrics import Recorder

__all__ = [
    "CAPTURE",
    "NAMES",
    "OPT_IN",
    "Capture",
    "Names",
    "Profile",
    "disable",
    "enable",
    "flush",
]

_SCHEMA = "https://opentelemetry.io/schemas/1.41.0"
_recorder: Recorder | None = None


def enable(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    profile: Profile | None = None,
    capture: str | None = None,
) -> None:
    """Draw spans and keep metrics from now on; again, to change how.

    Args:
        tracer_provider: Of spans; the program's global one by default.
        meter_provider: Of metrics; likewise.
        logger_provider: Of content events; likewise.
        profile: Which `gen_ai.*` names: `released` or `latest`; by default what
            `OTEL_SEMCONV_STABILITY_OPT_IN` says.
        capture: Where prompts and answers go; by default what
            `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` says, and else nowhere.

    Raises:
        ConfigError: OpenTelemetry's API is not installed, or a value is none.
    """
    global _recorder  # noqa: PLW0603 - one per process
    try:
        from opentelemetry import metrics, trace
        from opentelemetry._logs import get_logger
    except ImportError as error:
        raise ConfigError(
            "`otel.enable` needs OpenTelemetry's API: run "
            "`pip install 'llmguard-toolkit[otel]'`, and set up a provider"
        ) from error
    from ._metrics import Recorder
    from ._spans import SpanTracer

    names = NAMES[profile_of(profile, os.environ)]
    chosen = capture_of(capture, os.environ, setting=config.load().capture_content)
    disable()
    meter = metrics.get_meter(
        "llmguard", __version__, meter_provider, schema_url=_SCHEMA
    )
    recorder = Recorder(meter, names=names)
    logger = None
    if chosen.in_events:
        logger = get_logger("llmguard", __version__, logger_provider, _SCHEMA)
    tracer = trace.get_tracer("llmguard", __version__, tracer_provider, _SCHEMA)
    add_hook(TALLY)
    _recorder = recorder
    tracing.activate(
        SpanTracer(tracer, names=names, capture=chosen, logger=logger, measure=recorder)
    )


def disable() -> None:
    """Draw no more spans and feed no more histograms; counters stay as they are."""
    global _recorder  # noqa: PLW0603 - one per process
    tracing.deactivate()
    if _recorder is not None:
        _recorder.stop()
        _recorder = None


def flush() -> None:
    """Record the measurements that wait; before a provider's own `force_flush`."""
    if _recorder is not None:
        _recorder.flush()


def _renew_in_child() -> None:
    if _recorder is not None:
        _recorder.renew()


atexit.register(flush)
if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_renew_in_child)

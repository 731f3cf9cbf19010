"""How fast a model is here, with and without a schema."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmguard.errors import ConfigError

from ..local._engine import LlamaCppEngine
from ..local._grammar import compile_grammar
from ..local._job import Delta, FailedError, Job, Result
from ..local._llama import LlamaOptions
from ._record import runtime_build

__all__ = ["BENCH_PROMPT", "BENCH_SCHEMA", "bench"]

BENCH_PROMPT: Final = (
    "Ticket: My parcel for order 48213 has not arrived and I was charged twice. "
    "Please send the money back.\nTriage:\n"
)
BENCH_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "category": {
            "enum": ["billing", "shipping", "refund", "account", "bug", "other"]
        },
        "priority": {"enum": ["low", "normal", "high", "urgent"]},
        "needs_human": {"type": "boolean"},
        "order_id": {"type": ["string", "null"], "maxLength": 24},
    },
    "required": ["category", "priority", "needs_human", "order_id"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    result: Result
    first: float
    total: float


def bench(
    path: Path,
    *,
    schema: Any = BENCH_SCHEMA,
    prompt: str = BENCH_PROMPT,
    tokens: int = 64,
    repeat: int = 5,
    threads: int = 1,
    n_ctx: int = 0,
    n_gpu_layers: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Measure one model in this process; every number is the median of `repeat`.

    The prompt is in the cache from the second answer on, as it is in service for the
    part that does not change; the first answer is told apart.

    Args:
        path: The GGUF file.
        schema: Schema of the constrained answers.
        prompt: One user message.
        tokens: Most tokens of a free answer; a constrained one ends by itself.
        repeat: Answers of each kind, taken in turn.
        threads: CPU threads.
        n_ctx: Tokens of the context; 0 for the model's own, at most 4096.
        n_gpu_layers: Layers on the accelerator; -1 for all.
        clock: Monotonic time in seconds.

    Raises:
        ConfigError: The model cannot be loaded, or cannot answer under the schema.
    """
    compile_grammar({"type": "boolean"})  # imports and set-up are no part of it
    start = clock()
    compile_grammar(schema)
    compiled = clock() - start
    before = _resident()
    start = clock()
    engine = LlamaCppEngine(
        LlamaOptions(
            path=str(path), n_ctx=n_ctx, n_threads=threads, n_gpu_layers=n_gpu_layers
        )
    )
    loaded = clock() - start
    messages = [{"role": "user", "content": prompt}]
    free = Job(messages=messages, temperature=1.0, max_tokens=tokens, stream=True)
    held = Job(messages=messages, temperature=1.0, schema=schema, stream=True)
    try:
        cold = _time(engine, held, clock)
        pairs = [
            (_time(engine, free, clock), _time(engine, held, clock))
            for _ in range(repeat)
        ]
    finally:
        engine.close()
    return {
        "model": str(path),
        "runtime": runtime_build(),
        "threads": threads,
        "gpu_layers": n_gpu_layers,
        "repeat": repeat,
        "load_seconds": loaded,
        "schema_compile_seconds": compiled,
        "first_answer_seconds": cold.total,
        "prompt_tokens": cold.result.input_tokens,
        "unconstrained": _summary([pair[0] for pair in pairs]),
        "constrained": _summary([pair[1] for pair in pairs]),
        "memory_bytes": {"before_load": before, "peak": _peak()},
    }


def _time(engine: LlamaCppEngine, job: Job, clock: Callable[[], float]) -> _Timed:
    start = clock()
    first = 0.0
    try:
        for event in engine.generate(job, halt=lambda: ""):
            if isinstance(event, Delta):
                first = first or clock() - start
            else:
                total = clock() - start
                return _Timed(result=event, first=first or total, total=total)
    except FailedError as error:
        raise ConfigError(f"the model gave no answer: {error}") from error
    raise ConfigError("the model gave no answer")  # pragma: no cover - it always ends


def _summary(found: list[_Timed]) -> dict[str, Any]:
    tokens = statistics.median(t.result.output_tokens for t in found)
    return {
        "tokens_per_second": statistics.median(
            t.result.output_tokens / t.total for t in found
        ),
        "first_token_seconds": statistics.median(t.first for t in found),
        "total_seconds": statistics.median(t.total for t in found),
        "tokens": tokens,
        "forced_tokens": statistics.median(t.result.forced_tokens for t in found),
        "evaluations": statistics.median(t.result.evaluations for t in found),
    }


def _peak() -> int | None:
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return None
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _resident() -> int | None:
    try:
        text = Path("/proc/self/statm").read_text(encoding="ascii")
    except OSError:  # pragma: no cover - no procfs
        return None
    import os

    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")

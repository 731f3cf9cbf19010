"""Layers on an accelerator: the same answers, and how fast they come.

`LLMGUARD_TEST_GPU_LAYERS=-1 pytest tests/local/test_conformance_*.py` runs the whole
suite of the engines there as well. `LLMGUARD_TEST_GGUF` names a model of a size that
an accelerator is worth.
"""

from __future__ import annotations

import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from llmguard_fallbacks.local._job import Job, Result

pytestmark = pytest.mark.gguf

TOKENS = 64


@pytest.fixture
def layers(runtime: str, request: pytest.FixtureRequest) -> int:
    """Return the layers to offload, where this build of llama.cpp can."""
    from llmguard_fallbacks.local._runtime import load_runtime

    found = int(request.param)
    if found and not load_runtime(runtime).llama_supports_gpu_offload():
        pytest.skip(f"this build of {runtime} has no GPU support, or finds no GPU")
    return found


@pytest.fixture
def weights(mini_gguf: pathlib.Path) -> pathlib.Path:
    """Return the model to measure."""
    return pathlib.Path(os.environ.get("LLMGUARD_TEST_GGUF", mini_gguf))


def evaluated(engine: Any) -> float:
    """Return tokens per second of bare evaluations, as llama-bench counts them."""
    context = engine._context
    prompt = context.tokenize("a ticket about a parcel", special=False)
    context.rewind([0])
    context.evaluate(prompt, stop=lambda: False)
    begun = time.perf_counter()
    for _ in range(TOKENS):
        context.evaluate(prompt[-1:], stop=lambda: False)
    return TOKENS / (time.perf_counter() - begun)


def drawn(engine: Any, **fields: Any) -> tuple[Result, float]:
    """Return an answer and its tokens per second; the prompt was read before."""
    job = Job(messages=[{"role": "user", "content": "go"}], **fields)
    *_, _first = engine.generate(job, halt=lambda: "")
    begun = time.perf_counter()
    *_, result = engine.generate(job, halt=lambda: "")
    assert isinstance(result, Result)
    return result, result.output_tokens / (time.perf_counter() - begun)


@pytest.mark.parametrize("layers", [0, -1], indirect=True, ids=["cpu", "gpu"])
def test_answers_and_speed(
    open_engine: Callable[..., Any],
    runtime: str,
    weights: pathlib.Path,
    layers: int,
    ticket: Any,
) -> None:
    """Answers are valid wherever the layers are; the speed is printed beside."""
    with open_engine(weights, n_gpu_layers=layers) as engine:
        bare = evaluated(engine)
        _, free = drawn(engine, max_tokens=TOKENS, temperature=1.0)
        found, held = drawn(engine, schema=ticket, temperature=1.0)
    jsonschema.validate(json.loads(found.text), ticket)
    print(  # noqa: T201 - the figures are half the point of this test
        f"\n{runtime}, {layers} layers offloaded, tokens/s: {bare:.0f} evaluated by "
        f"llama.cpp alone, {free:.0f} drawn freely, {held:.0f} under the schema"
    )


@pytest.mark.parametrize("layers", [-1], indirect=True, ids=["gpu"])
def test_the_accelerator_computes_the_same(
    open_engine: Callable[..., Any], mini_gguf: pathlib.Path, layers: int
) -> None:
    """Logits on the accelerator are those of the CPU, but for rounding."""
    rows: list[Any] = []
    for count in (0, layers):
        with open_engine(mini_gguf, n_gpu_layers=count) as engine:
            prompt = engine._context.tokenize("a ticket", special=False)
            row = engine._context.evaluate(prompt, stop=lambda: False)
            rows.append(row.copy())
    assert rows[0] == pytest.approx(rows[1], abs=0.05)

"""Real schemas: each is compiled or refused with the reason; no sample is invalid."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import random
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from llmguard_fallbacks.local import SchemaRefusedError
from llmguard_fallbacks.local._job import FailedError, Result
from llmguard_fallbacks.local._runtime import RUNTIMES

pytestmark = pytest.mark.gguf

DEFAULT = pathlib.Path(__file__).parents[3] / "shared" / "data"
BENCH = (
    pathlib.Path(os.environ.get("LLMGUARD_TEST_DATA", DEFAULT))
    / "jsonschemabench"
    / "sample.jsonl.gz"
)


def records() -> list[dict[str, Any]]:
    """Return the sample of JSONSchemaBench (Geng et al., arXiv 2501.10868)."""
    if not BENCH.exists():
        pytest.skip(f"no test data at {BENCH}; set `LLMGUARD_TEST_DATA`")
    with gzip.open(BENCH, "rt") as stream:
        return [json.loads(line) for line in stream]


def outcome(engine: Any, answer: Callable[..., Result], schema: Any, seed: int) -> str:
    """Draw one answer and say what became of it."""
    from llmguard_fallbacks.local._grammar import compile_first

    try:
        compile_first(schema)
    except SchemaRefusedError:
        return "refused"
    try:
        found = answer(engine, schema=schema, temperature=1.5, seed=seed)
    except FailedError as error:
        if "does not fit the context" in str(error):
            return "refused"
        return error.failure.kind.value
    kind = jsonschema.validators.validator_for(
        schema, default=jsonschema.Draft202012Validator
    )
    validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
    return "ok" if validator.is_valid(json.loads(found.text)) else "invalid"


def survey(
    engine: Any, answer: Callable[..., Result], chosen: list[dict[str, Any]]
) -> dict[str, list[str]]:
    """Return the names of the schemas by what became of them."""
    ends: dict[str, list[str]] = {}
    for seed, record in enumerate(chosen):
        end = outcome(engine, answer, record["schema"], seed)
        ends.setdefault(end, []).append(record["name"])
    return ends


def test_a_sample_of_real_schemas(
    engine: Any, runtime: str, answer: Callable[..., Result]
) -> None:
    """Forty schemas, half for each engine: nothing invalid, hardly any refused."""
    count = 40 if engine._context.n_vocab > 300 else 8  # single bytes are slow
    chosen = random.Random(11).sample(records(), count)
    half = chosen[[*RUNTIMES].index(runtime) :: len(RUNTIMES)]
    ends = survey(engine, answer, half)
    assert {*ends} <= {"ok", "refused", "schema"}, ends
    assert len(ends["ok"]) >= 0.9 * len(half) - 1, ends


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_real_schemas(engine: Any, answer: Callable[..., Result]) -> None:
    """Every answer that is returned is valid against the original.

    One schema in six, because all 815 take minutes: `LLMGUARD_ALL_SCHEMAS=1`.
    """
    every = bool(os.environ.get("LLMGUARD_ALL_SCHEMAS"))
    chosen = records()[:: 1 if every else 6]
    ends = survey(engine, answer, chosen)
    print({end: len(names) for end, names in ends.items()})  # noqa: T201 - the figure
    assert {*ends} <= {"ok", "refused", "schema", "truncated"}, ends
    assert len(ends["ok"]) >= (760 if every else 126), ends
    assert len(ends.get("truncated", [])) <= (8 if every else 1), ends

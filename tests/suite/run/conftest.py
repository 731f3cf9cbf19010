"""A guarded function, its suite, and versions that answer as they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmguard import Model, contract, pinned
from llmguard.adapters import Request
from llmguard.guard import INJECTED, Runtime
from llmguard.pins import Pin
from llmguard.suite import Assertion, Suite
from llmguard.suite.expect import schema
from llmguard.testing import FakeModel, isolated

SCHEMA = {
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": {"type": "string"}},
}
GOOD = {"kind": "refund"}
CASES = [
    {
        "id": f"c{n:02}",
        "inputs": {"text": f"text {n}"},
        "slice": ("even", "odd")[n % 2],
    }
    for n in range(20)
]


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """Give breakers and budgets that no other test has touched."""
    with isolated() as made:
        yield made


@pytest.fixture
def triage() -> Callable[..., Any]:
    """Give a guarded function whose own model is never called."""

    @contract(SCHEMA)
    @pinned(FakeModel(GOOD, name="own-1").pin("triage"))
    async def triage(text: str, *, model: Model = INJECTED) -> Any:
        return await model.acomplete(text)

    return triage


@pytest.fixture
def make_suite(triage: Callable[..., Any]) -> Callable[..., Suite]:
    """Give suites of twenty cases about that function."""

    def make(*assertions: Assertion, **changes: Any) -> Suite:
        given = assertions or (schema(tolerate=0.02, unacceptable=0.2),)
        options: dict[str, Any] = {"cases": CASES, "assertions": given} | changes
        return Suite("triage", triage, **options)

    return make


@pytest.fixture
def failing() -> Callable[..., Pin]:
    """Give versions that break the schema on some prompts, always or every nth time."""

    def make(*texts: str, every: int = 1, name: str = "new-1") -> Pin:
        seen: dict[str, int] = {}

        def answer(request: Request) -> object:
            text = str(request.inputs["text"])
            seen[text] = seen.get(text, 0) + 1
            bad = text in texts and seen[text] % every == 0
            return {"other": 1} if bad else GOOD

        return FakeModel(answer, name=name).pin("triage")

    return make


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """Give recordings: answers per case id, in order."""

    def make(name: str, answers: dict[str, list[Any]]) -> Path:
        path = tmp_path / name
        lines = [
            json.dumps({"prompt_id": case, "sample": n, "output": json.dumps(said)})
            for case, all_said in answers.items()
            for n, said in enumerate(all_said)
        ]
        path.write_text("\n".join(lines) + "\n")
        return path

    return make

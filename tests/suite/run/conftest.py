"""A guarded function, its suite, and versions that answer as they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmguard import Model, config, contract, pinned
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
MODULE = """
from llmguard import INJECTED, Model, Pin, contract, pinned

PIN = Pin(
    route="triage",
    provider="replay",
    model={old!r},
    version_class="immutable",
    options={{"exhausted": "error"}},
    expect_echo=("*",),
)


@contract({{"type": "object", "required": ["kind"]}})
@pinned(PIN)
def triage(text: str, *, model: Model = INJECTED):
    return model.complete(text)
"""
SUITE = """
name = "shop"
function = "{module}.py:triage"
cases = "cases.jsonl"
owner = "desk"

[[assert]]
expect = "schema"
tolerate = 0.02
unacceptable = 0.2
"""
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


@pytest.fixture
def project(
    tmp_path: Path,
    recording: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Path]:
    """Give a project: a function, a suite of twenty cases, and recorded versions."""
    ids = [f"c{n:02}" for n in range(20)]
    old = recording("old.jsonl", {one: [GOOD] * 5 for one in ids})
    recording("bad.jsonl", {one: [{"other": 1}] * 5 for one in ids})
    recording("short.jsonl", {one: [GOOD] for one in ids})
    module = f"shop_{abs(hash(request.node.name))}"
    (tmp_path / f"{module}.py").write_text(MODULE.format(old=str(old)))
    (tmp_path / "shop.toml").write_text(SUITE.format(module=module))
    lines = [json.dumps({"id": one, "inputs": {"text": one}}) for one in ids]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.llmguard]\nsuites = ["shop.toml"]\n'
    )
    monkeypatch.chdir(tmp_path)
    config.reset()
    yield tmp_path
    config.reset()

"""A first call's deadline begins when everything that it runs is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmguard.testing import FaultServer

SCRIPT = """
import asyncio, json, sys
from typing import Any, Literal
from pydantic import BaseModel
from llmguard import Model, Pin, contract, pinned
from llmguard.clock import SYSTEM_CLOCK
from llmguard.guard._runtime import Runtime, use_runtime

form, options = sys.argv[1], json.loads(sys.argv[2])
order = []

class Imports:
    def find_spec(self, name, path=None, target=None):
        order.append(name)

class Ticking:
    def __getattr__(self, name):
        if name == "monotonic":
            order.append("the clock was read")
        return getattr(SYSTEM_CLOCK, name)

class Answer(BaseModel):
    category: Literal["billing", "other"]

def sync(prompt_id: str, *, model: Model) -> Answer:
    return model.complete("x")

async def awaited(prompt_id: str, *, model: Model) -> Answer:
    return await model.acomplete("x")

def gen(prompt_id: str, *, model: Model) -> Any:
    yield from model.stream("x")

async def agen(prompt_id: str, *, model: Model) -> Any:
    async for chunk in model.astream("x"):
        yield chunk

guarded = pinned(Pin(**options))(contract(Answer)({
    "sync": sync, "awaited": awaited, "gen": gen, "agen": agen,
}[form]))

async def gather():
    return [chunk async for chunk in guarded("x")]

sys.meta_path.insert(0, Imports())
with use_runtime(Runtime(clock=Ticking())):
    if form == "sync":
        answer = guarded("x").model_dump()
    elif form == "awaited":
        answer = asyncio.run(guarded("x")).model_dump()
    else:
        answer = list(guarded("x")) if form == "gen" else asyncio.run(gather())
began = order.index("the clock was read")
print(json.dumps({"before": order[:began], "after": order[began:], "answer": answer}))
"""


def first_call(form: str, **options: object) -> dict[str, Any]:
    """Call a guarded function once, in a process of its own."""
    fields = {"route": "r", "version_class": "immutable", **options}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, form, json.dumps(fields)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def packages(names: list[str]) -> set[str]:
    """Return what is imported of ours by name, of others by package."""
    tops = {n if n.startswith("llmguard") else n.partition(".")[0] for n in names}
    return tops - sys.stdlib_module_names - {"the clock was read"}


@pytest.mark.parametrize("form", ["sync", "awaited", "gen", "agen"])
def test_nothing_is_imported_once_the_clock_runs(form: str, tmp_path: Path) -> None:
    """The breaker and what it brings along come before the deadline begins."""
    recording = tmp_path / "answers.jsonl"
    answer = '{"category": "billing"}'
    recording.write_text(json.dumps({"prompt_id": "x", "output": answer}))
    found = first_call(form, provider="replay", model=str(recording))
    assert "llmguard.breaker.version" in found["before"]
    assert set() == packages(found["after"])


@pytest.mark.parametrize("form", ["sync", "awaited"])
def test_an_sdk_is_imported_before_the_clock_runs(form: str) -> None:
    """The SDK, its HTTP client and the way that client waits."""
    pytest.importorskip("openai")
    with FaultServer(answer='{"category": "billing"}') as server:
        pin = server.pin()
        found = first_call(
            form, provider="openai", model=pin.model, endpoint=pin.endpoint
        )
    assert {"category": "billing"} == found["answer"]
    assert "openai" in packages(found["before"])
    assert packages(found["after"]) <= packages(found["before"])

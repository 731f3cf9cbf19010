"""One suite of 40 prompts on one library, against the stub: prints a line of JSON.

Runs in the environment that has the library; its words are the library, the model's
URL, how many times each prompt is asked where that is fixed, and how many at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from typing import Any, Final

MODEL: Final = "stub-1"
PROMPTS: Final = [f"Who is it, and how old? Ticket {number}" for number in range(40)]
SCHEMA: Final[Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
PASS: Final = 0.95
"""Share of answers that must pass, where a library has no verdict of its own."""


def llmguard(url: str, epochs: int, at_once: int) -> dict[str, Any]:
    """Ask until the suite says PROMOTE or BLOCK, at its default rates."""
    from pydantic import create_model

    from llmguard import Model, Pin, contract, pinned
    from llmguard.suite import Suite, arun
    from llmguard.suite.expect import schema

    person: Any = create_model("Person", name=(str, ...), age=(int, ...))
    pin = Pin(
        route="bench",
        provider="openai",
        model=MODEL,
        endpoint=url,
        version_class="immutable",
    )

    @contract(person)
    @pinned(pin)
    async def ask(text: str, *, model: Model) -> Any:
        return await model.acomplete(text)

    cases = [{"id": f"c{n}", "inputs": {"text": t}} for n, t in enumerate(PROMPTS)]
    suite = Suite("bench", ask, cases=cases, assertions=[schema()])
    most = epochs * len(PROMPTS)
    report = asyncio.run(arun(suite, pin, concurrency=at_once, max_calls=most))
    return {"verdict": report.verdict.value}


def inspect(url: str, epochs: int, at_once: int) -> dict[str, Any]:
    """Ask every prompt so many times and take the mean."""
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import Sample
    from inspect_ai.model import get_model
    from inspect_ai.scorer import Score, accuracy, scorer
    from inspect_ai.solver import generate

    @scorer(metrics=[accuracy()])
    def fits() -> Any:
        async def score(state: Any, _target: Any) -> Score:
            return Score(value=_fits(state.output.completion))

        return score

    task = Task(
        dataset=[Sample(input=text, target="") for text in PROMPTS],
        solver=generate(),
        scorer=fits(),
        epochs=epochs,
    )
    model = get_model(
        f"openai/{MODEL}", base_url=url, api_key="none", responses_api=False
    )
    with tempfile.TemporaryDirectory() as folder:
        (log,) = evaluate(
            task,
            model=model,
            display="none",
            log_dir=folder,
            max_connections=at_once,
            max_samples=at_once,
        )
    results: Any = log.results
    share = results.scores[0].metrics["accuracy"].value
    return {"verdict": "pass" if share >= PASS else "fail", "share": share}


def _fits(text: str) -> bool:
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found.get("name"), str) and isinstance(found.get("age"), int)


if __name__ == "__main__" and len(sys.argv) > 1:
    asked = {"llmguard": llmguard, "inspect": inspect}[sys.argv[1]]
    print("@" + json.dumps(asked(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))

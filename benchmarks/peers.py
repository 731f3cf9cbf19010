"""Peers on the same task as llmguard: a person of two fields, out of a loopback stub.

Each peer lives in an environment of its own under `.nox/`, beside plain `openai` and
llmguard, and the three take turns in one process. `--install` makes the environments
from the package index; what cannot be installed, or is not there, is skipped with the
reason. Peers run at their defaults for structured output, retries included: on the
happy path none is used. What they weigh is measured by `weight_bench.py`, what they do
when a model dies by `failover_bench.py` and `fault_peers.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any, Final

from _environments import ROOT, make, python_of, run
from _measure import interleave, machine, options, report, spread, table
from _stub import MODEL, stub

PEERS: Final = {
    "instructor": "instructor",
    "pydantic-ai": "pydantic-ai-slim",
    "litellm": "litellm",
    "guardrails": "guardrails-ai",
}
MESSAGES: Final[Any] = [{"role": "user", "content": "Who is it?"}]
PLAIN, OURS = "openai, validated by hand", "llmguard, guarded"
Ask = Callable[[], object]


# --- in the environment of one peer


def _plain(url: str, person: Any) -> Ask:
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key="none", max_retries=0)
    schema = {"name": "Person", "schema": person.model_json_schema()}
    form: Any = {"type": "json_schema", "json_schema": schema}

    def ask() -> object:
        answer = client.chat.completions.create(
            model=MODEL, messages=MESSAGES, response_format=form
        )
        return person.model_validate_json(answer.choices[0].message.content or "")

    return ask


def _llmguard(url: str, person: Any) -> Ask:
    from llmguard import Model, Pin, contract, fallback_chain, pinned, static

    pin = Pin(
        route="bench",
        provider="openai",
        model=MODEL,
        endpoint=url,
        version_class="immutable",
    )

    @fallback_chain(static(person(name="nobody", age=0)))
    @contract(person)
    @pinned(pin)
    def ask(*, model: Model) -> Any:
        return model.complete(MESSAGES)

    return ask


def _instructor(url: str, person: Any) -> dict[str, Ask]:
    import instructor
    from openai import OpenAI

    raw = OpenAI(base_url=url, api_key="none", max_retries=0)
    modes = {"tools": instructor.Mode.TOOLS, "JSON": instructor.Mode.JSON}

    def asker(mode: Any) -> Ask:
        client = instructor.from_openai(raw, mode=mode)
        return lambda: client.chat.completions.create(
            model=MODEL, messages=MESSAGES, response_model=person
        )

    return {f"instructor, {name}": asker(mode) for name, mode in modes.items()}


def _pydantic_ai(url: str, person: Any) -> dict[str, Ask]:
    from pydantic_ai import Agent
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=url, api_key="none")
    one = OpenAIChatModel(MODEL, provider=provider)
    agent = Agent(one, output_type=person)
    chain = Agent(FallbackModel(one, one), output_type=person)
    return {
        "pydantic-ai, Agent": lambda: agent.run_sync("Who is it?").output,
        "pydantic-ai, FallbackModel": lambda: chain.run_sync("Who is it?").output,
    }


def _litellm(url: str, person: Any) -> dict[str, Ask]:
    import litellm

    to = {"model": f"openai/{MODEL}", "api_base": url, "api_key": "none"}
    router = litellm.Router(
        model_list=[
            {"model_name": "first", "litellm_params": to},
            {"model_name": "second", "litellm_params": to},
        ],
        fallbacks=[{"first": ["second"]}],
    )

    def read(answer: Any) -> object:
        return person.model_validate_json(answer.choices[0].message.content)

    rest: Any = {"messages": MESSAGES, "response_format": person}
    return {
        "litellm, completion": lambda: read(litellm.completion(**to, **rest)),
        "litellm, Router": lambda: read(router.completion("first", **rest)),
    }


def _guardrails(url: str, person: Any) -> dict[str, Ask]:
    from guardrails import Guard

    guard = Guard.for_pydantic(person)
    to = {"model": f"openai/{MODEL}", "api_base": url, "api_key": "none"}

    def ask() -> object:
        made = guard(messages=MESSAGES, **to)
        if not made.validation_passed:
            raise SystemExit(f"guardrails refused {made.raw_llm_output!r}")
        return person.model_validate(made.validated_output)

    return {"guardrails, Guard over litellm": ask}


_ASKERS: Final = {
    "instructor": _instructor,
    "pydantic-ai": _pydantic_ai,
    "litellm": _litellm,
    "guardrails": _guardrails,
}


def _times(ask: Ask) -> Callable[[int], None]:
    def run(calls: int) -> None:
        for _ in range(calls):
            ask()

    return run


def child(name: str, url: str, *, quick: bool) -> dict[str, Any]:
    """Measure one peer beside plain openai and llmguard, in this process."""
    from pydantic import create_model

    person: Any = create_model("Person", name=(str, ...), age=(int, ...))
    asks = {PLAIN: _plain(url, person), OURS: _llmguard(url, person)}
    asks |= _ASKERS[name](url, person)
    expected = {"name": "Ada", "age": 36}
    for subject, ask in asks.items():
        got: Any = ask()
        if got.model_dump() != expected:
            raise SystemExit(f"{subject} answered {got!r}")
    cases = {subject: _times(ask) for subject, ask in asks.items()}
    samples = interleave(cases, calls=2 if quick else 10, rounds=2 if quick else 31)
    return {
        "machine": machine(samples),
        "versions": {d: metadata.version(d) for d in ("openai", PEERS[name])},
        "cpu": {
            subject: {
                "us": spread(samples[subject].cpu, subtract=True),
                "x": spread(samples[subject].cpu, samples[PLAIN].cpu, subtract=False),
            }
            for subject in asks
        },
    }


# --- outside


def install() -> None:
    """Make the environments; say what cannot be made."""
    for name in PEERS:
        if problem := make(name, join=[str(ROOT)]):
            print(f"{name}: not installed: {problem}")


def _peer(name: str, url: str, *, quick: bool) -> dict[str, Any] | str:
    """Run one peer in its environment; return its figures, or why there are none."""
    python = python_of(name)
    if not python.exists():
        return "no environment; run `python benchmarks/peers.py --install`"
    flags = ["--quick"] if quick else []
    done = run(python, "-W", "ignore", __file__, "child", name, url, *flags)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return lines[-1] if lines else "it ended without a word"
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    asked = options(__doc__ or "", "--install")
    if asked.install:
        install()
        return
    found: dict[str, Any] = {}
    with stub() as url:
        for name in PEERS:
            found[name] = _peer(name, f"{url}/v1", quick=asked.quick)
    for name, each in found.items():
        if isinstance(each, str):
            print(f"{name}: skipped: {each}")
            continue
        versions = ", ".join(f"{d} {v}" for d, v in each["versions"].items())
        rows = [
            [s, f["us"]["median"], f["x"]["median"], f["x"]["low"], f["x"]["high"]]
            for s, f in each["cpu"].items()
        ]
        slow = each["machine"]["loop_slowdown"]
        head = ["one structured answer", "CPU us", "x openai", "25 %", "75 %"]
        table(f"{versions}; calibration loop {slow} x its best", head, rows)
    report({"peers": found}, machine(), asked.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        quick = "--quick" in sys.argv
        print(json.dumps(child(sys.argv[2], sys.argv[3], quick=quick)))
    else:
        main()

"""Failing over from a dead model to a healthy one, in the environment of one peer.

Prints one line of JSON: for each subject and fault the seconds to the good answer and
the requests that the dead model had, or what was raised instead.
"""

from __future__ import annotations

import json
import random
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, Final

PROMPT: Final = "Who is it?"
MESSAGES: Final[Any] = [{"role": "user", "content": PROMPT}]
MODEL: Final = "stub-1"
TIMEOUT: Final = 2.0
"""Seconds that every subject may wait for one answer."""
DEADLINE: Final = 3.0
"""Seconds for all of a call, where a library has such a thing."""
SHOWN: Final = (
    "openai",
    "instructor",
    "pydantic-ai-slim",
    "litellm",
    "guardrails-ai",
)
Ask = Callable[[], Any]
Subjects = Mapping[str, Callable[[str, str], Ask]]


def _openai(first: str, second: str, person: Any, **more: Any) -> Ask:
    """What one writes by hand: try the first, except everything, ask the second."""
    from openai import OpenAI, OpenAIError

    clients = [
        OpenAI(base_url=url, api_key="none", timeout=TIMEOUT, **more)
        for url in (first, second)
    ]
    schema = {"name": "Person", "schema": person.model_json_schema()}
    form: Any = {"type": "json_schema", "json_schema": schema}

    def ask() -> Any:
        for client in clients:
            try:
                answer = client.chat.completions.create(
                    model=MODEL, messages=MESSAGES, response_format=form
                )
                text = answer.choices[0].message.content or ""
                return person.model_validate_json(text)
            except (OpenAIError, ValueError):
                continue
        return None

    return ask


def llmguard_chain(first: str, second: str, person: Any) -> Ask:
    from llmguard import Model, Pin, contract, fallback_chain, on_pin, pinned, static
    from llmguard.guard import Runtime, use_runtime

    def pin(route: str, url: str) -> Any:
        return Pin(
            route=route,
            provider="openai",
            model=MODEL,
            endpoint=url,
            version_class="immutable",
        )

    last = person(name="nobody", age=0)
    other = on_pin(pin("second", second), reserve=0.5)

    @fallback_chain(other, static(last), deadline=DEADLINE)
    @contract(person)
    @pinned(pin("first", first))
    def ask(*, model: Model) -> Any:
        return model.complete(MESSAGES)

    def once() -> Any:
        with use_runtime(Runtime()):
            return ask()  # type: ignore[call-arg]  # the decorators fill in the model

    return once


def _instructor(first: str, second: str, person: Any) -> Ask:
    import instructor
    from openai import OpenAI

    clients = [
        instructor.from_openai(OpenAI(base_url=url, api_key="none", timeout=TIMEOUT))
        for url in (first, second)
    ]

    def ask() -> Any:
        for client in clients:
            try:
                return client.chat.completions.create(
                    model=MODEL, messages=MESSAGES, response_model=person
                )
            except Exception:  # noqa: BLE001, S112 - whatever it raises, ask the second
                continue
        return None

    return ask


def _pydantic_ai(first: str, second: str, person: Any) -> Ask:
    from openai import AsyncOpenAI
    from pydantic_ai import Agent
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def model(url: str) -> Any:
        client = AsyncOpenAI(base_url=url, api_key="none", timeout=TIMEOUT)
        return OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))

    agent = Agent(FallbackModel(model(first), model(second)), output_type=person)
    return lambda: agent.run_sync(PROMPT).output


def _litellm(first: str, second: str, person: Any, *, retries: bool = True) -> Ask:
    import litellm

    def to(url: str) -> dict[str, Any]:
        place = {"model": f"openai/{MODEL}", "api_base": url, "api_key": "none"}
        return place if retries else {**place, "max_retries": 0}

    more: dict[str, Any] = {} if retries else {"num_retries": 0}

    router = litellm.Router(
        model_list=[
            {"model_name": "first", "litellm_params": to(first)},
            {"model_name": "second", "litellm_params": to(second)},
        ],
        fallbacks=[{"first": ["second"]}],
        timeout=TIMEOUT,
        **more,
    )

    def ask() -> Any:
        answer = router.completion("first", messages=MESSAGES, response_format=person)
        return person.model_validate_json(answer.choices[0].message.content)

    return ask


def _guardrails(first: str, second: str, person: Any) -> Ask:
    from guardrails import Guard

    guard = Guard.for_pydantic(person)

    def ask() -> Any:
        for url in (first, second):
            try:
                made = guard(
                    model=f"openai/{MODEL}",
                    api_base=url,
                    api_key="none",
                    messages=MESSAGES,
                    timeout=TIMEOUT,
                )
            except Exception:  # noqa: BLE001, S112 - whatever it raises, ask the second
                continue
            if made.validation_passed:
                return person.model_validate(made.validated_output)
        return None

    return ask


def subjects(name: str, person: Any) -> Subjects:
    """Return what is compared in one environment."""
    found: dict[str, Callable[[str, str], Ask]] = {
        "openai, by hand": lambda a, b: _openai(a, b, person),
        "openai, by hand, no retries": lambda a, b: _openai(
            a, b, person, max_retries=0
        ),
        "llmguard": lambda a, b: llmguard_chain(a, b, person),
    }
    if name == "instructor":
        found["instructor, by hand"] = lambda a, b: _instructor(a, b, person)
    elif name == "pydantic-ai":
        found["pydantic-ai, FallbackModel"] = lambda a, b: _pydantic_ai(a, b, person)
    elif name == "litellm":
        found["litellm, Router"] = lambda a, b: _litellm(a, b, person)
        found["litellm, Router, no retries"] = lambda a, b: _litellm(
            a, b, person, retries=False
        )
    elif name == "guardrails":
        found["guardrails, by hand"] = lambda a, b: _guardrails(a, b, person)
    return found


def _count(root: str) -> int:
    with urllib.request.urlopen(f"{root}/count", timeout=10) as answer:  # noqa: S310 - the stub
        return sum(json.load(answer).values())


def once(make: Callable[[str, str], Ask], root: str, fault: str) -> dict[str, Any]:
    """Make a client and its first call; the making is not timed."""
    first = {"closed": "http://127.0.0.1:9/v1"}.get(fault, f"{root}/change/{fault}/v1")
    before = _count(root)
    ask = make(first, f"{root}/v1")
    began = time.perf_counter()
    try:
        answer = ask()
        ended = "second model" if answer is not None else "nothing"
    except Exception as error:  # noqa: BLE001 - what it raises is the result
        ended = type(error).__name__
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "asked": _count(root) - before, "ended": ended}


def main() -> None:
    """Measure every fault and subject in turn, in an order drawn anew."""
    from pydantic import create_model

    name, root, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    person: Any = create_model("Person", name=(str, ...), age=(int, ...))
    racers = subjects(name, person)
    for make in racers.values():
        make(f"{root}/v1", f"{root}/v1")()  # imports, connections, caches
    rng = random.Random(0)
    found: dict[str, dict[str, list[Any]]] = {}
    for fault in ("closed", "fail", "hang"):
        rows = found.setdefault(fault, {each: [] for each in racers})
        names = list(racers)
        for _ in range(rounds):
            rng.shuffle(names)
            for each in names:
                rows[each].append(once(racers[each], root, fault))
    versions = {each: _version(each) for each in SHOWN if _version(each)}
    print(json.dumps({"versions": versions, "faults": found}))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__" and len(sys.argv) > 1:
    main()

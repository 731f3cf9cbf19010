"""One library under faults, in its environment: a line in, a line of JSON out.

Each line on stdin is two URLs, of the model that fails and of a healthy one; the answer
says how the call ended and what it gave.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from _failover_child import MESSAGES, MODEL, TIMEOUT, llmguard_chain

Call = Callable[[str, str, Any], Any]
"""Asks the first model, falls over to the second where the library can."""


def _openai(first: str, _second: str, person: Any) -> Any:
    from openai import OpenAI

    with OpenAI(base_url=first, api_key="none", timeout=TIMEOUT) as client:
        answer = client.chat.completions.parse(
            model=MODEL, messages=MESSAGES, response_format=person
        )
        return answer.choices[0].message.parsed


def _instructor(first: str, _second: str, person: Any) -> Any:
    import instructor
    from openai import OpenAI

    with OpenAI(base_url=first, api_key="none", timeout=TIMEOUT) as raw:
        client = instructor.from_openai(raw, mode=instructor.Mode.JSON)
        return client.chat.completions.create(
            model=MODEL, messages=MESSAGES, response_model=person
        )


def _pydantic_ai(first: str, second: str, person: Any) -> Any:
    from openai import AsyncOpenAI
    from pydantic_ai import Agent, NativeOutput
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    def model(url: str) -> Any:
        client = AsyncOpenAI(base_url=url, api_key="none", timeout=TIMEOUT)
        return OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))

    both = FallbackModel(model(first), model(second))
    agent = Agent(both, output_type=NativeOutput(person))
    return agent.run_sync("Who is it?").output


def _litellm(first: str, second: str, person: Any) -> Any:
    import litellm

    def to(name: str, url: str) -> Any:
        place = {"model": f"openai/{MODEL}", "api_base": url, "api_key": "none"}
        return {"model_name": name, "litellm_params": place}

    router = litellm.Router(
        model_list=[to("first", first), to("second", second)],
        fallbacks=[{"first": ["second"]}],
        timeout=TIMEOUT,
    )
    answer: Any = router.completion("first", messages=MESSAGES, response_format=person)
    return answer.choices[0].message.content


def _guardrails(first: str, _second: str, person: Any) -> Any:
    from guardrails import Guard

    made: Any = Guard.for_pydantic(person)(
        model=f"openai/{MODEL}",
        api_base=first,
        api_key="none",
        messages=MESSAGES,
        timeout=TIMEOUT,
    )
    return made.validated_output if made.validation_passed else _Flag()


class _Flag:
    """The outcome of guardrails that says `validation_passed=False`."""


CALLS: Final[Mapping[str, Call]] = {
    "llmguard": lambda first, second, person: llmguard_chain(first, second, person)(),
    "openai": _openai,
    "instructor": _instructor,
    "pydantic-ai": _pydantic_ai,
    "litellm": _litellm,
    "guardrails": _guardrails,
}


def ended(call: Call, first: str, second: str, person: Any) -> dict[str, Any]:
    """Make one call and say what became of it."""
    began = time.perf_counter()
    try:
        kind, given = "value", _plain(call(first, second, person), person)
    except Exception as error:  # noqa: BLE001 - what it raises is the result
        kind, given = "raised", type(error).__name__
    return {"kind": kind, "given": given, "seconds": time.perf_counter() - began}


def _plain(value: Any, person: Any) -> str:
    """Say which model answered, or what the caller got instead."""
    if isinstance(value, _Flag):
        return "flag"
    if value is None or value == "":
        return "None" if value is None else "empty text"
    try:
        text = value if isinstance(value, str) else None
        made = (
            person.model_validate_json(text) if text else person.model_validate(value)
        )
    except ValueError:
        return "invalid"
    known = {"Ada": "first", "Bob": "second", "nobody": "last"}
    return known.get(made.name, "invalid")


def main() -> None:
    from pydantic import create_model

    call = CALLS[sys.argv[1]]
    person: Any = create_model("Person", name=(str, ...), age=(int, ...))
    for line in sys.stdin:
        first, second = line.split()
        said = ended(call, first, second, person)
        print(f"@{json.dumps(said)}", flush=True)


if __name__ == "__main__" and len(sys.argv) > 1:
    main()

"""The same FastAPI service twice: as one writes it, and guarded.

`PROVIDER` names the stub's root, `GUARDED=1` chooses the guarded one, `DEADLINE` its
seconds. Both ask an OpenAI-compatible provider for JSON and validate it.
"""

from __future__ import annotations

import os
from typing import Any, Final

from _stub import MODEL
from fastapi import FastAPI
from openai import AsyncOpenAI
from pydantic import BaseModel

__all__ = ["app"]

PROVIDER: Final = f"{os.environ.get('PROVIDER', 'http://127.0.0.1:9')}/v1"
DEADLINE: Final = float(os.environ.get("DEADLINE", "2"))

app = FastAPI()


class Person(BaseModel):
    """The task: two fields."""

    name: str
    age: int


FORMAT: Final[Any] = {
    "type": "json_schema",
    "json_schema": {"name": "Person", "schema": Person.model_json_schema()},
}


def plain() -> None:
    """Add the route as it is without llmguard."""
    client = AsyncOpenAI(
        base_url=PROVIDER, api_key="none", max_retries=0, timeout=DEADLINE
    )

    @app.get("/ask/{text}")
    async def ask(text: str) -> Person:
        answer = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": text}],
            response_format=FORMAT,
        )
        return Person.model_validate_json(answer.choices[0].message.content or "")


def guarded() -> None:
    """Add it with the middleware and a guard that has a tier to fall back to."""
    from llmguard import (
        INJECTED,
        BreakerPolicy,
        Model,
        Pin,
        contract,
        fallback_chain,
        pinned,
        static,
    )
    from llmguard.web.fastapi import install

    install(app, deadline=DEADLINE, key="header:X-User-ID")
    pin = Pin(
        route="web",
        provider="openai",
        model=MODEL,
        endpoint=PROVIDER,
        version_class="immutable",
    )

    @app.get("/ask/{text}")
    @fallback_chain(static(Person(name="nobody", age=0)))
    @contract(Person)
    @pinned(pin, breaker=BreakerPolicy(open_for=5.0))
    async def ask(text: str, *, model: Model = INJECTED) -> Person:
        return await model.acomplete(text)


(guarded if os.environ.get("GUARDED") == "1" else plain)()

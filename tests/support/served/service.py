"""A streaming service that the tests run behind real servers, imported before forks."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import flask
from fastapi import FastAPI

from llmguard import INJECTED, Model, capture, contract, fallback_chain, pinned, static
from llmguard.web.fastapi import event_stream, install
from llmguard.web.flask import LLMGuard
from llmguard.web.flask import event_stream as flask_event_stream

asgi = FastAPI()
install(asgi, deadline=30.0)
wsgi = flask.Flask("service")
LLMGuard(wsgi, deadline=30.0)


@fallback_chain(static("sorry"), attempts=1)
@contract(str)
@pinned("talk")
async def atalk(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
    """Answer in pieces."""
    async for chunk in model.astream(text):
        yield chunk


@fallback_chain(static("sorry"), attempts=1)
@contract(str)
@pinned("talk")
def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
    """Answer in pieces, in a thread."""
    yield from model.stream(text)


@fallback_chain(static("sorry"), attempts=1)
@contract(str)
@pinned("talk")
def say(text: str, *, model: Model = INJECTED) -> str:
    """Answer whole."""
    return model.complete(text)


@fallback_chain(static("sorry"), attempts=1)
@contract(str)
@pinned("talk")
async def asay(text: str, *, model: Model = INJECTED) -> str:
    """Answer whole, and note how the call ended."""
    return await model.acomplete(text)


@asgi.get("/talk")
async def _atalk() -> Any:
    return await event_stream(atalk("hi"))


@asgi.get("/say/{text}")
async def _asay(text: str) -> Any:
    with capture() as outcomes:
        try:
            return {"said": await asay(text), "worker": os.getpid()}
        finally:
            with Path(os.environ["KINDS"]).open("a") as file:  # noqa: ASYNC230 - a line
                file.writelines(f"{outcome.kind}\n" for outcome in outcomes)


@wsgi.get("/talk")
def _talk() -> Any:
    return flask_event_stream(talk("hi"))


@wsgi.get("/say/<text>")
def _say(text: str) -> Any:
    answer = say(text)
    time.sleep(0.2)  # so that another worker gets the next request
    return {"said": answer, "worker": os.getpid()}


if os.environ.get("CALL_FIRST"):
    # Threads, connections and the store's writer all exist when the workers are forked.
    say("before the fork")

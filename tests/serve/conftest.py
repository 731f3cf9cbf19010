"""A server on a trained model that answers in milliseconds, for the whole session."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from optional import need

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="session")
def packages() -> None:
    """Skip without what the server needs."""
    need(
        "starlette",
        "uvicorn",
        "llguidance",
        "llama_cpp",
        "llmguard_models",
        extra="serve,llamacpp",
    )


@pytest.fixture(scope="session")
def llama_server_packages() -> None:
    """Skip without the wheel that carries llama.cpp's own server."""
    need("openai", "xllamacpp", "llmguard_models", extra="serve,llamacpp")


@pytest.fixture(scope="session")
def served(packages: None) -> Iterator[Callable[..., Any]]:
    """Return a maker of served models; workers with the same options are shared."""
    from llmguard_fallbacks.serve import serve_targets

    made: list[Any] = []

    def make(target: str = "embedded:triage-1.0", **options: Any) -> Any:
        # A long grace: a busy machine must not look like a worker that disobeys.
        given = {"n_ctx": 1024, "n_threads": 1, "grace": 30.0, "queue": 8, **options}
        (found,) = serve_targets([target], options=given)
        made.append(found)
        return found

    yield make
    for found in made:
        found.provider.close()


@pytest.fixture(scope="session")
def url(served: Callable[..., Any]) -> Iterator[str]:
    """Return the base URL of a server that stands for the whole session."""
    from llmguard_fallbacks.serve import ServeSettings, running

    settings = ServeSettings(max_tokens=900, max_body=50_000)
    with running([served()], settings, warm=False) as at:
        yield at


@pytest.fixture(scope="session")
def client(url: str) -> Iterator[Any]:
    """Return the unmodified `openai` client on that server."""
    import openai

    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as found:
        yield found


@pytest.fixture(scope="session")
def prompt() -> str:
    """Return a ticket in the words that the model was trained on."""
    import llmguard_models

    return llmguard_models.prompt("I was charged twice for order 48213, please help!")


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    """Return the schema of the model's answer."""
    import llmguard_models

    found: dict[str, Any] = llmguard_models.manifest()["triage-1.0"]["schema"]
    return found


@pytest.fixture(scope="session")
def raw() -> Callable[..., tuple[int, dict[str, str], bytes]]:
    """Return a function that sends one request with the standard library."""

    def send(
        url: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        method: str = "",
    ) -> tuple[int, dict[str, str], bytes]:
        host, port = url.removeprefix("http://").removesuffix("/v1").rsplit(":", 1)
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=60)
        plain = isinstance(body, dict)
        data: Any = json.dumps(body).encode() if plain else body
        kind = {"Content-Type": "application/json"} if data is not None else {}
        verb = method or ("GET" if data is None else "POST")
        try:
            connection.request(verb, path, data, {**kind, **(headers or {})})
            response = connection.getresponse()
            found = {k.lower(): v for k, v in response.getheaders()}
            return response.status, found, response.read()
        finally:
            connection.close()

    return send

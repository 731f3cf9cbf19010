"""The door, the places, clients that leave, and the end."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

TOKEN = "0123456789abcdef0123456789abcdef"


def text_of(characters: int) -> dict[str, Any]:
    """Return a format whose answers take as long as they are."""
    text = {"type": "string", "minLength": characters, "maxLength": characters}
    schema = {"type": "object", "properties": {"a": text}, "required": ["a"]}
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


FORMAT = text_of(7000)
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def slow(served: Callable[..., Any]) -> Any:
    """Return a model whose answers to `LONG` take seconds, with one place."""
    return served(n_ctx=32_768, queue=0)


@pytest.fixture
def one_place(slow: Any) -> Iterator[str]:
    """Return a server with one place."""
    from llmguard_fallbacks.serve import ServeSettings, running

    with running([slow], ServeSettings(retry_after=7, timeout=120), grace=60) as at:
        yield at


def openai_client(url: str) -> Any:
    import openai

    return openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120)


def gauge(raw: Any, url: str, name: str) -> float:
    text = raw(url, "/metrics")[2].decode()
    found = re.search(rf"^llmguard_serve_{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def wait_for(raw: Any, url: str, name: str, value: float) -> None:
    """Ask until a number is what it must become; the answer is the pace."""
    end = time.monotonic() + 60
    while gauge(raw, url, name) != value:
        assert time.monotonic() < end, f"{name} never became {value}"


def test_full_is_told_at_once_and_leaving_frees_the_place(
    one_place: str, raw: Any
) -> None:
    """Beyond the places it is 429 with Retry-After; a client that leaves stops it."""
    import openai

    with openai_client(one_place) as client:
        stream = client.chat.completions.create(
            model="triage-1.0", messages=HELLO, response_format=FORMAT, stream=True
        )
        assert next(iter(stream)).choices
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="triage-1.0", messages=HELLO)
        assert caught.value.response.headers["retry-after"] == "7"
        assert gauge(raw, one_place, "in_flight") == 1
        stream.close()
        wait_for(raw, one_place, "in_flight", 0)
        assert gauge(raw, one_place, "disconnects_total") == 1
        # The worker obeys between two tokens; until then it says that it is busy.
        patient = client.with_options(max_retries=10)
        done = patient.chat.completions.create(
            model="triage-1.0", messages=HELLO, max_tokens=2
        )
    assert done.usage.completion_tokens <= 2


def test_leaving_without_streaming_stops_the_model_too(
    one_place: str, raw: Any
) -> None:
    """A client that gives up waiting for a whole answer frees its place."""
    import openai

    with openai_client(one_place) as client, pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(
            model="triage-1.0", messages=HELLO, response_format=FORMAT
        )
    wait_for(raw, one_place, "disconnects_total", 1)
    assert gauge(raw, one_place, "in_flight") == 0


def test_a_dying_worker_breaks_one_stream(served: Any, one_place: str) -> None:
    """A worker that is killed ends its stream with an error; the next call works."""
    import openai

    provider = served(n_ctx=32_768, queue=0).provider
    with openai_client(one_place) as client:
        stream = client.chat.completions.create(
            model="triage-1.0", messages=HELLO, response_format=FORMAT, stream=True
        )
        next(iter(stream))
        (pid,) = provider.pool().pids()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(openai.APIError, match="the local worker ended"):
            list(stream)
        done = client.with_options(max_retries=10).chat.completions.create(
            model="triage-1.0", messages=HELLO, max_tokens=2
        )
    assert done.usage.completion_tokens <= 2


def test_a_timeout_is_504(slow: Any) -> None:
    """An answer that takes too long is a timeout, with a body that says so."""
    import openai

    from llmguard_fallbacks.serve import ServeSettings, running

    with (
        running([slow], ServeSettings(timeout=0.3, concurrency=9)) as url,
        openai_client(url) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.with_options(max_retries=0).chat.completions.create(
            model="triage-1.0", messages=HELLO, response_format=FORMAT
        )
    assert caught.value.status_code in (503, 504)


def test_stopping_lets_answers_end(slow: Any, raw: Any) -> None:
    """A server that is told to stop answers what it has begun."""
    from llmguard_fallbacks.serve import ServeSettings, running

    def ask(url: str) -> Any:
        with openai_client(url) as client:
            return client.with_options(max_retries=5).chat.completions.create(
                model="triage-1.0", messages=HELLO, response_format=text_of(1500)
            )

    with concurrent.futures.ThreadPoolExecutor() as pool:
        with running([slow], ServeSettings(timeout=120), grace=60) as url:
            answer = pool.submit(ask, url)
            wait_for(raw, url, "in_flight", 1)
        done = answer.result()
    assert len(json.loads(done.choices[0].message.content)["a"]) == 1500


def test_a_token_is_asked_for(served: Callable[..., Any], raw: Any) -> None:
    """With a token, only who has it gets past `/health`, whatever the host name."""
    from llmguard_fallbacks.serve import ServeSettings, running

    with running([served()], ServeSettings(token=TOKEN), warm=False) as url:
        statuses = [
            raw(url, path, headers=headers)[0]
            for path, headers in (
                ("/health", {}),
                ("/v1/models", {}),
                ("/metrics", {}),
                ("/v1/models", {"Authorization": f"Bearer {TOKEN[:-1]}"}),
                ("/v1/models", {"Authorization": TOKEN}),
                ("/v1/models", {"Authorization": f"Basic {TOKEN}"}),
                ("/v1/models", {"Authorization": f"Bearer {TOKEN}"}),
                ("/v1/models", {"Authorization": f"bearer {TOKEN}", "Host": "gpu1"}),
            )
        ]
        refused = raw(url, "/v1/models")
    assert [200, 401, 401, 401, 401, 401, 200, 200] == statuses
    assert refused[1]["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("host", "token", "good"),
    [
        ("127.0.0.1", "", True),
        ("::1", "", True),
        ("localhost", "", True),
        ("0.0.0.0", "", False),  # noqa: S104 - the address that must be refused
        ("::", "", False),
        ("192.168.0.7", "", False),
        ("gpu1", "", False),
        ("gpu1", TOKEN, True),
        ("127.0.0.1", "short", False),
    ],
)
def test_no_listening_beyond_loopback_without_a_token(
    packages: None, host: str, token: str, good: bool
) -> None:
    """Addresses that others reach need a token worth the name."""
    from llmguard.errors import ConfigError
    from llmguard_fallbacks.serve import require_token

    if good:
        require_token(host, token)
    else:
        with pytest.raises(ConfigError, match="openssl rand"):
            require_token(host, token)


def test_metrics_count_what_happened(
    url: str, client: Any, raw: Any, prompt: str
) -> None:
    """Requests, tokens and times are counted, in text that Prometheus reads."""
    before = raw(url, "/metrics")[2].decode()
    done = client.chat.completions.create(
        model="triage-1.0",
        messages=[{"role": "user", "content": prompt}],
        max_tokens=3,
    )
    status, headers, data = raw(url, "/metrics")
    assert (200, True) == (status, headers["content-type"].startswith("text/plain"))

    def value(text: str, row: str) -> float:
        found = re.search(rf"^{re.escape(row)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    after, model = data.decode(), 'model="triage-1.0"'
    for row, grown in (
        (f'requests_total{{{model},api="chat",status="200"}}', 1),
        (f'tokens_total{{{model},direction="output"}}', done.usage.completion_tokens),
        (f'tokens_total{{{model},direction="input"}}', done.usage.prompt_tokens),
        (f"answer_seconds_count{{{model}}}", 1),
        (f'answer_seconds_bucket{{{model},le="+Inf"}}', 1),
    ):
        name = f"llmguard_serve_{row}"
        assert grown == value(after, name) - value(before, name), row

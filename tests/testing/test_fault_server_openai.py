"""What the `openai` SDK makes of every fault, with its own retries off.

These are the facts that error classification has to cope with: a drip that
succeeds, errors that are no `OpenAIError`, and failures that look like success.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from llmguard.testing import FAULTS, FaultServer

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletion

openai = pytest.importorskip("openai")

TIMEOUT = 0.25

RAISES = {
    "refused": "APIConnectionError",
    "dns": "APIConnectionError",
    "tls": "APIConnectionError",
    "tls_mute": "APITimeoutError",
    "reset": "APIConnectionError",
    "close": "APIConnectionError",
    "400": "BadRequestError",
    "401": "AuthenticationError",
    "403": "PermissionDeniedError",
    "404": "NotFoundError",
    "408": "APIStatusError",
    "409": "ConflictError",
    "413": "APIStatusError",
    "422": "UnprocessableEntityError",
    "429": "RateLimitError",
    "429_long": "RateLimitError",
    "429_quota": "RateLimitError",
    "500": "InternalServerError",
    "503": "InternalServerError",
    "slow_first_byte": "APITimeoutError",
    "hang": "APITimeoutError",
    "truncated_body": "APIConnectionError",
}
"""The same error for plain requests and streams."""

PLAIN_RAISES = {"empty_body": "JSONDecodeError", "malformed_body": "JSONDecodeError"}

STREAM_RAISES = {
    "stream_cut": "APIConnectionError",
    "stream_reset": "APIConnectionError",
    "stream_stall": "APITimeoutError",
    "stream_error": "APIError",
    "stream_bad_json": "JSONDecodeError",
}

SILENT_STREAMS = [
    "html",
    "empty_body",
    "malformed_body",
    "error_body",
    "no_choices",
    "null_choices",
    "stream_html",
]
"""Streams that end without an error and without a word."""


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[FaultServer]:
    with FaultServer(answer="the good answer", delay=4 * TIMEOUT) as server:
        yield server


@pytest.fixture(name="client", scope="module")
def _client() -> Iterator[OpenAI]:
    with openai.OpenAI(api_key="k", max_retries=0, timeout=TIMEOUT) as client:
        yield client


def ask(client: OpenAI, url: str) -> ChatCompletion:
    """Make one plain call."""
    return client.with_options(base_url=url).chat.completions.create(
        model="m-1", messages=[{"role": "user", "content": "?"}]
    )


def stream(client: OpenAI, url: str) -> tuple[str, str | None]:
    """Make one streamed call; return its text and finish reason."""
    chunks = client.with_options(base_url=url).chat.completions.create(
        model="m-1", messages=[{"role": "user", "content": "?"}], stream=True
    )
    text, finish = "", None
    for chunk in chunks:
        for choice in chunk.choices or []:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return text, finish


@pytest.mark.parametrize(("name", "error"), [*RAISES.items(), *PLAIN_RAISES.items()])
def test_a_plain_call_raises(
    server: FaultServer, client: OpenAI, name: str, error: str
) -> None:
    """The error has exactly this type, after exactly one request."""
    server.forget()
    with pytest.raises(Exception, match=r".") as caught:
        ask(client, server.url(name))
    assert type(caught.value).__name__ == error
    assert server.count() == (0 if FAULTS[name].own_url else 1)


@pytest.mark.parametrize(("name", "error"), [*RAISES.items(), *STREAM_RAISES.items()])
def test_a_stream_raises(
    server: FaultServer, client: OpenAI, name: str, error: str
) -> None:
    """Opening or reading it raises exactly this type, after one request."""
    server.forget()
    with pytest.raises(Exception, match=r".") as caught:
        stream(client, server.url(name))
    assert type(caught.value).__name__ == error
    assert server.count() == (0 if FAULTS[name].own_url else 1)


@pytest.mark.parametrize("name", list(PLAIN_RAISES))
def test_some_errors_are_not_the_sdks_own(
    server: FaultServer, client: OpenAI, name: str
) -> None:
    """`except OpenAIError` misses a broken body."""
    with pytest.raises(ValueError, match=r"Expecting|Unterminated") as caught:
        ask(client, server.url(name))
    assert not isinstance(caught.value, openai.OpenAIError)


def test_a_drip_defeats_the_timeout(server: FaultServer, client: OpenAI) -> None:
    """A timeout per read never fires: four times the timeout, and success."""
    text = ask(client, server.url("slow_drip")).choices[0].message.content
    assert text == "the good answer"
    assert stream(client, server.url("slow_drip")) == ("the good answer", "stop")


def test_a_page_is_returned_as_a_string(server: FaultServer, client: OpenAI) -> None:
    """HTML with 200 is no error to the SDK."""
    assert isinstance(ask(client, server.url("html")), str)


@pytest.mark.parametrize(
    ("name", "choices"),
    [("error_body", None), ("null_choices", None), ("no_choices", [])],
)
def test_missing_choices_are_no_error(
    server: FaultServer, client: OpenAI, name: str, choices: object
) -> None:
    """The caller's own `choices[0]` is what breaks."""
    assert ask(client, server.url(name)).choices == choices


def test_another_model_is_no_error(server: FaultServer, client: OpenAI) -> None:
    """Only the echo differs."""
    assert ask(client, server.url("wrong_model")).model != "m-1"


@pytest.mark.parametrize("name", SILENT_STREAMS)
def test_a_stream_may_end_silently(
    server: FaultServer, client: OpenAI, name: str
) -> None:
    """No text, no finish reason, no error."""
    assert stream(client, server.url(name)) == ("", None)


def test_a_stream_without_a_finish_is_no_error(
    server: FaultServer, client: OpenAI
) -> None:
    """The whole text came, and nothing says that it is whole."""
    found = stream(client, server.url("stream_no_finish"))
    assert found == ("the good answer", None)


def test_healthy_variants_are_healthy(server: FaultServer, client: OpenAI) -> None:
    """Compression and chunking change nothing."""
    for name in ("ok", "ok_gzip", "ok_chunked"):
        text = ask(client, server.url(name)).choices[0].message.content
        assert text == "the good answer"
        assert stream(client, server.url(name)) == ("the good answer", "stop")


RESPONSES = {
    "ok": ("completed", "the good answer"),
    "truncated": ("incomplete", "the goo"),
    "length_valid": ("incomplete", "the good answer"),
    "content_filter": ("incomplete", ""),
    "empty_content": ("completed", ""),
    "null_content": ("completed", ""),
    "no_choices": ("completed", ""),
    "refusal": ("completed", ""),
    "tool_call": ("completed", ""),
}


@pytest.mark.parametrize(("name", "expected"), list(RESPONSES.items()))
def test_the_responses_api_shows_the_same_faults(
    server: FaultServer, client: OpenAI, name: str, expected: tuple[str, str]
) -> None:
    """Status and text of a plain response, then of a streamed one."""
    api = client.with_options(base_url=server.url(name)).responses
    plain = api.create(model="m-1", input="?")
    assert (plain.status, plain.output_text) == expected
    *_, last = api.create(model="m-1", input="?", stream=True)
    assert last.type == f"response.{expected[0]}"
    assert last.response.output_text == expected[1]

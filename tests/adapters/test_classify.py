"""From exceptions to outcome kinds: real ones of every library that is installed."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import ssl
import sys
import urllib.error
from collections.abc import Iterator
from email.message import Message as Headers
from email.utils import formatdate
from typing import Any

import openai
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.adapters import classify
from llmguard.errors import (
    CircuitOpenError,
    FallbackExhaustedError,
    RemoteCallRefusedError,
    TierFailedError,
    TierTimeoutError,
)
from llmguard.outcome import Kind

# The HTTP library under the SDK: httpx2 since openai 3.
httpx: Any = sys.modules["httpx2" if "httpx2" in sys.modules else "httpx"]

REQUEST = httpx.Request("POST", "https://llm.example/v1/chat/completions")


def status_error(status: int, error: object = None, **headers: str) -> Exception:
    """Return what the openai SDK raises for a status and an error body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx.Response(
        status, request=REQUEST, headers=named, json={"error": error or {}}
    )
    client = openai.OpenAI(api_key="k", http_client=httpx.Client())
    try:
        return client._make_status_error_from_response(response)
    finally:
        client.close()


def status_only(status: int) -> Exception:
    """Return an error of some other SDK, with nothing but a status."""
    exc = Exception("boom")
    exc.status_code = status  # type: ignore[attr-defined] - as foreign SDKs do
    return exc


STATUSES: list[tuple[int, object, Kind]] = [
    (400, {"code": "invalid_value"}, Kind.BAD_REQUEST),
    (400, {"code": "context_length_exceeded"}, Kind.TRUNCATED),
    (400, {"message": "prompt is too long: 9 tokens > 8 maximum"}, Kind.TRUNCATED),
    (400, {"code": "content_filter"}, Kind.FILTERED),
    (400, {"code": "content_policy_violation"}, Kind.FILTERED),
    (400, {"code": "model_decommissioned"}, Kind.WRONG_MODEL),
    (401, {"code": "invalid_api_key"}, Kind.AUTH),
    (402, None, Kind.AUTH),
    (403, None, Kind.AUTH),
    (403, {"code": "content_policy_violation"}, Kind.FILTERED),
    (404, {"code": "model_not_found"}, Kind.WRONG_MODEL),
    (404, {"message": "The model `m-1` does not exist"}, Kind.WRONG_MODEL),
    (404, {"message": "model: claude-x", "type": "not_found_error"}, Kind.WRONG_MODEL),
    (404, {"message": "model 'm' not found, try pulling it first"}, Kind.WRONG_MODEL),
    (404, {"message": "Not Found"}, Kind.TRANSPORT),
    (404, None, Kind.TRANSPORT),
    (405, None, Kind.TRANSPORT),
    (408, None, Kind.TRANSPORT),
    (409, None, Kind.TRANSPORT),
    (410, {"message": "this model was retired"}, Kind.WRONG_MODEL),
    (413, None, Kind.BAD_REQUEST),
    (422, None, Kind.BAD_REQUEST),
    (429, {"code": "rate_limit_exceeded"}, Kind.THROTTLED),
    (429, {"code": "insufficient_quota"}, Kind.AUTH),
    (429, None, Kind.THROTTLED),
    (500, None, Kind.TRANSPORT),
    (503, None, Kind.TRANSPORT),
    (529, {"type": "overloaded_error"}, Kind.TRANSPORT),
]


@pytest.mark.parametrize(("status", "error", "kind"), STATUSES)
def test_status_and_code_decide(status: int, error: object, kind: Kind) -> None:
    """The HTTP status decides, unless the provider's own code says more."""
    assert kind == classify(status_error(status, error)).kind


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Kind.AUTH), (429, Kind.THROTTLED), (502, Kind.TRANSPORT)]
)
def test_any_sdk_with_a_status_code_is_understood(status: int, kind: Kind) -> None:
    """An attribute `status_code` is enough; no SDK has to be known."""
    assert kind == classify(status_only(status)).kind


def test_urllib_errors_carry_their_status_as_code() -> None:
    """The standard library's HTTP error is classified by its status as well."""
    headers = Headers()
    headers["Retry-After"] = "7"
    exc = urllib.error.HTTPError("http://x", 429, "slow down", headers, None)
    failure = classify(exc)
    exc.close()
    assert (Kind.THROTTLED, 7.0) == (failure.kind, failure.retry_after)


LOCAL: list[tuple[BaseException, Kind]] = [
    (openai.APITimeoutError(request=REQUEST), Kind.TIMEOUT),
    (openai.APIConnectionError(request=REQUEST), Kind.TRANSPORT),
    (openai.APIError("in a stream", REQUEST, body=None), Kind.TRANSPORT),
    (
        openai.APIError("x", REQUEST, body={"code": "rate_limit_exceeded"}),
        Kind.THROTTLED,
    ),
    (
        openai.APIError("x", REQUEST, body={"code": "insufficient_quota"}),
        Kind.AUTH,
    ),
    (openai.ContentFilterFinishReasonError(), Kind.FILTERED),
    (httpx.ReadTimeout("slow"), Kind.TIMEOUT),
    (httpx.ConnectError("refused"), Kind.TRANSPORT),
    (httpx.RemoteProtocolError("cut"), Kind.TRANSPORT),
    (httpx.TooManyRedirects("loop"), Kind.TRANSPORT),
    (TimeoutError(), Kind.TIMEOUT),
    (asyncio.CancelledError(), Kind.CANCELLED),
    (KeyboardInterrupt(), Kind.CANCELLED),
    (GeneratorExit(), Kind.CANCELLED),
    (ConnectionResetError(), Kind.TRANSPORT),
    (BrokenPipeError(), Kind.TRANSPORT),
    (socket.gaierror(-2, "no such name"), Kind.TRANSPORT),
    (ssl.SSLError("bad handshake"), Kind.TRANSPORT),
    (OSError(errno.ENETUNREACH, "no route"), Kind.TRANSPORT),
    (FileNotFoundError(errno.ENOENT, "no file"), Kind.ERROR),
    (ValueError("mine"), Kind.ERROR),
    (AttributeError("mine"), Kind.ERROR),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), Kind.ERROR),
]


def test_requests_exceptions() -> None:
    """`requests` has its own tree, with `OSError` at its root."""
    requests = pytest.importorskip("requests", reason="needs `requests` installed")
    assert [Kind.TIMEOUT, Kind.TRANSPORT] == [
        classify(requests.exceptions.ReadTimeout("slow")).kind,
        classify(requests.exceptions.ConnectionError("refused")).kind,
    ]


@pytest.mark.parametrize(("exc", "kind"), LOCAL, ids=lambda v: type(v).__name__)
def test_local_exceptions(exc: BaseException, kind: Kind) -> None:
    """Without a status, the class names along the MRO decide."""
    assert kind == classify(exc).kind


def test_length_limit_of_a_parsed_call_is_a_truncation() -> None:
    """`.parse()` raises when the answer was cut; that is the answer's fault."""
    completion = openai.types.chat.ChatCompletion.model_construct(usage=None)
    exc = openai.LengthFinishReasonError(completion=completion)
    assert Kind.TRUNCATED == classify(exc).kind


class Ticket(pydantic.BaseModel):
    category: int


@pytest.mark.parametrize(
    ("text", "kind"), [("{", Kind.BAD_JSON), ('{"category": "x"}', Kind.SCHEMA)]
)
def test_bodies_that_parse_by_themselves(text: str, kind: Kind) -> None:
    """A validation error in the body is the model's doing, not a bug of the body."""
    with pytest.raises(pydantic.ValidationError) as caught:
        Ticket.model_validate_json(text)
    assert kind == classify(caught.value).kind


def test_json_error_is_told_apart_by_who_decoded() -> None:
    """A body's own `json.loads` means a bad answer; the SDK's a broken exchange."""
    with pytest.raises(json.JSONDecodeError) as mine:
        json.loads("no")
    with pytest.raises(json.JSONDecodeError) as theirs:
        httpx.Response(200, content=b"no").json()
    assert [Kind.BAD_JSON, Kind.TRANSPORT] == [
        classify(mine.value).kind,
        classify(theirs.value).kind,
    ]


OURS = [
    (TierTimeoutError("late", kind=Kind.TIMEOUT), Kind.TIMEOUT),
    (TierFailedError("cut", kind=Kind.TRUNCATED), Kind.TRUNCATED),
    (RemoteCallRefusedError("no", kind=Kind.SKIPPED), Kind.SKIPPED),
    (FallbackExhaustedError("all", [TierFailedError("x", kind=Kind.AUTH)]), Kind.ERROR),
]


@pytest.mark.parametrize(("exc", "kind"), OURS, ids=lambda v: type(v).__name__)
def test_own_errors_keep_their_kind(exc: BaseException, kind: Kind) -> None:
    """Errors of llmguard say what they are; an inner guard's failure is not ours."""
    assert kind == classify(exc).kind


def test_own_error_wrapped_by_an_sdk_keeps_its_kind() -> None:
    """Openai 2 wraps what a hook raises; the cause still decides."""
    wrapped = openai.APIConnectionError(request=REQUEST)
    wrapped.__cause__ = CircuitOpenError("open", kind=Kind.OPEN, retry_after=4)
    failure = classify(wrapped)
    assert (Kind.OPEN, 4.0) == (failure.kind, failure.retry_after)


def test_group_is_its_first_failure_that_is_no_cancellation() -> None:
    """A task group's siblings are cancelled because one failed: that one counts."""
    group = BaseExceptionGroup("g", [asyncio.CancelledError(), TimeoutError()])
    assert Kind.TIMEOUT == classify(group).kind


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "3"}, 3.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after": formatdate(NOW + 90, usegmt=True)}, 90.0),
        ({"retry_after": formatdate(NOW - 90, usegmt=True)}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds and HTTP dates are read; nonsense is ignored."""
    assert seconds == classify(status_error(429, **headers), now=NOW).retry_after


def test_detail_never_quotes_the_provider_or_a_key() -> None:
    """Keys and prompts that a provider repeats in its message stay out of the log."""
    secret = "sk-proj-abcdefghijklmnop1234"
    error = {
        "code": "invalid_api_key",
        "message": f"Incorrect key {secret} for: prompt",
    }
    assert (
        "AuthenticationError HTTP 401 (`code` 'invalid_api_key')"
        == classify(status_error(401, error)).detail
    )
    ours = TierFailedError(f"call with Bearer {secret} failed", kind=Kind.AUTH)
    assert "call with [redacted] failed" == classify(ours).detail


def test_detail_of_an_unknown_error_names_the_line() -> None:
    """The body's own mistake is found by its place, not by its message."""
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / 0
    assert classify(caught.value).detail.startswith(
        "ZeroDivisionError at test_classify.py:"
    )


FIELDS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 700), st.text(max_size=8), st.binary()
)
NAMES = ("status_code", "code", "type", "body", "response", "headers", "errors")


@given(st.dictionaries(st.sampled_from(NAMES), FIELDS))
def test_no_foreign_exception_breaks_the_classifier(fields: dict[str, Any]) -> None:
    """Whatever an exception carries, classification returns some kind."""
    exc = type("SomeValidationError", (Exception,), dict(fields))("x")
    assert classify(exc).kind in set(Kind)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (404, {"code": "model_not_found"}, Kind.WRONG_MODEL),
        (404, {"message": "no such path"}, Kind.TRANSPORT),
        (429, {"code": "insufficient_quota"}, Kind.AUTH),
        (400, {"code": "context_length_exceeded"}, Kind.TRUNCATED),
    ],
)
def test_plain_http_clients_tell_what_the_provider_wrote(
    status: int, error: dict[str, str], kind: Kind
) -> None:
    """The body that httpx has read says more than the status; it is never read anew."""
    request = httpx.Request("POST", "https://provider.test/v1")
    response = httpx.Response(status, json={"error": error}, request=request)
    with pytest.raises(httpx.HTTPStatusError) as raised:
        response.raise_for_status()
    assert kind is classify(raised.value).kind


def test_an_unread_body_is_left_alone() -> None:
    """Reading it would wait for the network."""
    read: list[str] = []

    def parts() -> Iterator[bytes]:
        read.append("read")
        yield b"{}"

    error = httpx.HTTPStatusError(
        "404", request=REQUEST, response=httpx.Response(404, content=parts())
    )
    assert Kind.TRANSPORT is classify(error).kind
    assert [] == read

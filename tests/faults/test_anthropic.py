"""The fault server speaks Anthropic's API: its own SDK reads it, plain and streamed."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest

from llmguard import INJECTED, Model, capture, contract, fallback_chain, pinned, static
from llmguard.outcome import Kind
from llmguard.testing import FaultServer


@pytest.fixture
def client(server: FaultServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=f"http://127.0.0.1:{server.port}", api_key="none", max_retries=0
    ) as made:
        yield made


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("400", anthropic.BadRequestError),
        ("401", anthropic.AuthenticationError),
        ("404", anthropic.NotFoundError),
        ("429", anthropic.RateLimitError),
        ("503", anthropic.InternalServerError),
    ],
)
def test_errors_are_the_sdks_own(
    fault: str,
    error: type[anthropic.APIStatusError],
    server: FaultServer,
    client: anthropic.Anthropic,
) -> None:
    """With the type that the API names."""
    server.fault = fault
    with pytest.raises(error) as raised:
        client.messages.create(model="m", max_tokens=9, messages=[])
    assert "error" == dict(raised.value.body or {})["type"]  # type: ignore[call-overload]  # JSON


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("ok", Kind.OK),
        ("stream_cut", Kind.TRANSPORT),
        ("stream_error", Kind.TRANSPORT),
        ("503", Kind.TRANSPORT),
    ],
)
def test_streams_end_as_declared(
    fault: str, kind: Kind, server: FaultServer, client: anthropic.Anthropic
) -> None:
    """The SDK's stream, passed on text by text by a guarded generator."""
    server.fault = fault

    @fallback_chain(static("sorry"), stream="buffer", attempts=1)
    @contract(str)
    @pinned(server.pin())
    def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        with client.messages.stream(
            model=model.id,
            max_tokens=99,
            messages=[{"role": "user", "content": text}],
            timeout=model.remaining,
        ) as events:
            yield from events.text_stream

    with capture() as outcomes:
        said = "".join(talk("hi"))
    assert kind is outcomes[0].attempts[0].kind
    assert (said == "sorry") is (kind is not Kind.OK)

"""Requests give guarded calls a deadline, an id, labels; responses tell their story."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.web import WebOptions
from llmguard.web._asked import BadRequest, asked, preferred_wait

from .conftest import FAILURES, Make, World


def seen(**headers: str) -> Any:
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return SimpleNamespace(
        method="GET",
        path="/x",
        root="",
        peer="",
        header=lambda name: named.get(name.lower()),
        cookie={"sid": "c-1"}.get,
        query=lambda name: None,
    )


def test_the_story_is_in_the_headers(make: Make) -> None:
    """Tier, degradation, version and request id; the caller's id is kept."""
    ask = make()
    good = ask("/triage", X_Request_ID="r-7")
    assert {"category": "billing"} == good.json
    assert "false" == good.headers["x-llmguard-degraded"]
    assert good.headers["x-llmguard-version"].startswith("p-")
    assert "r-7" == good.headers["x-request-id"]
    worse = ask("/degraded")
    assert "static" == worse.headers["x-llmguard-tier"]
    assert "true" == worse.headers["x-llmguard-degraded"]
    assert "x-llmguard-version" not in worse.headers
    assert 32 == len(worse.headers["x-request-id"])


@pytest.mark.parametrize(
    ("place", "headers", "status"),
    [
        ("/triage", {"X_Request_Timeout": "soon"}, 400),
        ("/triage", {"Idempotency_Key": "k" * 201}, 400),
        ("/llmguard/tickets/01234567890abcdef", {}, 404),
        ("/llmguard/health/live", {}, 200),
        ("/nowhere", {}, 404),
        ("/fail/contract", {}, 502),
        ("/later", {}, 202),
    ],
)
def test_every_answer_has_the_requests_id(
    place: str, headers: dict[str, str], status: int, make: Make
) -> None:
    """Whoever gives it: the application, a failed call, the middleware itself."""
    ask = make()
    got = ask(place, X_Request_ID="r-7", **headers)
    assert (status, "r-7") == (got.status, got.headers["x-request-id"])
    unnamed = ask(place, **headers)
    assert (status, 32) == (unnamed.status, len(unnamed.headers["x-request-id"]))


def test_headers_can_be_left_out(make: Make) -> None:
    """Only what is asked for is shown."""
    ask = make(headers=("degraded",))
    assert "x-request-id" not in ask("/triage", X_Request_Timeout="soon").headers
    got = ask("/triage")
    shown = sorted(h.lower() for h in got.headers if h.lower().startswith("x-"))
    assert ["x-llmguard-degraded"] == shown


@pytest.mark.parametrize(
    ("header", "value", "seconds"),
    [
        ("X_Request_Timeout", "2.5", 2.5),
        ("X_Request_Timeout", "2s", 2.0),
        ("X_Request_Timeout", "500ms", 0.5),
        ("X_Envoy_Expected_Rq_Timeout_Ms", "1500", 1.5),
        ("X_Envoy_Expected_Rq_Timeout_Ms", "0", 4.0),
        ("Grpc_Timeout", "700m", 0.7),
        ("Grpc_Timeout", "2M", 4.0),
        ("X_Request_Timeout", "90", 4.0),
    ],
)
def test_the_callers_time_limit_shortens_the_deadline(
    make: Make, header: str, value: str, seconds: float
) -> None:
    """Seconds, Envoy's and gRPC's forms; a longer one changes nothing."""
    got = make(deadline=4.0)("/deadline", **{header: value})
    assert seconds == pytest.approx(got.json["deadline"], abs=0.2)


def test_some_of_a_deadline_is_left_for_the_response() -> None:
    """The margin, but no more than a tenth: a last tier answers within the deadline."""
    assert asked(seen(), WebOptions(deadline=4.0)).deadline == pytest.approx(3.95)
    assert asked(seen(), WebOptions(deadline=0.1)).deadline == pytest.approx(0.09)
    short = asked(seen(X_Request_Timeout="200ms"), WebOptions(deadline=4.0))
    assert short.deadline == pytest.approx(0.18)
    assert 4.0 == asked(seen(), WebOptions(deadline=4.0, margin=0)).deadline
    assert None is asked(seen(), WebOptions()).deadline


@pytest.mark.parametrize("value", ["soon", "-1", "0", "nan", "1e3", "", "٣"])
def test_a_time_limit_that_means_nothing_is_a_400(make: Make, value: str) -> None:
    """The header, its value and the repair are named."""
    with pytest.raises(BadRequest, match=r"send seconds above zero"):
        asked(seen(X_Request_Timeout=value), WebOptions())
    if value.isascii():
        got = make()("/triage", X_Request_Timeout=value)
        assert 400 == got.status
        assert "application/problem+json" == got.headers["content-type"]
        assert "x-request-timeout" in got.json["detail"]


@given(st.text(max_size=40))
def test_no_header_is_too_odd(text: str) -> None:
    """Any text is a limit above zero or refused, and never an accident."""
    for name in ("X_Request_Timeout", "Grpc_Timeout", "X_Envoy_Expected_Rq_Timeout_Ms"):
        try:
            found = asked(seen(**{name: text}), WebOptions()).deadline
        except BadRequest:
            continue
        assert found is None or 0 < found < 1e12
    assert 0 <= preferred_wait(text, 55.0) <= 55.0


@given(st.text(max_size=200))
def test_a_request_id_cannot_break_a_line(text: str) -> None:
    """What is not one printable word is replaced."""
    found = asked(seen(X_Request_ID=text), WebOptions()).request_id
    assert found == text or (len(found) == 32 and found.isalnum())
    assert all("!" <= sign <= "~" for sign in found)


def test_labels_reach_the_tiers(make: Make, world: World) -> None:
    """The request id, an idempotency key of this route, and labels of the request."""
    options = {"labels": lambda request: {"tenant": request.header("x-tenant") or "-"}}
    make(**options)("/degraded", X_Tenant="acme", Idempotency_Key="k", X_Request_ID="r")
    (labels,) = world.labels
    assert "acme" == labels["tenant"]
    assert "r" == labels["request_id"]
    assert "GET /degraded k" == labels["idempotency_key"]


def test_the_key_comes_from_header_cookie_or_function() -> None:
    """Sticky routing names its unit; none means each call its own."""
    with_user = seen(X_User="u-1")
    assert "u-1" == asked(with_user, WebOptions(key="header:X-User")).key
    assert "c-1" == asked(with_user, WebOptions(key="cookie:sid")).key
    assert "GET" == asked(with_user, WebOptions(key=lambda request: request.method)).key
    assert None is asked(with_user, WebOptions(key="header:X-Other")).key
    assert None is asked(with_user, WebOptions()).key


def test_the_key_reaches_the_calls(make: Make, world: World) -> None:
    """Outcomes carry its hash, the same for the same user."""
    ask = make(key="header:X-User")
    ask("/degraded", X_User="u-1")
    ask("/degraded", X_User="u-1")
    ask("/degraded")
    assert ["u-1", "u-1", ""] == world.keys


def test_a_label_cannot_be_an_argument_of_its_own() -> None:
    """`key` and `deadline` have options."""
    options = WebOptions(labels=lambda _: {"key": "x"})
    with pytest.raises(ConfigError, match="option `key`"):
        asked(seen(), options)


def test_an_overlong_idempotency_key_is_refused() -> None:
    """It would be stored as it is."""
    with pytest.raises(BadRequest, match="at most 200"):
        asked(seen(Idempotency_Key="k" * 201), WebOptions())


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("contract", 502, "contract"),
        ("bad_request", 502, "bad_request"),
        ("timeout", 504, "timeout"),
        ("exhausted", 503, "exhausted"),
        ("store", 503, "store"),
    ],
)
def test_failures_are_problem_documents_without_content(
    make: Make, name: str, status: int, kind: str
) -> None:
    """RFC 9457; nothing that a model, a tier or a provider wrote gets out."""
    got = make()(f"/fail/{name}")
    assert status == got.status
    assert "application/problem+json" == got.headers["content-type"]
    assert f"urn:llmguard:problem:{kind}" == got.json["type"]
    assert status == got.json["status"]
    assert "SECRET" not in got.text
    assert "no-store" == got.headers["cache-control"]
    assert ("retry-after" in got.headers) == (status == 503)


def test_the_exhausted_tiers_are_named(make: Make) -> None:
    """Which tier failed how, and no more."""
    tiers = make()("/fail/exhausted").json["tiers"]
    assert [{"tier": "one", "kind": "refusal"}] == tiers


def test_errors_of_the_application_stay_its_own(make: Make) -> None:
    """A bug is the framework's 500, as without the middleware."""
    got = make()("/fail/bug")
    assert 500 == got.status
    assert "problem" not in got.headers["content-type"]
    assert set(FAILURES) >= {"bug"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"deadline": 0}, "deadline"),
        ({"deadline": float("nan")}, "deadline"),
        ({"max_wait": 60}, "max_wait"),
        ({"prefix": "/"}, "prefix"),
        ({"prefix": "llm"}, "prefix"),
        ({"headers": ("colour",)}, "colour"),
        ({"key": "X-User"}, "key"),
        ({"metrics_path": "metrics"}, "metrics_path"),
    ],
)
def test_options_that_cannot_work_are_refused(
    options: dict[str, Any], named: str
) -> None:
    """At start, by name."""
    with pytest.raises(ConfigError, match=named):
        WebOptions(**options)

"""What probes and operators see, and what nobody else does."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from llmguard import INJECTED, Model, contract, pinned
from llmguard.errors import CallError
from llmguard.guard._runtime import default_runtime
from llmguard.store import SqliteStore
from llmguard.testing import HttpError, fake_pin

from .conftest import Make

PIN = fake_pin(HttpError(401))


@pytest.fixture
def blocked() -> Iterator[Any]:
    """Yield a function without a fallback whose breaker is open."""

    @contract(str)
    @pinned(PIN)
    def lonely(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    for _ in range(6):
        with pytest.raises(CallError):
            lonely("t")
    yield lonely
    found = default_runtime().breakers.find(f"{lonely.__llmguard__.name}|{PIN.id}")  # type: ignore[attr-defined]  # every guarded function has it
    assert found is not None
    found.release("over", "test")


def test_alive_is_always_alive(make: Make, blocked: Any) -> None:
    """Restarting the process would not help a blocked function."""
    assert (200, {"status": "alive"}) == (
        (got := make()("/llmguard/health/live")).status,
        got.json,
    )
    assert blocked


def test_ready_until_a_function_has_no_tier_left(make: Make, blocked: Any) -> None:
    """503 names the function, to who may know."""
    ask = make()
    got = ask("/llmguard/health/ready")
    assert 503 == got.status
    name = blocked.__llmguard__.name
    assert name in got.json["blocked"]
    assert "open" == got.json["functions"][name][0]["breaker"]
    assert "ok" == got.json["store"]
    outside = ask("/llmguard/health", X_Forwarded_For="203.0.113.9")
    assert {"status": "not ready"} == outside.json


def test_ready_without_blocked_functions(make: Make) -> None:
    """The store's state is told, and by default decides nothing."""
    gc.collect()
    got = make()("/llmguard/health")
    assert (200, "ready") == (got.status, got.json["status"])
    full = make(ready_needs_store=True, min_free=2**62)("/llmguard/health")
    assert (503, "not ready") == (full.status, full.json["status"])


def test_a_store_that_cannot_be_reached_is_told(make: Make, tmp_path: Any) -> None:
    """Calls go on without it, so the process stays in service unless told otherwise."""
    broken = tmp_path / "file"
    broken.write_text("no store")
    url = str(broken / "store.db")
    got = make(store=url)("/llmguard/health")
    assert 200 == got.status
    assert got.json["store"].startswith("unreachable")
    assert 503 == make(store=url, ready_needs_store=True)("/llmguard/health").status


def test_versions_say_what_runs(make: Make, blocked: Any) -> None:
    """Each function's tiers with pin, model and breaker."""
    tiers = make()("/llmguard/versions").json["functions"][blocked.__llmguard__.name]
    assert PIN.id == tiers[0]["pin"]
    assert PIN.model == tiers[0]["model"]


def test_prometheus_reads_what_was_counted(make: Make) -> None:
    """In both of its formats; nobody else does, and it can be left out."""
    ask = make()
    ask("/triage")
    plain = ask("/metrics")
    assert 200 == plain.status
    assert plain.headers["content-type"].startswith("text/plain")
    assert "# TYPE llmguard_" in plain.text
    newer = ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert newer.text.endswith("# EOF\n")
    assert 404 == ask("/metrics", Forwarded="for=203.0.113.9").status
    assert 404 == make(metrics_path="")("/metrics").status


def test_names_are_for_operators(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a token, only with the token; without one, only from this machine."""
    ask = make(ops_token="s3cret")
    assert 404 == ask("/llmguard/versions").status
    assert 404 == ask("/llmguard/versions", Authorization="Bearer wrong").status
    assert 404 == ask("/llmguard/versions", Authorization="Basic s3cret").status
    assert 200 == ask("/llmguard/versions", Authorization="Bearer s3cret").status
    assert 404 == make()("/llmguard/versions", Forwarded="for=203.0.113.9").status
    assert 200 == make(open_ops=True)("/llmguard/versions", Forwarded="for=x").status
    monkeypatch.setenv("LLMGUARD_OPS_TOKEN", "other")
    assert 404 == make()("/llmguard/versions").status
    assert 200 == make()("/llmguard/versions", Authorization="bearer other").status


def test_the_prefix_moves_every_route(make: Make, store: SqliteStore) -> None:
    """What is not ours stays the application's."""
    ask = make(prefix="/ops/guard")
    assert 200 == ask("/ops/guard/health").status
    assert 404 == ask("/llmguard/health").status
    assert 404 == ask("/ops/guard/other").status
    assert ask("/later").headers["location"].startswith("/ops/guard/tickets/")

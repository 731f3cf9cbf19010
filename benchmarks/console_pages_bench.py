"""The console's pages for on-call over a small store and over a large one.

The large store has a hundred times as many calls, events, counts and moves of versions.
Requests for both take turns, through the whole application; what a page costs may not
grow with what is stored, since each shows a bounded part of it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from _measure import machine, options, report, table
from starlette.testclient import TestClient

from llmguard import config, pins
from llmguard.monitor.sketch import Sketch
from llmguard.pins import Lock, Pin, to_text
from llmguard.store import Action, CallRow, Event, NewEntry, SketchRow, SqliteStore
from llmguard.store.access import AccessToken, AccessUser, secret_digest
from llmguard_fallbacks.console import ConsoleSettings, console_app

PAGES: Final = {
    "versions": "/versions/",
    "a route": "/versions/route/triage?span=7d",
    "which, 2 h ago": "/versions/which?route=triage&at=2h",
    "health": "/health/?span=7d",
    "events": "/health/events",
    "alarms": "/health/events?kind=alarm.",
    "calls": "/calls/",
    "calls, by outcome": "/calls/?outcome=timeout",
    "calls, a request": "/calls/?request=q7",
    "calls, none fits": "/calls/?function=none",
}
WORDS: Final = ("ok", "ok", "ok", "ok", "ok", "degraded", "timeout", "schema")


def _pin(day: str) -> Pin:
    return Pin(
        route="triage",
        provider="openai",
        model=f"gpt-5.2-2025-12-{day}",
        version_class="versioned",
    )


def _fill(store: SqliteStore, size: int, versions: tuple[Pin, Pin]) -> None:
    now = time.time()
    for start in range(0, size, 1_000):
        store.calls.add(
            [_call(i, now) for i in range(start, min(size, start + 1_000))],
            most=10 * size,
            keep=1e9,
        )
        rows = [
            ((f"app.f{i % 5}", "p-1", "", "call", WORDS[i % 8]), 3) for i in range(40)
        ]
        number, at = start // 1_000 + 1, now - 600.0 * (start // 1_000)
        store.counts.add("prod", rows, source="bench", number=number, at=at)
    for i in range(size):
        kind = "alarm.drift" if i % 50 == 0 else "probe.same"
        store.events.add(Event(env="prod", kind=kind, route="triage", at=now - i))
    for hour in range(168 * 2):
        store.monitor.add_sketch(_sketch(hour, now), lambda one, _: one)
    for i in range(max(2, size // 20)):
        state = store.ledger.route_state("prod", "triage")
        pin = versions[i % 2].id
        for action in (Action.CANDIDATE, Action.PROMOTE):
            entry = NewEntry(
                env="prod",
                route="triage",
                pin=pin,
                action=action,
                base_rev=state.rev,
                actor="ann",
            )
            store.ledger.append(entry)
            state = store.ledger.route_state("prod", "triage")


def _call(i: int, now: float) -> CallRow:
    return CallRow(
        id=f"{i:020x}",
        at=now - i,
        env="prod",
        function=f"app.f{i % 5}",
        route="triage",
        pin=f"p-{i % 9}",
        answered=f"p-{i % 9}",
        tier="triage",
        outcome=WORDS[i % 8],
        request=f"q{i}",
        attempts=1,
        elapsed=0.1,
        body='{"attempts": []}' + " " * 1_000,
    )


def _sketch(number: int, now: float) -> SketchRow:
    """Return what the monitor keeps of one hour of one of two versions."""
    made = Sketch()
    made.told("ok", 95)
    made.told("schema", 5)
    for i in range(20):
        made.read(
            [f"mark {j}" for j in range(40)], [i % (j + 1) == 0 for j in range(40)]
        )
        made.sizes["chars"].add(100.0 + i)
        made.sizes["seconds"].add(0.5 + i / 50)
    return SketchRow(
        env="prod",
        function="app.f0",
        pin=f"p-{number % 2}",
        hour=int(now // 3_600) - number // 2,
        body=made.to_json(),
    )


def _browser(store: SqliteStore) -> TestClient:
    store.access.put_user(AccessUser(name="ann", scopes=("read",)))
    token = AccessToken(id="t", user="ann", scopes=("read",))
    store.access.add_token(token, secret_digest("s"))
    app = console_app(store, settings=ConsoleSettings(rate=1_000_000))
    made = TestClient(app, base_url="http://localhost", follow_redirects=False)
    made.headers["authorization"] = "Bearer s"
    return made


def pages(*, quick: bool) -> dict[str, Any]:
    """Time every page on both stores."""
    sizes, rounds = ((20, 200), 2) if quick else ((1_000, 100_000), 15)
    versions = (_pin("07"), _pin("08"))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        lock = Lock().with_pin(versions[0]).with_pin(versions[1])
        Path("models.lock").write_text(to_text(lock), encoding="utf-8")
        config.reset()
        pins.forget()
        stores = [
            SqliteStore(Path(folder) / f"{size}.db", synchronous="OFF")
            for size in sizes
        ]
        for store, size in zip(stores, sizes, strict=True):
            _fill(store, size, versions)
        browsers = [_browser(store) for store in stores]
        taken: dict[str, tuple[list[float], list[float]]] = {}
        for _ in range(rounds + 1):
            for name, path in PAGES.items():
                for each, into in zip(
                    browsers, taken.setdefault(name, ([], [])), strict=True
                ):
                    began = time.perf_counter()
                    assert each.get(path).status_code == 200, path  # noqa: S101 - a page that fails must not be timed
                    into.append((time.perf_counter() - began) * 1e3)
        for store in stores:
            store.close()
        os.chdir(Path(__file__).parent)
    figures = {
        name: {
            "small_ms": statistics.median(small[1:]),
            "large_ms": statistics.median(large[1:]),
            "ratio": statistics.median(
                b / a for a, b in zip(small[1:], large[1:], strict=True)
            ),
        }
        for name, (small, large) in taken.items()
    }
    head = ["milliseconds a page", *(f"{size:,} rows" for size in sizes), "ratio"]
    rows = [
        [name, one["small_ms"], one["large_ms"], one["ratio"]]
        for name, one in figures.items()
    ]
    table("The console's pages", head, rows)
    return figures


def main() -> None:
    chosen = options(__doc__ or "")
    report({"pages": pages(quick=chosen.quick)}, machine(), chosen.json)


if __name__ == "__main__":
    main()

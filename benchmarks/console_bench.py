"""What the Review pages cost at 1,000 and at 200,000 open tickets.

Run it with `python benchmarks/console_bench.py [--small 1000] [--large 200000]`; it
prints medians of interleaved requests and their ratio (`--quick`, `--json FILE`).
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _measure import machine
from starlette.testclient import TestClient

from llmguard.store import NewTicket, SqliteStore, fingerprint
from llmguard.store.access import AccessToken, AccessUser, secret_digest
from llmguard_fallbacks.console import ConsoleSettings, console_app

ORIGIN = "http://localhost"
SCHEMA = {"type": "object", "properties": {"category": {"enum": ["a", "b"]}}}
ROUNDS = 30


def filled(path: Path, count: int) -> TestClient:
    """Return a client of a console with so many open tickets in four queues."""
    store = SqliteStore(str(path), synchronous="OFF")
    for number in range(count):
        store.tickets.enqueue(
            NewTicket(
                id=f"t{number:07}",
                queue=f"queue {number % 4}",
                key=f"k{number}",
                fingerprint=fingerprint(number),
                inputs={"text": "x" * 300},
                schema=SCHEMA,
                title=f"Ticket {number}",
                priority=number % 3,
                due_at=time.time() + number % 5000 - 1000,
                coalesce=False,
            )
        )
    store.access.put_user(AccessUser(name="ann", scopes=("review",)))
    token = AccessToken(id="t", user="ann", scopes=("review",))
    store.access.add_token(token, secret_digest("secret"))
    settings = ConsoleSettings(rate=10**6)
    client = TestClient(
        console_app(store, settings=settings),
        base_url=ORIGIN,
        headers={"origin": ORIGIN},
        follow_redirects=False,
    )
    client.post("/login", data={"token": "secret"})
    return client


def deep(client: TestClient, pages: int) -> str:
    """Return the address of a page further down."""
    url = "/review/"
    for _ in range(pages):
        found = re.search(r'rel="next" href="([^"]*)"', client.get(url).text)
        if found is None:
            break
        url = found[1].replace("&amp;", "&")
    return url


def steps(client: TestClient) -> dict[str, Callable[[], object]]:
    """Return what a reviewer does, by name."""
    page = client.get("/review/").text
    csrf = re.findall(r'data-csrf="(.*?)"', page)[0]
    far = deep(client, 15)
    form = {"csrf": csrf, "queue": "queue 1"}
    return {
        "first page": lambda: client.get("/review/"),
        "one queue": lambda: client.get("/review/?queue=queue+2"),
        "16th page": lambda: client.get(far),
        "live part": lambda: client.get("/review/rows"),
        "take the next": lambda: client.post("/review/next", data=form),
        "a ticket": lambda: client.get("/review/t/t0000500"),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_known_args()[0]
    if given.quick:
        given.large, given.rounds = 2 * given.small, 2
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        sizes = (given.small, given.large)
        clients = [filled(Path(folder, f"{size}.db"), size) for size in sizes]
        acts = [steps(client) for client in clients]
        print(f"| page | {given.small:,} open | {given.large:,} open | ratio |")
        print("|---|---|---|---|")
        for name in acts[0]:
            spent: list[list[float]] = [[], []]
            for _ in range(given.rounds):
                for place, act in enumerate(acts):
                    start = time.perf_counter()
                    act[name]()
                    spent[place].append(time.perf_counter() - start)
            small, large = (statistics.median(one) * 1000 for one in spent)
            print(f"| {name} | {small:.1f} ms | {large:.1f} ms | {large / small:.2f} |")
            found[name] = {"small_ms": small, "large_ms": large}
    if given.json:
        figures = {"machine": machine(), "pages": found}
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()

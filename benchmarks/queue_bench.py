"""The queue against its peers, and at 200,000 open tickets against 1,000.

Usage: python benchmarks/queue_bench.py [--slices 12] [--processes 1 4]
           [--tickets 200000] [--part peers|depth] [--quick] [--json FILE]

Peers: procrastinate on PostgreSQL and huey on SQLite, each in an environment of its own
below `.nox/`, made with pip when missing. Every step is durable everywhere (`fsync`
on): ask, take, answer. Slices of all four take turns in an order drawn anew, so that
what else the machine does hits all of them; ratios are medians over rounds, absolute
figures are this machine's.

Depth: a page of the list, the page a hundred tickets on, a claim, `stats` and `counts`
(what metrics read) on a store with 1,000 open tickets and on one with many, in turn.
The server runs without `fsync` there: what is compared is reading.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from _environments import make, python_of
from _measure import machine

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
WORKER = Path(__file__).with_name("_queue_worker.py")
SLICE = 0.5
STEPS = ("enqueue", "claim", "answer")


def peers_python() -> str:
    """Return the interpreter that has the peers."""
    if problem := make("queue"):
        raise SystemExit(f"huey, procrastinate: not installed: {problem}")
    return str(python_of("queue"))


class Worker:
    """A process that works on one library's queue when told."""

    def __init__(self, python: str, kind: str, url: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [python, str(WORKER), kind, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def begin(self, seconds: float) -> None:
        """Work for so long."""
        stream: IO[str] | None = self._process.stdin
        if stream is not None:
            stream.write(f"{seconds}\n")
            stream.flush()

    def took(self) -> dict[str, list[float]]:
        """Return the seconds of every step of the last slice."""
        found: dict[str, list[float]] = json.loads(self._line())
        return found

    def end(self) -> None:
        """End the process."""
        self._process.communicate()

    def _line(self) -> str:
        stream: IO[str] | None = self._process.stdout
        text = "" if stream is None else stream.readline()
        if not text:
            raise SystemExit(f"a worker ended: {self._process.args!r}")
        return text


def race(
    sides: Mapping[str, tuple[str, str, str]], processes: int, slices: int
) -> dict[str, Any]:
    """Print and return rates, tails and ratios of all sides, slices in turn."""
    workers = {
        name: [Worker(python, kind, url) for _ in range(processes)]
        for name, (python, kind, url) in sides.items()
    }
    rates: dict[str, list[float]] = {name: [] for name in sides}
    times: dict[str, dict[str, list[float]]] = {
        name: {step: [] for step in STEPS} for name in sides
    }
    order = list(sides)
    for _ in range(slices):
        random.shuffle(order)
        for name in order:
            for one in workers[name]:
                one.begin(SLICE)
            parts = [one.took() for one in workers[name]]
            rates[name].append(sum(len(part["answer"]) for part in parts) / SLICE)
            for step in STEPS:
                times[name][step] += [each for part in parts for each in part[step]]
    for group in workers.values():
        for one in group:
            one.end()
    found: dict[str, Any] = {}
    for name in sides:
        tails = "   ".join(
            f"{step} {_ms(times[name][step], 50)} / {_ms(times[name][step], 99)}"
            for step in STEPS
        )
        rate = statistics.median(rates[name])
        print(
            f"{processes:>2} processes  {name:<24}{rate:>6.0f}/s   {tails} ms p50/p99"
        )
        found[name] = {"per_s": rate}
        for step in STEPS:
            found[name][f"{step}_p50_ms"] = 1e3 * _at(times[name][step], 50)
            found[name][f"{step}_p99_ms"] = 1e3 * _at(times[name][step], 99)
    for ours, theirs in (
        ("llmguard on SQLite", "huey on SQLite"),
        ("llmguard on PostgreSQL", "procrastinate"),
    ):
        median, low, high = _ratio(rates[ours], rates[theirs])
        ratio = f"{median:.2f} (quartiles {low:.2f} to {high:.2f})"
        found[f"{ours} / {theirs}"] = {"median": median, "low": low, "high": high}
        tails = ", ".join(
            f"{step} {_at(times[ours][step], 99) / _at(times[theirs][step], 99):.2f}"
            for step in STEPS
        )
        print(f"{processes:>2} processes  {ours} / {theirs}: rate {ratio}; p99 {tails}")
    return found


def _ratio(
    ours: Sequence[float], theirs: Sequence[float]
) -> tuple[float, float, float]:
    pairs = sorted(a / max(b, 1e-9) for a, b in zip(ours, theirs, strict=True))
    low, high = pairs[len(pairs) // 4], pairs[-1 - len(pairs) // 4]
    return statistics.median(pairs), low, high


def _at(times: Sequence[float], percent: int) -> float:
    ranked = sorted(times) or [0.0]
    return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)]


def _ms(times: Sequence[float], percent: int) -> str:
    return f"{1e3 * _at(times, percent):.1f}"


def run_peers(
    folder: Path, server: Any, processes: Sequence[int], slices: int
) -> dict[str, Any]:
    """Race llmguard with huey and procrastinate."""
    theirs = peers_python()
    url = server.url()
    place = url.partition("?")[0]
    _install_procrastinate(theirs, place)
    sides = {
        "llmguard on SQLite": (sys.executable, "llmguard", str(folder / "store.db")),
        "huey on SQLite": (theirs, "huey", str(folder / "huey.db")),
        "llmguard on PostgreSQL": (sys.executable, "llmguard", url),
        "procrastinate": (theirs, "procrastinate", place),
    }
    return {str(count): race(sides, count, slices) for count in processes}


def _install_procrastinate(python: str, place: str) -> None:
    code = (
        "import sys\n"
        "from procrastinate import App, SyncPsycopgConnector\n"
        "app = App(connector=SyncPsycopgConnector(conninfo=sys.argv[1]))\n"
        "app.open()\n"
        "app.schema_manager.apply_schema()\n"
    )
    subprocess.run([python, "-c", code, place], check=True)  # noqa: S603 - ourselves


def run_depth(folder: Path, server: Any, many: int) -> dict[str, Any]:
    """Print and return what steps cost on a deep store and on a shallow one."""
    found: dict[str, Any] = {}
    for name, urls in (
        ("SQLite", [str(folder / "few.db"), str(folder / "many.db")]),
        ("PostgreSQL", [server.url(), server.url()]),
    ):
        costs = [_steps(url, n) for url, n in zip(urls, (1000, many), strict=True)]
        print(f"{name}: {many} open tickets against 1000, median of pairs")
        for step in costs[0]:
            few, lots = _alternate(costs[0][step], costs[1][step])
            print(
                f"  {step:<22}{1e3 * few:>8.2f} ms {1e3 * lots:>8.2f} ms   "
                f"ratio {lots / few:.2f}"
            )
            found[f"{name}, {step}"] = {"few_ms": 1e3 * few, "many_ms": 1e3 * lots}
    return found


def _steps(url: str, n: int) -> dict[str, Callable[[], object]]:
    from many_tickets import fill

    from llmguard.store import open_store, page_cursor

    store = open_store(url)
    tickets = store.tickets
    fill(store, url, n, now=time.time())
    after = page_cursor(tickets.list(limit=100)[-1])

    def claim() -> None:
        taken = tickets.claim(reviewer="bench", roles=["lead"], lease=3600.0)
        if taken is not None:
            tickets.release(taken.id, actor="bench", token=taken.lease_token)

    return {
        "list, first page": lambda: tickets.list(limit=50),
        "list, a later page": lambda: tickets.list(limit=50, after=after),
        "list, one queue": lambda: tickets.list(queue="q1", limit=50),
        "claim and release": claim,
        "stats": tickets.stats,
        "counts": tickets.counts,
    }


def _alternate(
    few: Callable[[], object], lots: Callable[[], object], rounds: int = 100
) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 5):
        for step, kept in zip((few, lots), times, strict=True):
            begun = time.perf_counter()
            step()
            if number >= 5:
                kept.append(time.perf_counter() - begun)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    """Run it in a temporary folder of the current disk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--tickets", type=int, default=200_000)
    parser.add_argument("--part", choices=["peers", "depth"])
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options, _ = parser.parse_known_args()
    if options.quick:
        options.slices, options.processes, options.tickets = 1, [1], 2000
    found: dict[str, Any] = {}
    from postgres_server import PostgresServer, find_postgres

    programs = find_postgres()
    if programs is None:
        raise SystemExit("no `initdb`: install PostgreSQL")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server's user is another one when this is root
        for part in ("peers", "depth"):
            if options.part not in {None, part}:
                continue
            server = PostgresServer(programs, folder=folder, durable=part == "peers")
            server.start()
            try:
                if part == "peers":
                    count = options.processes
                    found[part] = run_peers(folder, server, count, options.slices)
                else:
                    found[part] = run_depth(folder, server, options.tickets)
            finally:
                server.close()
    if options.json:
        figures = {"machine": machine(), **found}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Whole tickets per second on SQLite and on PostgreSQL, by the number of processes.

Usage: python benchmarks/store_backends_bench.py [--slices 12] [--processes 1 4 8]
           [--server postgresql://USER@HOST/DATABASE] [--quick] [--json FILE]

A cycle is one ticket asked, claimed and answered: three durable transactions, each with
its event. All processes work on one queue. Slices of both backends alternate, so that
what else the machine does hits both; the ratio is the median over pairs of slices, and
absolute rates are this machine's. Without `--server` one is started beside the SQLite
file with `initdb` and `postgres`, on the same disk, with `fsync` on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from _measure import machine

from llmguard.store import NewTicket, Store, new_id, open_store

SLICE = 0.5
TEXT = "x" * 900
BACKENDS = ("sqlite", "postgresql")


def cycle(store: Store) -> bool:
    """Ask, claim and answer one ticket; False when another process claimed it."""
    one = new_id(time.time())
    new = NewTicket(id=one, queue="q", key=one, fingerprint=one, inputs={"t": TEXT})
    store.tickets.enqueue(new)
    ticket = store.tickets.claim(reviewer="bench", queue="q")
    if ticket is None:
        return False
    store.tickets.answer(ticket.id, 1, reviewer="bench", token=ticket.lease_token)
    return True


def worker(urls: list[str]) -> None:
    """Work on the backend whose number each line says, and print what was done."""
    stores = [open_store(url) for url in urls]
    for store in stores:
        cycle(store)
    print("ready", flush=True)
    for line in sys.stdin:
        store, took = stores[int(line)], []
        end = time.perf_counter() + SLICE
        while (begun := time.perf_counter()) < end:
            if cycle(store):
                took.append(time.perf_counter() - begun)
        print(json.dumps(took), flush=True)


def _sent(worker: subprocess.Popen[str], text: str) -> None:
    stream: IO[str] | None = worker.stdin
    if stream is not None:
        stream.write(text)
        stream.flush()


def _line(worker: subprocess.Popen[str]) -> str:
    stream: IO[str] | None = worker.stdout
    return "" if stream is None else stream.readline()


def measure(urls: list[str], processes: int, slices: int) -> dict[str, Any]:
    """Print and return rates, their ratio, tails and fairness."""
    command = [sys.executable, __file__, "--worker", *urls]
    workers = [
        subprocess.Popen(  # noqa: S603 - ourselves
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    for one in workers:
        _line(one)
    done: list[list[list[float]]] = [[], []]
    fair: list[list[float]] = [[], []]
    for number in range(2 * slices):
        which = number % 2
        for one in workers:
            _sent(one, f"{which}\n")
        took: list[list[float]] = [json.loads(_line(one)) for one in workers]
        done[which].append([each for part in took for each in part])
        counts = [len(part) for part in took]
        fair[which].append(min(counts) / max(1, *counts))
    for one in workers:
        one.communicate()
    ratios = sorted(
        len(theirs) / max(len(ours), 1) for ours, theirs in zip(*done, strict=True)
    )
    ratio, quarter = statistics.median(ratios), len(ratios) // 4
    low, high = ratios[quarter], ratios[~quarter]
    found: dict[str, Any] = {"ratio": {"median": ratio, "low": low, "high": high}}
    for name, slices_done, even in zip(BACKENDS, done, fair, strict=True):
        rate = statistics.median(len(part) for part in slices_done) / SLICE
        times = sorted(each for part in slices_done for each in part) or [0.0]
        print(
            f"{processes:>2} processes  {name:<11}{rate:>7.0f}/s   "
            f"p50 {1e3 * times[len(times) // 2]:>6.1f} ms   "
            f"p99 {1e3 * times[len(times) * 99 // 100]:>6.1f} ms   "
            f"slowest/fastest {statistics.median(even):.2f}"
        )
        found[name] = {
            "per_s": rate,
            "p50_ms": 1e3 * times[len(times) // 2],
            "p99_ms": 1e3 * times[len(times) * 99 // 100],
            "fair": statistics.median(even),
        }
    print(
        f"{processes:>2} processes  postgresql / sqlite = {ratio:.2f} "
        f"(quartiles {low:.2f} to {high:.2f})"
    )
    return found


@contextmanager
def server(given: str | None, folder: Path) -> Iterator[str]:
    """Give the URL of an unused schema of the server, started here if none is given."""
    if given is not None:
        yield f"{given}{'&' if '?' in given else '?'}schema=bench_{int(time.time())}"
        return
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    from postgres_server import PostgresServer, find_postgres

    programs = find_postgres()
    if programs is None:
        raise SystemExit("no `initdb`: install PostgreSQL, or give `--server URL`")
    folder.chmod(0o755)  # the server's user is another one when this is root
    started = PostgresServer(programs, folder=folder, durable=True)
    started.start()
    try:
        yield started.url()
    finally:
        started.close()


def main() -> None:
    """Run all of it in a temporary folder of the current disk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 4, 8])
    parser.add_argument("--server")
    parser.add_argument("--worker", nargs=2)
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options = parser.parse_known_args()[0]
    if options.worker:
        worker(options.worker)
        return
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as name,
        server(options.server, Path(name)) as url,
    ):
        slices = 2 if options.quick else options.slices
        urls = [str(Path(name) / "store.db"), url]
        found = {count: measure(urls, count, slices) for count in options.processes}
    if options.json:
        figures = {"machine": machine(), "processes": found}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""A guarded FastAPI service under load, beside the same service unguarded.

    python benchmarks/web_bench.py               # throughput, latency, an outage
    python benchmarks/web_bench.py --load        # the first two alone
    python benchmarks/web_bench.py --outage      # the outage alone
    python benchmarks/web_bench.py --rounds 6 --seconds 3
    python benchmarks/web_bench.py --soak        # ten minutes: memory, descriptors
    python benchmarks/web_bench.py --soak --minutes 2

uvicorn processes of one worker each ask the same stub on this machine; their rounds
alternate. One of them is the unguarded service a second time: how far its ratio is from
1 says what the others are worth. Throughput is that of `wrk` (or of this script where
it is missing) with connections that never pause, as many as it takes to keep the
service busy; latency is measured at a fixed rate below saturation, of all of them in
turn, from when each request was due. In the outage the provider answers 500, then
hangs, then recovers, while the guarded service goes on at its rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from _measure import machine, options, report, spread, table
from _open_loop import Load, get, quantile, run_load
from _stub import stub

THROUGHPUT: Final = 0.95
TAIL: Final = 1.1
DEADLINE: Final = 1.0
HERE: Final = Path(__file__).parent
CONNECTIONS: Final = {0: 16, 100: 128}
"""By the provider's milliseconds: 16 that wait 100 ms each leave the service idle."""
SHARE: Final = 0.4
"""Of one service's throughput: the rate at which all together are asked."""
SERVICES: Final = ("plain", "guarded", "again")
PHASES: Final = (("ok", 10.0), ("fail", 4.0), ("ok", 12.0), ("hang", 4.0), ("ok", 15.0))
"""What the provider does and for how long; an open breaker looks again after 5 s."""
MEASURED: Final = {"throughput": "/s", "cpu": "ms", "p50": "ms", "p99": "ms"}


@dataclass(frozen=True)
class Service:
    """A running application."""

    port: int
    pid: int

    @property
    def resident(self) -> float:
        """Megabytes of memory."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", text)
        return int(found[1]) / 1024 if found else 0.0

    @property
    def cpu(self) -> float:
        """Seconds of CPU so far, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def descriptors(self) -> int:
        """Open files and sockets."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def threads(self) -> int:
        """Its threads."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))


@contextmanager
def serve(provider: str, *, guarded: bool, deadline: float = 30) -> Generator[Service]:
    """Run one of the two services."""
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        env = {
            **os.environ,
            "PROVIDER": provider,
            "GUARDED": "1" if guarded else "0",
            "DEADLINE": str(deadline),
            "LLMGUARD_STORE": f"{folder}/store.db",
            "OPENAI_API_KEY": "none",
        }
        free.close()
        words = ["uvicorn", "_web_app:app", "--port", str(port), "--no-access-log"]
        command = [sys.executable, "-m", *words, "--log-level", "error"]
        with subprocess.Popen(command, cwd=HERE, env=env) as process:  # noqa: S603 - this folder's
            try:
                _await(port)
                yield Service(port, process.pid)
            finally:
                process.terminate()


def _await(port: int) -> None:
    for _ in range(400):
        try:
            asyncio.run(get(port, "/ask/ready"))
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing answers on port {port}")


def saturate(service: Service, seconds: float, connections: int) -> tuple[float, float]:
    """Load it by connections that never pause.

    Returns:
        Answers per second, and the CPU milliseconds that the service took for one:
        what others do on the machine changes the first, hardly the second.
    """
    before = service.cpu
    answers, took = _answers(service, seconds, connections)
    if not answers:  # a machine so busy that a ratio would mean nothing
        answers, took = _answers(service, 4 * seconds, connections)
    if not answers:
        raise SystemExit(f"no answer within {took:.0f} s: the machine is too busy")
    return answers / took, (service.cpu - before) * 1e3 / max(answers, 1)


def _answers(service: Service, seconds: float, connections: int) -> tuple[int, float]:
    program = shutil.which("wrk")
    if program is None:
        return asyncio.run(_closed(service.port, seconds, connections)), seconds
    url = f"http://127.0.0.1:{service.port}/ask/ticket"
    sizes = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    done = subprocess.run(  # noqa: S603 - found on PATH
        [program, *sizes, url], capture_output=True, text=True, check=True
    )
    if "Non-2xx" in done.stdout:
        raise SystemExit(done.stdout)
    found = re.search(r"(\d+) requests in ([\d.]+)s", done.stdout)
    return (int(found[1]), float(found[2])) if found else (0, seconds)


async def _closed(port: int, seconds: float, connections: int) -> int:
    end, answered = time.monotonic() + seconds, 0

    async def one() -> None:
        nonlocal answered
        while time.monotonic() < end:
            await get(port, "/ask/ticket")
            answered += 1

    await asyncio.gather(*(one() for _ in range(connections)))
    return answered


def paced(
    services: Mapping[str, Service], rate: float, seconds: float
) -> Mapping[str, Load]:
    """Send to all of them at a fixed rate in turn; every answer must be a 200.

    What the machine does besides then falls on all of them alike.
    """

    async def main() -> list[Load]:
        async def late(wait: int, port: int) -> Load:
            await asyncio.sleep(wait / rate)
            each = rate / len(services)
            return await run_load(
                port, lambda n: f"/ask/ticket-{n}", rate=each, seconds=seconds
            )

        ports = [service.port for service in services.values()]
        return await asyncio.gather(*(late(n, port) for n, port in enumerate(ports)))

    loads = dict(zip(services, asyncio.run(main()), strict=True))
    for name, load in loads.items():
        if set(load.codes) != {200}:
            raise SystemExit(f"{name}: answers by status: {dict(load.codes)}")
    return loads


def compare(url: str, *, millis: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Alternate both services; return what each did and the ratios of each round."""
    provider = f"{url}/after/{millis}" if millis else url
    with ExitStack() as stack:
        services = {
            name: stack.enter_context(serve(provider, guarded=name == "guarded"))
            for name in SERVICES
        }
        many = CONNECTIONS[millis]
        for service in services.values():
            saturate(service, 2, many)
        most = min(saturate(service, 2, many)[0] for service in services.values())
        plan = Plan(rounds, seconds, many, most * SHARE)
        return {"millis": millis, "rate": plan.rate, **_rounds(services, plan)}


@dataclass(frozen=True)
class Plan:
    """How one comparison is made."""

    rounds: int
    seconds: float
    connections: int
    rate: float


def _rounds(services: Mapping[str, Service], plan: Plan) -> dict[str, Any]:
    rng, names = random.Random(0), list(services)
    rows: dict[str, dict[str, list[float]]] = {
        name: {key: [] for key in MEASURED} for name in names
    }
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(plan.rounds):
        rng.shuffle(names)
        for name in names:
            throughput, cpu = saturate(services[name], plan.seconds, plan.connections)
            rows[name]["throughput"].append(throughput)
            rows[name]["cpu"].append(cpu)
        turns = {name: services[name] for name in names}
        for name, load in paced(turns, plan.rate, 2 * plan.seconds).items():
            taken[name] += load.seconds
            rows[name]["p50"].append(quantile(load.seconds, 0.5) * 1e3)
            rows[name]["p99"].append(quantile(load.seconds, 0.99) * 1e3)
    found: dict[str, Any] = dict(rows)
    for name in SERVICES[1:]:
        found[f"{name} / plain"] = {
            key: spread(rows[name][key], rows["plain"][key], subtract=False)
            for key in MEASURED
        }
    found["p99 of all"] = {n: quantile(t, 0.99) * 1e3 for n, t in taken.items()}
    return found


def show(found: Mapping[str, Any]) -> None:
    """Print one comparison."""
    rows: list[list[object]] = []
    for key, unit in MEASURED.items():
        both = [statistics.median(found[name][key]) for name in ("plain", "guarded")]
        ratio, noise = (found[f"{name} / plain"][key] for name in SERVICES[1:])
        spans = [ratio["median"], ratio["low"], ratio["high"], noise["median"]]
        rows.append([f"{key}, {unit}", *both, *spans])
    plain, guarded, again = (found["p99 of all"][name] for name in SERVICES)
    whole = [guarded / plain, "", "", again / plain]
    rows.append(["p99 of all rounds together, ms", plain, guarded, *whole])
    head = ["", "plain", "guarded", "ratio", "25 %", "75 %", "plain again"]
    title = (
        f"Provider answers after {found['millis']} ms; latency at "
        f"{found['rate']:.0f}/s; aims {THROUGHPUT} and {TAIL}"
    )
    table(title, head, rows)


def outage(url: str, *, rate: float, scale: float) -> dict[str, Any]:
    """Let the provider die, hang and recover under load; count what callers saw."""
    provider = f"{url}/change/after/50"
    port = int(url.rpartition(":")[2])
    phases = [(mode, seconds * scale) for mode, seconds in PHASES]
    whole = sum(seconds for _, seconds in phases)

    async def main(service: Service) -> tuple[Load, list[dict[str, int]]]:
        counts: list[dict[str, int]] = []
        load = asyncio.create_task(
            run_load(
                service.port, lambda n: f"/ask/ticket-{n}", rate=rate, seconds=whole
            )
        )
        for mode, seconds in phases:
            await get(port, f"/now/{mode}")
            await asyncio.sleep(seconds)
            body = (await get(port, "/count")).partition(b"\r\n\r\n")[2]
            counts.append(json.loads(body))
        await get(port, "/now/ok")
        return await load, counts

    with serve(provider, guarded=True, deadline=DEADLINE) as service:
        load, counts = asyncio.run(main(service))
    rows: list[list[object]] = []
    before: Mapping[str, int] = {}
    start = 0.0
    for (mode, seconds), count in zip(phases, counts, strict=True):
        seen = load.within(start, start + seconds)
        asked = sum(count.values()) - sum(before.values())
        spread_of = [quantile(seen, q) * 1e3 for q in (0.5, 0.99, 1)]
        rows.append([f"{mode}, {seconds:g} s", len(seen), asked, *spread_of])
        before, start = count, start + seconds
    head = ["provider", "requests", "it was asked", "p50 ms", "p99 ms", "worst ms"]
    table(f"Outage under load; deadline {DEADLINE * 1e3:.0f} ms", head, rows)
    print(f"statuses {dict(load.codes)}, tiers {dict(load.tiers)}")
    return {
        "phases": [dict(zip(head, row, strict=True)) for row in rows],
        "codes": dict(load.codes),
        "tiers": dict(load.tiers),
    }


def soak(url: str, *, minutes: float, rate: float) -> dict[str, Any]:
    """Serve at a steady rate; the provider fails for a tenth of each minute."""
    port = int(url.rpartition(":")[2])
    rows: list[list[object]] = []
    codes: dict[int, int] = {}
    with serve(f"{url}/change/after/50", guarded=True, deadline=DEADLINE) as service:

        async def minute() -> Load:
            async def trouble() -> None:
                await asyncio.sleep(20)
                await get(port, "/now/fail")
                await asyncio.sleep(6)
                await get(port, "/now/ok")

            running = asyncio.create_task(trouble())
            load = await run_load(
                service.port,
                lambda n: f"/ask/{time.time_ns()}-{n}",
                rate=rate,
                seconds=60,
            )
            await running
            return load

        for number in range(round(minutes)):
            load = asyncio.run(minute())
            for code, n in load.codes.items():
                codes[code] = codes.get(code, 0) + n
            rows.append(
                [
                    number + 1,
                    service.resident,
                    service.descriptors,
                    service.threads,
                    quantile(load.seconds, 0.99) * 1e3,
                    os.getloadavg()[0],
                ]
            )
            print(rows[-1], file=sys.stderr)
    head = ["minute", "memory MB", "descriptors", "threads", "p99 ms", "load"]
    table(f"Soak at {rate:g}/s; statuses {codes}", head, rows)
    return {"rows": rows, "codes": codes}


def main() -> None:
    """Run what was asked for."""
    asked = options(__doc__ or "", "--soak", "--outage", "--load")
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=5.0)
    more = parser.parse_known_args()[0]
    figures: dict[str, Any] = {}
    with stub() as url:
        if asked.soak:
            figures["soak"] = soak(url, minutes=more.minutes, rate=more.rate)
        else:
            rounds, seconds = more.rounds, more.seconds
            if asked.quick:
                rounds, seconds = 1, 1.0
            figures["load"] = []
            for millis in () if asked.outage else (0, 100):
                found = compare(url, millis=millis, rounds=rounds, seconds=seconds)
                show(found)
                figures["load"].append(found)
            scale = 0.1 if asked.quick else 1.0
            if not asked.load:
                figures["outage"] = outage(url, rate=more.rate, scale=scale)
    report(figures, machine(), asked.json)


if __name__ == "__main__":
    main()

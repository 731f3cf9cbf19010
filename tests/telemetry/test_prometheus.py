"""Prometheus's text: right to the letter, from one process and from the store."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from llmguard import slo
from llmguard.cli import cli
from llmguard.outcome import Attempt, Kind, Outcome, Usage
from llmguard.store import SqliteStore
from llmguard.telemetry import families as made
from llmguard.telemetry import prometheus
from llmguard.telemetry.exposition import OPENMETRICS, PLAIN, expose
from llmguard.telemetry.families import Family, Sample, families, row_families
from llmguard.telemetry.growth import Growth
from llmguard.telemetry.tally import TALLY, Tally, rows

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian's prometheus) is missing"
)


def _outcome(kind: Kind = Kind.OK, elapsed: float = 0.03) -> Outcome:
    attempt = Attempt(
        tier="triage",
        tier_index=0,
        number=1,
        kind=kind,
        started=0.0,
        elapsed=elapsed,
        pin="p-1",
        usage=Usage(input_tokens=5, output_tokens=2),
    )
    ok = kind is Kind.OK
    return Outcome(
        call_id="c",
        function="prom.triage",
        kind=kind,
        tier="triage" if ok else "",
        tier_index=0 if ok else -1,
        attempts=(attempt,),
        elapsed=elapsed,
    )


@pytest.fixture
def tally() -> Iterator[Tally]:
    """Renew the process's tally, and count three calls."""
    TALLY.renew()
    slo.declare("prom.triage", [slo.schema_valid(0.99), slo.within(0.5, share=0.9)])
    for outcome in (_outcome(), _outcome(elapsed=0.7), _outcome(Kind.SCHEMA)):
        TALLY(outcome)
    TALLY.signal("prom.triage", "p-1", "corrected")
    yield TALLY
    TALLY.renew()


def test_what_a_process_says(tally: Tally) -> None:
    """Counters, histograms and objectives, by name and label."""
    text = prometheus.render()
    of = 'function="prom.triage",pin="p-1"'
    objective = 'llmguard_slo_events_total{function="prom.triage",slo='
    for line in (
        "# TYPE llmguard_calls_total counter",
        f'llmguard_calls_total{{{of},tier="",outcome="schema"}} 1',
        f'llmguard_attempts_total{{{of},tier="triage",kind="ok"}} 2',
        f'llmguard_tokens_total{{{of},type="input"}} 15',
        f'llmguard_signals_total{{{of},signal="corrected"}} 1',
        "# TYPE llmguard_call_duration_seconds histogram",
        f'llmguard_call_duration_seconds_bucket{{{of},le="0.5"}} 1',
        f'llmguard_call_duration_seconds_bucket{{{of},le="+Inf"}} 2',
        f"llmguard_call_duration_seconds_sum{{{of}}} 0.73",
        f'{objective}"schema_valid",pin="p-1",outcome="bad"}} 1',
        f'{objective}"within_0_5s",pin="p-1",outcome="good"}} 1',
        'llmguard_slo_target_ratio{function="prom.triage",slo="schema_valid"} 0.99',
    ):
        assert line in text.splitlines()
    assert text.endswith("\n")


def test_a_correction_takes_nothing_back(tally: Tally) -> None:
    """A counter that falls is a restart to Prometheus, and a huge rate."""
    slo.declare("prom.triage", [slo.corrected(0.1, name="kept"), slo.accepted(0.9)])

    def events() -> dict[tuple[str, ...], float]:
        found = next(
            family
            for family in families(tally.snapshot())
            if family.name == "llmguard_slo_events"
        )
        return {
            tuple(value for _, value in sample.labels): sample.value
            for sample in found.samples
        }

    before = events()
    for name in ("corrected", "rejected", "corrected"):
        tally.signal("prom.triage", "p-1", name)
        after = events()
        assert all(after[key] >= value for key, value in before.items())
        before = after
    of = ("prom.triage", "kept", "p-1")
    assert (2.0, 3.0) == (before[*of, "good"], before[*of, "bad"])


def test_openmetrics_is_the_same_with_an_end(tally: Tally) -> None:
    """Counters are named without `_total`, and the end is marked."""
    text = prometheus.render(openmetrics=True)
    assert "# TYPE llmguard_calls counter" in text
    assert text.endswith("# EOF\n")
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    plain = prometheus.render().splitlines()
    assert samples == [line for line in plain if not line.startswith("#")]


@promtool
def test_promtool_takes_it(tally: Tally) -> None:
    """`promtool check metrics` finds nothing wrong."""
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=prometheus.render(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@given(st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_labels_are_escaped(text: str, value: float) -> None:
    """Any label and number survives; a line is a line."""
    family = Family("m", "gauge", text, [Sample((("k", text),), value)], "m", "1")
    shown = expose([family])
    help_, type_, line, rest = shown.split("\n")
    assert (type_, rest) == ("# TYPE m gauge", "")
    label, _, number = line.removeprefix('m{k="').rpartition('"} ')
    unescaped = (
        label.replace(r"\\", "\0")
        .replace(r"\n", "\n")
        .replace(r"\"", '"')
        .replace("\0", "\\")
    )
    if "\0" not in text:
        assert unescaped == text
    assert float(number) == value
    assert help_.startswith("# HELP m ")


def test_a_source_that_raises_costs_its_part_only() -> None:
    """A scrape does not fail for one part of it."""
    family = Family("extra", "gauge", "x", [Sample((), 1.0)], "extra", "1")

    def broken() -> list[Family]:
        raise OSError

    before = list(made._sources)
    try:
        made.add_source(broken)
        made.add_source(lambda: [family])
        assert "extra 1" in prometheus.render().splitlines()
    finally:
        made._sources[:] = before


def test_counts_of_the_store_are_the_process_s(tally: Tally, tmp_path: Path) -> None:
    """What went through the store gives the same families."""
    store = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    batch = Growth(tally).batch(60.0)
    assert batch is not None
    store.counts.add("prod", batch.rows, source="s", number=1, at=60.0)
    from llmguard.telemetry.objectives import declared
    from llmguard.telemetry.tally import Count

    counted = {
        Count(r.function, r.pin, r.tier, r.measure, r.label): r.n
        for r in store.counts.sums("prod")
    }
    assert row_families(counted, declared()) == row_families(
        rows(tally.snapshot()), declared()
    )
    store.close()
    here = {family.name for family in families(tally.snapshot())}
    assert {"llmguard_attempt_duration_seconds", "llmguard_build_info"} <= here


def test_wsgi(tally: Tally) -> None:
    """The `Accept` header chooses the format."""
    started: list[Any] = []
    for accept, kind in (
        ("text/plain", PLAIN),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", OPENMETRICS),
    ):
        body = b"".join(
            prometheus.wsgi({"HTTP_ACCEPT": accept}, lambda *a: started.append(a))
        )
        assert b"llmguard_calls_total" in body
        assert ("Content-Type", kind) in started[-1][1]


def test_asgi(tally: Tally) -> None:
    """The same over ASGI; anything but http is refused."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any: ...

    scope = {"type": "http", "headers": [(b"accept", b"text/plain")]}
    asyncio.run(prometheus.asgi(scope, receive, send))
    assert sent[0]["status"] == 200
    assert b"llmguard_calls_total" in sent[1]["body"]
    with pytest.raises(RuntimeError, match="websocket"):
        asyncio.run(prometheus.asgi({"type": "websocket"}, receive, send))


def test_a_port_of_its_own(tally: Tally) -> None:
    """`serve` answers on a thread; other paths are not found."""
    port = prometheus.serve(0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.headers["content-type"] == PLAIN
        assert b"llmguard_calls_total" in answer.read()
    with pytest.raises(OSError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/other")


@pytest.fixture
def store_path(tally: Tally, tmp_path: Path) -> Path:
    """A store with counts, an objective and a breaker."""
    store = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    batch = Growth(tally).batch(time.time())
    assert batch is not None
    store.counts.add("prod", batch.rows, source="s", number=1, at=batch.at)
    body = json.dumps(slo.schema_valid(0.5).document())
    store.counts.put_objectives("prod", {("prom.triage", "schema_valid"): body}, at=1.0)
    store.close()
    return tmp_path / "store.db"


def test_the_command(store_path: Path) -> None:
    """`llmguard metrics` prints the store's counts, and how objectives stand."""
    shown = CliRunner().invoke(cli, ["metrics", "--store", str(store_path)])
    assert shown.exit_code == 0, shown.output
    assert (
        'llmguard_slo_burn_rate{function="prom.triage",slo="schema_valid",pin="p-1",'
        'window="5m"} 0.6666666666666666'
    ) in shown.output.splitlines()
    as_json = CliRunner().invoke(cli, ["metrics", "--store", str(store_path), "--json"])
    calls = json.loads(as_json.output)["llmguard_calls"]
    assert sum(one["value"] for one in calls) == 3
    wrong = CliRunner().invoke(
        cli, ["metrics", "--store", str(store_path), "--listen", "nowhere"]
    )
    assert wrong.exit_code == 2
    none = CliRunner().invoke(cli, ["metrics", "--store", str(store_path) + "x"])
    assert none.exit_code == 1


def test_the_command_listens(store_path: Path) -> None:
    """It serves until it is ended, and says where."""
    command = "-m llmguard metrics --listen 127.0.0.1:0 --store"
    process = subprocess.Popen(
        [sys.executable, *command.split(), str(store_path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = process.stderr.readline().split(" at ")[1].strip()
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - its own
            assert b"llmguard_calls_total" in answer.read()
    finally:
        process.terminate()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()

"""The Grafana dashboard: whole, and every query answered by a real Prometheus."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmguard.cli import cli
from llmguard.monitor import slo
from llmguard.monitor.sketch import Sketch
from llmguard.monitor.slo._yaml import dump
from llmguard.store import Action, Event, NewEntry, NewTicket, SketchRow, SqliteStore
from llmguard.telemetry.dashboard import dashboard

ROOT = Path(__file__).parents[2]

APP = """
import itertools, sys, time
from llmguard import INJECTED, Model, contract, fallback_chain, pinned, slo, static
from llmguard.outcome import Usage
from llmguard.reply import Reply
from llmguard.telemetry import prometheus
from llmguard.telemetry.tally import TALLY
from llmguard.testing import FakeModel

turns = itertools.count()
USAGE = Usage(input_tokens=9, output_tokens=4)

def said(request):
    turn = next(turns)
    if turn % 97 == 3:  # rarely enough for the breaker to stay closed
        return "no json"
    if turn % 89 == 5:
        raise ConnectionError("gone")
    return Reply(text='{"kind": "a"}', finish_reason="stop", usage=USAGE)

MODEL = FakeModel(said, name="top-1")
SCHEMA = {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}},
          "required": ["kind"], "additionalProperties": False}

@fallback_chain(static({"kind": "b"}), attempts=1)
@contract(SCHEMA, slos=[slo.schema_valid(0.5), slo.within(2.0, share=0.9)])
@pinned(MODEL.pin("top"))
def sort(text: str, *, model: Model = INJECTED) -> object:
    return model.complete(text)

print(prometheus.serve(0), flush=True)
for number in itertools.count():
    sort(f"t{number}")
    TALLY.signal("__main__.sort", MODEL.pin("top").id, "corrected")
    time.sleep(0.02)
"""


def test_it_is_what_the_command_and_the_page_have() -> None:
    """The file in `docs/` is the generated one."""
    shown = CliRunner().invoke(cli, ["metrics", "--dashboard"])
    assert json.loads(shown.output) == dashboard()
    file = ROOT / "docs" / "grafana-dashboard.json"
    assert json.loads(file.read_text("utf-8")) == dashboard()


def test_it_is_whole() -> None:
    """Ids are unique, panels do not overlap, every panel names the variable source."""
    panels = dashboard()["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        spot = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(spot["x"], spot["x"] + spot["w"])
            for y in range(spot["y"], spot["y"] + spot["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["targets"]
            assert panel["datasource"]["uid"] == "${datasource}"


def _seed(store: SqliteStore) -> None:
    """Put in what the app does not make: a route, a ticket, figures of a monitor."""
    sketch = Sketch()
    sketch.read(["words"], [True])
    sketch.sizes["chars"].add(40)
    hour = int(time.time() // 3600)
    row = SketchRow(env="prod", function="f", pin="p", hour=hour, body=sketch.to_json())
    store.monitor.add_sketch(row, lambda _, new: new)
    store.events.add(Event(env="prod", kind="alarm.drift", detail={"family": "style"}))
    store.ledger.append(
        NewEntry(
            env="prod",
            route="top",
            pin="p-1",
            action=Action.CANDIDATE,
            base_rev=0,
            actor="test",
        )
    )
    store.tickets.enqueue(
        NewTicket(
            id="t1", queue="desk", key="k", fingerprint="f", inputs={}, schema=None
        )
    )


def _port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _until(ready: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.5)


class Prometheus:
    """A real one, that scrapes one target once a second."""

    def __init__(self, folder: Path, target: str, rules: str) -> None:
        (folder / "rules.yml").write_text(rules, "utf-8")
        job = {"job_name": "llmguard", "static_configs": [{"targets": [target]}]}
        document = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [job],
        }
        (folder / "prometheus.yml").write_text(json.dumps(document), "utf-8")
        self.url = f"http://127.0.0.1:{_port()}"
        address = self.url.removeprefix("http://")
        self.process = subprocess.Popen(
            [
                "prometheus",
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                f"--web.listen-address={address}",
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, query: str) -> list[Any]:
        text = urllib.parse.urlencode({"query": query})
        url = f"{self.url}/api/v1/query?{text}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - its own
                document = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error
        except OSError:
            return []
        assert document["status"] == "success", document
        return document["data"]["result"]  # type: ignore[no-any-return]  # JSON

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


def _filled(query: str) -> str:
    return re.sub(r"\$function|\$pin", ".*", query).replace("$__rate_interval", "1m")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A program that answers calls and scrapes; yields its port and its store."""
    store = SqliteStore(tmp_path / "store.db")
    _seed(store)
    store.close()
    process = subprocess.Popen(
        [sys.executable, "-c", APP],
        cwd=tmp_path,
        env={**os.environ, "LLMGUARD_STORE": str(tmp_path / "store.db")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield f"127.0.0.1:{process.stdout.readline().strip()}", tmp_path / "store.db"
    process.kill()
    process.wait()
    process.stdout.close()


pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None and "CI" not in os.environ,
    reason="prometheus (Debian's) is missing",
)


@pytest.mark.slow
def test_every_query_is_answered_from_the_store(
    app: tuple[str, Path], tmp_path: Path
) -> None:
    """Prometheus scrapes `llmguard metrics`: each panel has data, each rule a value."""
    _, store = app
    command = "-m llmguard metrics --listen 127.0.0.1:0 --store"
    listener = subprocess.Popen(
        [sys.executable, *command.split(), str(store)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert listener.stderr is not None
    target = listener.stderr.readline().split("http://")[1].split("/")[0]
    owed = [("__main__.sort", slo.schema_valid(0.5))]
    rules = dump(slo.to_prometheus(owed))
    prometheus = Prometheus(tmp_path, target, rules)
    try:
        ratio = "llmguard:slo_errors:ratio_rate5m"
        _until(lambda: bool(prometheus.ask(ratio)), "a recorded ratio")
        queries = [
            (panel["title"], target["expr"])
            for panel in dashboard()["panels"]
            for target in panel.get("targets", ())
        ]
        assert len(queries) >= 16
        for title, query in queries:
            _until(
                lambda query=query: bool(prometheus.ask(_filled(query))),
                f"data for the panel {title!r}: {query}",
                20.0,
            )
        for note in dashboard()["annotations"]["list"]:
            assert prometheus.ask(note["expr"]) == []
        for series in prometheus.ask(ratio):
            assert 0 <= float(series["value"][1]) < 0.1
    finally:
        prometheus.stop()
        listener.terminate()
        listener.wait()
        listener.stderr.close()


@pytest.mark.slow
def test_a_running_program_is_scraped(app: tuple[str, Path], tmp_path: Path) -> None:
    """Prometheus takes both of a program's formats; counters only grow."""
    target, _ = app
    prometheus = Prometheus(tmp_path, target, "groups: []\n")
    try:
        _until(lambda: bool(prometheus.ask("llmguard_calls_total")), "a scrape")
        rate = 'sum(rate(llmguard_calls_total{outcome="ok"}[1m]))'
        _until(lambda: bool(prometheus.ask(rate)), "a rate")
        assert [one["value"][1] for one in prometheus.ask("up")] == ["1"]
        assert (
            prometheus.ask("sum(resets(llmguard_calls_total[1m]))")[0]["value"][1]
            == "0"
        )
        assert prometheus.ask("llmguard_attempt_duration_seconds_bucket")
        assert prometheus.ask("llmguard_build_info")
    finally:
        prometheus.stop()

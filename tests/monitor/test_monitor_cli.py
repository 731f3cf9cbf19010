"""`llmguard monitor`: backtests on logs, what stands in the store."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmguard.cli.monitor import monitor
from llmguard.monitor.drift import Calibration, Extractor, freeze
from llmguard.monitor.sketch import Sketch
from llmguard.store import BaselineRow, Event, SketchRow, open_store

WORDS = ("parcel", "arrives", "monday", "thanks", "order", "sent", "today", "again")


def _log(path: Path, n: int, seed: int, *, fence: float = 0.0, **more: str) -> Path:
    rng = random.Random(seed)
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        for i in range(n):
            text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(5, 15))) + "."
            text = f"```\n{text}\n```" if rng.random() < fence else text
            file.write(json.dumps({"prompt_id": str(i), "output": text} | more) + "\n")
    return path


@pytest.fixture
def run() -> Callable[..., Result]:
    def run(*args: object) -> Result:
        return CliRunner().invoke(monitor, [str(arg) for arg in args])

    return run


def test_a_backtest_says_what_fired_and_when(
    tmp_path: Path, run: Callable[..., Result]
) -> None:
    """Exit code 1 with alarms, 0 without; results of parts add up."""
    base = _log(tmp_path / "base.jsonl.gz", 400, 1)
    same = _log(tmp_path / "same.jsonl", 300, 2)
    other = _log(tmp_path / "other.jsonl", 300, 3, fence=0.5)
    quiet = run("backtest", base, same, "--json")
    assert (0, {}) == (quiet.exit_code, json.loads(quiet.stdout)["alarms"])
    loud = run("backtest", base, other)
    assert 1 == loud.exit_code
    assert "code fence 0 ->" in loud.stdout
    assert "baseline: 400 outputs without prompts" in loud.stdout
    found = run("backtest", base, other, "--json")
    document = json.loads(found.stdout)
    assert 300 == document["outputs"]
    parts = tmp_path / "a.json", tmp_path / "b.json"
    parts[0].write_text(quiet.stdout)
    parts[1].write_text(found.stdout)
    both = run("backtest", *parts, "--merge", "--json")
    merged = json.loads(both.stdout)
    assert (600, document["alarms"]) == (merged["outputs"], merged["alarms"])
    first = document["first"]["style"]["output"]
    assert first + 300 == merged["first"]["style"]["output"]


def test_a_backtest_joins_prompts_and_watches_patterns(
    tmp_path: Path, run: Callable[..., Result]
) -> None:
    """Prompts by id, a regular expression of one's own, the rate measured."""
    base = _log(tmp_path / "base.jsonl", 420, 1)
    prompts = tmp_path / "prompts.jsonl"
    lines = (json.dumps({"id": str(i), "question": f"q {i % 7}"}) for i in range(420))
    prompts.write_text("\n".join(lines))
    result = run(
        "backtest", base, "--inputs", prompts, "--pattern", "day=monday", "--measure"
    )
    assert 0 == result.exit_code, result.output
    assert "with their prompts" in result.stdout
    assert "measured within the baseline" in result.stdout


@pytest.mark.parametrize(
    ("line", "args", "said"),
    [
        ('{"x": 1}', (), "line 1: no answer in ['x']"),
        ("[1]", (), "is no JSON object"),
        ("{", (), "line 1:"),
        ('{"output": "a"}', ("--pattern", "x"), "write NAME=REGEX"),
        ('{"output": "a"}', ("--pattern", "x=("), "no regular expression"),
        ('{"output": "a"}', (), "1 outputs are too few"),
        ('{"output": "a"}', ("--field", "y"), "looked for in `y`"),
        ('{"output": "a"}', ("--merge",), "no result of"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(
    tmp_path: Path,
    run: Callable[..., Result],
    line: str,
    args: tuple[str, ...],
    said: str,
) -> None:
    """Wrong usage is exit code 2."""
    path = tmp_path / "log.jsonl"
    path.write_text(line + "\n")
    result = run("backtest", path, path, *args)
    assert 2 == result.exit_code
    assert said in result.output


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Fill a store with one watched version, and one that is being learnt."""
    url = str(tmp_path / "store.db")
    store = open_store(url)
    extractor = Extractor()
    rows = [extractor.read(" ".join(WORDS[: i % 8 + 1])) for i in range(200)]
    how = Calibration(replicates=5, outputs=200, block=1)
    made = freeze(rows, extractor, function="app.f", pin="p-1", calibration=how)
    store.monitor.put_baseline(
        BaselineRow(
            env="prod",
            function="app.f",
            pin="p-1",
            extractor=extractor.id,
            digest=made.digest,
            outputs=200,
            at=1.0,
            body=made.to_json(),
        )
    )
    import time

    for pin in ("p-1", "p-2"):
        sketch = Sketch()
        sketch.told("ok", 3)
        sketch.told("schema")
        sketch.read(extractor.marks, rows[0].marks)
        sketch.sizes["chars"].add(120)
        hour = int(time.time() // 3600)
        row = SketchRow(
            env="prod", function="app.f", pin=pin, hour=hour, body=sketch.to_json()
        )
        store.monitor.add_sketch(row, lambda a, _: a)
    return url


def test_status_shows_versions_and_their_alarms(
    url: str, run: Callable[..., Result]
) -> None:
    """Exit code 1 once an alarm stands."""
    quiet = run("status", "--store", url)
    assert 0 == quiet.exit_code
    assert "25.0%" in quiet.stdout
    assert "learning" in quiet.stdout
    detail = {"function": "app.f", "family": "style"}
    open_store(url).events.add(
        Event(env="prod", kind="alarm.drift", pin="p-2", detail=detail)
    )
    loud = run("status", "app.f", "--store", url)
    assert 1 == loud.exit_code
    assert "1: style" in loud.stdout
    documents = json.loads(run("status", "--store", url, "--json").stdout)
    assert ["p-1", "p-2"] == [each["pin"] for each in documents]
    assert 200 == documents[0]["baseline"]["outputs"]


def test_baselines_are_listed_shown_and_dropped(
    url: str, run: Callable[..., Result]
) -> None:
    """The document itself can be printed; a dropped one is learnt anew."""
    assert "p-1" in run("baseline", "--store", url).stdout
    assert (
        "app.f"
        == json.loads(run("baseline", "--store", url, "--json").stdout)[0]["function"]
    )
    site = ("baseline", "app.f", "p-1", "--store", url)
    assert "200 outputs" in run(*site).stdout
    shown = json.loads(run(*site, "--json").stdout)
    assert shown["per_10k"] == 1.0
    assert "app.f" == json.loads(run(*site, "--document").stdout)["function"]
    assert 0 == run(*site, "--drop").exit_code
    gone = run(*site)
    assert 1 == gone.exit_code
    assert "has no baseline" in gone.output
    assert "no version has a baseline" in run("baseline", "--store", url).stdout
    assert 2 == run("baseline", "--drop", "--store", url).exit_code


def test_without_a_store_it_says_so(tmp_path: Path, run: Callable[..., Result]) -> None:
    """A command that only looks makes no file."""
    path = tmp_path / "none.db"
    assert 1 == run("status", "--store", path).exit_code
    assert not path.exists()
    open_store(str(path))
    assert "llmguard.monitor.start()" in run("status", "--store", path).stdout

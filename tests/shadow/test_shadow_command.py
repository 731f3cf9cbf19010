"""`llmguard shadow compare` and `plan`, as a newcomer runs them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmguard.cli import cli
from llmguard.shadow import ShadowEvidence, render
from llmguard.store import open_store


def _run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["shadow", *map(str, words)])


def _write(path: Path, choices: dict[str, float], *, seed: int, n: int = 500) -> Path:
    rng = random.Random(seed)
    rows = [
        {
            "id": f"r{i}",
            "output": {"answer": rng.choices([*choices], [*choices.values()])[0]},
            "slice": "legal" if i % 10 == 0 else "other",
        }
        for i in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Return two runs of an incumbent and one each of a good and a bad challenger."""
    same, other = {"x": 0.95, "y": 0.05}, {"x": 0.8, "y": 0.2}
    return {
        "a": _write(tmp_path / "a.jsonl", same, seed=1),
        "a2": _write(tmp_path / "a2.jsonl", same, seed=2),
        "good": _write(tmp_path / "good.jsonl", same, seed=3),
        "bad": _write(tmp_path / "bad.jsonl", other, seed=4),
    }


def test_a_challenger_that_differs_alarms_with_3(files: dict[str, Path]) -> None:
    """The first line is the verdict; the tail shows requests side by side."""
    done = _run(
        "compare", files["a"], files["bad"], "--repeat-a", files["a2"],
        "--stratum", "slice",
    )  # fmt: skip
    assert 3 == done.exit_code, done.output
    assert done.output.startswith("BLOCK  the versions differ by +")
    for part in ("x → y", "The tail", "Strata, the worst first", "not visible"):
        assert part in done.output


def test_the_same_version_does_not(files: dict[str, Path]) -> None:
    """No alarm is 0; `--gate` wants more than the absence of an alarm."""
    words = ("compare", files["a"], files["good"], "--repeat-a", files["a2"])
    done = _run(*words)
    assert 0 == done.exit_code, done.output
    assert done.output.startswith(("PROMOTE", "UNDECIDED"))
    alone = _run("compare", files["a"], files["good"], "--gate")
    assert 3 == alone.exit_code
    assert "never drawn twice" in alone.output


def test_json_page_and_counts_are_written(
    files: dict[str, Path], tmp_path: Path
) -> None:
    """One JSON document on stdout, which reads back as the report."""
    page, counts = tmp_path / "out" / "page.html", tmp_path / "tally.json"
    done = _run(
        "compare", files["a"], files["bad"], "--repeat-a", files["a2"],
        "--json", "--html", page, "--tally", counts,
    )  # fmt: skip
    document = json.loads(done.output)
    assert ("shadow", True, "BLOCK") == (
        document["kind"],
        document["alarm"],
        document["verdict"],
    )
    assert 500 == render.load(document).requests
    assert "<!doctype html>" in page.read_text(encoding="utf-8")
    assert 1 == json.loads(counts.read_text(encoding="utf-8"))["format"]


def test_evidence_is_kept_for_the_gate(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store has the verdict under the challenger's pin; pins are needed for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMGUARD_STORE", f"sqlite:///{tmp_path / 'store.db'}")
    for name in ("a", "bad"):
        added = CliRunner().invoke(
            cli,
            [
                "pin",
                "add",
                "triage",
                "--provider",
                "replay",
                "--model",
                f"{name}.jsonl",
            ],
        )
        assert 0 == added.exit_code, added.output
    listed = CliRunner().invoke(cli, ["pin", "list", "--json"])
    ids = {row["model"]: row["id"] for row in json.loads(listed.output)}
    words = (
        "compare", files["a"], files["bad"], "--repeat-a", files["a2"], "--evidence",
    )  # fmt: skip
    assert 2 == _run(*words).exit_code
    done = _run(
        *words, "--function", "app.triage", "--pin", ids["bad.jsonl"],
        "--incumbent-pin", ids["a.jsonl"], "--json",
    )  # fmt: skip
    assert 3 == done.exit_code, done.output
    digest = json.loads(done.output)["evidence"]
    row = open_store().get_evidence(digest)
    assert row is not None
    assert ("shadow", "app.triage", "BLOCK") == (row.kind, row.function, row.verdict)
    assert ids["bad.jsonl"] == ShadowEvidence.load(row.body).pin


@pytest.mark.parametrize(
    ("options", "code", "part"),
    [
        (["--field", "answer"], 2, "NAME=RULE"),
        (["--field", "answer=mood"], 1, "field 'answer'"),
        (["--part", "3/2"], 2, "K goes from 1 to N"),
        (["--part", "x"], 2, "such as 1/4"),
        (["--id", "key"], 1, "no `key`"),
        (["--config", "none.toml"], 1, "none.toml"),
        (["--id", "output.answer"], 0, "UNDECIDED"),
    ],
)
def test_wrong_usage_is_named(
    files: dict[str, Path], options: list[str], code: int, part: str
) -> None:
    """Each message says what was given and what would do."""
    done = _run("compare", files["a"], files["bad"], *options)
    told = f"{done.output} {done.exception}"
    assert part in told
    assert code == done.exit_code


def test_options_declare_the_ladder(files: dict[str, Path]) -> None:
    """A field that is ignored differs no more; a critical one is marked."""
    words = ("compare", files["a"], files["bad"], "--repeat-a", files["a2"])
    done = _run(*words, "--field", "answer=ignore")
    assert 0 == done.exit_code, done.output
    done = _run(*words, "--critical", "answer")
    assert "/answer (critical)" in done.output


def test_plan_says_how_long_and_what_it_costs() -> None:
    """At a fair traffic two or three days; the bill grows by 15 %."""
    done = _run("plan", "--traffic", "1_500/hour", "--call-cost", 0.002)
    assert 0 == done.exit_code, done.output
    assert "15 % more than today, costing" in done.output
    assert "24 to 48 hours" in done.output
    found = json.loads(_run("plan", "--traffic", 36000, "--json").output)
    assert found["traffic"] == 36000
    assert 0.0 < found["sees"]["48"] < found["sees"]["24"]


def test_plan_says_what_is_out_of_reach() -> None:
    """Half a point over a floor of 9 % at a hundred requests a day: never."""
    done = _run("plan", "--traffic", "100/day", "--detect", "0.5%")
    assert "out of reach" in done.output
    assert "Not even all of the traffic" in done.output


@pytest.mark.parametrize(
    "words", [["--traffic", "many"], ["--traffic", 5, "--sample", "x"]]
)
def test_plan_refuses_what_it_cannot_read(words: list[Any]) -> None:
    """Rates and shares have a form."""
    assert 2 == _run("plan", *words).exit_code
    assert 1 == _run("plan", "--traffic", 5, "--sample", "0%").exit_code


def test_recordings_without_a_request_in_common_are_an_error(
    files: dict[str, Path], tmp_path: Path
) -> None:
    """Ids that mean different things must not look like a comparison."""
    other = tmp_path / "other.jsonl"
    other.write_text('{"id": "else", "output": "x"}\n', encoding="utf-8")
    done = _run("compare", files["a"], other)
    assert 1 == done.exit_code
    assert "500 requests are in 'a.jsonl' only and 1 in" in str(done.exception)
    empty = tmp_path / "empty.jsonl"
    empty.write_text("", encoding="utf-8")
    assert "the files are empty" in str(_run("compare", empty, empty).exception)


def test_workers_share_the_work(files: dict[str, Path], tmp_path: Path) -> None:
    """Two halves, added by the second worker, are the whole."""
    words = ("compare", files["a"], files["bad"], "--repeat-a", files["a2"], "--json")
    counts = tmp_path / "half.json"
    assert 0 == _run(*words, "--part", "1/2", "--tally", counts).exit_code
    whole = json.loads(_run(*words).output)
    both = json.loads(_run(*words, "--part", "2/2", "--with", counts).output)
    for name in ("requests", "main", "transitions", "content_digest", "examples"):
        assert whole[name] == both[name]
    other = _run(*words, "--type", "text", "--with", counts)
    assert 1 == other.exit_code
    assert "'half.json' cannot be added" in str(other.exception).replace(
        f"{tmp_path}/", ""
    )

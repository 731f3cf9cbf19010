"""Floors, raw and net of real recordings, through the command.

The reference figures were computed from the same files by other code. Skipped where the
recordings are absent (`LLMGUARD_TEST_DATA`).
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmguard.cli import cli

DATA = Path(
    os.environ.get(
        "LLMGUARD_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"
    )
)
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no recordings at {DATA}; set LLMGUARD_TEST_DATA"
)
CALLS = str(DATA / "bfcl-function-calls" / "outputs.{}-FC.run-2024-{}.jsonl.gz")
TEXTS = str(DATA / "alpaca-eval" / "outputs.{}.jsonl.gz")
MATHS = str(DATA / "zeroeval" / "gsm.outputs.{}.jsonl.gz")
CHOICES = DATA / "llm-stability"
LLAMA = "Llama-3.1-405B-Inst_at_sambanova"
BARE = "[ladder]\nrefusal = false\nclarification = false\n"
"""Call or text, whatever the text says: what the reference figures call the kind."""


def _compare(tmp_path: Path, *words: object, config: str = "") -> dict[str, Any]:
    if config:
        file = tmp_path / "shadow.toml"
        file.write_text(config, encoding="utf-8")
        words = (*words, "--config", file)
    done = CliRunner().invoke(cli, ["shadow", "compare", *map(str, words), "--json"])
    assert done.exit_code in {0, 3}, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def _points(found: dict[str, Any], *names: str) -> list[float]:
    return [round(100 * found[name]["value"], 2) for name in names]


def _near(expected: Sequence[float], actual: Sequence[float]) -> bool:
    """Equal within the rounding of figures with one decimal."""
    return all(
        math.isclose(one, other, abs_tol=0.0501)
        for one, other in zip(expected, actual, strict=True)
    )


@pytest.mark.parametrize(
    ("model", "structure", "anything"),
    [
        ("gpt-4-1106-preview", 1.9, 8.8),
        ("gpt-4-0125-preview", 2.5, 8.9),
        ("gpt-4o-2024-05-13", 3.6, 13.5),
    ],
)
def test_tool_calls_of_one_snapshot_a_month_apart(
    tmp_path: Path, model: str, structure: float, anything: float
) -> None:
    """The same version differs from itself on 9 to 14 % of the requests: the floor.

    One recording stands for the challenger, which then shows no net at all.
    """
    july, august = CALLS.format(model, "07-06"), CALLS.format(model, "08-11")
    words = (july, july, "--repeat-a", august, "--repeat-b", august)
    for expected, rules in (
        (structure, '\n[fields]\n"calls.*" = "ignore"\n'),
        (anything, ""),
    ):
        found = _compare(tmp_path, *words, config=BARE + rules)
        assert _near([expected], _points(found["main"], "floor_a"))
        assert 0 == found["main"]["net"]["value"] == found["main"]["excess"]["value"]
        assert not found["alarm"]


@pytest.mark.parametrize(
    ("versions", "rules", "expected"),
    [
        (
            ("gpt-4-1106-preview", "gpt-4-0125-preview"),
            "structure",
            (1.9, 2.7, 0.8, 0.5),
        ),
        (("gpt-4-1106-preview", "gpt-4-0125-preview"), "any", (8.8, 11.9, 3.1, 3.0)),
        (("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"), "structure", (3.6, 5.1, 1.5)),
        (("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"), "any", (13.5, 15.1, 1.7)),
    ],
)
def test_tool_calls_of_upgrades(
    tmp_path: Path,
    versions: tuple[str, str],
    rules: str,
    expected: tuple[float, ...],
) -> None:
    """Floor, raw, net and, where the challenger was run twice, excess."""
    old, new = versions
    first, second = (
        ("08-11", "07-06") if old.startswith("gpt-4-") else ("07-06", "08-11")
    )
    words: list[object] = [CALLS.format(old, first), CALLS.format(new, "08-11")]
    words += ["--repeat-a", CALLS.format(old, second), "--first-only"]
    names = ["floor_a", "raw", "net"]
    if len(expected) > 3:
        words += ["--repeat-b", CALLS.format(new, "07-06")]
        names.append("excess")
    ignore = '\n[fields]\n"calls.*" = "ignore"\n' if rules == "structure" else ""
    found = _compare(tmp_path, *words, config=BARE + ignore)
    assert _near(expected, _points(found["main"], *names))


def test_one_call_a_turn_that_became_several_is_seen_at_once(tmp_path: Path) -> None:
    """Parallel prompts: nearly every request changes the number of calls."""
    found = _compare(
        tmp_path,
        CALLS.format("gpt-4-0613", "08-11"),
        CALLS.format("gpt-4-1106-preview", "08-11"),
        "--stratum-pattern",
        "^[^/]+",
    )
    worst = {row["name"]: row["rates"]["raw"]["value"] for row in found["strata"][:2]}
    assert {"parallel_function", "parallel_multiple_function"} == set(worst)
    assert min(worst.values()) > 0.97
    top = found["transitions"][0]
    assert ("@calls", "1 call") == (top["path"], top["before"])


@pytest.mark.parametrize(
    ("task", "floor"),
    [
        ("ruin_names", 4.5),
        ("public_relations", 12.6),
        ("navigate", 20.1),
        ("professional_accounting", 21.1),
    ],
)
def test_strict_answers_at_temperature_0(
    tmp_path: Path, task: str, floor: float
) -> None:
    """Five runs of one version in one file: its floor, and no net against itself."""
    file = CHOICES / f"{task}.outputs.gpt-4o.jsonl.gz"
    schema = CHOICES / f"{task}.declared_schema.json"
    found = _compare(tmp_path, file, file, "--schema", schema)
    main = found["main"]
    assert _near([floor, floor], _points(main, "floor_a", "raw"))
    assert 0 == main["net"]["value"] == main["excess"]["value"]
    assert any("same recording" in note for note in found["notes"])


def test_versions_against_themselves_raise_no_alarm(tmp_path: Path) -> None:
    """Every pair of the five runs, a third one being the repeat: no alarm."""
    alarms: list[object] = []
    for task in ("ruin_names", "navigate", "professional_accounting"):
        rows = _samples(CHOICES / f"{task}.outputs.gpt-4o.jsonl.gz")
        runs = [tmp_path / f"{task}.{sample}.jsonl" for sample in range(5)]
        for sample, run in enumerate(runs):
            run.write_text("\n".join(rows[sample]), encoding="utf-8")
        schema = CHOICES / f"{task}.declared_schema.json"
        config = f"[ladder]\nschema = '{schema}'\n[thresholds]\nminimum = 100\n"
        for a, b in itertools.combinations(range(5), 2):
            rest = [runs[i] for i in range(5) if i not in {a, b}]
            found = _compare(
                tmp_path,
                *(runs[a], runs[b], "--repeat-a", rest[0], "--repeat-b", rest[1]),
                config=config,
            )
            if found["alarm"]:
                alarms.append((task, a, b))
    assert [] == alarms


def _samples(path: Path) -> dict[int, list[str]]:
    import gzip

    found: dict[int, list[str]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            found.setdefault(json.loads(line)["sample"], []).append(line.strip())
    return found


def test_free_text_of_an_upgrade(tmp_path: Path) -> None:
    """Markdown and length leap, refusals hardly, prose is never compared by its bytes.

    The refusals of the reference (floor 2.1, raw 3.3, net 1.2) were found by another
    lexicon: raw is 3.35 here, half a request of 805 from it.
    """
    found = _compare(
        tmp_path,
        TEXTS.format("gpt-4-0314"),
        TEXTS.format("gpt-4-0613"),
        "--repeat-a",
        TEXTS.format("gpt-4-alias-mid2023"),
        "--type",
        "text",
    )
    paths = {row["path"]: row["rates"] for row in found["paths"]}
    names = ("floor_a", "raw", "net")
    assert _near([1.1, 9.5, 8.4], _points(paths["@markdown"], *names))
    assert _near([2.9, 9.9, 7.0], _points(paths["@length"], *names))
    floor, raw, net = _points(paths["@act"], *names)
    assert _near([2.1, 1.2], [floor, net])
    assert math.isclose(3.3, raw, abs_tol=100 / 805)
    assert not found["alarm"]


def test_the_alias_and_its_snapshot_are_no_alarm(tmp_path: Path) -> None:
    """The same weights presumed: half of the raw rate would have been an incident."""
    found = _compare(
        tmp_path,
        TEXTS.format("gpt-4-0314"),
        TEXTS.format("gpt-4-alias-mid2023"),
        "--repeat-a",
        TEXTS.format("gpt-4-alias-mid2023"),
    )
    assert not found["alarm"]
    assert any("copy" in note for note in found["notes"])


ANSWERS = """
[ladder]
output = "structured"
[fields]
answer = {how = "number", relative = 0}
reasoning = "text"
"""


@pytest.mark.parametrize(
    ("a", "b", "raw"),
    [
        (LLAMA, "Meta-Llama-3.1-405B-Instruct_at_hyperbolic", 4.2),
        (LLAMA, "Llama-3.1-405B-Instruct-Turbo", 5.0),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06", 3.5),
        ("claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20241022", 3.4),
        ("gemini-1.5-pro", "gemini-1.5-pro-exp-0801", 9.3),
    ],
)
def test_answers_of_one_model_on_other_hosts_and_of_upgrades(
    tmp_path: Path, a: str, b: str, raw: float
) -> None:
    """The share of numeric answers that differ, however they are fenced."""
    found = _compare(
        tmp_path,
        MATHS.format(a),
        MATHS.format(b),
        config=ANSWERS + '"@form" = "ignore"\n',
    )
    assert _near([raw], _points(found["main"], "raw"))
    assert "never drawn twice" in found["reason"]


def test_the_lost_fence_is_the_top_transition(tmp_path: Path) -> None:
    """Better by every score, and another form on 99 % of the requests."""
    found = _compare(
        tmp_path,
        MATHS.format("claude-3-5-sonnet-20240620"),
        MATHS.format("claude-3-5-sonnet-20241022"),
        config=ANSWERS,
    )
    assert found["main"]["raw"]["value"] > 0.99
    top = found["transitions"][:2]
    assert {("@form", "raw")} == {(row["path"], row["after"]) for row in top}

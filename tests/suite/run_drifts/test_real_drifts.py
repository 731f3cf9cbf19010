"""Recorded versions that really changed, judged through the command.

Chen, Zaharia, Zou, "How is ChatGPT's behavior changing over time?" (arXiv 2307.09009):
surveys, primes, sensitive questions, code; ZeroEval: word problems answered in JSON;
Atil et al. (arXiv 2408.04667): five runs of one version. Skipped where the recordings
are absent (`LLMGUARD_TEST_DATA`).
"""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmguard.cli import cli

HERE = Path(__file__).parent
GPT = "llmdrift/{}.outputs.gpt-4-{}"
GSM = "zeroeval/gsm.outputs.{}"


@pytest.fixture(scope="module", name="data")
def recordings() -> Path:
    """Give the folder of recordings, or skip."""
    import os

    default = HERE.parents[3] / "shared" / "data"
    found = Path(os.environ.get("LLMGUARD_TEST_DATA", default))
    if not (found / "llmdrift").is_dir():
        pytest.skip(f"no recordings at {found}; set LLMGUARD_TEST_DATA")
    return found


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name suites as `drift_suites:NAME`."""
    monkeypatch.chdir(HERE)


def judged(data: Path, suite: str, candidate: str, *words: str) -> dict[str, Any]:
    """Run the command on a recording and return its report."""
    done = CliRunner().invoke(
        cli,
        [
            *("suite", "run", f"drift_suites:{suite}", "--json", "--quiet"),
            *("--candidate", f"replay:{data / candidate}.jsonl.gz"),
            *("--no-evidence", "--no-journal", *words),
        ],
    )
    report: dict[str, Any] = json.loads(done.stdout)
    codes = ["PROMOTE", "BLOCK", "UNDECIDED", "ERROR"]
    assert codes.index(report["verdict"]) == done.exit_code
    return report


def verdicts(
    data: Path, suite: str, candidate: str, seeds: int
) -> list[tuple[str, int]]:
    """Return the verdict and the judged calls of some dispatch orders."""
    reports = [
        judged(data, suite, candidate, "--seed", str(seed)) for seed in range(seeds)
    ]
    return [(one["verdict"], one["assertions"][0]["n"]) for one in reports]


def test_a_survey_that_is_declined_is_blocked_within_ten_calls(data: Path) -> None:
    """GPT-4 of June 2023 answers 23 % of a survey, that of March 98 %."""
    found = verdicts(data, "opinionqa", GPT.format("opinionqa", "0613"), 5)
    assert {"BLOCK"} == {verdict for verdict, _ in found}
    assert all(n <= 10 for _, n in found)


def test_the_survey_of_march_is_accepted(data: Path) -> None:
    """The incumbent passes its own contract, in a few dozen calls."""
    found = verdicts(data, "opinionqa", GPT.format("opinionqa", "0314"), 3)
    assert {"PROMOTE"} == {verdict for verdict, _ in found}
    assert all(n <= 400 for _, n in found)


def test_primes_flip_from_yes_to_no(data: Path) -> None:
    """The slices name the flip: every prime is wrong, hardly any composite."""
    report = judged(data, "primes", GPT.format("prime", "0613"), "--seed", "1")
    assert "BLOCK" == report["verdict"]
    worst, best = report["assertions"][0]["slices"]
    assert ("prime", "composite") == (worst["name"], best["name"])
    assert worst["rate"] >= 0.9
    assert best["rate"] <= 0.1


def test_primes_of_march_are_accepted(data: Path) -> None:
    """84 % right is within 20 to 30 % wrong."""
    report = judged(data, "primes", GPT.format("prime", "0314"), "--seed", "1")
    assert "PROMOTE" == report["verdict"]


def test_sensitive_questions_are_declined_more(data: Path) -> None:
    """21 of 100 answered against 5: declared before the hundred are used up."""
    found = verdicts(data, "sensitiveq", GPT.format("sensitiveq", "0613"), 3)
    assert {"BLOCK"} == {verdict for verdict, _ in found}
    assert all(n <= 100 for _, n in found)


def test_code_grows_a_fence_and_nothing_else_is_claimed(data: Path) -> None:
    """88 % are fenced; that the code below got better is not read as a drift."""
    name = GPT.format("leetcode_easy", "0613")
    report = judged(data, "leetcode", name, "--seed", "1", "--full")
    assert "BLOCK" == report["verdict"]
    said = {one["name"]: one["status"] for one in report["assertions"]}
    assert "blocked" == said["no fence"]
    assert "blocked" == said["runs as it is"]
    assert "blocked" != said["accepted without the fence"]


def test_a_fence_that_is_gone_is_blocked_though_scores_rose(data: Path) -> None:
    """Claude 3.5 Sonnet of October is more often right and never fenced."""
    found = verdicts(data, "gsm_fence", GSM.format("claude-3-5-sonnet-20241022"), 5)
    assert {"BLOCK"} == {verdict for verdict, _ in found}
    assert all(n <= 10 for _, n in found)


def test_clean_json_is_accepted_after_171_calls(data: Path) -> None:
    """No failure in 171 calls rules out 2 %, with 95 % confidence."""
    (found,) = verdicts(data, "gsm_json", GSM.format("gpt-4o-2024-08-06"), 1)
    assert ("PROMOTE", 171) == found


def test_a_contract_that_the_incumbent_breaks_gates_nothing(data: Path) -> None:
    """Claude of June never wrote bare JSON: it is the contract that is wrong."""
    name = GSM.format("claude-3-5-sonnet-20241022")
    report = judged(data, "gsm_raw", name, "--seed", "1", "--with-incumbent")
    assert "ERROR" == report["verdict"]
    assert report["reason"].startswith("the incumbent itself fails `raw json`")


def test_a_rate_between_the_two_stays_open(data: Path) -> None:
    """A host at 1.4 % invalid JSON is neither shown below 2 % nor above 0.5 %."""
    name = GSM.format("Meta-Llama-3.1-405B-Instruct_at_hyperbolic")
    report = judged(data, "gsm_json", name, "--seed", "5")
    (only,) = report["assertions"]
    assert ("UNDECIDED", "cap") == (report["verdict"], report["stopped"])
    assert 1319 == only["n"]
    assert 0.005 < only["rate"] < 0.02


def test_an_alias_and_its_snapshot_behave_alike(data: Path) -> None:
    """`gpt-4` and `gpt-4-0314` were one model: fences, lists and length agree."""
    report = judged(
        data,
        "chat",
        "alpaca-eval/outputs.gpt-4-0314",
        *(
            "--incumbent",
            f"replay:{data}/alpaca-eval/outputs.gpt-4-alias-mid2023.jsonl.gz",
        ),
        *("--seed", "1"),
    )
    assert "PROMOTE" == report["verdict"]


TASKS = ("ruin_names", "navigate", "professional_accounting", "public_relations")


def repeats(data: Path, task: str, folder: Path) -> list[Path]:
    """Write each of the five runs of a task as a version of its own."""
    runs: list[list[str]] = [[] for _ in range(5)]
    source = data / "llm-stability" / f"{task}.outputs.gpt-4o.jsonl.gz"
    with gzip.open(source, "rt", encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            runs[record["sample"]].append(json.dumps(record | {"sample": 0}))
    paths = [folder / f"{task}.{number}" for number in range(5)]
    for path, run in zip(paths, runs, strict=True):
        path.with_suffix(f"{path.suffix}.jsonl.gz").write_bytes(
            gzip.compress("\n".join(run).encode())
        )
    return paths


def declared(
    data: Path,
    task: str,
    folder: Path,
    pairs: list[tuple[int, int]],
    *,
    suite: str = "stability",
) -> int:
    """Count the pairs of runs of one version that are told apart."""
    runs = repeats(data, task, folder)
    blocked = 0
    for first, second in pairs:
        report = judged(
            data,
            f"{suite}.{task}",
            str(runs[second]),
            *("--incumbent", f"replay:{runs[first]}.jsonl.gz"),
            *("--seed", "1"),
        )
        blocked += report["verdict"] == "BLOCK"
    return blocked


@pytest.mark.parametrize("task", TASKS)
def test_a_version_is_not_told_apart_from_itself(
    data: Path, task: str, tmp_path: Path
) -> None:
    """Two runs of one version differ on 5 to 21 % of answers; nothing is declared."""
    assert 0 == declared(data, task, tmp_path, [(0, 1)])


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "most"), [("stability", 0), ("stability_5", 2)])
def test_hardly_a_pair_of_runs_is_told_apart(
    data: Path, tmp_path: Path, suite: str, most: int
) -> None:
    """Of all forty pairs none at alpha 0.01, and at most two at 0.05."""
    pairs = list(itertools.combinations(range(5), 2))
    found = [declared(data, task, tmp_path, pairs, suite=suite) for task in TASKS]
    assert sum(found) <= most


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suite", "candidate", "expected"),
    [
        ("opinionqa", GPT.format("opinionqa", "0613"), ("BLOCK", 5, 10)),
        ("opinionqa", GPT.format("opinionqa", "0314"), ("PROMOTE", 120, 200)),
        ("primes", GPT.format("prime", "0613"), ("BLOCK", 40, 70)),
        ("primes", GPT.format("prime", "0314"), ("PROMOTE", 120, 200)),
        ("primes_paired", GPT.format("prime", "0613"), ("BLOCK", 70, 130)),
        ("sensitiveq", GPT.format("sensitiveq", "0613"), ("BLOCK", 70, 80)),
        ("gsm_fence", GSM.format("claude-3-5-sonnet-20241022"), ("BLOCK", 5, 10)),
    ],
)
def test_calls_to_a_verdict_over_twenty_orders(
    data: Path, suite: str, candidate: str, expected: tuple[str, int, int]
) -> None:
    """What the page says was measured, with room for other orders."""
    verdict, median, p90 = expected
    found = verdicts(data, suite, candidate, 20)
    calls = sorted(n for _, n in found)
    assert {verdict} == {said for said, _ in found}
    assert calls[10] <= median
    assert calls[17] <= p90

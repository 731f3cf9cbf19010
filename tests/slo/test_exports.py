"""OpenSLO and Prometheus: written, read back, and taken by the real tool."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmguard import config, slo
from llmguard.errors import ConfigError
from llmguard.monitor.slo import read_openslo, to_openslo, to_prometheus
from llmguard.monitor.slo._openslo import declare_settings
from llmguard.monitor.slo._rules import METRIC
from llmguard.monitor.slo._yaml import dump
from llmguard.telemetry.objectives import declared

MADE = [
    slo.schema_valid(0.995, owner="ml"),
    slo.contract_valid(0.99, days=7),
    slo.refused(0.01),
    slo.answered(0.999),
    slo.degraded(0.05),
    slo.within(2.5, share=0.95),
    slo.corrected(0.1),
    slo.rejected(0.07),
    slo.accepted(0.9, name="kept"),
]
promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian's prometheus) is missing"
)


def _promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("objective", MADE, ids=lambda one: one.name)
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_openslo_there_and_back(
    objective: slo.Objective, suffix: str, tmp_path: Path
) -> None:
    """What is written is read as the same objective, from JSON and from YAML."""
    document = to_openslo("app.llm.triage", objective)
    file = tmp_path / f"slo.{suffix}"
    service = {"apiVersion": "openslo/v1", "kind": "Service", "metadata": {"name": "a"}}
    if suffix == "json":
        file.write_text(json.dumps([service, document]), "utf-8")
    else:
        file.write_text(f"---\n{dump(service)}---\n{dump(document)}", "utf-8")
    assert read_openslo(file) == [("app.llm.triage", objective)]
    assert len(document["metadata"]["name"]) <= 63


def _wrong(**changes: Any) -> dict[str, Any]:
    document = to_openslo("app.triage", slo.schema_valid(0.99))
    for path, value in changes.items():
        target: Any = document
        *way, last = path.split("__")
        for step in way:
            target = target[int(step) if step.isdigit() else step]
        if value is None:
            del target[last]
        else:
            target[last] = value
    return document


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"apiVersion": "openslo/v2alpha"}, "openslo/v1"),
        ({"spec__timeWindow": []}, "lacks"),
        ({"spec__objectives__0__target": None}, "target"),
        ({"spec__budgetingMethod": "Timeslices"}, "Occurrences"),
        ({"spec__timeWindow__0__isRolling": False}, "isRolling"),
        ({"spec__timeWindow__0__duration": "1M"}, "30d"),
        ({"metadata__annotations": {}}, "llmguard/sli"),
        ({"metadata__annotations": {"llmguard/function": "f"}}, "schema_valid"),
    ],
)
def test_a_document_that_cannot_be_counted(
    changes: dict[str, Any], word: str, tmp_path: Path
) -> None:
    """The message names the document and the repair."""
    file = tmp_path / "slo.json"
    file.write_text(json.dumps(_wrong(**changes)), "utf-8")
    with pytest.raises(ConfigError, match=word):
        read_openslo(file)


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", "{"), ("a.yaml", "a: [b"), ("b.json", "[1]")]
)
def test_a_file_that_is_none(name: str, text: str, tmp_path: Path) -> None:
    """Broken files are named."""
    file = tmp_path / name
    with pytest.raises(ConfigError, match=name):
        read_openslo(file)
    file.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=name):
        read_openslo(file)


def test_the_settings_name_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`slos = ["slo/*.json"]` declares what they say; a missing one is named."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.llmguard]\nslos = ["slo/*.json"]\n', "utf-8"
    )
    monkeypatch.chdir(tmp_path)
    config.reset()
    try:
        with pytest.raises(ConfigError, match="no file"):
            declare_settings()
        (tmp_path / "slo").mkdir()
        document = to_openslo("settings.f", slo.refused(0.02))
        (tmp_path / "slo" / "a.json").write_text(json.dumps(document), "utf-8")
        declare_settings()
        declare_settings()
        assert [one.name for one in declared()["settings.f"]] == ["refusals"]
    finally:
        monkeypatch.undo()
        config.reset()


def test_yaml_is_what_was_meant() -> None:
    """The small writer and a whole reader agree, odd strings and empties included."""
    document = {
        "a": [1, 2.5, "x: y", {"b": [], "c": {}}, [["d"]]],
        "on": True,
        "k k": None,
        "text": "line\nline # no comment {{ $labels.pin }} é",
    }
    assert yaml.safe_load(dump(document)) == document


@promtool
def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    """`promtool check rules` finds nothing wrong with any indicator's rules."""
    rules = to_prometheus([("app.triage", one) for one in MADE])
    (tmp_path / "rules.yml").write_text(dump(rules), "utf-8")
    done = _promtool("check", "rules", "rules.yml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_late_reports_are_held_against_all_answers() -> None:
    """The good ones count every answer, so that no counter has to fall."""
    late, first = (
        json.dumps(to_prometheus([("app.triage", one)])["groups"][0]["rules"][0])
        for one in (slo.corrected(0.1), slo.schema_valid(0.995))
    )
    assert late.count("outcome=") == 3  # bad / good, with good for what has no bad
    assert first.count("outcome=") == 1
    ratio = to_openslo("app.triage", slo.corrected(0.1))["spec"]["indicator"]["spec"]
    assert {"counter", "bad", "total"} == set(ratio["ratioMetric"])
    total = ratio["ratioMetric"]["total"]["metricSource"]["spec"]["query"]
    assert 'outcome="good"' in total


def _case(at: str, bad: str, good: str, windows: list[str]) -> dict[str, Any]:
    labels = 'function="app.triage",slo="schema_valid",pin="p-1"'
    alert = {
        "function": "app.triage",
        "slo": "schema_valid",
        "pin": "p-1",
        "alertname": "LlmguardSloBurn",
    }
    severities = {"5m+1h": "page", "30m+6h": "page"}
    expected = [
        {**alert, "windows": w, "severity": severities.get(w, "warning")}
        for w in windows
    ]
    return {
        "interval": "1m",
        "input_series": [
            {"series": f'{METRIC}{{{labels},outcome="bad"}}', "values": bad},
            {"series": f'{METRIC}{{{labels},outcome="good"}}', "values": good},
        ],
        "promql_expr_test": [
            {
                "expr": "count(ALERTS{alertname='LlmguardSloBurn',alertstate='firing'})"
                " or vector(0)",
                "eval_time": at,
                "exp_samples": [{"labels": "{}", "value": len(expected)}],
            },
            *[
                {
                    "expr": f"ALERTS{{windows='{one['windows']}'}}",
                    "eval_time": at,
                    "exp_samples": [
                        {
                            "labels": "ALERTS{alertstate='firing',"
                            + ",".join(f"{k}='{v}'" for k, v in one.items())
                            + "}",
                            "value": 1,
                        }
                    ],
                }
                for one in expected
            ],
        ],
    }


@promtool
def test_the_rules_fire_as_ours_do(tmp_path: Path) -> None:
    """A third bad pages within the hour; a healthy hour and four bad events do not."""
    rules = to_prometheus([("app.triage", slo.schema_valid(0.995))])
    (tmp_path / "rules.yml").write_text(dump(rules), "utf-8")
    every = ["5m+1h", "30m+6h", "2h+1d", "6h+3d"]
    tests = [
        _case("1h", "0+30x60", "0+70x60", every),
        _case("1h", "0+0x60", "0+100x60", []),
        _case("1h", "0+0x50 1 2 3 4 4 4 4 4 4 4", "0+1x60", []),
        _case("6h", "0+4x360", "0+96x360", every[1:]),
    ]
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": tests,
    }
    (tmp_path / "test.yml").write_text(json.dumps(document), "utf-8")
    done = _promtool("test", "rules", "test.yml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr

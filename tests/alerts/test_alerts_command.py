"""`llmguard alerts`, and what `doctor` says of where they go."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmguard import config
from llmguard.cli import cli
from llmguard.cli._checks import _alerts
from llmguard.monitor import alerts
from llmguard.monitor.alerts import Alert
from llmguard.store import Event, SqliteStore

Setting = Callable[[str], None]


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Setting]:
    """Set who is told."""

    def set_(text: str) -> None:
        monkeypatch.setenv("LLMGUARD_ALERTS", text)
        config.reset()
        alerts.reset()

    yield set_
    monkeypatch.undo()
    config.reset()
    alerts.reset()


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["alerts", *arguments])


def test_a_test_says_who_was_told(setting: Setting) -> None:
    """Each sink, and why one was not; a URL's path may be a secret."""
    setting("log,private+http://127.0.0.1:1/secret")
    shown = _run("test")
    assert shown.exit_code == 1
    assert "log: delivered" in shown.output
    assert "private+http://127.0.0.1/...: RetryLaterError" in shown.output
    assert "secret" not in shown.output
    setting("log")
    assert json.loads(_run("test", "--json").output) == [{"sink": "log", "problem": ""}]


def test_the_log_is_listed(tmp_path: Path, alert: Alert) -> None:
    """What was told, with the command to look; nothing is said plainly."""
    path = tmp_path / "store.db"
    store = SqliteStore(path, synchronous="OFF")
    assert "no alert" in _run("list", "--store", str(path)).output
    event = Event(
        env="prod", kind="alert.page", pin=alert.version, detail=alert.document()
    )
    store.events.add(event)
    store.close()
    shown = _run("list", "--store", str(path), "--since", "1h").output
    assert "page      slo.schema_valid  triage-1.1" in shown
    assert "look: llmguard slo status app.triage" in shown
    [row] = json.loads(_run("list", "--store", str(path), "--json").output)
    assert row["kind"] == "alert.page"


def test_doctor_looks_at_the_sinks(setting: Setting) -> None:
    """A wrong word fails, an unsigned webhook is warned about."""
    setting("log,slack,https://hooks.example.com/x")
    found = [(one.level, one.detail) for one in _alerts()]
    assert [level for level, _ in found] == ["fail", "warn", "ok"]
    assert "'slack'" in found[0][1]
    assert found[2][1] == "log, webhook hooks.example.com"


def test_a_wrong_word_silences_nobody(
    setting: Setting, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    """`send` never raises; the log is told when nobody else can be."""
    setting("slack")
    assert alerts.send(alert)
    assert alerts.flush(10.0)
    assert any("slo.schema_valid" in one.message for one in caplog.records)
    assert any("'slack'" in one.message for one in caplog.records)

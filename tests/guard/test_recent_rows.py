"""How finished calls come into the store, and what of them may be kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmguard import Attempt, Kind, Outcome, Pin, config
from llmguard.cli._checks import check_all
from llmguard.guard._recent import row_of
from llmguard.outcome import Usage, Violation
from llmguard.store import CallFilter, open_store
from llmguard.telemetry.recent import CallLog, Held, Said
from llmguard.telemetry.redact import scrub

PIN = Pin(route="triage", provider="replay", model="m@sha256:1")
SECRET = "ann@example.com"

APP = """
import sys
from llmguard import INJECTED, Model, call_context, contract, fallback_chain, pinned
from llmguard import static
from llmguard.testing import fake_pin

@fallback_chain(static("a fine one"))
@contract(str, checks=[lambda text: "fine" in text])
@pinned(fake_pin(["fine", "bad ann@example.com"]))
def talk(text: str, *, model: Model = INJECTED) -> str:
    return model.complete(text)

for number in range(2):
    with call_context(request_id=f"r-{number}"):
        print(talk(f"t{number} from ann@example.com"), flush=True)
"""


def _ran(folder: Path, settings: str = "") -> list[dict[str, Any]]:
    """Run the program in a process of its own; returns what was kept of its calls."""
    (folder / "pyproject.toml").write_text(
        f"[tool.llmguard]\n{settings}", encoding="utf-8"
    )
    store = folder / "store.db"
    subprocess.run(
        [sys.executable, "-c", APP],
        env={**os.environ, "LLMGUARD_STORE": str(store)},
        cwd=folder,
        check=True,
        timeout=60,
    )
    calls = open_store(store).calls
    rows = [calls.get(row.id) for row in calls.list("prod")]
    return [
        {"row": row, **json.loads(row.body)}
        for row in reversed(rows)
        if row is not None
    ]


def test_calls_of_a_program_are_in_the_store(tmp_path: Path) -> None:
    """Without what was asked or answered, unless somebody wants that."""
    good, bad = _ran(tmp_path)
    assert ("ok", "talk", "r-0") == (
        good["row"].outcome,
        good["row"].function.rpartition(".")[2],
        good["row"].request,
    )
    assert ("degraded", "r-1") == (bad["row"].outcome, bad["row"].request)
    assert "semantic" in {each["kind"] for each in bad["attempts"]}
    assert not bad["row"].content
    assert SECRET not in str(good) + str(bad)
    assert "from" not in bad["row"].body
    found = open_store(tmp_path / "store.db").calls.list(
        "prod", CallFilter(request="r-1")
    )
    assert [bad["row"].id] == [row.id for row in found]


def test_content_is_kept_where_asked_for(tmp_path: Path) -> None:
    """Redacted by what the settings name."""
    (tmp_path / "mine.py").write_text(
        "def hide(text):\n    return text.replace('t1', '[who]')\n", encoding="utf-8"
    )
    _, bad = _ran(
        tmp_path, "calls = { content = true, redact = 'mine:hide', chars = 12 }"
    )
    assert bad["row"].content
    assert {"text": "[who] from a… [14 more characters]"} == bad["inputs"]
    assert "bad ann@exam… [7 more characters]" == bad["said"][0]["answer"]
    assert bad["cut"]


def test_a_redaction_that_raises_holds_up_no_other_call(tmp_path: Path) -> None:
    """The call that it cannot take is kept without its words."""
    (tmp_path / "mine.py").write_text(
        "def hide(text):\n    assert 't0' not in text\n    return text\n",
        encoding="utf-8",
    )
    good, bad = _ran(tmp_path, "calls = { content = true, redact = 'mine:hide' }")
    assert (False, True) == (good["row"].content, bad["row"].content)
    assert "inputs" not in good
    assert ("ok", "degraded") == (good["row"].outcome, bad["row"].outcome)


@pytest.mark.parametrize("settings", ["calls = { rows = 0 }", "exercise = 0.0"])
def test_rows_0_keeps_none(tmp_path: Path, settings: str) -> None:
    """The table that it would fill stays empty."""
    assert (0 if "rows" in settings else 2) == len(_ran(tmp_path, settings))


def test_wrong_settings_fail_no_call(tmp_path: Path) -> None:
    """Calls are kept without content then; the log says what is wrong."""
    found = _ran(tmp_path, "calls = { content = true, redact = 'no.such:thing' }")
    assert [False, False] == [one["row"].content for one in found]


def _held(**fields: Any) -> Held:
    attempt = Attempt(
        tier="triage",
        tier_index=0,
        number=1,
        kind=Kind.SCHEMA,
        started=0.0,
        elapsed=0.25,
        pin=PIN.id,
        model="m",
        detail=f"the answer said {SECRET}",
        violations=(
            Violation(path="/who", message=f"'{SECRET}' is no name", check="enum"),
        ),
        usage=Usage(input_tokens=3),
        confidence=0.5,
    )
    late = Attempt(
        tier="rules",
        tier_index=1,
        number=1,
        kind=Kind.TRANSPORT,
        started=0.3,
        elapsed=0.1,
        detail=f"{SECRET} refused the connection" + "." * 500,
    )
    outcome = Outcome(
        call_id="c1",
        function="app.f",
        kind=Kind.TRANSPORT,
        tier="",
        tier_index=-1,
        attempts=(attempt, late),
        elapsed=0.5,
        request_id=f"mail-of-{SECRET}",
    )
    return Held(outcome=outcome, **fields)


def _body(held: Held) -> dict[str, Any]:
    row = row_of(held, "prod", {PIN.id: PIN}, CallLog(), scrub)
    assert ("triage", PIN.id, "", "transport") == (
        row.route,
        row.pin,
        row.answered,
        row.outcome,
    )
    found: dict[str, Any] = json.loads(row.body)
    assert SECRET not in row.body + row.request
    return found


def test_what_a_model_wrote_is_kept_only_with_content() -> None:
    """Words of contract failures quote it; those of outages do not."""
    first, second = _body(_held())["attempts"]
    assert "detail" not in first
    assert [{"path": "/who", "check": "enum", "message": ""}] == first["violations"]
    assert (0.5, 3) == (first["confidence"], first["input_tokens"])
    assert "output_tokens" not in first
    assert second["detail"].startswith("[email] refused the connection")
    assert 400 == len(second["detail"])


def test_content_is_plain_redacted_data() -> None:
    """Objects that cannot be shown are named, not called."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError(SECRET)

    said = (
        Said(tier_index=0, number=1, text=f"{SECRET}!", value=None),
        Said(tier_index=1, number=1, text=None, value={"to": SECRET}),
        Said(tier_index=2, number=1, text=None, value=Odd()),
    )
    body = _body(_held(inputs={"mail": SECRET, "n": 3}, said=said))
    assert {"mail": "[email]", "n": 3} == body["inputs"]
    assert ["[email]!", {"to": "[email]"}, "(Odd, which cannot be shown)"] == [
        one["answer"] for one in body["said"]
    ]
    assert "the answer said [email]" == body["attempts"][0]["detail"]
    assert not body["cut"]


@pytest.mark.parametrize(
    ("settings", "level", "told"),
    [
        ("", "ok", "no content"),
        ("calls = { rows = 0 }", "ok", "none are kept"),
        ("calls = { content = true }", "ok", "redacted by 'pii'"),
        ("calls = { redact = 'no.such:thing' }", "fail", "cannot be imported"),
        ("calls = { row = 1 }", "fail", "unknown key `row`"),
    ],
)
def test_the_doctor_says_what_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: str,
    level: str,
    told: str,
) -> None:
    """Or what is wrong with the setting."""
    (tmp_path / "pyproject.toml").write_text(f"[tool.llmguard]\n{settings}\n")
    monkeypatch.chdir(tmp_path)
    config.reset()
    [found] = [one for one in check_all() if one.what == "calls"]
    config.reset()
    assert level == found.level
    assert told in found.detail

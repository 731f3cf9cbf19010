"""`llmguard pin`: what each verb does, prints and exits with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result

from llmguard import config
from llmguard.cli.pin import pin as command
from llmguard.pins import read_lock

Run: TypeAlias = Callable[..., Result]
GOOD = ("--provider", "openai", "--model", "gpt-5.2-2025-12-11")
OTHER = ("--provider", "fake", "--model", "x")


@pytest.fixture
def run() -> Run:
    def run_(*arguments: str) -> Result:
        result = CliRunner().invoke(command, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run_


def document(result: Result) -> Any:
    return json.loads(result.stdout)


def test_add_makes_the_lock_and_says_what_is_next(run: Run, lock_path: Path) -> None:
    """The first pin of a route is active."""
    result = run("add", "triage", *GOOD, "--param", "temperature=0", "--owner", "ml")
    one = read_lock(lock_path).resolve("triage")
    assert (result.exit_code, one.params, one.owner) == (0, {"temperature": 0}, "ml")
    assert result.stdout.splitlines() == [
        f"triage: {one.id} (active) is gpt-5.2-2025-12-11, versioned: a dated snapshot",
        'Next: review and commit models.lock; use it: `@pinned("triage")`',
    ]


def test_a_second_pin_is_allowed_but_not_active(run: Run, lock_path: Path) -> None:
    """Allowing and activating are two decisions."""
    run("add", "triage", *GOOD)
    result = run("add", "triage", *OTHER)
    lock = read_lock(lock_path)
    (new,) = [each for each in lock.pins.values() if each.provider == "fake"]
    assert lock.resolve("triage").provider == "openai"
    assert f"`llmguard pin use {new.id}` makes it answer" in result.stdout
    used = run("use", new.id, "--json")
    assert (used.exit_code, document(used)["active"]) == (0, True)
    assert read_lock(lock_path).resolve("triage") == new


def test_add_can_activate_at_once(run: Run, lock_path: Path) -> None:
    """One command for those who know."""
    run("add", "triage", *GOOD)
    result = run("add", "triage", *OTHER, "--activate", "--json")
    assert document(result)["active"] is True
    assert read_lock(lock_path).resolve("triage").provider == "fake"


def test_add_warns_about_a_near_shutdown(run: Run) -> None:
    """On stderr, so that JSON stays one document."""
    ends = ("--shutdown", "2026-01-01")
    result = run("add", "triage", *OTHER, *ends, "--json")
    assert document(result)["shutdown"] == "2026-01-01"
    assert "Warning: model 'x' of route 'triage' was shut down" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--provider", "openai", "--model", "gpt-4o"), 1, "gpt-4o-2024-11-20"),
        (("--provider", "openai", "--model", "gpt-6-luna"), 1, "--accept-opaque"),
        (("--provider", "replay", "--model", "no.jsonl"), 1, "cannot be read"),
        ((*GOOD, "--option", "api_key=sk-1"), 1, "looks like a credential"),
        ((*GOOD, "--param", "temperature"), 2, "'temperature' is not NAME=VALUE"),
        ((*GOOD, "--param", "=1"), 2, "'=1' is not NAME=VALUE"),
        (("--provider", "openai"), 2, "--model"),
    ],
)
def test_refused_pins_write_nothing(
    run: Run, lock_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """The message repairs the mistake, the exit code tells its sort."""
    result = run("add", "triage", *arguments)
    assert (result.exit_code, lock_path.exists()) == (code, False)
    assert message in result.stderr


def test_values_are_json_where_they_can_be(run: Run, lock_path: Path) -> None:
    """Numbers, lists and tables as JSON, everything else as text."""
    run("add", "triage", *GOOD, "--param", 'stop=["a"]', "--param", "mode=fast")
    found = read_lock(lock_path).resolve("triage").params
    assert found == {"stop": ("a",), "mode": "fast"}


def test_a_file_named_from_here_starts_at_the_lock(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that the shell completed works from any directory."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.jsonl").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "shop")
    lock = tmp_path / "conf" / "models.lock"
    for model in ("a.jsonl", str(tmp_path / "shop" / "a.jsonl")):
        arguments = ("--provider", "replay", "--model", model, "--lock", str(lock))
        assert run("add", "triage", *arguments).exit_code == 0
    models = {each.model for each in read_lock(lock).pins.values()}
    assert models == {"../shop/a.jsonl", str(tmp_path / "shop" / "a.jsonl")}


def test_list_shows_every_pin(run: Run) -> None:
    """A line each, the active one first and marked."""
    run("add", "triage", *GOOD)
    run("add", "triage", *OTHER)
    lines = run("list").stdout.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["openai", "fake"]
    assert [line.split()[1].endswith("*") for line in lines[1:]] == [True, False]
    rows = document(run("list", "--json"))
    assert [(row["provider"], row["active"]) for row in rows] == [
        ("openai", True),
        ("fake", False),
    ]


def test_show_takes_a_route_or_an_id(run: Run, lock_path: Path) -> None:
    """Both name the same pin here; another name is refused, not stale."""
    run("add", "triage", *GOOD)
    key = read_lock(lock_path).resolve("triage").id
    assert run("show", "triage").stdout == run("show", key).stdout
    assert document(run("show", key, "--json"))["id"] == key
    assert run("show", "nobody").exit_code == 1


def test_remove(run: Run, lock_path: Path) -> None:
    """The active one stays while others are allowed; the last one goes."""
    run("add", "triage", *GOOD)
    first = read_lock(lock_path).resolve("triage").id
    run("add", "triage", *OTHER)
    refused = run("remove", first)
    assert (refused.exit_code, "llmguard pin use" in refused.stderr) == (1, True)
    (second,) = set(read_lock(lock_path).pins) - {first}
    assert run("remove", second).stdout.startswith(f"Removed {second}; 1 left.")
    assert document(run("remove", first, "--json")) == {"removed": first, "pins": []}
    assert run("remove", first).exit_code == 1


def test_check_is_silent_about_good_pins(run: Run) -> None:
    """Exit code 0 and one line."""
    run("add", "triage", *GOOD)
    result = run("check")
    assert (result.exit_code, result.stdout.endswith(": ok\n")) == (0, True)
    assert document(run("check", "--json"))["findings"] == []


def test_check_finds_what_will_not_last(run: Run) -> None:
    """Exit code 1 for findings; the horizon decides what is one."""
    run("add", "triage", *OTHER, "--shutdown", "2026-01-01")
    result = run("check")
    assert (result.exit_code, "shutdown: " in result.stdout) == (1, True)
    assert "-> llmguard pin add triage --provider fake" in result.stdout
    far = ("add", "later", *OTHER, "--shutdown", "2999-01-01")
    run(*far)
    findings = [
        len(document(run("check", "--json", "--horizon", span))["findings"])
        for span in ("0", "9w", "90000d", "99999w")
    ]
    assert findings == [1, 1, 1, 2]
    assert run("check", "--horizon", "soon").exit_code == 2


def test_check_finds_a_stale_lock(run: Run, lock_path: Path, tmp_path: Path) -> None:
    """Exit code 4 when a file or the lock itself is not what was pinned."""
    file = tmp_path / "a.jsonl"
    file.write_text("1", encoding="utf-8")
    run("add", "triage", "--provider", "replay", "--model", "a.jsonl")
    file.write_text("2", encoding="utf-8")
    assert run("check").exit_code == 4
    assert run("check", "--no-files").exit_code == 0
    text = lock_path.read_text(encoding="utf-8")
    lock_path.write_text(text.replace("replay", "reply"), encoding="utf-8")
    by_hand = run("check", "--json")
    assert by_hand.exit_code == 4
    assert document(by_hand)["findings"][0]["code"] == "lock"
    plain = run("check")
    assert (plain.exit_code, "edited by hand" in plain.stderr) == (4, True)


@pytest.mark.parametrize("verb", ["list", "check", "refresh"])
def test_a_missing_lock_says_how_to_make_one(run: Run, verb: str) -> None:
    """Exit code 4, and the command."""
    result = run(verb)
    assert (result.exit_code, "llmguard pin add ROUTE" in result.stderr) == (4, True)


def test_refresh_accepts_an_edit_by_hand(run: Run, lock_path: Path) -> None:
    """The old id goes, the new one comes, and the lock is good again."""
    run("add", "triage", *GOOD, "--param", "temperature=0")
    old = read_lock(lock_path).resolve("triage").id
    text = lock_path.read_text(encoding="utf-8")
    lock_path.write_text(
        text.replace("temperature = 0", "temperature = 1"), encoding="utf-8"
    )
    assert run("list").exit_code == 4
    result = run("refresh")
    now = read_lock(lock_path).resolve("triage")
    assert now.params == {"temperature": 1}
    assert result.stdout.splitlines()[:2] == [f"- {old}", f"+ {now.id}"]
    assert document(run("refresh", "--json")) == {"removed": [], "added": [], "pins": 1}


def test_refresh_refuses_an_alias(run: Run, lock_path: Path) -> None:
    """Editing by hand is no way around the rules."""
    run("add", "triage", *GOOD)
    text = lock_path.read_text(encoding="utf-8")
    lock_path.write_text(text.replace("gpt-5.2-2025-12-11", "gpt-5"), encoding="utf-8")
    result = run("refresh")
    assert (result.exit_code, "gpt-5-2025-08-07" in result.stderr) == (1, True)


def test_refresh_takes_file_hashes_only_when_asked(run: Run, tmp_path: Path) -> None:
    """A swapped file is blessed on purpose or not at all."""
    file = tmp_path / "a.jsonl"
    file.write_text("1", encoding="utf-8")
    run("add", "triage", "--provider", "replay", "--model", "a.jsonl")
    file.write_text("2", encoding="utf-8")
    run("refresh")
    assert run("check").exit_code == 4
    run("refresh", "--files")
    assert run("check").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("openai", "gpt-4o"), 1, ("alias", "gpt-4o-2024-11-20", None)),
        (("openai", "gpt-5-2025-08-07"), 0, ("versioned", "", "2026-12-11")),
        (("openai", "m", "--endpoint", "http://localhost/v1"), 0, ("opaque", "", None)),
    ],
)
def test_classify(
    run: Run, arguments: tuple[str, ...], code: int, expected: tuple[Any, ...]
) -> None:
    """Class, pinned name and end; an alias fails."""
    found = document(run("classify", *arguments, "--json"))
    assert (found["version_class"], found["suggestion"], found["shutdown"]) == expected
    text = run("classify", *arguments)
    assert (text.exit_code, text.stdout.split(":")[0]) == (code, expected[0])


def test_strict_mode_refuses_unknown_names(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting of the process holds for its commands."""
    monkeypatch.setenv("LLMGUARD_STRICT", "yes")
    config.reset()
    assert run("add", "triage", *OTHER).exit_code == 1

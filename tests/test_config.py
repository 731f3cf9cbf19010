"""Settings: where each comes from, what is refused, when they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner

from llmguard import config
from llmguard.cli import cli
from llmguard.errors import ConfigError

Project: TypeAlias = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for key in config.KEYS:
        monkeypatch.delenv(f"LLMGUARD_{key.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)
    config.reset()
    yield
    config.reset()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Write the `[tool.llmguard]` table of a project; return its directory."""

    def write(table: str) -> Path:
        text = f"[project]\nname = 'x'\n{table}\n"
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_defaults_without_any_source(tmp_path: Path) -> None:
    """Paths start at the working directory when there is no project."""
    assert config.load() == config.Config(
        store=str(tmp_path / ".llmguard/store.db"),
        lock=tmp_path / "models.lock",
        root=tmp_path,
    )
    assert set(config.where().values()) == {"default"}


def test_the_nearest_project_upward_counts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its paths start at its own directory, wherever the process runs."""
    root = project("[tool.llmguard]\nlock = 'conf/models.lock'\nstrict = true")
    (root / "src" / "app").mkdir(parents=True)
    monkeypatch.chdir(root / "src" / "app")
    found = config.load()
    assert (found.lock, found.strict, found.root) == (
        root / "conf" / "models.lock",
        True,
        root,
    )
    assert found.store == str(root / ".llmguard/store.db")


def test_each_source_wins_over_the_next(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments over variables over the file over defaults."""
    root = project("[tool.llmguard]\ndeadline = 10\nstrict = true\nlock = 'a'")
    monkeypatch.setenv("LLMGUARD_DEADLINE", "20")
    monkeypatch.setenv("LLMGUARD_STRICT", "off")
    found = config.load(deadline=40)
    assert (found.deadline, found.strict, found.lock) == (40.0, False, root / "a")
    assert config.where()["deadline"] == "LLMGUARD_DEADLINE"
    assert config.where()["lock"] == f"{root / 'pyproject.toml'} [tool.llmguard]"
    assert config.where()["store"] == "default"


def test_arguments_hold_for_one_call(tmp_path: Path) -> None:
    """The next reader sees what the sources say."""
    assert config.load(lock="x").lock == tmp_path / "x"
    assert config.load().lock == tmp_path / "models.lock"


def test_sources_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the environment counts after `reset`, for tests."""
    first = config.load()
    monkeypatch.setenv("LLMGUARD_DEADLINE", "5")
    assert config.load() is first
    config.reset()
    assert config.load().deadline == 5.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", True), ("TRUE", True), ("on", True), ("0", False), ("", False)],
)
def test_flags_in_variables(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: bool
) -> None:
    """The usual spellings, in any case."""
    monkeypatch.setenv("LLMGUARD_REFUSE_REMOTE", text)
    assert config.load().refuse_remote is expected


@pytest.mark.parametrize(
    "url", ["postgresql://db/app", ":memory:", "sqlite:///x.db", "/srv/store.db"]
)
def test_store_urls_stay_as_they_are(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Only relative paths are completed."""
    monkeypatch.setenv("LLMGUARD_STORE", url)
    assert config.load().store == url


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[tool.llmguard]\nlok = 'x'", r"unknown key `lok` in .*; did you mean `lock`"),
        ("[tool.llmguard]\nzzz = 'x'", r"unknown key `zzz` .*; known: `store`, `lock`"),
        ("[tool.llmguard]\nroot = 'x'", "unknown key `root`"),
        ("[tool.llmguard]\nstrict = 'yes'", "`strict` .* is 'yes'; .* true or false"),
        ("[tool.llmguard]\ndeadline = 0", "`deadline` .* is 0; .* above 0"),
        ("[tool.llmguard]\ndeadline = true", "`deadline` .* is True"),
        ("[tool.llmguard]\ndeadline = inf", "`deadline` .* is inf"),
        ("[tool.llmguard]\nstore = ''", "`store` .* is ''"),
        ("[tool.llmguard]\nenv = ''", "`env` .* is ''; .* 'prod'"),
        ("[tool.llmguard]\nenv = 'a b'", "`env` .* is 'a b'"),
        ("[tool.llmguard]\nroutes = 3", "`routes` .* is 3; .* a table of tables"),
        ("[tool.llmguard.routes]\nx = 3", "`routes` .*; .* a table of tables"),
        ("[tool.llmguard]\nlock = 3", "`lock` .* is 3; .* a path"),
        ("[tool]\nllmguard = 3", "is 3, not a table"),
        ("[tool.llmguard", "cannot be read"),
    ],
)
def test_wrong_files_are_explained(project: Project, table: str, message: str) -> None:
    """The message names key, place and value."""
    project(table)
    with pytest.raises(ConfigError, match=message):
        config.load()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("LLMGUARD_DEADLINE", "soon", "in LLMGUARD_DEADLINE is 'soon'"),
        ("LLMGUARD_STRICT", "maybe", "in LLMGUARD_STRICT is 'maybe'"),
        ("LLMGUARD_ENV", "", "in LLMGUARD_ENV is ''"),
        ("LLMGUARD_ROUTES", "x", "in LLMGUARD_ROUTES is 'x'; it must be a table"),
        ("LLMGUARD_DEADLNE", "3", "did you mean `LLMGUARD_DEADLINE`"),
    ],
)
def test_wrong_variables_are_explained(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str
) -> None:
    """A typing error in a variable is an error, not a silent default."""
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigError, match=message):
        config.load()


def test_other_variables_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes and command-line options have theirs."""
    monkeypatch.setenv("LLMGUARD_PORT_8080_TCP", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("LLMGUARD_PIN_ADD_OWNER", "ml")
    assert config.load().deadline == 30.0


@pytest.mark.parametrize("wrong", [{"deadlin": 3}, {"deadline": "3"}])
def test_wrong_arguments_are_explained(wrong: dict[str, Any]) -> None:
    """As everywhere else."""
    with pytest.raises(ConfigError, match=r"load\(\)"):
        config.load(**wrong)


def test_suites_are_places(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list in the file, commas in the variable, nothing by default."""
    assert () == config.load().suites
    config.reset()
    project("[tool.llmguard]\nsuites = ['suites/*.toml', 'myapp.llm']")
    assert ("suites/*.toml", "myapp.llm") == config.load().suites
    config.reset()
    monkeypatch.setenv("LLMGUARD_SUITES", "a.toml, b")
    assert ("a.toml", "b") == config.load().suites
    config.reset()
    monkeypatch.delenv("LLMGUARD_SUITES")
    project("[tool.llmguard]\nsuites = 'suites/*.toml'")
    with pytest.raises(ConfigError, match=r"`suites` in .* must be a list, such as"):
        config.load()


def test_the_environment_has_a_name(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`prod` unless the file or a variable names another."""
    assert "prod" == config.load().env
    config.reset()
    project("[tool.llmguard]\nenv = 'staging'\nroutes.triage.unit = 'tenant'")
    found = config.load()
    assert ("staging", {"triage": {"unit": "tenant"}}) == (found.env, found.routes)
    config.reset()
    monkeypatch.setenv("LLMGUARD_ENV", "eu-1")
    assert "eu-1" == config.load().env


@pytest.mark.parametrize("words", [(), ("no_such_module",)])
def test_the_doctor_says_what_is_wrong_with_the_settings(
    words: tuple[str, ...], project: Project
) -> None:
    """As a finding among others, in JSON too: it is what people ask when all fails."""
    project("[tool.llmguard]\ndeadline = 'soon'")
    done = CliRunner().invoke(cli, ["doctor", *words, "--json"])
    assert 1 == done.exit_code
    found = {line["what"]: line for line in json.loads(done.stdout)}
    assert "fail" == found["settings"]["level"]
    assert "`deadline`" in found["settings"]["detail"]

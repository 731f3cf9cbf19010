"""What `llmguard init` would do to a project, worked out before anything is written."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, TypeAlias

from .._version import DOCS
from ..errors import ConfigError
from ..pins import Lock, Pin, prepare, to_text

__all__ = ["CI", "Do", "Step", "apply", "plan"]

CI: TypeAlias = Literal["github", "shell", "none"]
Do: TypeAlias = Literal["create", "append", "keep"]

_TABLE: Final = '[tool.llmguard]\nsuites = ["suites/*.toml"]\n'
_IGNORED: Final = (".llmguard/", "llmguard-gate/")
_ANSWERS: Final = "suites/example-answers.jsonl"
_SAMPLES: Final = 20
"""Recorded answers for each case: enough for the example's suite to decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One file.

    Attributes:
        path: Relative to the project.
        do: `create` it, `append` to it, or `keep` it as it is.
        why: What it is for; for `keep`, why nothing is to be done, or what a person
            should do instead.
        text: What is written or appended.
        executable: Make it executable.
    """

    path: str
    do: Do
    why: str
    text: str = ""
    executable: bool = False


def plan(root: Path, *, ci: CI = "github", example: bool = True) -> list[Step]:
    """Return what to do, in order; nothing is written.

    Args:
        root: The project's folder.
        ci: Which pipeline to write the gate for.
        example: Write an example suite, with a route that needs no key.

    Raises:
        ConfigError: The project's `pyproject.toml` cannot be read.
    """
    steps = [_pyproject(root), _ignored(root)]
    if example:
        steps += _suite(root)
    steps.append(_lock(root, example=example))
    if ci != "none":
        steps.append(
            _file(
                root,
                "ci/llmguard-gate.sh",
                _template("llmguard-gate.sh"),
                "runs the suites of pins that a change touches",
                executable=True,
            )
        )
    if ci == "github":
        steps.append(
            _file(
                root,
                ".github/workflows/llmguard-gate.yml",
                _template("llmguard-gate.yml"),
                "runs it on every pull request",
            )
        )
    return steps


def apply(root: Path, steps: list[Step]) -> None:
    """Do what was planned.

    Raises:
        ConfigError: A file changed since the plan was made; those before it in the
            plan are written, it and those after it are not.
        OSError: A file cannot be written.
    """
    for step in steps:
        path = root / step.path
        if step.do == "create":
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(step.text)
            except FileExistsError:
                raise ConfigError(
                    f"{step.path} appeared while the plan was shown; nothing of it "
                    "was changed: run `llmguard init` again"
                ) from None
            if step.executable:
                path.chmod(0o755)
        elif step.do == "append":
            with path.open("a", encoding="utf-8") as file:
                file.write(step.text)


def _template(name: str) -> str:
    return files("llmguard.cli").joinpath("templates", name).read_text(encoding="utf-8")


def _file(
    root: Path, path: str, text: str, why: str, *, executable: bool = False
) -> Step:
    if (root / path).exists():
        return Step(path=path, do="keep", why="it exists")
    return Step(path=path, do="create", why=why, text=text, executable=executable)


def _pyproject(root: Path) -> Step:
    path = root / "pyproject.toml"
    why = f"where suites are; every setting: {DOCS}/pins.md"
    if not path.exists():
        return Step(path=path.name, do="create", why=why, text=_TABLE)
    text = path.read_text(encoding="utf-8")
    try:
        tool: Mapping[str, object] = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML ({error}); mend it first") from error
    table = tool.get("llmguard")
    if table is None:
        return Step(path=path.name, do="append", why=why, text=_joined(text, _TABLE))
    if isinstance(table, dict) and "suites" in table:
        return Step(path=path.name, do="keep", why="it has `[tool.llmguard]`")
    return Step(
        path=path.name,
        do="keep",
        why='add `suites = ["suites/*.toml"]` to its `[tool.llmguard]`',
    )


def _ignored(root: Path) -> Step:
    path = root / ".gitignore"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    have = {line.strip().rstrip("/") for line in text.splitlines()}
    missing = [name for name in _IGNORED if name.rstrip("/") not in have]
    if not missing:
        return Step(path=path.name, do="keep", why="it has what it needs")
    lines = "".join(f"{name}\n" for name in missing)
    if text and not text.endswith("\n"):
        lines = f"\n{lines}"
    return Step(
        path=path.name,
        do="append" if text else "create",
        why="the store and reports are no source",
        text=lines,
    )


def _joined(before: str, added: str) -> str:
    if not before:
        return added
    return f"\n{added}" if before.endswith("\n") else f"\n\n{added}"


def _suite(root: Path) -> Iterator[Step]:
    pin = _example_pin(root)
    cases = _template("suites/example.jsonl")
    yield _file(
        root,
        "suites/example.py",
        _template("suites/example.py"),
        "an example of a guarded function",
    )
    yield _file(
        root,
        "suites/example.toml",
        _template("suites/example.toml").replace("{pin}", pin.id),
        "what every version of its model must keep",
    )
    yield _file(root, "suites/example.jsonl", cases, "12 cases")
    yield _file(
        root, _ANSWERS, _answers(cases), "recorded answers, so that no key is needed"
    )


def _answers(cases: str) -> str:
    """Return a recording of a model that is always right."""
    lines = [json.loads(line) for line in cases.splitlines()]
    return "".join(
        json.dumps({"prompt_id": c["id"], "sample": n, "output": c["expected"]}) + "\n"
        for n in range(_SAMPLES)
        for c in lines
    )


def _example_pin(root: Path) -> Pin:
    """Return the pin of the recording, hashed as it will be written."""
    from hashlib import sha256

    text = _answers(_template("suites/example.jsonl"))
    declared = Pin(
        route="example",
        provider="replay",
        model=_ANSWERS,
        options={"sha256": sha256(text.encode()).hexdigest()},
        base=str(root),
    )
    return prepare(declared)


def _lock(root: Path, *, example: bool) -> Step:
    path = "models.lock"
    if (root / path).exists():
        return Step(path=path, do="keep", why="it exists")
    lock = Lock().with_pin(_example_pin(root)) if example else Lock()
    return Step(
        path=path,
        do="create",
        why="the model versions that may run",
        text=to_text(lock),
    )

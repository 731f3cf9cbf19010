"""The official JSON Schema test suite, through `Contract`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from llmguard.contract import Contract
from llmguard.errors import ConfigError
from llmguard.reply import Reply

_DEFAULT = Path(__file__).parents[2].parent / "shared" / "data"
_ROOT = Path(os.environ.get("LLMGUARD_TEST_DATA", _DEFAULT)) / "json-schema-test-suite"
_FILES = sorted(
    path.relative_to(_ROOT / "tests").as_posix()
    for path in _ROOT.glob("tests/**/*.json")
)
_EXPLAINED = Path(__file__).with_name("json_schema_exceptions.json")
_DRAFT_7 = "http://json-schema.org/draft-07/schema#"


@cache
def _remotes() -> dict[str, object]:
    folder = _ROOT / "remotes"
    return {
        f"http://localhost:1234/{path.relative_to(folder).as_posix()}": json.loads(
            path.read_text("utf-8")
        )
        for path in folder.rglob("*.json")
    }


def _explained() -> dict[str, set[str]]:
    """Gather the failures that the table explains, by file."""
    found: dict[str, set[str]] = {}
    for files in json.loads(_EXPLAINED.read_text("utf-8")).values():
        for name, tests in files.items():
            found.setdefault(name, set()).update(tests)
    return found


def _contract(schema: Any, draft: str) -> Contract | None:
    if draft == "draft7" and isinstance(schema, dict):
        schema = {"$schema": _DRAFT_7, **schema}
    try:
        remote = "localhost:1234" in json.dumps(schema)
        return Contract(schema, schemas=_remotes() if remote else None)
    except ConfigError:
        return None


def _failures(groups: list[dict[str, Any]], draft: str) -> Iterator[str]:
    for group in groups:
        contract = _contract(group["schema"], draft)
        for test in group["tests"]:
            expected = "ok" if test["valid"] else "schema"
            text = json.dumps(test["data"])
            kind = contract.judge(Reply(text=text)).kind.value if contract else "made"
            if kind != expected:
                yield f"{group['description']}: {test['description']}"


@pytest.mark.skipif(not _FILES, reason=f"no suite at {_ROOT}; set LLMGUARD_TEST_DATA")
@pytest.mark.parametrize("name", _FILES or ["absent"])
def test_every_failure_of_the_official_suite_is_explained(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """A file fails exactly where the table says so: no more, and no less."""
    draft = name.partition("/")[0]
    groups = json.loads((_ROOT / "tests" / name).read_text("utf-8"))
    failures = set(_failures(groups, draft))
    total = sum(len(group["tests"]) for group in groups)
    record_property("json_schema_suite", (draft, total - len(failures), total))
    assert _explained().get(name, set()) == failures


@pytest.mark.skipif(not _FILES, reason=f"no suite at {_ROOT}; set LLMGUARD_TEST_DATA")
def test_the_table_of_explanations_names_only_files_that_exist() -> None:
    """A file that the suite dropped must leave the table."""
    assert set() == _explained().keys() - set(_FILES)

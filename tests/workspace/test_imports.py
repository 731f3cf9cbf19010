"""What importing llmguard costs and pulls in."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ["pydantic", "openai", "httpx", "httpx2", "jsonschema", "click", "scipy"]
HEAVY += ["numpy", "llama_cpp", "outlines", "opentelemetry", "psycopg", "jinja2"]


def _modules_after(statement: str) -> set[str]:
    script = f"{statement}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import llmguard",
        "from llmguard import contract, pinned, fallback_chain, Model, check, capture",
        "import llmguard_fallbacks",
        "from llmguard_fallbacks import rules, human",
        "import llmguard_models",
    ],
)
def test_imports_nothing_heavy(statement: str) -> None:
    """A bare import leaves every heavy package alone."""
    loaded = _modules_after(statement)
    assert [] == [name for name in HEAVY if name in loaded]


def test_the_core_never_sees_the_other_distributions() -> None:
    """The core finds the other two through entry points only."""
    loaded = _modules_after("import llmguard, llmguard.cli")
    assert set() == {m for m in loaded if m.startswith("llmguard_")}


def test_every_public_name_exists() -> None:
    """`__all__` is sorted, complete and importable."""
    import llmguard

    assert sorted(llmguard.__all__) == sorted(set(llmguard.__all__))
    for name in llmguard.__all__:
        assert getattr(llmguard, name) is not None
    assert set(llmguard.__all__) <= set(dir(llmguard))

"""What holds for every test: nothing of this process goes to the project's store."""

from __future__ import annotations

import pytest

from llmguard.guard._runtime import default_runtime


@pytest.fixture(autouse=True, scope="session")
def unmanaged() -> None:
    """Keep the keeper thread out; tests that need it start a process of their own."""
    default_runtime().managed = False

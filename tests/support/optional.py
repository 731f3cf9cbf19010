"""Optional packages of the local runtime: needed in CI, a reason to skip elsewhere."""

from __future__ import annotations

import importlib
import os

import pytest


def need(*modules: str, extra: str = "llamacpp") -> None:
    """Skip without the optional packages on a laptop; fail on the build machine."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{name} must be installed here: {error}")
            which = "xllamacpp" if name == "xllamacpp" else extra
            pytest.skip(f"pip install 'llmguard-fallbacks[{which}]': {error}")

"""What is missing is said before a call is spent."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from llmguard.errors import ConfigError
from llmguard.pins import Pin
from llmguard.suite import Suite, run
from llmguard.suite.render._html import need_jinja, page_template
from llmguard.testing import FakeModel


def test_scipy_is_missed_before_the_first_call(
    make_suite: Callable[..., Suite], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run without the extra names it and has asked nobody."""
    asked: list[object] = []

    def answer(request: object) -> object:
        asked.append(request)
        return {"kind": "refund"}

    pin: Pin = FakeModel(answer, name="new-1").pin("triage")
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ConfigError, match=r"llmguard-toolkit\[suite\]"):
        run(make_suite(), pin, seed=1)
    assert [] == asked


def test_jinja_is_missed_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's extra is asked for before anything is run for it."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page_template.cache_clear()
    with pytest.raises(ConfigError, match=r"llmguard-toolkit\[suite\]"):
        need_jinja()

"""What is warned about a pin points at the user's own line, once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmguard import INJECTED, Model, config, fallback_chain, pinned, pins, static
from llmguard.pins import Lock, Pin, to_text

ENDED = Pin(
    route="triage",
    provider="openai",
    model="gpt-4-0613",
    version_class="versioned",
    lifecycle={"shutdown": "2024-06-13"},
)


@pytest.fixture(autouse=True)
def _lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "models.lock").write_text(
        to_text(Lock().with_pin(ENDED)), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMGUARD_LOCK", raising=False)
    config.reset()
    pins.forget()
    yield
    config.reset()
    pins.forget()


def test_a_pin_at_its_end_is_warned_about_once_at_the_decorator() -> None:
    """Three decorators and two functions look the pin up; one warning is enough."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):

            @fallback_chain(static("none"))
            @pinned("triage")
            def triage(text: str, *, model: Model = INJECTED) -> str:
                return model.complete(text)

    assert [__file__] == [one.filename for one in caught]
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert '@pinned("triage")' == source[caught[0].lineno - 1].strip()

"""The page on detectors: its snippets run, its table is the detectors' own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmguard.detectors import (
    Detector,
    format_features,
    language,
    refusal,
    sentiment,
    tone,
)

PAGE = Path(__file__).parents[2] / "docs" / "detectors.md"


def test_the_snippets_run() -> None:
    """Each in a namespace of its own."""
    snippets: list[str] = re.findall(
        r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    assert 2 == len(snippets)
    for snippet in snippets:
        exec(compile(snippet, PAGE.name, "exec"), {})  # noqa: S102 - what is tested


def test_the_table_names_ids_and_labels() -> None:
    """Of every detector; those of other packages carry their versions."""
    pytest.importorskip("vaderSentiment")
    pytest.importorskip("py3langid")
    text = PAGE.read_text()
    made: list[Detector] = [refusal(), refusal("model"), sentiment(), tone()]
    made += [language(), format_features()]
    ids: list[str] = re.findall(r"^\|.*?\| `([^`]+)`", text, re.MULTILINE)
    listed = set(map(without_version, ids))
    assert listed == {without_version(detector.id) for detector in made}
    assert f"| {', '.join(format_features().labels)} |" in text
    assert f"| {', '.join(sentiment().labels)} |" in text


def without_version(detector_id: str) -> str:
    """Drop another package's version from an id; it changes with the machine."""
    return re.sub(r"-[\d.]+/", "/", detector_id)

"""Text can be read in both looks: the ratios of WCAG 2.2, from the sheet itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import llmguard_fallbacks.console as package

SHEET = (Path(package.__file__).parent / "static" / "console.css").read_text("utf-8")
LOOKS = {
    "light": r":root \{(.*?)\}",
    "dark": r':root\[data-theme="dark"\] \{(.*?)\}',
    "dark by the system": r':root:not\(\[data-theme="light"\]\) \{(.*?)\}',
}
TEXTS = [
    *(("text", ground) for ground in ("ground", "card", "sunk")),
    *(("soft", ground) for ground in ("ground", "card", "sunk")),
    *(("accent", ground) for ground in ("ground", "card", "accent-soft")),
    ("accent-text", "accent"),
    ("ground", "text"),
    *(
        (word, ground)
        for word in ("good", "warn", "bad")
        for ground in ("ground", "card", f"{word}-soft")
    ),
]
EDGES = [("edge", "card"), ("edge", "ground"), ("accent", "card"), ("bad", "card")]


def colours(look: str) -> dict[str, str]:
    found = re.search(LOOKS[look], SHEET, re.DOTALL)
    assert found
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", found[1]))


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.2, definitions)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ratio(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("look", LOOKS)
def test_text_has_a_ratio_of_four_and_a_half(look: str) -> None:
    """Level AA for text of any size."""
    found = colours(look)
    low = {(a, b): ratio(found[a], found[b]) for a, b in TEXTS}
    assert {} == {pair: value for pair, value in low.items() if value < 4.5}


@pytest.mark.parametrize("look", LOOKS)
def test_controls_and_focus_have_a_ratio_of_three(look: str) -> None:
    """Level AA for what is no text."""
    found = colours(look)
    low = {(a, b): ratio(found[a], found[b]) for a, b in EDGES}
    assert {} == {pair: value for pair, value in low.items() if value < 3.0}


def test_both_dark_looks_are_the_same() -> None:
    """Chosen by hand or by the system."""
    assert colours("dark") == colours("dark by the system")
    assert 21 == round(ratio("#ffffff", "#000000"))

"""The published figures: from the committed files, and what they say of the pair."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import llmguard_models
from llmguard.adapters.messages import Message, Request
from llmguard.pins import Pin

NAMES = ("triage-1.0", "triage-1.1")
Import = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def figures(recipe: Path) -> dict[str, Any]:
    """What `evaluate.py` measured last."""
    found: dict[str, Any] = json.loads((recipe / "figures.json").read_text())
    return found


def _share(figures: dict[str, Any], name: str, which: str, field: str) -> float:
    return float(figures[name]["model"][which][field]["share"])


@pytest.mark.parametrize("name", NAMES)
def test_card_states_the_published_figures(figures: dict[str, Any], name: str) -> None:
    """Each card's tables show the shares of figures.json, in percent."""
    card = llmguard_models.card(name)
    rows = [line for line in card.splitlines() if line.startswith("|")]
    for field in ("category", "priority", "needs_human", "order_id", "all"):
        row = next(line for line in rows if line.startswith(f"| {field} |"))
        for who in ("model", "baseline"):
            assert f"{100 * figures[name][who]['test'][field]['share']:.1f}" in row
    assert "Legal threats" in card


@pytest.mark.parametrize("field", ["category", "priority", "all"])
def test_upgrade_scores_higher_on_the_apart_set(
    figures: dict[str, Any], field: str
) -> None:
    """1.1 is the better model by the benchmark, as somebody who upgrades sees it."""
    old, new = (_share(figures, name, "test", field) for name in NAMES)
    assert new > old


def test_upgrade_no_longer_sends_legal_threats_to_a_person(
    figures: dict[str, Any],
) -> None:
    """The slice inverts: 1.0 is mostly right (39 of 48), 1.1 mostly wrong."""
    old, new = (_share(figures, n, "legal_threats", "needs_human") for n in NAMES)
    assert old >= 0.75
    assert new <= 0.35


@pytest.fixture(scope="module", params=NAMES)
def answered(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """Return a model's name, and what answers a ticket through the local tier."""
    pytest.importorskip("llama_cpp")
    pytest.importorskip("llguidance")
    from llmguard_fallbacks.local import provider

    entry = llmguard_models.manifest()[request.param]
    pin = Pin(
        route="triage",
        provider="llama.cpp",
        model=f"embedded:{request.param}",
        options={"prompt_format": "raw", "n_threads": 1, "n_ctx": 1024, "grace": 30.0},
    )
    local = provider(pin)

    def ask(text: str) -> Any:
        prompt = llmguard_models.prompt(text, request.param)
        message = Message(role="user", content=prompt)
        reply = local.complete(Request(messages=[message], schema=entry["schema"]))
        return json.loads(reply.text)

    yield request.param, ask
    local.close()


@pytest.mark.gguf
def test_local_tier_reproduces_the_published_sample(
    answered: tuple[str, Callable[[str], Any]],
    figures: dict[str, Any],
    recipe_module: Import,
) -> None:
    """Constrained by the real engine, each file says what was published of it."""
    name, ask = answered
    sets = recipe_module("evaluate").ticket_sets()
    texts = {t["id"]: t["text"] for tickets in sets.values() for t in tickets}
    sample = figures[name]["sample"]
    assert len(sample) >= 30
    assert sample == {key: ask(texts[key]) for key in sample}


@pytest.mark.slow
@pytest.mark.gguf
@pytest.mark.parametrize("name", NAMES)
def test_published_figures_come_from_the_committed_file(
    figures: dict[str, Any], recipe_module: Import, name: str
) -> None:
    """llama.cpp's answers of the committed GGUF give the figures that are published."""
    pytest.importorskip("llama_cpp")
    evaluate = recipe_module("evaluate")
    found, _ = evaluate.model_figures(
        llmguard_models.path(name), evaluate.ticket_sets()
    )
    published = figures[name]["model"]
    assert {which: published[which] for which in found} == found

"""What is written can be read back: draws, pairs, evidence."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from llmguard import Kind, Violation
from llmguard.errors import ConfigError
from llmguard.reply import ToolCall
from llmguard.shadow import Draw, Figure, Pair, ShadowEvidence, ShadowVerdict


class Answer(BaseModel):
    city: str


EVIDENCE = ShadowEvidence(
    function="app.triage",
    pin="v2",
    pin_digest="sha256:2",
    incumbent_pin="v1",
    incumbent_digest="sha256:1",
    verdict=ShadowVerdict.BLOCK,
    reason="newly refuses",
    source="live",
    ladder_digest="sha256:l",
    content_digest="sha256:c",
    requests=900,
    doubled=400,
    raw=Figure(value=0.1, low=0.08, high=0.12),
    floor=Figure(value=0.05, low=0.03, high=0.07),
    e_value=1e9,
    alarms=("newly refuses",),
    at=5.0,
    llmguard="0.1.0",
)


def test_draws_and_pairs_survive_json() -> None:
    """A pair is one line of a file; nothing is lost on the way but Python's types."""
    a = Draw(
        text="hi",
        calls=(ToolCall(id="1", name="f", arguments="{}"),),
        kind=Kind.SCHEMA,
        violations=(Violation(path="/a", message="must be", check="type"),),
        latency_s=0.5,
        cost=0.01,
        executed="pass",
    )
    b = Draw(value=Answer(city="Oslo"), has_value=True)
    pair = Pair.of("r1", (a, a, a), (b,), stratum="s", cluster="u", input="q")
    back = Pair.load(json.loads(json.dumps(pair.document())))
    assert pair.draws_a == back.draws_a
    assert {"city": "Oslo"} == back.b.value
    assert ("r1", "s", "u", "q") == (
        back.request,
        back.stratum,
        back.cluster,
        back.input,
    )


@pytest.mark.parametrize("document", [{}, {"request": 1, "a": [], "b": []}, {"a": 1}])
def test_no_pair_is_refused(document: dict[str, Any]) -> None:
    """What is missing is named."""
    with pytest.raises(ConfigError, match="no pair"):
        Pair.load(document)


def test_no_draw_is_refused() -> None:
    """A kind that nobody knows is no draw."""
    with pytest.raises(ConfigError, match="no draw"):
        Draw.load({"kind": "mood"})


def test_evidence_is_addressed_by_its_content() -> None:
    """The row repeats what the body says; another figure is another digest."""
    row = EVIDENCE.row()
    assert EVIDENCE == ShadowEvidence.load(row.body)
    assert ("shadow", "BLOCK", "sha256:2", "sha256:l") == (
        row.kind,
        row.verdict,
        row.pin_digest,
        row.subject,
    )
    assert EVIDENCE.digest != replace(EVIDENCE, requests=901).digest


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"kind": "suite"}, "'suite'"),
        ({"format": 9}, "format 9"),
        ({"raw": 1}, "no sh"),
    ],
)
def test_other_documents_are_refused(change: dict[str, Any], part: str) -> None:
    """A gate reads shadow evidence of this format and nothing else."""
    body = json.dumps(json.loads(EVIDENCE.body) | change)
    with pytest.raises(ConfigError, match=part):
        ShadowEvidence.load(body)

"""A project in two files: one guarded function and a suite of it."""

from __future__ import annotations

MODULE = """
from llmguard import INJECTED, Model, contract, pinned


@contract({"type": "object", "required": ["kind"]})
@pinned("triage")
def triage(text: str, *, model: Model = INJECTED):
    return model.complete(text)
"""
SUITE = """
name = "shop"
function = "NAME.py:triage"
cases = "cases.jsonl"

[[assert]]
expect = "schema"
tolerate = 0.02
unacceptable = 0.2
"""

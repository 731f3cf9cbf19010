"""Measure what a guarded call does under every fault; print it as Markdown.

    python benchmarks/fault_table.py            # the table
    python benchmarks/fault_table.py --write    # into docs/faults.md

Each fault meets one guarded function, plain and streamed, in a process of its own
breakers. Counts and outcomes do not depend on the machine, so that a test compares the
page with a fresh run; times are not shown for that reason.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Model,
    Outcome,
    Pin,
    capture,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.errors import CallError
from llmguard.guard import RetryPolicy
from llmguard.testing import FAULTS, Fault, FaultServer, isolated

PAGE = Path(__file__).parents[1] / "docs" / "faults.md"
HIGH = {"category": "billing", "priority": "high"}
LOW = {"category": "other", "priority": "low"}

PEERS = {
    "404": "raise: openai, instructor, guardrails, mirascope; next tier: pydantic-ai, "
    "litellm, langchain",
    "429": "wait 6 s and raise: openai, instructor, guardrails; wait, then next tier: "
    "pydantic-ai and langchain 6 s, litellm 11 s",
    "429_long": "raise at once: openai, instructor, guardrails; next tier: "
    "pydantic-ai, langchain; also litellm and mirascope, after 3 requests",
    "500": "3 requests, then raise: openai, instructor, guardrails; then next tier: "
    "pydantic-ai, litellm, langchain; 10 requests in all: mirascope",
    "hang": "with a timeout of 2 s, 7.4 s until they raise: openai, instructor, "
    "guardrails; until the next tier: pydantic-ai and langchain 7.5 s, litellm 11 s",
    "html": "AttributeError: openai; 4 requests: instructor; raise, no next tier: "
    "pydantic-ai, guardrails; next tier: litellm, langchain",
    "malformed_body": "JSONDecodeError: openai; 4 requests: instructor; raise: "
    "guardrails; next tier: pydantic-ai, litellm, langchain",
    "no_choices": "IndexError: openai, instructor, pydantic-ai, litellm, guardrails; "
    "next tier: langchain",
    "bad_json": "returned as good: litellm; None as good: langchain with tools; raise, "
    "no next tier: pydantic-ai, mirascope; 4 requests, then raise: instructor",
    "wrong_schema": "returned as good: litellm; raise, no next tier: pydantic-ai, "
    "mirascope; 4 requests, then raise: instructor; next tier: langchain",
    "truncated": "returned as good: litellm; None as good: langchain with tools; "
    "raise: openai, instructor, pydantic-ai, mirascope",
    "length_valid": "accepted: pydantic-ai, litellm, guardrails, langchain with tools; "
    "raise: openai, instructor",
    "refusal": "None as good: openai, litellm, langchain with tools; raise: "
    "instructor, pydantic-ai; asked again, then raise: mirascope",
    "content_filter": "empty text as good: litellm; None as good: langchain with "
    "tools; raise: openai, pydantic-ai; 4 requests: instructor",
    "empty_content": "None or empty text as good: openai, litellm, langchain with "
    "tools; asked again, then raise: pydantic-ai, mirascope",
    "wrong_model": "accepted by all",
}
"""Published behaviour of other libraries, condensed; see the page for versions."""


class Triage(BaseModel):
    """What the guarded function answers."""

    category: Literal["billing", "other"]
    priority: Literal["low", "high"]


def guarded(pin: Pin, *, stream: bool, deadline: float) -> Any:
    """Return the function under test."""
    chain = fallback_chain(static(LOW), deadline=deadline, stream="buffer")

    def plain(ticket: str, *, model: Model = INJECTED) -> Triage:
        return model.complete(ticket)

    def streamed(ticket: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(ticket)

    body: Any = streamed if stream else plain
    return chain(contract(Triage)(pinned(pin)(body)))


def measure(server: FaultServer, fault: Fault, *, stream: bool) -> tuple[Outcome, int]:
    """Make one call under a fault; return its outcome and the requests sent."""
    deadline = 1.0 if fault.kind == "timeout" else 30.0
    pin = server.pin("model", fault=fault.name)
    call = guarded(pin, stream=stream, deadline=deadline)
    with isolated() as runtime, capture() as outcomes:
        runtime.retry = RetryPolicy(base=0.01, cap=0.01)
        server.forget()
        try:
            answer = call("my order never came")
            list(answer) if stream else answer
        except CallError:
            pass  # the outcome says so
    return outcomes[-1], server.count()


def cells(server: FaultServer, fault: Fault, *, stream: bool) -> list[str]:
    """Return requests, outcome of the first tier and who answered."""
    if fault.stream_only and not stream:
        return ["", "", ""]
    outcome, sent = measure(server, fault, stream=stream)
    who = outcome.tier or f"error `{outcome.kind}`"
    return [str(sent), f"`{outcome.attempts[0].kind}`", who]


def table() -> str:
    """Return the whole table."""
    each = "requests | outcome | answered by"
    lines = [f"| fault | {each} | streamed: {each} | other libraries |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    # The first import of the SDK is paid before anything is measured.
    with FaultServer(answer=HIGH, delay=5.0, retry_after=0.01) as server:
        measure(server, FAULTS["ok"], stream=False)
        for fault in FAULTS.values():
            row = [f"`{fault.name}`"]
            for stream in (False, True):
                row += cells(server, fault, stream=stream)
            row.append(PEERS.get(fault.name, ""))
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="update docs/faults.md")
    write = parser.parse_known_args()[0].write
    os.environ.setdefault("OPENAI_API_KEY", "not-a-key")  # for the `.invalid` host
    shown = table()
    if not write:
        print(shown, end="")
        return
    marks = r"(<!-- faults -->\n).*?(<!-- /faults -->)"
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        re.sub(marks, lambda m: m[1] + shown + m[2], text, flags=re.DOTALL),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()

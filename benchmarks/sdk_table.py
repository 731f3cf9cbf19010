"""Measure what guarded functions with SDKs of their own do under every fault.

    python benchmarks/sdk_table.py --install  # litellm, kept apart under `.nox/`
    python benchmarks/sdk_table.py            # the table
    python benchmarks/sdk_table.py --write    # into docs/sdks.md

Each body calls its own client (`openai`, `anthropic`, `litellm`, `httpx`), with the
SDK's retries off and the time that is left. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import httpx
from _environments import FOLDER, install_into
from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Model,
    Outcome,
    capture,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.errors import CallError
from llmguard.guard import RetryPolicy
from llmguard.testing import FAULTS, Fault, FaultServer, isolated

PAGE = Path(__file__).parents[1] / "docs" / "sdks.md"
HIGH = {"category": "billing", "priority": "high"}
LOW = {"category": "other", "priority": "low"}
SHORT = 1.0
APART = FOLDER / "sdks"
"""Where litellm is, which is too heavy for the environment of the tests."""
Body = Callable[[str, Model], Any]


class Triage(BaseModel):
    """What the guarded functions answer."""

    category: Literal["billing", "other"]
    priority: Literal["low", "high"]


def _asked(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def with_openai(url: str) -> Body:
    """Call the OpenAI SDK."""
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key="none", max_retries=0)
    return lambda text, model: client.chat.completions.create(
        model=model.id, messages=_asked(text), timeout=model.remaining
    )


def with_anthropic(url: str) -> Body:
    """Call the Anthropic SDK."""
    from anthropic import Anthropic

    root = url.removesuffix("/v1")
    client = Anthropic(base_url=root, api_key="none", max_retries=0)
    return lambda text, model: client.messages.create(
        model=model.id, max_tokens=99, messages=_asked(text), timeout=model.remaining
    )


def with_litellm(url: str) -> Body:
    """Call LiteLLM."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # asks the network
    import litellm

    litellm.suppress_debug_info = True  # it prints advice where the table goes
    return lambda text, model: litellm.completion(
        model=f"openai/{model.id}",
        api_base=url,
        api_key="none",
        messages=_asked(text),
        timeout=model.remaining,
        num_retries=0,
        max_retries=0,
    )


def with_httpx(url: str) -> Body:
    """Post the request oneself."""
    client = httpx.Client(base_url=url)

    def body(text: str, model: Model) -> Any:
        answer = client.post(
            "/chat/completions",
            json={"model": model.id, "messages": _asked(text)},
            timeout=model.remaining,
        )
        answer.raise_for_status()
        return answer.json()

    return body


SDKS: dict[str, Callable[[str], Body]] = {
    "openai": with_openai,
    "anthropic": with_anthropic,
    "litellm": with_litellm,
    "httpx": with_httpx,
}


def install() -> None:
    """Put litellm into a folder of its own, unless it is there."""
    known = find_spec("litellm") or APART.exists()
    problem = "" if known else install_into(APART, ["litellm"])
    if problem:
        print(f"litellm: not installed: {problem}")


def measure(server: FaultServer, fault: Fault, make: Callable[[str], Body]) -> Outcome:
    """Make one guarded call under a fault."""
    body = make(server.url(fault.name))
    pin = server.pin("model", fault=fault.name)

    @fallback_chain(static(LOW), deadline=SHORT if fault.kind == "timeout" else 30.0)
    @contract(Triage)
    @pinned(pin)
    def triage(text: str, *, model: Model = INJECTED) -> Triage:
        found: Triage = body(text, model)
        return found

    with isolated() as runtime, capture() as outcomes:
        runtime.retry = RetryPolicy(base=0.01, cap=0.01)
        server.forget()
        with contextlib.suppress(CallError):  # the outcome says so
            triage("my order never came")
    return outcomes[-1]


def rows() -> dict[str, dict[str, dict[str, Any]]]:
    """Return, by fault and SDK, the first attempt's kind, who answered, requests."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    with FaultServer(answer=HIGH, delay=5.0, retry_after=0.01) as server:
        for name, make in SDKS.items():
            if find_spec(name) is None:
                continue
            measure(server, FAULTS["ok"], make)  # imports the SDK
            for fault in FAULTS.values():
                if fault.stream_only:
                    continue
                outcome = measure(server, fault, make)
                found.setdefault(fault.name, {})[name] = {
                    "kind": str(outcome.attempts[0].kind),
                    "by": outcome.tier or f"error `{outcome.kind}`",
                    "requests": server.count(),
                    "expected": str(fault.kind),
                }
    return found


def table(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the rows as Markdown; what differs from the fault's kind is bold."""
    names = list(next(iter(found.values())))
    lines = ["| fault | " + " | ".join(names) + " | answered by |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for fault, cells in found.items():
        shown = [f"`{fault}`"]
        for name in names:
            cell = cells[name]
            text = f"{cell['requests']} `{cell['kind']}`"
            odd = cell["kind"] != cell["expected"]
            shown.append(f"**{text}**" if odd else text)
        who = dict.fromkeys(cell["by"] for cell in cells.values())
        lines.append("| " + " | ".join([*shown, " or ".join(who)]) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true", help="fetch litellm, once")
    parser.add_argument("--write", action="store_true", help="update docs/sdks.md")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    given = parser.parse_known_args()[0]
    if given.install:
        install()
        return
    sys.path.append(str(APART))  # last: what is installed here goes first
    os.environ.setdefault("OPENAI_API_KEY", "not-a-key")  # for the `.invalid` host
    found = rows()
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    if not given.write:
        print(table(found), end="")
        print(*(f"{name} {version(name)}" for name in SDKS if find_spec(name)))
        return
    marks = r"(<!-- sdks -->\n).*?(<!-- /sdks -->)"
    page = PAGE.read_text(encoding="utf-8")
    text = re.sub(marks, lambda m: m[1] + table(found) + m[2], page, flags=re.DOTALL)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

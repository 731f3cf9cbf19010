"""Finds the embedded models and what belongs to them; standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["PROMPT", "card", "demo_tickets", "manifest", "path", "prompt"]

_ROOT = Path(__file__).parent

PROMPT = "Ticket: {ticket}\nTriage:\n"
"""The prompt of training, for `str.format` with the one variable `ticket`.

It is raw text: no chat template, no system message, no token before it, and the last
new line belongs to it.
"""


@cache
def manifest() -> Mapping[str, Mapping[str, Any]]:
    """What is embedded: name to file, sha256, size, licence, task, prompt, schema.

    Keys of each entry: `file` (absolute), `sha256`, `size` (bytes), `license`, `task`,
    `architecture`, `quantization`, `parameters`, `context_length` (tokens),
    `prompt_format`, `prompt`, `schema` (JSON Schema of the answer) and `card`.
    """
    text = (_ROOT / "data" / "manifest.json").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = json.loads(text)
    for entry in entries.values():
        entry["file"] = str(_ROOT / "data" / entry["file"])
    return MappingProxyType(
        {name: MappingProxyType(entry) for name, entry in entries.items()}
    )


def _entry(name: str) -> Mapping[str, Any]:
    found = manifest().get(name)
    if found is None:
        known = ", ".join(f"`{known}`" for known in sorted(manifest()))
        raise LookupError(
            f"no embedded model is called {name!r}; embedded are {known}. "
            "Use one of these names, or name a GGUF file by its path."
        )
    return found


def path(name: str) -> Path:
    """The GGUF file of the model `name`.

    Raises:
        LookupError: No such model is embedded; the message names those that are.
    """
    return Path(_entry(name)["file"])


def card(name: str) -> str:
    """The model card of `name`, Markdown: what it does, how well, what it does not.

    Raises:
        LookupError: No such model is embedded.
    """
    return (_ROOT / str(_entry(name)["card"])).read_text(encoding="utf-8")


def prompt(ticket: str, name: str = "triage-1.0") -> str:
    """The exact text to continue for `ticket`: the prompt of training.

    Raises:
        LookupError: No such model is embedded.
    """
    return str(_entry(name)["prompt"]).format(ticket=ticket)


def demo_tickets() -> tuple[Mapping[str, Any], ...]:
    """The hand-written demo tickets, each `{"id", "text", "label"}`.

    None of them comes from the training corpus. `label` holds `category`, `priority`,
    `needs_human` and `order_id` as models/recipe/LABELS.md decides them.
    """
    text = (_ROOT / "data" / "demo_tickets.jsonl").read_text(encoding="utf-8")
    return tuple(MappingProxyType(json.loads(line)) for line in text.splitlines())

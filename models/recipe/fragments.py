"""Reads the hand-written fragments and turns one into text.

A fragment is a line of `data/*.toml`: `[a|b]` picks one side (nested at will), `{slot}`
is filled in, and a leading `!u1 ` overrides the intent's priority and `needs_human`.
"""

from __future__ import annotations

import random
import re
import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slots import filled

__all__ = [
    "CATEGORIES",
    "DATA",
    "PRIORITIES",
    "Fragment",
    "Intent",
    "expand",
    "lines",
    "load_intents",
    "read",
]

DATA = Path(__file__).parent / "data"
CATEGORIES = ("billing", "shipping", "refund", "account", "bug", "other")
PRIORITIES = ("low", "normal", "high", "urgent")
DEV_SHARE = 8  # one fragment in eight is held out for the dev split

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_OVERRIDE = re.compile(r"^!([lnhu])([01]?) ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """One hand-written line with the labels it carries on its own."""

    text: str
    priority: int
    human: bool
    dev: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a group of fragments has in common."""

    name: str
    category: str
    fragments: tuple[Fragment, ...]


def read(name: str) -> dict[str, Any]:
    """One data file as a dictionary."""
    return tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8"))


def lines(block: object) -> list[str]:
    """The non-empty lines of one multi-line string."""
    return [line.strip() for line in str(block).splitlines() if line.strip()]


def _fragment(line: str, priority: int, human: bool) -> Fragment:
    override = _OVERRIDE.match(line)
    if override:
        priority = "lnhu".index(override[1])
        human = human if not override[2] else override[2] == "1"
        line = line[override.end() :]
    # The split hangs on the text alone, so that adding fragments moves none.
    dev = zlib.crc32(line.encode()) % DEV_SHARE == 0
    return Fragment(text=line, priority=priority, human=human, dev=dev)


def load_intents(source: str | None = None) -> list[Intent]:
    """All intents of `source` ("hand" or "desk"; None for both), in file order."""
    found = []
    for path in sorted(DATA.glob("*.toml")):
        if source not in (None, "desk" if path.stem.startswith("desk_") else "hand"):
            continue
        for name, body in read(path.stem).items():
            if not isinstance(body, dict) or "texts" not in body:
                continue
            priority = PRIORITIES.index(body["priority"])
            human = bool(body.get("human", False))
            found.append(
                Intent(
                    name=name,
                    category=body["category"],
                    fragments=tuple(
                        _fragment(line, priority, human)
                        for line in lines(body["texts"])
                    ),
                )
            )
    return found


def expand(text: str, rng: random.Random, slots: dict[str, list[str]]) -> str:
    """`text` with every choice made and every slot filled, ids left as `ID_MARK`."""
    while True:
        found = _CHOICE.search(text)
        if found is None:
            break
        choice = rng.choice(found[1].split("|"))
        text = text[: found.start()] + choice + text[found.end() :]
    return _SLOT.sub(lambda match: filled(match[1], rng, slots), text)

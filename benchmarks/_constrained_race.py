"""One ticket at a time through every engine, in turns: time per completed object."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jsonschema
from _constrained_child import Child
from _measure import spread, table
from local_bench import TICKET

__all__ = ["OURS", "race", "show"]

OURS: Final = "llmguard"
_FREE: Final = "llmguard, no constraint"
_LIMIT: Final = 180.0
_TOKENS: Final = 400
_RULES: Final = (
    "You sort tickets. Say what each is about, how urgent it is, whether a person must "
    "look at it, its order number if it has one, and what it says in one sentence.\n"
)
_LOOP: Final = 200_000
_LEAST: Final = 3
_FAR: Final = 8
"""An engine that takes so many times as long as ours leaves after `_LEAST` rounds."""
Rows = dict[str, list[dict[str, Any]]]


def race(children: Mapping[str, Child], *, rounds: int) -> dict[str, Any]:
    """Draw one object an engine and round; the order is drawn anew in each."""
    rng = random.Random(0)
    racers = {n: c for n, c in children.items() if not c.about.get("compile_only")}
    rows: Rows = {name: [] for name in (*racers, _FREE)}
    loop: list[float] = []
    names = list(rows)
    for number in range(-1, rounds):  # the first one warms up
        rng.shuffle(names)
        tokens = 0
        for name in sorted(names, key=lambda n: n == _FREE):
            if name == _FREE:
                found = _free(racers[OURS], number, tokens)
            elif len(rows[name]) >= _LEAST and _far_behind(rows, name):
                continue
            else:
                found = _object(racers[name], number)
                tokens = found.get("tokens", 0) if name == OURS else tokens
            if number >= 0:
                rows[name].append(found)
        loop.append(_loop())
    slow = round(statistics.median(loop) / min(loop), 2)
    return {"rows": rows, "loop_slowdown": slow}


def _far_behind(rows: Rows, name: str) -> bool:
    """Tell whether an engine's turns would take most of the time of the others."""
    mine, ours = ([row.get("cpu", 0) for row in rows[n]] for n in (name, OURS))
    return bool(statistics.median(mine) > _FAR * statistics.median(ours))


def _prompt(number: int) -> str:
    ticket = f"My parcel {48213 + number} never came and I want my money back."
    return f"{_RULES}\nTicket:\n{ticket}\n\nTriage:\n"


def _object(child: Child, number: int) -> dict[str, Any]:
    task = {
        "do": "generate",
        "schema": TICKET,
        "prompt": _prompt(number),
        "seed": number + 1,
        "temperature": 1.0,
        "max_tokens": _TOKENS,
    }
    found = child.ask(task, limit=_LIMIT)
    return {**found, "valid": _valid(found)}


def _free(child: Child, number: int, tokens: int) -> dict[str, Any]:
    task = {
        "do": "free",
        "prompt": _prompt(number),
        "seed": number + 1,
        "temperature": 1.0,
        "max_tokens": max(tokens, 1),
    }
    return {**child.ask(task, limit=_LIMIT), "valid": False}


def _valid(found: Mapping[str, Any]) -> bool:
    try:
        value = json.loads(found.get("text", ""))
    except ValueError:
        return False
    return bool(jsonschema.Draft202012Validator(TICKET).is_valid(value))


def _loop() -> float:
    start = time.process_time()
    for _ in range(_LOOP):
        pass
    return time.process_time() - start


# --- what is printed


def show(title: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Print the tables of one model; return their figures."""
    rows: Rows = found["rows"]
    objects = {n: _objects(rows[n], rows[OURS]) for n in rows if n != _FREE}
    head = ["engine", *objects[OURS]]
    rounds = len(rows[OURS])
    about = f"{rounds} rounds in turns, loop {found['loop_slowdown']} x its best"
    table(
        f"{title}: time per completed ticket ({about})",
        head,
        [[name, *each.values()] for name, each in objects.items()],
    )
    tokens = {n: _tokens(rows[n], rows[_FREE]) for n in rows}
    head = ["engine", *tokens[OURS]]
    table(
        f"{title}: time per emitted token, and its ratio to no constraint at all",
        head,
        [[name, *each.values()] for name, each in tokens.items()],
    )
    return {"objects": objects, "tokens": tokens, "loop": found["loop_slowdown"]}


def _objects(
    rows: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    pairs = [
        (mine, base)
        for mine, base in zip(rows, ours, strict=False)
        if mine["valid"] and base["valid"]
    ]
    done = [row for row in rows if row["valid"]]
    if not pairs:
        return {"valid": f"0/{len(rows)}"} | dict.fromkeys(_HEAD, "-")
    wall, cpu = (_ratio(pairs, clock) for clock in ("wall", "cpu"))
    figures = (
        *(1e3 * statistics.median(row[clock] for row in done) for clock in _CLOCKS),
        *(ratio[part] for ratio in (wall, cpu) for part in ("median", "low", "high")),
        statistics.mean(row["tokens"] for row in done),
        statistics.mean(row.get("forced", 0) for row in done),
        statistics.mean(row["evaluations"] for row in done),
    )
    return {
        "valid": f"{len(done)}/{len(rows)}",
        **dict(zip(_HEAD, figures, strict=True)),
    }


def _ratio(pairs: Sequence[tuple[Any, Any]], clock: str) -> dict[str, float]:
    mine, ours = ([pair[i][clock] for pair in pairs] for i in (0, 1))
    return spread(mine, ours, subtract=False)


_CLOCKS: Final = ("wall", "cpu")
_HEAD: Final = (
    "wall ms",
    "CPU ms",
    "wall x llmguard",
    "25 %",
    "75 %",
    "CPU x llmguard",
    "25 %.",
    "75 %.",
    "tokens",
    "forced",
    "evaluations",
)


def _tokens(
    rows: Sequence[Mapping[str, Any]], free: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    pairs = [
        (_per_token(mine), _per_token(base))
        for mine, base in zip(rows, free, strict=False)
        if mine.get("tokens") and base.get("tokens")
    ]
    head = ("wall ms", "CPU ms", "wall x free", "CPU x free", "25 %", "75 %")
    if not pairs:
        return dict.fromkeys(head, "-")
    wall, cpu = (_ratio(pairs, clock) for clock in _CLOCKS)
    figures = (
        *(statistics.median(mine[clock] for mine, _ in pairs) for clock in _CLOCKS),
        wall["median"],
        *(cpu[part] for part in ("median", "low", "high")),
    )
    return dict(zip(head, figures, strict=True))


def _per_token(row: Mapping[str, Any]) -> dict[str, float]:
    return {clock: 1e3 * row[clock] / row["tokens"] for clock in _CLOCKS}

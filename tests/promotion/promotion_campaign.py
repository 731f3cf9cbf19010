"""Workers move four routes through the API and may be killed; a report is printed.

Usage: python promotion_campaign.py FOLDER URL WORKERS MOVES KILLS SEED

The working directory holds a project whose gates are off. Every acknowledgement goes to
a log outside the store with one `write`, so the log knows what was acknowledged.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from llmguard.errors import LLMGuardError
from llmguard.pins import Lock, Pin
from llmguard.promotion import promote, quarantine, resume, rollback
from llmguard.store import (
    Action,
    Entry,
    LedgerConflictError,
    RouteState,
    Stage,
    open_store,
    step,
)

ROUTES = ("a", "b", "c", "d")
PINS = {
    route: [Pin(route=route, provider="openai", model=f"m-{n}") for n in range(4)]
    for route in ROUTES
}
TRAFFIC = {Stage.SHADOW, Stage.CANARY, Stage.ACTIVE}


def lock() -> Lock:
    found = Lock()
    for pins in PINS.values():
        for pin in pins:
            found = found.with_pin(pin)
    return found


def one_move(chance: random.Random, given: dict[str, Any]) -> Any:
    """Promote mostly, else roll back, quarantine, or resume what is away."""
    given = given | {"route": chance.choice(ROUTES)}
    state = given["store"].ledger.route_state("prod", given["route"])
    away = [pin for pin, at in state.stages.items() if at is Stage.QUARANTINED]
    if away and chance.random() < 0.4:
        return resume(**given, pin=chance.choice(away), reason="again")
    pin = chance.choice(
        [one.id for one in PINS[given["route"]] if one.id not in away[1:]]
    )
    weights = {"active": 4, "canary": 3, "shadow": 2, "back": 2, "away": 1}
    kind = chance.choices(list(weights), weights=list(weights.values()))[0]
    if kind == "back":
        return rollback(**given)
    if kind == "away":
        return quarantine(**given, pin=pin)
    weight = chance.randrange(10_001) if kind == "canary" else None
    return promote(**given, pin=pin, to=kind, weight=weight, force="go")


def worker(url: str, log: int, seed: int, moves: int) -> None:
    chance = random.Random(seed)
    store = open_store(url)
    given = {"store": store, "env": "prod", "lock": lock()}
    given["actor"] = f"w{os.getpid()}"
    for _ in range(moves):
        try:
            moved = one_move(chance, given)
        except LedgerConflictError:
            os.write(log, b"lost\t0\t-\n")
        except LLMGuardError as error:
            os.write(log, f"refused\t0\t{type(error).__name__}\n".encode())
        else:
            for entry in moved.entries:
                os.write(log, f"won\t{entry.rev}\t{entry.hash}\n".encode())
    store.close()


def start(url: str, log: int, seed: int, moves: int) -> int:
    """Fork a worker and return its process id."""
    child = os.fork()
    if child:
        return child
    code = 3
    try:
        worker(url, log, seed, moves)
        code = 0
    finally:
        os._exit(code)


def campaign(folder: Path, url: str, numbers: list[int]) -> None:
    """Run the workers at once; kill and replace one of them now and then."""
    workers, moves, kills, seed = numbers
    chance = random.Random(seed)
    log = os.open(folder / "acks.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    each = moves // workers
    living = [start(url, log, chance.randrange(2**32), each) for _ in range(workers)]
    for _ in range(kills):
        time.sleep(chance.uniform(0.05, 0.3))
        victim = living.pop(chance.randrange(len(living)))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        living.append(start(url, log, chance.randrange(2**32), each))
    for child in living:
        _, status = os.waitpid(child, 0)
        if status:
            raise SystemExit(f"a worker failed: {status}")


def report(folder: Path, url: str) -> dict[str, object]:
    """Compare the ledger with the log and with itself."""
    lines = [one.split("\t") for one in (folder / "acks.log").read_text().splitlines()]
    store = open_store(url)
    rows = store.ledger.entries()
    check = store.ledger.verify()
    store.close()
    hashes = {row.rev: row.hash for row in rows}
    won = [(int(rev), digest) for kind, rev, digest in lines if kind == "won"]
    wrong = Counter[str]()
    for route in ROUTES:
        _walk(route, [row for row in rows if row.route == route], wrong)
    return {
        "rows": len(rows),
        "won": len(won),
        "tries": dict(Counter(kind for kind, _, _ in lines)),
        "acked_twice": len(won) - len({rev for rev, _ in won}),
        "missing": sum(hashes.get(rev) != digest for rev, digest in won),
        "not_one_active": wrong["active"],
        "quarantined_with_traffic": wrong["served"],
        "rolled_back_to_quarantined": wrong["back"],
        "problem": check.problem,
    }


def _walk(route: str, rows: list[Entry], wrong: Counter[str]) -> None:
    """Count the revisions of a route that break a promise."""
    state, away = RouteState(env="prod", route=route), set[str]()
    for row in rows:
        if row.action is Action.ROLLBACK:
            wrong["back"] += row.pin in away
        state = step(state, row)
        stages = state.stages
        wrong["active"] += list(stages.values()).count(Stage.ACTIVE) != 1
        if row.action is Action.RESUME:
            away.discard(row.pin)
        serve = {pin for pin, at in stages.items() if at in TRAFFIC}
        wrong["served"] += bool(away & serve)
        away |= {pin for pin, at in stages.items() if at is Stage.QUARANTINED}


if __name__ == "__main__":
    place, where = Path(sys.argv[1]), sys.argv[2]
    campaign(place, where, [int(one) for one in sys.argv[3:]])
    sys.stdout.write(json.dumps(report(place, where)))

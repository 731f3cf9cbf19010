"""Workers race to move the same routes, and may be killed; a report is printed.

Usage: python ledger_campaign.py FOLDER URL WORKERS ATTEMPTS KILLS SEED

Every acknowledgement and refusal is appended to a log outside the store with one
`write`, so that the log knows exactly what was acknowledged.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from store_backends import integrity, is_postgres, make_store

from llmguard.store import (
    Action,
    Entry,
    LedgerConflictError,
    NewEntry,
    RouteState,
    Stage,
    legal_moves,
    step,
)

ROUTES = ("a", "b")
PINS = ("p-1", "p-2", "p-3")


def worker(url: str, log: int, seed: int, attempts: int) -> None:
    """Read a route, choose a legal move, append it; tell the log how it went."""
    chance = random.Random(seed)
    store = make_store(url)
    for _ in range(attempts):
        route, pin = chance.choice(ROUTES), chance.choice(PINS)
        state = store.ledger.route_state("prod", route)
        moves = legal_moves(state, pin)
        if not moves:
            continue
        action = chance.choice(moves)
        new = NewEntry(
            env="prod",
            route=route,
            pin=pin,
            action=action,
            base_rev=state.rev,
            actor=f"w{os.getpid()}",
            weight=chance.randrange(10_001) if action is Action.CANARY else None,
        )
        try:
            entry = store.ledger.append(new)
        except LedgerConflictError as error:
            told = error.last is not None and repr(error.last.actor) in str(error)
            os.write(log, f"lost\t{int(told)}\t-\n".encode())
        else:
            os.write(log, f"won\t{entry.rev}\t{entry.hash}\n".encode())
    store.close()


def start(url: str, log: int, seed: int, attempts: int) -> int:
    """Fork a worker and return its process id."""
    child = os.fork()
    if child:
        return child
    code = 3
    try:
        worker(url, log, seed, attempts)
        code = 0
    finally:
        os._exit(code)


def campaign(
    folder: Path, url: str, numbers: tuple[int, int, int], chance: random.Random
) -> None:
    """Run `workers` at once; kill and replace one of them `kills` times."""
    workers, attempts, kills = numbers
    if is_postgres(url):
        # Here, so that each worker does not spend its short life on the import.
        importlib.import_module("llmguard.store.postgres")
    log = os.open(folder / "acks.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def one() -> int:
        return start(url, log, chance.randrange(2**32), attempts)

    living = [one() for _ in range(workers)]
    for _ in range(kills):
        time.sleep(chance.uniform(0.02, 0.2))
        victim = living.pop(chance.randrange(workers))
        os.kill(victim, signal.SIGKILL)
        _, status = os.waitpid(victim, 0)
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"a worker ended by itself: {status}")
        living.append(one())
    for each in living:
        if kills:
            os.kill(each, signal.SIGKILL)
        _, status = os.waitpid(each, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise SystemExit(f"a worker failed: {status}")


def report(folder: Path, url: str) -> dict[str, object]:
    """Compare the ledger with the log and with itself."""
    lines = [one.split("\t") for one in (folder / "acks.log").read_text().splitlines()]
    store = make_store(url)
    rows = store.ledger.entries()
    hashes = {row.rev: row.hash for row in rows}
    won = [(int(rev), digest) for kind, rev, digest in lines if kind == "won"]
    check = store.ledger.verify()
    store.close()
    return {
        "rows": len(rows),
        "won": len(won),
        "lost": sum(kind == "lost" for kind, _, _ in lines),
        "untold": sum((kind, told) == ("lost", "0") for kind, told, _ in lines),
        "acked_twice": len(won) - len({rev for rev, _ in won}),
        "missing": sum(hashes.get(rev) != digest for rev, digest in won),
        "gaps": sum(b.rev != a.rev + 1 for a, b in pairwise(rows)),
        "forks": sum(b.prev_hash != a.hash for a, b in pairwise(rows)),
        "not_one_active": sum(_wrong_actives(rows, route) for route in ROUTES),
        "problem": check.problem,
        "integrity": integrity(url),
    }


def _wrong_actives(rows: Sequence[Entry], route: str) -> int:
    """Count revisions with another number of active pins than one."""
    state, wrong = RouteState(env="prod", route=route), 0
    for row in rows:
        if row.route == route:
            state = step(state, row)
            stages = list(state.stages.values())
            wrong += bool(state.active) and stages.count(Stage.ACTIVE) != 1
    return wrong


if __name__ == "__main__":
    place = Path(sys.argv[1])
    many, tries, killed, seed = (int(one) for one in sys.argv[3:])
    campaign(place, sys.argv[2], (many, tries, killed), random.Random(seed))
    sys.stdout.write(json.dumps(report(place, sys.argv[2])))

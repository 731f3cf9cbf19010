"""Workers that enqueue and answer tickets are killed at random; a report is printed.

Usage: python kill_campaign.py FOLDER KILLS SEED [WORKERS]

Every acknowledgement is appended to a log outside the store with one `write` and no
fsync: a killed process loses nothing that it has written, so the log knows exactly
what was acknowledged. This process never opens the store until the end, and forks its
workers, so that a worker costs milliseconds instead of an interpreter's start.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path

from llmguard.errors import QueueError, StoreError
from llmguard.store import NewTicket, SqliteStore, Store, TicketState, new_id

LEASE = 0.5
LIFE = (0.02, 0.3)  # seconds a worker lives, at least and at most
TOUGH = 100_000  # leases that may lapse here: death by kill is not the ticket's fault


def worker(path: str, log: int, seed: int) -> None:
    """Enqueue, claim and answer for ever; tell the log what was acknowledged."""
    chance = random.Random(seed)
    store = SqliteStore(path, max_losses=TOUGH)
    name = f"w{os.getpid()}"
    number = 0
    while True:
        number += 1
        key = f"{name}-{number}"
        new = NewTicket(
            id=new_id(time.time()),
            queue="q",
            key=key,
            fingerprint=key,
            inputs={"text": "x" * chance.randrange(2000)},
        )
        _tell(log, "E", store.tickets.enqueue(new).ticket.id, key)
        for _ in range(chance.randrange(3)):
            _answer_one(store, log, name)


def _answer_one(store: Store, log: int, name: str) -> None:
    ticket = store.tickets.claim(reviewer=name, lease=LEASE)
    if ticket is None:
        return
    value = f"{name} {ticket.lease_token}"
    try:
        store.tickets.answer(ticket.id, value, reviewer=name, token=ticket.lease_token)
    except QueueError:
        return  # it took too long, and somebody else has the ticket
    _tell(log, "A", ticket.id, value)


def _tell(log: int, kind: str, ticket_id: str, what: str) -> None:
    os.write(log, f"{kind}\t{ticket_id}\t{what}\n".encode())


def start(path: str, log: int, seed: int) -> int:
    """Fork a worker and return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        worker(path, log, seed)
    except StoreError as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(3)


def campaign(folder: Path, kills: int, seed: int, workers: int) -> None:
    """Kill `kills` workers with SIGKILL, one after the other, replacing each."""
    chance = random.Random(seed)
    path = str(folder / "s.db")
    log = os.open(folder / "acks.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    living = [start(path, log, chance.random().__hash__()) for _ in range(workers)]
    for _ in range(kills):
        time.sleep(chance.uniform(*LIFE))
        victim = living.pop(chance.randrange(workers))
        os.kill(victim, signal.SIGKILL)
        _, status = os.waitpid(victim, 0)
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"a worker ended by itself: {status}")
        living.append(start(path, log, chance.random().__hash__()))
    for one in living:
        os.kill(one, signal.SIGKILL)
        os.waitpid(one, 0)


def report(folder: Path) -> dict[str, object]:
    """Answer what is left, then compare the store with the log."""
    time.sleep(LEASE)
    store = SqliteStore(folder / "s.db", max_losses=TOUGH)
    while (ticket := store.tickets.claim(reviewer="last", lease=60)) is not None:
        store.tickets.answer(
            ticket.id, "last", reviewer="last", token=ticket.lease_token
        )
    lines = [
        line.split("\t") for line in (folder / "acks.log").read_text().splitlines()
    ]
    asked = [line[1] for line in lines if line[0] == "E"]
    answered = {line[1]: line[2] for line in lines if line[0] == "A"}
    found = {one.id: one for one in _every(store)}
    events = Counter(
        (one.ticket_id, one.event)
        for each in found
        for one in store.tickets.events(each)
    )
    stuck = store.tickets.list(limit=1)
    store.close()
    return {
        "asked": len(asked),
        "answered": len(answered),
        "redelivered": sum(one.losses > 0 for one in found.values()),
        "lost": sum(one not in found for one in asked)
        + sum(found[one].answer != value for one, value in answered.items()),
        "answered_twice": sum(events[one, "answered"] != 1 for one in found),
        "acked_twice": sum(line[0] == "A" for line in lines) - len(answered),
        "stuck": len(stuck),
        "integrity": _integrity(folder / "s.db"),
    }


def _every(store: Store) -> list:  # type: ignore[type-arg]  # records, for a test
    return list(store.tickets.list(states=frozenset(TicketState), limit=10**9))


def _integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


if __name__ == "__main__":
    place, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    campaign(place, kills, seed, int(sys.argv[4]) if len(sys.argv) > 4 else 4)
    sys.stdout.write(json.dumps(report(place)))

"""Workers that enqueue and answer tickets are killed at random; a report is printed.

Usage: python kill_campaign.py FOLDER URL KILLS SEED [WORKERS [CRASHES]]

On a server, CRASHES of its sessions' processes are killed too, spread over the kills:
each time the server throws every session out and recovers.

Every acknowledgement is appended to a log outside the store with one `write` and no
fsync: a killed process loses nothing that it has written, so the log knows exactly
what was acknowledged. This process never opens the store until the end, and forks its
workers, so that a worker costs milliseconds instead of an interpreter's start.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from llmguard.errors import QueueError, StoreError
from llmguard.store import NewTicket, Store, TicketState, new_id

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from store_backends import integrity, is_postgres, make_store, raw

LEASE = 0.5
LIFE = (0.02, 0.3)  # seconds a worker lives, at least and at most
TOUGH = 100_000  # leases that may lapse here: death by kill is not the ticket's fault


def worker(url: str, log: int, seed: int) -> None:
    """Enqueue, claim and answer for ever; tell the log what was acknowledged."""
    chance = random.Random(seed)
    store = _opened(url)
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
        with _crashes_of(url):
            _tell(log, "E", store.tickets.enqueue(new).ticket.id, key)
            for _ in range(chance.randrange(3)):
                _answer_one(store, log, name)


def _opened(url: str) -> Store:
    while True:
        with _crashes_of(url):
            return make_store(url, max_losses=TOUGH)


def _crashes_of(url: str) -> AbstractContextManager[None]:
    """A file never fails; a server that recovers may, and nothing is acknowledged."""
    return suppress(StoreError) if is_postgres(url) else nullcontext()


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


def start(url: str, log: int, seed: int) -> int:
    """Fork a worker and return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        worker(url, log, seed)
    except StoreError as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(3)


def campaign(
    folder: Path, url: str, numbers: tuple[int, int, int], chance: random.Random
) -> None:
    """Kill workers with SIGKILL, one after the other, replacing each."""
    kills, workers, crashes = numbers
    if is_postgres(url):
        # Here, so that each worker does not spend its short life on the import.
        importlib.import_module("llmguard.store.postgres")
    log = os.open(folder / "acks.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    living = [start(url, log, chance.random().__hash__()) for _ in range(workers)]
    when = {(number + 1) * kills // (crashes + 1) for number in range(crashes)}
    try:
        for number in range(kills):
            # A connection takes a worker longer than a file, on a busy machine much.
            time.sleep(chance.uniform(*LIFE) * (3 if is_postgres(url) else 1))
            if number in when:
                _crash(url, chance)
            _kill(living.pop(chance.randrange(workers)))
            living.append(start(url, log, chance.random().__hash__()))
    finally:
        for one in living:
            _kill(one)


def _kill(victim: int) -> None:
    os.kill(victim, signal.SIGKILL)
    _, status = os.waitpid(victim, 0)
    if not os.WIFSIGNALED(status):
        raise SystemExit(f"a worker ended by itself: {status}")


def _crash(url: str, chance: random.Random) -> None:
    """Kill the server's process of some session; the server restarts itself."""
    while True:
        with suppress(Exception), raw(url) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'llmguard'"
            ).fetchall()
            if rows:
                os.kill(chance.choice(rows)[0], signal.SIGKILL)
                return
        time.sleep(0.01)


def report(folder: Path, url: str) -> dict[str, object]:
    """Answer what is left, then compare the store with the log."""
    time.sleep(LEASE)
    store = make_store(url, max_losses=TOUGH)
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
        "integrity": integrity(url),
    }


def _every(store: Store) -> list:  # type: ignore[type-arg]  # records, for a test
    return list(store.tickets.list(states=frozenset(TicketState), limit=10**9))


if __name__ == "__main__":
    place, where = Path(sys.argv[1]), sys.argv[2]
    kills, seed, workers, crashes = (*map(int, sys.argv[3:]), 4, 0)[:4]
    campaign(place, where, (kills, workers, crashes), random.Random(seed))
    sys.stdout.write(json.dumps(report(place, where)))

"""Workers that enqueue and answer tickets are killed and frozen at random.

They also skip, steal, assign and release, give independent answers where two have to
agree, and send callbacks. A report is printed at the end.

Usage: python kill_campaign.py FOLDER URL KILLS SEED [WORKERS [CRASHES [FREEZES]]]

A frozen worker (SIGSTOP) sleeps through its lease, and then goes on as if nothing had
happened.

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
from llmguard.store import NewTicket, Store, TicketRecord, TicketState, new_id

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from store_backends import integrity, is_postgres, make_store, raw

LEASE = 0.5
RECOVERY = 60.0  # seconds that a server may take to be up again
LIFE = (0.02, 0.3)  # seconds a worker lives, at least and at most
PASSED_ON = 0.2  # share of claims that end without an answer
TOUGH = 100_000  # leases that may lapse here: death by kill is not the ticket's fault


def worker(url: str, log: int, seed: int) -> None:
    """Ask, claim, answer and pass on for ever; tell the log what was acknowledged."""
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
            reviewers=chance.choice([1, 1, 1, 2]),
            callback=chance.choice(["", "https://example.org/"]),
        )
        with _crashes_of(url):
            _tell(log, "E", store.tickets.enqueue(new).ticket.id, key)
            for _ in range(chance.randrange(3)):
                _answer_one(store, log, name, chance)
            _send_one(store, log)


def _crashes_of(url: str) -> AbstractContextManager[None]:
    """A file never fails; a server that recovers may, and nothing is acknowledged."""
    return suppress(StoreError) if is_postgres(url) else nullcontext()


def _answer_one(store: Store, log: int, name: str, chance: random.Random) -> None:
    ticket = store.tickets.claim(reviewer=name, lease=LEASE)
    if ticket is None:
        return
    try:
        if chance.random() < PASSED_ON:
            _pass_on(store, ticket, name, chance)
            return
        time.sleep(chance.choice([0.0, 0.0, 0.02]))  # while a person thinks
        value = _value(ticket, name, chance)
        token = ticket.lease_token
        done = store.tickets.answer(ticket.id, value, reviewer=name, token=token)
    except QueueError:
        _tell(log, "R", ticket.id, name)
        return  # it took too long, and somebody else has the ticket
    closed = done.state is TicketState.ANSWERED
    _tell(
        log, "A" if closed else "O", ticket.id, value if closed else f"{name} {value}"
    )


def _value(ticket: TicketRecord, name: str, chance: random.Random) -> str:
    if ticket.reviewers == 1:
        return f"{name} {ticket.lease_token}"
    return chance.choice(["yes", "yes", "no"])  # people who mostly agree


def _pass_on(
    store: Store, ticket: TicketRecord, name: str, chance: random.Random
) -> None:
    """Skip, release, hand over, or have a colleague steal it."""
    how = chance.randrange(4)
    token = ticket.lease_token
    if how == 0:
        store.tickets.skip(ticket.id, reviewer=name, reason="no", token=token)
    elif how == 1:
        store.tickets.release(ticket.id, actor=name, token=token)
    elif how == 2:
        store.tickets.assign(ticket.id, to=f"{name}b", actor=name)
        store.tickets.assign(ticket.id, to="", actor=name)
    else:
        store.tickets.steal(ticket.id, reviewer=f"{name}b", reason="x", lease=LEASE)


def _send_one(store: Store, log: int) -> None:
    """Take a callback and say that it arrived, as a sender does."""
    taken = store.callbacks.take(lease=LEASE)
    if taken is not None and store.callbacks.sent(taken, result="ok"):
        _tell(log, "C", taken.ticket_id, taken.id)


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
    folder: Path, url: str, numbers: tuple[int, int, int, int], chance: random.Random
) -> None:
    """Kill workers with SIGKILL, one after the other, replacing each."""
    kills, workers, crashes, freezes = numbers
    if is_postgres(url):
        # Here, so that each worker does not spend its short life on the import.
        importlib.import_module("llmguard.store.postgres")
    log = os.open(folder / "acks.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    living = [start(url, log, chance.random().__hash__()) for _ in range(workers)]
    when = {(number + 1) * kills // (crashes + 1) for number in range(crashes)}
    frost = {(number + 1) * kills // (freezes + 1) for number in range(freezes)}
    try:
        for number in range(kills):
            # A connection takes a worker longer than a file, on a busy machine much.
            time.sleep(chance.uniform(*LIFE) * (3 if is_postgres(url) else 1))
            if number in when:
                _crash(url, chance)
            if number in frost:
                _freeze(chance.choice(living))
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


def _freeze(victim: int) -> None:
    """Stop a worker for longer than its lease, and let it go on."""
    os.kill(victim, signal.SIGSTOP)
    time.sleep(LEASE + 0.2)
    os.kill(victim, signal.SIGCONT)


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


def _opened(url: str) -> Store:
    """Open the store, once a server that was stopped or killed is up again."""
    end = time.monotonic() + RECOVERY
    while True:
        try:
            return make_store(url, max_losses=TOUGH)
        except StoreError:
            if not is_postgres(url) or time.monotonic() > end:
                raise
            time.sleep(0.1)


def report(folder: Path, url: str) -> dict[str, object]:
    """Answer what is left, then compare the store with the log."""
    time.sleep(LEASE)
    store = _opened(url)
    for one in store.tickets.list(limit=10**6):
        if one.assignee:  # to somebody who died before giving it back
            store.tickets.assign(one.id, to="", actor="last")
    # Where two have to agree, one person is not enough.
    for name in ("last", "later", "latest"):
        while (ticket := store.tickets.claim(reviewer=name, lease=60)) is not None:
            token = ticket.lease_token
            store.tickets.answer(ticket.id, "last", reviewer=name, token=token)
    while (taken := store.callbacks.take()) is not None:
        store.callbacks.sent(taken, result="ok")
    lines = [
        line.split("\t") for line in (folder / "acks.log").read_text().splitlines()
    ]
    asked = [line[1] for line in lines if line[0] == "E"]
    answered = {line[1]: line[2] for line in lines if line[0] == "A"}
    opinions = [line[1:] for line in lines if line[0] == "O"]
    sent = [line[1] for line in lines if line[0] == "C"]
    found = {one.id: one for one in _every(store)}
    given = {
        (each, f"{one.reviewer} {one.answer}")
        for each, record in found.items()
        if record.opinions
        for one in store.tickets.opinions(each)
    }
    owed = {one.id: one.callbacks for one in found.values()}
    events = Counter(
        (one.ticket_id, one.event)
        for each in found
        for one in store.tickets.events(each)
    )
    stuck = len(store.tickets.list(limit=1)) + len(store.callbacks.list(limit=1))
    store.close()
    return {
        "asked": len(asked),
        "answered": len(answered),
        "opinions": len(opinions),
        "callbacks": len(sent),
        "refused": sum(line[0] == "R" for line in lines),
        "redelivered": sum(one.losses > 0 for one in found.values()),
        "lost": sum(one not in found for one in asked)
        + sum(found[one].answer != value for one, value in answered.items())
        + sum((one, what) not in given for one, what in opinions)
        + sum(events[one, "callback_sent"] < 1 for one in sent),
        "answered_twice": sum(events[one, "answered"] != 1 for one in found),
        "acked_twice": sum(line[0] == "A" for line in lines)
        - len(answered)
        + len(sent)
        - len({*sent}),
        "told_twice": sum(events[one, "callback_sent"] != owed[one] for one in found),
        "stuck": stuck,
        "integrity": integrity(url),
    }


def _every(store: Store) -> list:  # type: ignore[type-arg]  # records, for a test
    return list(store.tickets.list(states=frozenset(TicketState), limit=10**9))


if __name__ == "__main__":
    place, where = Path(sys.argv[1]), sys.argv[2]
    given = [*map(int, sys.argv[3:])]
    kills, seed, workers, crashes, freezes = [*given, *[0, 0, 4, 0, 0][len(given) :]]
    numbers = (kills, workers, crashes, freezes)
    campaign(place, where, numbers, random.Random(seed))
    sys.stdout.write(json.dumps(report(place, where)))

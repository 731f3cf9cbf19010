"""Stores with as many open tickets as wanted, made by the database itself."""

from __future__ import annotations

from store_backends import is_postgres, raw

from llmguard.store import Store

__all__ = ["fill"]

_NUMBERS = {
    False: (
        "WITH RECURSIVE numbers(n) AS "
        "(SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {n}) "
    ),
    True: "WITH numbers AS (SELECT generate_series(1, {n}) AS n) ",
}
_TEXT = {False: "printf('m%07d', n)", True: "'m' || lpad(n::text, 7, '0')"}
# Four queues and two roles, a tenth of them late, priorities 0 to 4, ages of days.
_INSERTS = (
    (
        "INSERT INTO tickets (id, queue, state, role, priority, created_at, due_at, "
        "fingerprint) {numbers} SELECT {id}, 'q' || (n % 4), 'open', "
        "CASE WHEN n % 3 = 0 THEN 'lead' ELSE '' END, n % 5, {now} - n, "
        "{now} + (n % 1000) - 100, {id} FROM numbers"
    ),
    (
        "INSERT INTO ticket_bodies (ticket_id, function, call_id, contract, "
        "schema_digest, schema, pin, title, instructions, inputs, reasons, outputs, "
        "labels) {numbers} SELECT {id}, 'app.f', 'c', '', '', 'null', 'p', 'A title', "
        "'', '{{\"text\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}', "
        "'[]', '[]', '{{}}' FROM numbers"
    ),
    (
        "INSERT INTO ticket_keys (queue, key, ticket_id, at) {numbers} "
        "SELECT 'q' || (n % 4), {id}, {id}, {now} FROM numbers"
    ),
    (
        "INSERT INTO ticket_events (ticket_id, at, event, from_state, to_state, actor) "
        "{numbers} SELECT {id}, {now}, 'enqueued', '', 'open', 'app.f' FROM numbers"
    ),
)


_SETTLED = {
    False: ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"),
    True: ("VACUUM ANALYZE",),
}


def fill(store: Store, url: str, n: int, *, now: float) -> None:
    """Add `n` open tickets to a store that has none, and its statistics."""
    server = is_postgres(url)
    with raw(url) as connection:
        if server:  # one row's count, changed as often in one transaction, takes ages
            connection.execute(b"SET session_replication_role TO replica")
        for sql in _INSERTS:
            numbers = _NUMBERS[server].format(n=n)
            text = sql.format(numbers=numbers, id=_TEXT[server], now=now)
            connection.execute(text.encode() if server else text)
        if server:
            connection.execute(
                b"INSERT INTO ticket_count_slots (queue, role, state, slot, n) "
                b"SELECT queue, role, state, 0, count(*) FROM tickets "
                b"GROUP BY queue, role, state"
            )
        # As it is when nobody has just made as many at once.
        for text in _SETTLED[server]:
            connection.execute(text.encode() if server else text)
    waiting = sum(sum(one.values()) for one in store.tickets.counts().values())
    if waiting != n:
        raise AssertionError(f"{waiting} tickets are counted, {n} were made")

"""Statements that travel together: what they did is known when somebody asks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from store_backends import make_store

from llmguard.errors import StoreError

pytest.importorskip("psycopg")
ADD = "INSERT INTO revisions VALUES (?, ?)"


@pytest.fixture
def store(postgres_url: str) -> Iterator[Any]:
    store = make_store(postgres_url)
    yield store
    store.close()


def _topics(store: Any) -> dict[str, int]:
    rows = store._main.read("SELECT topic, rev FROM revisions ORDER BY topic")
    return {row["topic"]: row["rev"] for row in rows if row["topic"] != "breakers"}


def test_changes_are_seen_by_what_reads_after_them(store: Any) -> None:
    """In the order they were written."""

    def job(connection: Any) -> list[int]:
        found = []
        for number in range(3):
            connection.execute(ADD, (f"t{number}", number))
            connection.execute("UPDATE revisions SET rev = rev + 10 WHERE rev < 10")
            rows = connection.execute("SELECT sum(rev) AS n FROM revisions")
            found.append(rows.fetchone()["n"])
        return found

    assert [20, 31, 43] == store._main.write(job)
    assert {"t0": 10, "t1": 11, "t2": 12} == _topics(store)


def test_counts_of_changed_rows_are_right(store: Any) -> None:
    """Whether asked at once, later, or for many."""

    def job(connection: Any) -> list[object]:
        one = connection.execute(ADD, ("a", 1))
        two = connection.execute(ADD, ("b", 1))
        many = connection.executemany(ADD, [(f"c{n}", 1) for n in range(5)])
        all_of_them = connection.execute("UPDATE revisions SET rev = 2 WHERE rev = 1")
        none = connection.execute("DELETE FROM revisions WHERE rev = 99")
        return [
            one.rowcount,
            two.rowcount,
            many.rowcount,
            all_of_them.rowcount,
            none.rowcount,
            one.fetchone(),
            two.fetchall(),
            list(none),
        ]

    assert [1, 1, 5, 7, 0, None, [], []] == store._main.write(job)
    assert 7 == len(_topics(store))
    assert 0 == store._main.write(lambda c: c.executemany(ADD, []).rowcount + 1)


def test_returned_rows_come_at_once(store: Any) -> None:
    """`RETURNING` is an answer that somebody wants."""
    rows = store._main.write(
        lambda c: c.execute(f"{ADD} RETURNING rev", ("a", 7)).fetchall()
    )
    assert [7] == [row["rev"] for row in rows]


@pytest.mark.parametrize("read_after", [True, False])
def test_a_change_that_fails_undoes_the_job(store: Any, read_after: bool) -> None:
    """Found at the next statement, or with the commit; nothing of it stays."""

    def job(connection: Any) -> None:
        connection.execute(ADD, ("a", 1))
        connection.execute(ADD, ("a", 2))
        connection.execute(ADD, ("b", 1))
        if read_after:
            connection.execute("SELECT 1")

    with pytest.raises(StoreError, match="duplicate key value"):
        store._main.write(job)
    assert {} == _topics(store)
    store._main.write(lambda connection: connection.execute(ADD, ("a", 1)).rowcount)
    assert {"a": 1} == _topics(store)


def test_a_job_that_asks_nothing_costs_nothing(store: Any) -> None:
    """No transaction is begun, and none has to end."""
    assert 7 == store._main.write(lambda _: 7)


def test_a_change_is_of_no_use_after_its_transaction(store: Any) -> None:
    """Who keeps a cursor gets what it holds, or an error; never another's rows."""
    kept = store._main.write(lambda connection: connection.execute(ADD, ("a", 1)))
    assert 1 == kept.rowcount

    def gives_up(connection: Any) -> None:
        held.append(connection.execute(ADD, ("b", 1)))
        raise ValueError("no")

    held: list[Any] = []
    with pytest.raises(ValueError, match="no"):
        store._main.write(gives_up)
    with pytest.raises(Exception, match="the transaction of this statement ended"):
        held[0].fetchall()
    assert {"a": 1} == _topics(store)


def test_more_changes_than_are_kept(store: Any) -> None:
    """A long job does not pile up."""

    def job(connection: Any) -> None:
        for number in range(1_200):
            connection.execute(ADD, (f"t{number:04}", number))

    store._main.write(job)
    assert 1_200 == len(_topics(store))


def test_the_driver_does_not_log_what_is_told(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A cut connection is dealt with; its complaint would only frighten."""
    tries: list[int] = []

    def job(connection: Any) -> None:
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
        tries.append(pid)
        if len(tries) == 1:
            other = make_store(store._place.url)
            other._main.read("SELECT pg_terminate_backend(?)", (pid,))  # type: ignore[attr-defined]  # of PostgreSQL
            other.close()
        connection.execute(ADD, (f"t{len(tries)}", 1))
        connection.execute("SELECT 1")

    with caplog.at_level(logging.WARNING, logger="psycopg"):
        store._main.write(job)
    assert {"t2": 1} == _topics(store)
    assert [] == [one.message for one in caplog.records if one.name == "psycopg"]

"""Placeholders, rows and values on the way to PostgreSQL and back."""

from __future__ import annotations

import pytest
from store_backends import make_store

from llmguard.store import NewTicket, Store

pg_sql = pytest.importorskip("llmguard.store._pg_sql")


@pytest.mark.parametrize(
    ("sql", "values", "text", "sent"),
    [
        ("SELECT ?, ?", (1, 2), b"SELECT $1, $2", (1, 2)),
        ("SELECT :a, :b, :a", {"a": 1, "b": 2}, b"SELECT $1, $2, $1", [1, 2]),
        ("SELECT '?', \":a\", ?", (1,), b"SELECT '?', \":a\", $1", (1,)),
        ("SELECT 'it''s ?', ?", (1,), b"SELECT 'it''s ?', $1", (1,)),
        ("SELECT ?::text -- why?\n", (1,), b"SELECT $1::text -- why?\n", (1,)),
        ("SELECT 5 % 2", (), b"SELECT 5 % 2", ()),
    ],
)  # fmt: skip
def test_placeholders(sql: str, values: object, text: bytes, sent: object) -> None:
    """Only values are replaced, not what is quoted, cast or a comment."""
    assert (text, sent) == pg_sql.translate(sql, values)


def test_rows_are_like_those_of_sqlite() -> None:
    """By name, by place, as a tuple, as a dict."""
    row = pg_sql.Row({"a": 0, "b": 1}, (7, "x"))
    assert (7, "x", 7, 2) == (row["a"], row[1], row[0], len(row))
    assert {"a": 7, "b": "x"} == dict(row)
    assert (7, "x") == tuple(row)
    assert "Row({'a': 7, 'b': 'x'})" == repr(row)
    with pytest.raises(KeyError):
        row["c"]


def test_lock_numbers_fit_and_differ() -> None:
    """64 signed bits, another one for each schema and name."""
    numbers = {pg_sql.lock_number(a, b) for a in ("x", "y") for b in ("p", "q")}
    assert 4 == len(numbers)
    assert all(-(2**63) <= one < 2**63 for one in numbers)


@pytest.mark.parametrize(
    "text", ["a\0b", "%s %(x)s ? :name $1", "'; DROP TABLE x; --", "ü\U0001f600"]
)
def test_texts_are_stored(store: Store, text: str) -> None:
    """NUL is replaced where a server cannot hold it, so that no ticket is lost."""
    new = NewTicket(
        id="t1", queue="q", key=text, fingerprint="f", inputs={"x": text}, title=text
    )
    assert store.tickets.enqueue(new).created
    found = store.tickets.get(text)
    assert {"x": text} == found.inputs
    server = store.url.startswith("postgresql")
    assert (text.replace("\0", "\ufffd") if server else text) == found.title
    assert not store.tickets.enqueue(new).created


def test_long_keys(postgres_url: str) -> None:
    """A caller's key may be longer than an index entry."""
    store = make_store(postgres_url)
    key = "".join(chr(33 + (number * 7919) % 5000) for number in range(20_000))
    new = NewTicket(id="t1", queue="q", key=key, fingerprint="f", inputs={})
    assert store.tickets.enqueue(new).created
    assert not store.tickets.enqueue(new).created
    assert "t1" == store.tickets.get(key).id
    store.close()

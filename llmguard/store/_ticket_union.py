"""The same question to several places in one statement: one exchange with a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._database import Connection, Row

__all__ = ["union"]

_AT_ONCE = 40  # far below what either engine allows in one statement


def union(connection: Connection, sql: str, each: Sequence[Sequence[Any]]) -> list[Row]:
    """Return the rows of `sql` for each set of values, in no order.

    Args:
        connection: Where they are.
        sql: A SELECT that may end in `ORDER BY .. LIMIT`, with `?` for its values.
        each: The values of each place; nothing is asked for none.
    """
    found: list[Row] = []
    for start in range(0, len(each), _AT_ONCE):
        part = each[start : start + _AT_ONCE]
        parts = (f"SELECT * FROM ({sql}) AS p{number}" for number in range(len(part)))  # noqa: S608 - the caller's own
        values = [value for one in part for value in one]
        found += connection.execute(" UNION ALL ".join(parts), values).fetchall()
    return found

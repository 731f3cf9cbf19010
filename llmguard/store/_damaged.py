"""Rows that cannot be read: damage past the database's own checks, told as such."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ..errors import StoreError

__all__ = ["readable"]


@contextmanager
def readable(what: str) -> Generator[None]:
    """Turn what reading a row's columns raises into an error of the store.

    Args:
        what: Names the row.

    Raises:
        StoreError: A column holds what llmguard never writes.
    """
    try:
        yield
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise StoreError(
            f"{what} cannot be read ({type(error).__name__}: {error}): the row is "
            "damaged, or somebody changed it; `llmguard store check` looks at all of "
            "the store, and a backup has the good row"
        ) from error

"""What keeps a store well: checks, migrations and backups, on either backend.

Nothing here is imported until it is used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import StoreError
from ._location import default_url, locate
from ._pg_place import is_server
from .backend import StoreHealth
from .ledger import LedgerCheck

__all__ = ["Backup", "StoreCheck", "backup", "check", "pending", "upgrade"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCheck:
    """What `check` found.

    Attributes:
        store: Path, or URL without its password.
        pending: Migrations that are not applied; the rest is not looked at then.
        health: Engine, size, free space and what to repair; every page was read.
        ledger: The walk along the ledger's chain.
        tickets: Tickets by state, over all queues.
        problems: One sentence for each thing to repair, with the repair.
    """

    store: str
    pending: tuple[str, ...] = ()
    health: StoreHealth | None = None
    ledger: LedgerCheck | None = None
    tickets: Mapping[str, int] | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What `backup` wrote.

    Attributes:
        files: What belongs together.
        size: Bytes of all of them.
        entries: Entries of the ledger whose chain was walked in the copy; None where
            the copy cannot be read without restoring it.
        head: Hash of the last of them; keep it elsewhere.
        restore: How to bring it back.
    """

    files: tuple[Path, ...]
    size: int
    entries: int | None
    head: str
    restore: str


def pending(url: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """Return the migrations that a store lacks, without changing it.

    Args:
        url: Path or URL; None for the configured one.

    Raises:
        StoreError: A newer version wrote it, or it cannot be read.
        ConfigError: The URL is none of a store.
    """
    text = _text(url)
    if is_server(text):
        from ._pg_upkeep import pending_names

        return pending_names(text)
    from ._sqlite_upkeep import pending_names as of_file

    return of_file(locate(text).path)


def upgrade(url: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """Apply the migrations that a store lacks, making it if need be; returns them.

    Every process does so when it opens the store. Migrations only add, so processes
    of the version before go on.

    Raises:
        StoreError: It cannot be opened; the message says why.
        ConfigError: The URL is none of a store.
    """
    from ._open import open_store

    todo = pending(url)
    open_store(url).processes()  # the counts' part is opened when it is first used
    return todo


def check(url: str | os.PathLike[str] | None = None) -> StoreCheck:
    """Read all of a store and say what to repair; applies no migration.

    Raises:
        StoreError: It is not there, or cannot be read.
        ConfigError: The URL is none of a store.
    """
    from ._open import open_store, store_exists, store_name

    name = store_name(url)
    if not store_exists(url):
        raise StoreError(
            f"there is no store at {name!r} yet: the first recorded call makes it, or "
            "`llmguard store upgrade`"
        )
    if todo := pending(url):
        problem = (
            f"{len(todo)} migrations are not applied ({', '.join(todo)}): `llmguard "
            "store upgrade` applies them, as the next program does that opens the store"
        )
        return StoreCheck(store=name, pending=todo, problems=(problem,))
    store = open_store(url)
    health = store.health(thorough=True)
    ledger = store.ledger.verify()
    tickets: dict[str, int] = {}
    for states in store.tickets.counts().values():
        for state, count in states.items():
            tickets[state] = tickets.get(state, 0) + count
    broken = () if ledger.ok else (f"the ledger was tampered with: {ledger.problem}",)
    return StoreCheck(
        store=name,
        health=health,
        ledger=ledger,
        tickets=tickets,
        problems=(*health.problems, *broken),
    )


def backup(
    path: Path, *, url: str | os.PathLike[str] | None = None, replace: bool = False
) -> Backup:
    """Copy a store while it is used, and read the copy.

    Args:
        path: The file to write.
        url: Path or URL of the store; None for the configured one.
        replace: Whether `path` may exist.

    Raises:
        StoreError: There is no store, no space, no `pg_dump`, or the copy is not good.
        ConfigError: The URL is none of a store.
    """
    from ._open import store_exists, store_name

    text = _text(url)
    if not store_exists(text):
        raise StoreError(f"there is no store at {store_name(text)!r} to copy")
    if path.exists() and not replace:
        raise StoreError(f"{str(path)!r} exists: name another file, or add `--replace`")
    if not path.parent.is_dir():
        raise StoreError(f"{str(path.parent)!r} is no folder: make it first")
    if is_server(text):
        from ._pg_upkeep import dump

        return dump(text, path)
    from ._sqlite_upkeep import copy

    return copy(locate(text).path, path)


def _text(url: str | os.PathLike[str] | None) -> str:
    return default_url() if url is None else os.fspath(url)

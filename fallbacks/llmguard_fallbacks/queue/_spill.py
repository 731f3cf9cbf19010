"""Tickets on plain files while the store is down, brought in when it is back."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any, Final

from llmguard._nested import read_json
from llmguard.errors import QueueError, StoreError
from llmguard.store import Agreement, Expiry, NewTicket, Store

__all__ = ["replay", "spill", "spilled"]

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def spill(folder: Path, new: NewTicket) -> None:
    """Keep a ticket in a file of its own, durably.

    Raises:
        StoreError: The folder cannot be written either.
    """
    text = json.dumps(dataclasses.asdict(new), allow_nan=False)
    path = folder / f"{new.id}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path.with_suffix(".part"), text)
        path.with_suffix(".part").replace(path)
        _sync_folder(folder)
    except OSError as error:
        raise StoreError(
            f"the store is down, and the spill folder {str(folder)!r} cannot be "
            f"written ({error.strerror}): free some space or give `human(...)` another "
            "`spill=` folder; no ticket was made"
        ) from error


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # The name is durable only once the folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def spilled(folder: Path, ticket_id: str) -> bool:
    """Return True when that ticket waits in the folder."""
    # An id from outside may be a path, and what is there is nobody's business.
    return (
        _ID.fullmatch(ticket_id) is not None and (folder / f"{ticket_id}.json").exists()
    )


def replay(store: Store, folder: Path) -> int:
    """Bring waiting tickets into the store and return how many.

    Two processes may do it at once: the idempotency key makes one ticket of both.
    A file that the queue refuses, or that no ticket can be read from, is kept beside
    the others with the suffix `.refused`.

    Raises:
        StoreError: The store is down again; what is left stays.
    """
    brought = 0
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            store.tickets.enqueue(_read(path))
        except FileNotFoundError:
            continue  # another process was faster
        except (QueueError, AttributeError, TypeError, ValueError):
            path.replace(path.with_suffix(".refused"))
            continue
        except StoreError:
            if not _taken(store, path.stem):
                raise
            # Another ticket has its id: it could never be brought in, and what waits
            # behind it neither.
            path.replace(path.with_suffix(".refused"))
            continue
        path.unlink(missing_ok=True)
        brought += 1
    return brought


def _taken(store: Store, ticket_id: str) -> bool:
    try:
        store.tickets.get(ticket_id)
    except QueueError:
        return False
    return True


def _read(path: Path) -> NewTicket:
    fields: dict[str, Any] = read_json(path.read_text("utf-8"))
    if fields.get("id") != path.stem:
        raise ValueError(f"{path.name} holds the ticket {fields.get('id')!r}")
    # It was promised under this id, whatever else is asked by now.
    fields |= {"coalesce": False, "max_open": None}
    fields["agreement"] = Agreement.from_json(fields.get("agreement", {}))
    fields["expiry"] = Expiry.from_json(fields.get("expiry", {}))
    return NewTicket(**fields)

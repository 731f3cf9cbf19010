"""The store a queue is on, and the spill folder beside it."""

from __future__ import annotations

import os
from pathlib import Path

from llmguard.store import Store, open_store, spill_folder, store_path

from ._spill import replay

__all__ = ["StoreLike", "folder_of", "opened", "replayed"]

StoreLike = Store | str | os.PathLike[str] | None
"""A store, its path or URL, or None for the configured one."""


def opened(store: StoreLike, *, create: bool = True) -> Store:
    """Return a store from a store, a URL, or the settings.

    Raises:
        ConfigError: The URL is none of a store.
        StoreError: The store is not there, or cannot be opened.
    """
    if store is None or isinstance(store, (str, os.PathLike)):
        return open_store(store, create=create)
    return store


def folder_of(store: StoreLike) -> Path:
    """Return the spill folder beside a store, without opening it."""
    if store is None or isinstance(store, (str, os.PathLike)):
        return spill_folder(store_path(store))
    return spill_folder(store_path(store.url))


def replayed(store: Store, folder: Path | None = None) -> int:
    """Bring in the tickets that wait beside a store; returns how many."""
    return replay(store, folder or folder_of(store))

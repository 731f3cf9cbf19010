"""One store per process and URL."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

from ..errors import StoreError
from ._location import default_url, locate
from .backend import Store
from .sqlite import SqliteStore

__all__ = ["open_store", "store_path"]

_OPEN: dict[Path, Store] = {}
_LOCK = threading.Lock()


def store_path(url: str | os.PathLike[str] | None = None) -> Path:
    """Return the absolute path of a store's file, which need not exist.

    Args:
        url: Path or URL; None for the configured one.
    """
    return locate(default_url() if url is None else url).path


def open_store(
    url: str | os.PathLike[str] | None = None, *, create: bool = True
) -> Store:
    """Return the store at `url`, the same object for everybody in this process.

    It stays usable in forked children, which open the file anew, and is closed when
    the process ends.

    Args:
        url: Path or `sqlite:///` URL; None for the configured one
            (`LLMGUARD_STORE`, `[tool.llmguard] store`, else `.llmguard/store.db`).
        create: False to refuse a store that does not exist, for commands that only
            look.

    Raises:
        ConfigError: The URL names no store this version can use.
        StoreError: The store is missing, damaged, newer than this version, locked,
            or on a file system that cannot hold it.
    """
    location = locate(default_url() if url is None else url)
    with _LOCK:
        store = _OPEN.get(location.path)
        if store is not None and not store.closed:
            return store
        if not create and not location.path.exists():
            raise StoreError(
                f"there is no store at {str(location.path)!r} yet: the first ticket "
                "makes it; set `LLMGUARD_STORE` if yours is elsewhere"
            )
        store = _OPEN[location.path] = SqliteStore(location.url)
        return store


def _close_all() -> None:
    for store in list(_OPEN.values()):
        store.close()


def _new_lock() -> None:
    # Another thread may have held it when this child was forked.
    globals()["_LOCK"] = threading.Lock()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_new_lock)

"""One store per process and URL."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

from ..errors import StoreError
from ._location import default_url, locate
from ._pg_place import is_server, place_of
from .backend import Store
from .sqlite import SqliteStore

__all__ = ["open_store", "store_exists", "store_name", "store_path"]

_OPEN: dict[str, Store] = {}
_LOCK = threading.Lock()


def store_path(url: str | os.PathLike[str] | None = None) -> Path:
    """Return the absolute path of a store's file, which need not exist.

    A store on a server has no file: the path returned for it is where this machine
    keeps what belongs to it, under other suffixes (`spill_folder`).

    Args:
        url: Path or URL; None for the configured one.

    Raises:
        ConfigError: The URL is none of a store.
    """
    text = _text(url)
    return place_of(text).beside if is_server(text) else locate(text).path


def store_name(url: str | os.PathLike[str] | None = None) -> str:
    """Return what to call a store before people: its path, or its URL with no password.

    Args:
        url: Path or URL; None for the configured one.

    Raises:
        ConfigError: The URL is none of a store.
    """
    text = _text(url)
    return place_of(text).url if is_server(text) else str(locate(text).path)


def store_exists(url: str | os.PathLike[str] | None = None) -> bool:
    """Return False when opening the store would make it.

    A store on a server counts as there: whether it is, only opening it tells.

    Args:
        url: Path or URL; None for the configured one.

    Raises:
        ConfigError: The URL is none of a store.
    """
    text = _text(url)
    return is_server(text) or locate(text).path.exists()


def open_store(
    url: str | os.PathLike[str] | None = None, *, create: bool = True
) -> Store:
    """Return the store at `url`, the same object for everybody in this process.

    It stays usable in forked children, which open it anew, and is closed when the
    process ends.

    Args:
        url: Path, `sqlite:///` or `postgresql://` URL; None for the configured one
            (`LLMGUARD_STORE`, `[tool.llmguard] store`, else `.llmguard/store.db`).
        create: False to refuse a file that does not exist, for commands that only
            look.

    Raises:
        ConfigError: The URL names no store this version can use.
        StoreError: The store is missing, damaged, newer than this version, locked,
            on a file system that cannot hold it, or on a server that cannot be used.
    """
    text = _text(url)
    key = text if is_server(text) else str(locate(text).path)
    with _LOCK:
        store = _OPEN.get(key)
        if store is not None and not store.closed:
            return store
        if not create and not store_exists(text):
            raise StoreError(
                f"there is no store at {key!r} yet: the first guarded call or ticket "
                "makes it; set `LLMGUARD_STORE` if yours is elsewhere"
            )
        store = _OPEN[key] = _made(text)
        return store


def _text(url: str | os.PathLike[str] | None) -> str:
    return default_url() if url is None else os.fspath(url)


def _made(url: str) -> Store:
    if not is_server(url):
        return SqliteStore(url)
    try:
        from .postgres import PostgresStore
    except ImportError as error:
        raise StoreError(
            f"the store is a PostgreSQL URL, and its driver is not installed ({error}):"
            " `pip install 'llmguard-toolkit[postgres]'`"
        ) from None
    return PostgresStore(url)


def _close_all() -> None:
    for store in list(_OPEN.values()):
        store.close()


def _new_lock() -> None:
    # Another thread may have held it when this child was forked.
    globals()["_LOCK"] = threading.Lock()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_new_lock)

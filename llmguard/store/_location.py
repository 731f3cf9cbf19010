"""Where a store lives: its URL, its file, and whether that place can hold one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote

from ..errors import ConfigError, StoreError

__all__ = [
    "Location",
    "default_url",
    "locate",
    "refuse_network",
    "shown",
    "spill_folder",
]

# SQLite's shared-memory index needs one kernel: these file systems have several, or
# break its locks and mappings (sqlite.org/wal.html, "does not work over a network").
_NETWORK = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.ceph", "fuse.gcsfuse",
        "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre",
        "nfs", "nfs4", "smb3", "smbfs", "virtiofs",
    }
)  # fmt: skip
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A parsed store URL.

    Attributes:
        url: The URL as given.
        path: Absolute path of the database file.
        ballast: Bytes kept in a file that is deleted when the disk is full, so that
            people can still answer; 0 for none.
    """

    url: str
    path: Path
    ballast: int = 0


def default_url() -> str:
    """Return the configured store URL (`LLMGUARD_STORE`, `[tool.llmguard] store`)."""
    from ..config import load

    return str(load().store)


def locate(url: str | os.PathLike[str]) -> Location:
    """Parse a store URL.

    Args:
        url: A path, `sqlite:///relative/path` or `sqlite:////absolute/path`, with
            `?ballast=8M` where wanted.

    Raises:
        ConfigError: The URL names another kind of store, or is malformed.
    """
    text = os.fspath(url)
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "sqlite", "/" + text
    if scheme != "sqlite" or not rest.startswith("/"):
        raise ConfigError(
            f"`store` is {shown(text)!r}, which is no store that llmguard knows: give "
            "a path (`.llmguard/store.db`), or a URL (`sqlite:///.llmguard/store.db`, "
            "`postgresql://USER:PASSWORD@HOST/DATABASE`)"
        )
    name, _, query = rest[1:].partition("?")
    if not name or name == ":memory:":
        raise ConfigError(
            f"`store` is {text!r}, which no other process could read and no restart "
            "survives: give a path; tests use one in their `tmp_path`"
        )
    path = Path(unquote(name) if found else name).expanduser().absolute()
    return Location(url=text, path=path, ballast=_ballast(text, query))


def shown(url: str) -> str:
    """Return a URL of whatever kind without what may be a password."""
    scheme, found, rest = url.partition("://")
    account, at, place = rest.rpartition("@")
    return f"{scheme}://{account.split(':')[0]}:***@{place}" if found and at else url


def _ballast(url: str, query: str) -> int:
    options = parse_qs(query, keep_blank_values=True)
    value = options.pop("ballast", ["0"])[-1]
    match = re.fullmatch(r"(\d+)([KMG]?)", value)
    if options or not match:
        raise ConfigError(
            f"`store` is {url!r}, but the one option of a store URL is "
            "`?ballast=SIZE`, with a size such as 8388608 or 8M"
        )
    return int(match[1]) * _UNITS[match[2]]


def spill_folder(path: Path) -> Path:
    """Return the folder beside a store that keeps tickets while it is down."""
    return path.with_name(path.name + ".spill")


def refuse_network(path: Path, mounts: Iterable[str] | None = None) -> None:
    """Raise `StoreError` when `path` lies on a network file system.

    Args:
        path: Absolute path of the database; it need not exist.
        mounts: Lines in the format of `/proc/self/mountinfo`; read from there when
            None. Where neither exists nothing is detected.
    """
    kind = _filesystem(path, _mountinfo() if mounts is None else mounts)
    if kind in _NETWORK:
        raise StoreError(
            f"the store {str(path)!r} lies on a {kind!r} file system, where SQLite "
            "loses or corrupts data; put it on a local disk: set `LLMGUARD_STORE` "
            "or `store` in `[tool.llmguard]`"
        )


def _mountinfo() -> Iterable[str]:
    try:
        return Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:  # pragma: no cover - a system without /proc
        return ()


def _filesystem(path: Path, mounts: Iterable[str]) -> str:
    """Return the type of the file system at the longest mount point above `path`."""
    real = os.path.realpath(path)
    best, kind = "", ""
    for line in mounts:
        left, found, right = line.partition(" - ")
        fields = left.split()
        if not found or len(fields) < 5:  # noqa: PLR2004 - proc(5): field 5 is the point
            continue
        point = fields[4].replace("\\040", " ")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind

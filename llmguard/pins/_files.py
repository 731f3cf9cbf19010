"""Reading and writing what pins refer to: hashed models, and the lock itself."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from ..errors import ConfigError, LockError
from ._lock import Lock
from ._naming import naming
from ._pin import Pin
from ._read import from_text, read_lock
from ._write import to_text

if TYPE_CHECKING:
    from ..clock import Clock

__all__ = ["content_hash", "edit_lock", "hash_option", "sha256_file"]

_EMBEDDED: Final = "embedded:"
_GROUP: Final = "llmguard.models"
_WAIT: Final = 10.0
_POLL: Final = 0.02
_CHUNK: Final = 1 << 20


def hash_option(pin: Pin) -> str:
    """Return the option that holds a file's hash; "" where models are no files."""
    table = naming()
    return table.hashes.get(table.scheme(pin.provider, pin.endpoint), "")


def content_hash(pin: Pin) -> str:
    """Return the SHA-256 of the file a pin names, or of an embedded model.

    Raises:
        ConfigError: No such file or embedded model.
    """
    if pin.model.startswith(_EMBEDDED):
        return _embedded_hash(pin.model.removeprefix(_EMBEDDED))
    try:
        return sha256_file(pin.path)
    except OSError as error:
        raise ConfigError(
            f"the model file {str(pin.path)!r} of route {pin.route!r} cannot be "
            f"read: {error.strerror}; relative paths start at the lock's directory"
        ) from error


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits; reads it once, in pieces."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            total.update(piece)
    return total.hexdigest()


def edit_lock(
    path: Path,
    change: Callable[[Lock], Lock],
    *,
    verify: bool = True,
    clock: Clock | None = None,
) -> Lock:
    """Read the lock, change it, and replace the file in one step.

    Concurrent writers take turns, and readers see the old file or the new one,
    never a part. A missing file counts as an empty lock.

    Args:
        path: The lock file.
        change: Makes the new lock from the old; may raise to leave the file alone.
        verify: False also accepts entries that do not match their hash.
        clock: Times the wait for another writer; None for the system's.

    Raises:
        LockError: The file is unusable or cannot be written, or another writer holds it
            for 10 s.
    """
    with _exclusive(path, clock):
        before = read_lock(path, verify=verify) if path.exists() else Lock(path=path)
        text = to_text(change(before)).encode()
        after = from_text(text, path=path)  # never write what nobody could read
        if after.digest != before.digest:
            _write(path, text)
        return after


def _embedded_hash(name: str) -> str:
    from importlib import metadata

    known: list[str] = []
    for point in metadata.entry_points(group=_GROUP):
        manifest = cast("Callable[[], Mapping[str, Mapping[str, Any]]]", point.load())()
        if name in manifest:
            return str(manifest[name]["sha256"]).removeprefix("sha256:").lower()
        known.extend(manifest)
    raise ConfigError(
        f"no embedded model {name!r} (known: {', '.join(sorted(known)) or 'none'}); "
        "`pip install llmguard-models`, or name a GGUF file"
    )


def _write(path: Path, data: bytes) -> None:
    try:
        _replace(path, data)
    except OSError as error:
        raise LockError(
            f"{path} cannot be written: {error.strerror}; the file is as it was: make "
            "room or allow it, then repeat the command"
        ) from error


def _replace(path: Path, data: bytes) -> None:
    """Write beside the file, force to disk, then rename over it."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _mode(path: Path) -> int:
    """Keep the file's permissions; a new one is readable like any source file."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        return 0o644


def _sync_directory(directory: Path) -> None:
    """Make the rename itself survive a power cut; not every system can."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _exclusive(path: Path, clock: Clock | None) -> Generator[None]:
    """Hold the right to write a lock, across threads and processes.

    The guard is a file of its own beside the store: the lock file is replaced, so
    holding it would guard a file that is no longer there.
    """
    from ..clock import SYSTEM_CLOCK

    clock = clock or SYSTEM_CLOCK
    guard = path.absolute().parent / ".llmguard" / f"{path.name}.guard"
    guard.parent.mkdir(parents=True, exist_ok=True)
    with guard.open("ab") as file:
        end = clock.monotonic() + _WAIT
        while not _try_hold(file):
            if clock.monotonic() >= end:
                raise LockError(
                    f"another process has held {str(guard)!r} for {_WAIT:g} s; "
                    "let it finish, then run the command again"
                )
            clock.sleep(_POLL)
        yield  # closing the file lets go


if sys.platform == "win32":  # pragma: no cover - POSIX runs the tests
    import msvcrt

    def _try_hold(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_hold(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

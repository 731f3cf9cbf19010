"""Writing the lock: one writer at a time, old or new and nothing in between."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from llmguard.errors import LockError
from llmguard.pins import Pin, edit_lock, read_lock
from llmguard.testing import VirtualClock


def pin(seed: int) -> Pin:
    return Pin(route=f"r{seed % 3}", provider="fake", model="m", params={"seed": seed})


def test_a_missing_file_is_an_empty_lock(lock_path: Path) -> None:
    """The first edit makes the file."""
    after = edit_lock(lock_path, lambda old: old.with_pin(pin(1)))
    assert read_lock(lock_path) == after
    assert list(after.pins.values()) == [pin(1)]


def test_an_edit_without_change_leaves_the_file_alone(lock_path: Path) -> None:
    """No new modification time, no false alarm in running processes."""
    edit_lock(lock_path, lambda old: old.with_pin(pin(1)))
    before = lock_path.stat()
    edit_lock(lock_path, lambda old: old.with_pin(pin(1)))
    assert lock_path.stat() == before


def test_a_failed_edit_leaves_the_file_alone(lock_path: Path) -> None:
    """Whatever `change` raises, the old lock stays."""
    edit_lock(lock_path, lambda old: old.with_pin(pin(1)))
    before = lock_path.read_bytes()
    with pytest.raises(LockError):
        edit_lock(lock_path, lambda old: old.without("p-0"))
    assert lock_path.read_bytes() == before


def test_what_could_not_be_read_is_not_written(lock_path: Path) -> None:
    """A lock with an alias is refused before it reaches the file."""
    alias = Pin(route="a", provider="openai", model="gpt-4o", version_class="alias")
    with pytest.raises(LockError, match="pins the alias"):
        edit_lock(lock_path, lambda old: old.with_pin(alias))
    assert not lock_path.exists()


def test_permissions_are_kept(lock_path: Path) -> None:
    """A new lock is readable like a source file; an old one keeps its mode."""
    edit_lock(lock_path, lambda old: old.with_pin(pin(1)))
    first = lock_path.stat().st_mode & 0o777
    lock_path.chmod(0o600)
    edit_lock(lock_path, lambda old: old.with_pin(pin(2)))
    assert (first, lock_path.stat().st_mode & 0o777) == (0o644, 0o600)


def test_a_file_that_cannot_be_replaced_leaves_nothing(
    lock_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or a lost right ends in the old state."""

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LockError, match="No space"):
        edit_lock(lock_path, lambda old: old.with_pin(pin(1)))
    assert [each.name for each in lock_path.parent.iterdir()] == [".llmguard"]


def test_threads_take_turns(lock_path: Path) -> None:
    """No addition is lost among threads."""
    threads = [
        threading.Thread(
            target=edit_lock, args=(lock_path, lambda old, n=n: old.with_pin(pin(n)))
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read_lock(lock_path).pins.values()) == {pin(n) for n in range(8)}


_WRITER = """
import sys
from pathlib import Path
from llmguard.pins import Pin, edit_lock
start, path = int(sys.argv[1]), Path(sys.argv[2])
for n in range(start, start + 5):
    new = Pin(route=f"r{n % 3}", provider="fake", model="m", params={"seed": n})
    edit_lock(path, lambda old: old.with_pin(new))
"""


def test_processes_take_turns(lock_path: Path) -> None:
    """No addition is lost among processes."""
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(start), str(lock_path)])
        for start in (0, 5, 10)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    assert set(read_lock(lock_path).pins.values()) == {pin(n) for n in range(15)}


def test_a_writer_that_never_lets_go_is_reported(lock_path: Path) -> None:
    """After ten seconds of waiting, the error names the guard file."""
    edit_lock(lock_path, lambda old: old.with_pin(pin(1)))
    guard = lock_path.parent / ".llmguard" / "models.lock.guard"
    clock = VirtualClock(autojump=True)
    with guard.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LockError, match=r"models\.lock\.guard' for 10 s"):
            edit_lock(lock_path, lambda old: old.with_pin(pin(2)), clock=clock)
    assert list(read_lock(lock_path).pins.values()) == [pin(1)]

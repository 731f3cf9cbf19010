"""Who put a pin into the lock, as far as git can tell."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..pins import Lock

__all__ = ["lock_authors"]


def lock_authors(lock: Lock, pin_id: str) -> tuple[str, ...]:
    """Return the author and the committer of the commit that added a pin.

    Returns:
        Addresses; none without git, a repository, or a commit (an edit that is not
        committed yet has no author).
    """
    if lock.path is None:
        return ()
    out = _git(
        lock.path.parent,
        "log",
        "-1",
        "--diff-filter=AM",
        "--format=%ae%n%ce",
        f"-S{pin_id}",
        "--",
        f"./{lock.path.name}",
    )
    return tuple(dict.fromkeys(line for line in out.splitlines() if line))


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell
            ["git", "-C", str(folder), *words],  # noqa: S607 - the git on the path
            capture_output=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""

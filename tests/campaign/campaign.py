"""Do to llmguard whatever a machine does, and print what was lost by it.

Usage: python tests/campaign/campaign.py [WORD ...] [--quick] [--seed N] [--json FILE]

WORDs choose trials by parts of their names. Exit code: 0 nothing lost, 1 something.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from campaigns import TRIALS, Room, SkippedError

FULL = 8


def run(name: str, *, size: int, seed: int) -> dict[str, object]:
    """Run one trial and return its books."""
    with tempfile.TemporaryDirectory(prefix="llmguard-campaign-") as folder:
        room = Room(folder=Path(folder), chance=random.Random(seed), size=size)
        skipped, began = "", time.monotonic()
        try:
            TRIALS[name](room)
        except SkippedError as error:
            skipped = str(error)
        except Exception:
            room.lost.append(traceback.format_exc())
    return {
        "trial": name,
        "tried": dict(room.tried),
        "lost": room.lost,
        "skipped": skipped,
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> int:
    """Run the trials, print a line for each; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the books to this file too")
    options = parser.parse_args()
    names = [
        n for n in TRIALS if not options.words or any(w in n for w in options.words)
    ]
    # Nothing of this process may go to a project's own store.
    os.chdir(tempfile.mkdtemp(prefix="llmguard-campaign-"))
    books = []
    for name in names:
        size = 1 if options.quick else FULL
        found = run(name, size=size, seed=options.seed)
        books.append(found)
        _print(found)
    lost = sum(len(one["lost"]) for one in books)  # type: ignore[arg-type]  # lists
    print(f"{len(books)} trials, {lost or 'nothing'} lost")
    if options.json:
        options.json.write_text(json.dumps(books, indent=1) + "\n")
    return 1 if lost else 0


def _print(found: dict[str, object]) -> None:
    tried = found["tried"]
    assert isinstance(tried, dict)
    what = ", ".join(f"{count} {name}" for name, count in tried.items())
    lost = found["lost"]
    assert isinstance(lost, list)
    word = f"skipped: {found['skipped']}" if found["skipped"] else what
    print(f"{found['trial']}: {word}; lost: {len(lost)} ({found['seconds']} s)")
    for line in lost[:10]:
        print(f"    {line}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

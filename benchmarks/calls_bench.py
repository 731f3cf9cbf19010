"""What the log of recent calls costs: on the caller's path, and on the keeper's.

The provider answers at once in this process. Calls with and without the log take turns
within every round; `all failed` is the worst case, where each call waits to be kept.
Then: what the keeper's thread takes to write one of them into a SQLite store.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from _measure import (
    Case,
    added,
    inline,
    interleave,
    machine,
    many,
    options,
    report,
)
from guard_bench import LAST, PIN, Person, pinned_body

from llmguard import Attempt, Kind, Outcome, contract, fallback_chain, pinned, static
from llmguard.guard._recent import row_of
from llmguard.store import SqliteStore
from llmguard.telemetry import (
    add_answer_hook,
    add_hook,
    remove_answer_hook,
    remove_hook,
)
from llmguard.telemetry.recent import CallLog, Held, Recent
from llmguard.telemetry.redact import scrub

_KEPT = 1_000


def _cases() -> dict[str, Case]:
    case = inline(
        many(fallback_chain(static(LAST))(contract(Person)(pinned(PIN)(pinned_body))))
    )

    def on(*, content: bool, failed: bool = False) -> Case:
        def run(calls: int) -> None:
            recent = Recent()
            if failed:
                recent.log = CallLog(per_second=1e9)
            add_hook(recent)
            if content:
                add_answer_hook(recent.answered)
            try:
                case(calls)
            finally:
                remove_hook(recent)
                remove_answer_hook(recent.answered)

        return run

    return {
        "nothing": case,
        "as by default": on(content=False),
        "every call kept": on(content=False, failed=True),
        "with content": on(content=True),
    }


def overhead(*, quick: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure microseconds of CPU that the log adds to a call."""
    calls, rounds = (20, 3) if quick else (250, 41)
    samples = interleave(_cases(), calls=calls, rounds=rounds)
    return added(samples, "What the log of recent calls costs"), machine(samples)


def keeping(*, quick: bool) -> dict[str, float]:
    """Measure what it takes to write one call, in batches of 50."""
    attempt = Attempt(
        tier="triage",
        tier_index=0,
        number=1,
        kind=Kind.TIMEOUT,
        started=0.0,
        elapsed=0.1,
        pin=PIN.id,
        detail="no answer within 2 s",
    )
    taken = 0.0
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "store.db")
        for start in range(0, 200 if quick else _KEPT, 50):
            outcomes = [
                Outcome(
                    call_id=f"{start + i:08x}",
                    function="app.triage",
                    kind=Kind.TIMEOUT,
                    tier="",
                    tier_index=-1,
                    attempts=(attempt, attempt),
                    at=time.time(),
                )
                for i in range(50)
            ]
            began = time.process_time()
            rows = [
                row_of(Held(outcome=one), "prod", {PIN.id: PIN}, CallLog(), scrub)
                for one in outcomes
            ]
            store.calls.add(rows, most=100_000, keep=86_400.0)
            taken += time.process_time() - began
        kept, *_ = store.calls.span("prod")
        store.close()
    figures = {"us": taken / kept * 1e6, "kept": float(kept)}
    print(f"\nKept in the store: {figures['us']:.0f} us of CPU a call, off its path")
    return figures


def main() -> None:
    chosen = options(__doc__ or "")
    figures, about = overhead(quick=chosen.quick)
    kept = keeping(quick=chosen.quick)
    report({"overhead": figures, "keeping": kept}, about, chosen.json)


if __name__ == "__main__":
    main()

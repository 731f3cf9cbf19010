"""What exercising lower tiers costs the callers: none, 1 % and all of their calls.

One thread calls a guarded function whose model answers at once in this process; below
it are another such model and a function. Functions that exercise none, one in a hundred
(the default) and all of their calls take turns; wall time is what the caller waits, and
CPU is that of the whole process, the exercising thread's share included.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Final

from _measure import Case, interleave, machine, many, options, report, spread, table

from llmguard import (
    INJECTED,
    Model,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.guard import Exerciser, Runtime, use_runtime
from llmguard.testing import FakeModel

SHARES: Final = {"none": 0.0, "1 % (default)": 0.01, "all": 1.0}
NONE: Final = "none"


def _guarded(share: float) -> Case:
    top, low = FakeModel("top", name="top"), FakeModel("low", name="low")

    @fallback_chain(on_pin(low.pin("low")), str.upper, static(""), exercise=share)
    @contract(str)
    @pinned(top.pin("top"))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        answer: str = model.complete(text)
        return answer

    return many(talk)


def main() -> None:
    asked = options(__doc__ or "")
    calls, rounds = (50, 2) if asked.quick else (300, 41)
    exerciser = Exerciser(record=lambda *_: None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLMGUARD_STORE"] = str(Path(folder, "store.db"))
        with use_runtime(Runtime(exercise=exerciser.offer)):
            cases = {name: _guarded(share) for name, share in SHARES.items()}
            samples = interleave(cases, calls=calls, rounds=rounds)
        exerciser.stop()
    figures: dict[str, Any] = {
        name: {
            kind: {
                "us": spread(getattr(samples[name], kind), subtract=False),
                "x": spread(
                    getattr(samples[name], kind),
                    getattr(samples[NONE], kind),
                    subtract=False,
                ),
            }
            for kind in ("wall", "cpu")
        }
        for name in cases
    }
    rows = [
        [
            name,
            *(
                figure
                for kind in ("wall", "cpu")
                for figure in (
                    one[kind]["us"]["median"],
                    one[kind]["x"]["median"],
                    one[kind]["x"]["low"],
                    one[kind]["x"]["high"],
                )
            ),
        ]
        for name, one in figures.items()
    ]
    head = ["exercised", "wall us", "x none", "25 %", "75 %"]
    table("A guarded call", [*head, "CPU us", *head[2:]], rows)
    counts = ", ".join(f"{name} {n}" for name, n in exerciser.counts().items())
    print(f"\ncalls exercised: {counts}")
    report(
        {"exercise": figures, "counts": exerciser.counts()},
        machine(samples),
        asked.json,
    )


if __name__ == "__main__":
    main()

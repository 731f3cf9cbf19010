"""Drift detectors of evidently and river on the same lengths, at the same rate.

Each peer has an environment of its own under `.nox/` (`uv venv .nox/peers-river && uv
pip install river`; evidently likewise, with `pandas<3`); one that is not there is
skipped with the reason. Both see the logarithm of the answers' length, which is what
they take: a stream of numbers (river) or a window of 200 against a reference
(evidently). Their knob is turned, on the healthy streams themselves, to where at most
22 % of these alarm: better than a user could set it, who has no second healthy run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
QUIET: Final = 0.22
WINDOW: Final = 200
_NONE: Final = 10**9


def race(streams: Mapping[str, Any]) -> dict[str, Any]:
    """Run every peer on the same streams; returns delays per model, or why not."""
    found: dict[str, Any] = {}
    text = json.dumps(streams)
    for name in ("evidently", "river"):
        python = ROOT / ".nox" / f"peers-{name}" / "bin" / "python"
        if not python.exists():
            found[name] = f"skipped: no environment at {python.parent.parent}"
            continue
        done = subprocess.run(  # noqa: S603 - our own interpreters, on constants
            [str(python), __file__, name],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            found[name] = f"skipped: {done.stderr.strip().splitlines()[-1]}"
        else:
            found |= json.loads(done.stdout)
    return found


def _firsts(
    alarm: Callable[[Sequence[float], float], int],
    knobs: Sequence[float],
    streams: Mapping[str, Any],
) -> dict[str, Any]:
    """Turn the knob from shy to bold while the healthy streams allow it."""
    chosen, quiet = knobs[0], 0.0
    for knob in knobs:
        alarms = [alarm(one, knob) < _NONE for one in streams["healthy"]]
        share = sum(alarms) / len(alarms)
        if share > QUIET:
            break
        chosen, quiet = knob, share
    delays = {
        model: sorted(alarm(one, chosen) for one in streams["changed"][model])
        for model in streams["changed"]
    }
    return {"knob": chosen, "healthy": quiet, "delays": delays}


def _river(streams: Mapping[str, Any]) -> dict[str, Any]:
    from river import drift

    def first(make: Callable[[float], Any]) -> Callable[[Sequence[float], float], int]:
        def alarm(stream: Sequence[float], knob: float) -> int:
            detector = make(knob)
            for n, value in enumerate(streams["base"]):
                detector.update(value)
                if detector.drift_detected:
                    detector = make(knob)
                del n
            for n, value in enumerate(stream, start=1):
                detector.update(value)
                if detector.drift_detected:
                    return n
            return _NONE

        return alarm

    return {
        "river ADWIN": _firsts(
            first(lambda delta: drift.ADWIN(delta=delta)),
            (1e-6, 1e-4, 0.002, 0.02, 0.1, 0.3),
            streams,
        ),
        "river PageHinkley": _firsts(
            first(lambda h: drift.PageHinkley(threshold=h)),
            (800, 400, 200, 100, 50, 25),
            streams,
        ),
    }


def _evidently(streams: Mapping[str, Any]) -> dict[str, Any]:
    import pandas as pd
    from evidently.legacy.calculations.stattests import (
        ks_stat_test,
        wasserstein_stat_test,
    )

    reference = pd.Series(streams["base"])

    def first(test: Any, *, low: bool) -> Callable[[Sequence[float], float], int]:
        scores: dict[int, list[float]] = {}

        def alarm(stream: Sequence[float], knob: float) -> int:
            if id(stream) not in scores:
                windows = range(WINDOW, len(stream) + 1, WINDOW)
                scores[id(stream)] = [
                    test(
                        reference, pd.Series(stream[n - WINDOW : n]), "num", knob
                    ).drift_score
                    for n in windows
                ]
            for i, score in enumerate(scores[id(stream)], start=1):
                if (score < knob) if low else (score > knob):
                    return i * WINDOW
            return _NONE

        return alarm

    return {
        "evidently ks": _firsts(
            first(ks_stat_test, low=True),
            (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05),
            streams,
        ),
        "evidently wasserstein": _firsts(
            first(wasserstein_stat_test, low=False),
            (1.0, 0.6, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1),
            streams,
        ),
    }


if __name__ == "__main__" and len(sys.argv) > 1:
    given = json.load(sys.stdin)
    known = {"river": _river, "evidently": _evidently}
    print(json.dumps(known[sys.argv[1]](given)))

"""What is shown while a suite runs: rounds, calls, evidence per assertion."""

from __future__ import annotations

import asyncio
import math
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

from ..clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from ..suite._runner import Runner
    from ..suite.stats import RuleState

__all__ = ["Progress"]

_TERMINAL: Final = 0.2
_PLAIN: Final = 1.0
_UP: Final = "\x1b[{}F\x1b[J"
_LARGE: Final = 1e4


class Progress:
    """Watches a run; the first Ctrl-C has it end in order.

    Args:
        stream: Where to write; redrawn in place on a terminal, else a line a second.
        quiet: Show nothing.
        clock: When to write.
    """

    def __init__(
        self, stream: TextIO, *, quiet: bool = False, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._stream = stream
        self._quiet = quiet
        self._clock = clock
        self._terminal = stream.isatty()
        self._next = 0.0
        self._drawn = 0
        self._listening = False
        self._decided: set[str] = set()

    def __call__(self, runner: Runner) -> None:
        """Take note of a pair or a round."""
        if not self._listening:
            self._listening = True
            self._listen(runner)
        now = self._clock.monotonic()
        if self._quiet or (now < self._next and not runner.stopped):
            return
        self._next = now + (_TERMINAL if self._terminal else _PLAIN)
        if self._terminal:
            self._redraw(runner)
        else:
            self._line(runner)

    def _listen(self, runner: Runner) -> None:
        def interrupted() -> None:
            loop.remove_signal_handler(signal.SIGINT)  # the next one ends it at once
            runner.stop()

        loop = asyncio.get_running_loop()
        # Not on Windows, nor in a thread: there Ctrl-C ends the process, and the
        # journal holds what was called all the same.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGINT, interrupted)

    def _redraw(self, runner: Runner) -> None:
        states = runner.tally.decider.states()
        width = max(len(state.rule.name) for state in states)
        rows = [_head(runner), *(f"  {_row(state, width)}" for state in states)]
        self._stream.write(_UP.format(self._drawn) if self._drawn else "")
        self._stream.write("\n".join(rows) + "\n")
        self._stream.flush()
        self._drawn = len(rows)

    def _line(self, runner: Runner) -> None:
        parts = [_head(runner)]
        for state in runner.tally.decider.states():
            name = state.rule.name
            if state.decided_at is None:
                parts.append(f"{name} {state.failures}/{state.n}")
            elif name not in self._decided:
                self._decided.add(name)
                parts.append(f"{name} {state.status} after {state.decided_at}")
        self._stream.write("; ".join(parts) + "\n")
        self._stream.flush()


def _head(runner: Runner) -> str:
    tally, budget = runner.tally, runner.budget
    parts = [
        f"round {runner.round}/{runner.schedule.cap}",
        f"{tally.calls} calls",
    ]
    if budget.spent:
        parts.append(f"${budget.spent:.4f}")
    if bad := sum(tally.infrastructure.values()):
        parts.append(f"{bad} failed in transport")
    pace = runner.caller.pace
    if pace.throttled:
        parts.append(f"slowed to {int(pace.window)} at once")
    return ", ".join(parts)


def _row(state: RuleState, width: int) -> str:
    """Return one assertion: how it fares, and both e-values beside their thresholds."""
    block = f"{_e(state.log_block)} of {_e(state.block_at)}"
    accept = f"{_e(state.log_accept)} of {_e(state.accept_at)}"
    return (
        f"{state.rule.name:<{width}}  {state.status:<9}  "
        f"{state.failures:>4} of {state.n:<5} failed  "
        f"block {block:<18}  accept {accept}"
    )


def _e(log: float) -> str:
    value = math.exp(min(log, 700.0))
    return f"{value:.1e}" if value >= _LARGE else f"{value:.3g}"

"""The last calls, for people who look: failures and what was degraded, some others.

A finished call costs a look at its kind and, for one that is kept, a place in a bounded
queue. The keeper empties it once a second into the store.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from .._dataclass import dataclass
from ..errors import ConfigError
from ..outcome import Kind, Outcome
from .answers import Answer
from .redact import Redact, redactor

__all__ = [
    "RECENT",
    "CallLog",
    "Held",
    "Recent",
    "RecentCounts",
    "Said",
    "call_log",
]

_CAPACITY: Final = 512
_MAX_FUNCTIONS: Final = 500
_MAX_OPEN: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLog:
    """The settings of the table `[tool.llmguard.calls]`.

    Attributes:
        per_second: Good calls kept a second, for each function and process.
        rows: Calls kept in the store; good ones take half of it at most. 0 keeps none.
        days: Days that they are kept.
        content: Keep what was asked and answered; the setting `capture_content` unless
            said here.
        redact: `pii`, `none`, or `module:function`: what every text goes through.
        chars: Characters kept of any one text.
    """

    per_second: float = 1.0
    rows: int = 100_000
    days: float = 7.0
    content: bool = False
    redact: str = "pii"
    chars: int = 4_000

    def redactor(self) -> Redact:
        """Return what every text goes through.

        Raises:
            ConfigError: The function cannot be imported.
        """
        return redactor(self.redact, what="`[tool.llmguard.calls]`")


def call_log(table: Mapping[str, Any], *, capture: bool) -> CallLog:
    """Read `[tool.llmguard.calls]`.

    Args:
        table: The table.
        capture: The setting `capture_content`.

    Raises:
        ConfigError: An unknown key, or a value that cannot be.
    """
    for key, value in table.items():
        check = _CHECKS.get(key)
        if check is None:
            raise ConfigError(
                f"unknown key `{key}` in `[tool.llmguard.calls]`; known: "
                f"{', '.join(_CHECKS)}"
            )
        good, wanted = check
        if not good(value):
            raise ConfigError(
                f"`{key} = {value!r}` in `[tool.llmguard.calls]` must be {wanted}"
            )
    values: dict[str, Any] = {"content": capture, **table}
    return CallLog(**values)


def _number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= cast("float", value) < float("inf")


def _whole(value: object) -> bool:
    return _number(value) and isinstance(value, int)


_CHECKS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "per_second": (_number, "a number, 0 or more"),
    "rows": (_whole, "a whole number, 0 or more"),
    "days": (_number, "a number, 0 or more"),
    "content": (lambda value: isinstance(value, bool), "true or false"),
    "redact": (
        lambda value: isinstance(value, str),
        "'pii', 'none' or 'module:function'",
    ),
    "chars": (_whole, "a whole number, 0 or more"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer of a call whose content is kept, by reference.

    Attributes:
        tier_index: Place of the tier in the chain.
        number: Which try of it.
        text: As the model wrote it; None where it is not known.
        value: What the contract made of it; None where it was refused.
    """

    tier_index: int
    number: int
    text: str | None
    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A call that waits for the keeper.

    Attributes:
        outcome: Its story.
        inputs: Its arguments by name; None where content is not kept.
        said: What was answered, in order.
    """

    outcome: Outcome
    inputs: Mapping[str, object] | None = None
    said: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentCounts:
    """What became of finished calls in this process.

    Attributes:
        told: All of them.
        kept: Those that were kept.
        passed: Good ones left out, since enough of their function were kept.
        dropped: Lost, since the queue was full.
    """

    told: int
    kept: int
    passed: int
    dropped: int


class Recent:
    """Takes outcomes from any thread; usable as a telemetry hook.

    Good calls may fill half of the queue, so that failures find room.

    Args:
        capacity: Calls that may wait.
        clock: Returns monotonic seconds.
    """

    __slots__ = (
        "_capacity",
        "_clock",
        "_dropped",
        "_kept",
        "_last",
        "_lock",
        "_open",
        "_passed",
        "_queue",
        "log",
    )

    def __init__(
        self,
        *,
        capacity: int = _CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity, self._clock = capacity, clock
        self.log = CallLog()
        self.renew()

    def renew(self) -> None:
        """Start empty, as a forked child does: what waits is its parent's."""
        self._lock = threading.Lock()
        self._queue: deque[Held] = deque()
        self._open: dict[str, tuple[Mapping[str, object], list[Said]]] = {}
        self._last: dict[str, list[float]] = {}
        self._kept = self._passed = self._dropped = 0

    def __call__(self, outcome: Outcome) -> None:
        """Keep a call, or count that it was not."""
        good = outcome.kind is Kind.OK and not outcome.tier_index
        with self._lock:
            content = self._open.pop(outcome.call_id, None) if self._open else None
            if good and not self._sampled(outcome.function):
                self._passed += 1
                return
            if len(self._queue) >= (self._capacity // 2 if good else self._capacity):
                self._dropped += 1
                return
            self._kept += 1
            if content is None:
                self._queue.append(Held(outcome=outcome))
            else:
                self._queue.append(
                    Held(outcome=outcome, inputs=content[0], said=tuple(content[1]))
                )

    def answered(self, answer: Answer) -> None:
        """Remember what was answered until the call has ended; an `AnswerHook`."""
        attempt = answer.attempt
        said = Said(
            tier_index=attempt.tier_index,
            number=attempt.number,
            text=answer.text,
            value=answer.value,
        )
        with self._lock:
            held = self._open.get(answer.call_id)
            if held is None:
                if len(self._open) >= _MAX_OPEN:  # calls that never ended
                    self._open.pop(next(iter(self._open)))
                held = self._open[answer.call_id] = (answer.inputs, [])
            held[1].append(said)

    def _sampled(self, function: str) -> bool:
        """Tell whether a good call of `function` is one of those that are kept."""
        rate, now = self.log.per_second, self._clock()
        bucket = self._last.get(function)
        if bucket is None:
            if len(self._last) >= _MAX_FUNCTIONS:
                return False
            bucket = self._last[function] = [max(rate, 1.0) if rate else 0.0, now]
        tokens = bucket[0] + (now - bucket[1]) * rate
        taken = tokens >= 1.0
        bucket[0], bucket[1] = min(tokens - taken, max(rate, 1.0)), now
        return taken

    def drain(self) -> list[Held]:
        """Return what waits, in order, and wait for nothing."""
        with self._lock:
            found = list(self._queue)
            self._queue.clear()
        return found

    def put_back(self, held: Iterable[Held]) -> None:
        """Take calls back that could not be written; the oldest go where room lacks."""
        with self._lock:
            self._queue.extendleft(reversed(list(held)))
            while len(self._queue) > self._capacity:
                self._queue.popleft()
                self._dropped += 1

    def counts(self) -> RecentCounts:
        """Return what became of the calls so far."""
        with self._lock:
            return RecentCounts(
                told=self._kept + self._passed + self._dropped,
                kept=self._kept,
                passed=self._passed,
                dropped=self._dropped,
            )


RECENT: Final = Recent()
"""The one of this process."""

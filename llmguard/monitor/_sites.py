"""One function on one version: what is known of it in this process."""

from __future__ import annotations

import json
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from .._dataclass import dataclass
from ..detectors import Detector
from ..guard import Guard
from ..telemetry import Answer
from .sketch import Sketch

if TYPE_CHECKING:
    from ..suite._prices import Prices
    from .drift import Alarm, Baseline, Classifier, Extractor, Follower, Row

__all__ = ["Recent", "Site", "Sites", "Watching"]

_LOG: Final = logging.getLogger("llmguard.monitor")
_MAX_SITES: Final = 256
_KEPT_INPUTS: Final = 128
_LONGEST_INPUT: Final = 32_000
_RECENT: Final = 3_600.0
_PLAIN: Final = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What is watched in every function.

    Attributes:
        patterns: Regular expressions by name.
        classifiers: Functions of the user's.
        detectors: Text detectors whose labels are counted; they raise no alarm.
        prompts: Whether prompts may be read, to tell other inputs from other behaviour.
        prices: What calls cost; None when nobody said.
    """

    patterns: Mapping[str, str] = field(default_factory=dict[str, str])
    classifiers: tuple[Classifier, ...] = ()
    detectors: tuple[Detector, ...] = ()
    prompts: bool = True
    prices: Prices | None = None


class Recent:
    """The last distinct inputs of one function, in memory only, for paired probes."""

    __slots__ = ("_inputs", "unkept")

    def __init__(self) -> None:
        self._inputs: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self.unkept = 0

    def keep(self, inputs: Mapping[str, object]) -> None:
        """Remember one call's arguments, unless they cannot be repeated faithfully."""
        try:
            text = json.dumps(dict(inputs), sort_keys=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            self.unkept += 1
            return
        if len(text) > _LONGEST_INPUT:
            self.unkept += 1
            return
        self._inputs[text] = json.loads(text)
        self._inputs.move_to_end(text)
        if len(self._inputs) > _KEPT_INPUTS:
            self._inputs.popitem(last=False)

    def last(self, most: int) -> Sequence[Mapping[str, object]]:
        """Return up to `most` of them, the newest first."""
        return list(reversed(self._inputs.values()))[:most]


class Site:
    """What one process knows of one function on one version.

    Attributes:
        function: Qualified name.
        pin: Id of the pin.
        guard: The function's guard; None when it is not in this process any more.
        route: Its route; empty without one.
        extractor: What reads its answers.
        learning: Rows that no baseline is made of yet, with the time of each.
        follower: Holds the stream against a baseline; None while there is none.
        against: Pin whose baseline that is.
        sketch: Figures since they were last stored.
        seen: Outputs read by this process.
    """

    def __init__(
        self, function: str, pin: str, guard: Guard | None, watching: Watching
    ) -> None:
        from .drift import NO_FIELDS, Extractor, fields_of

        self.function, self.pin, self.guard = function, pin, guard
        contract = None if guard is None else guard.contract
        schema = None if contract is None else contract.json_schema
        self.extractor: Extractor = Extractor(
            fields=NO_FIELDS if schema is None else fields_of(schema),
            patterns=watching.patterns,
            classifiers=watching.classifiers,
        )
        self._watching = watching
        self.route = guard.pin if guard and isinstance(guard.pin, str) else ""
        self.learning: deque[tuple[float, Row]] = deque(maxlen=2_000)
        self.follower: Follower | None = None
        self.against = ""
        self.sketch = Sketch()
        self.seen = 0
        self.looked_at = 0.0
        self.used_at = time.monotonic()
        self._began: deque[tuple[int, float]] = deque(maxlen=512)

    @property
    def key(self) -> tuple[str, str]:
        """Function and pin."""
        return self.function, self.pin

    @property
    def own(self) -> bool:
        """True when it is held against the version's own baseline."""
        return self.follower is not None and self.against == self.pin

    def use(self, baseline: Baseline, *, processes: int = 1) -> bool:
        """Follow against a baseline; False when another extractor made it."""
        from .drift import Follower

        if baseline.extractor != self.extractor.id:
            return False
        self.follower = Follower(baseline, processes=processes)
        self.against = baseline.pin
        self._began.clear()
        if self.own:
            self.learning.clear()
        return True

    def read(self, answer: Answer) -> list[Alarm]:
        """Read one sampled answer; return the alarms that it raises."""
        self.used_at = time.monotonic()
        attempt = answer.attempt
        self.sketch.sizes["seconds"].add(attempt.elapsed)
        if attempt.usage is not None:
            for name in ("input_tokens", "output_tokens"):
                count = getattr(attempt.usage, name)
                if count is not None:
                    self.sketch.sizes[name].add(count)
        self._cost(answer)
        if answer.value is None:
            return []
        text, document = self._texts(answer)
        self.sketch.sizes["chars"].add(len(text))
        for detector in self._watching.detectors:
            self.sketch.label(detector.id, detector(text).label)
        row = self.extractor.read(text, document, self._prompt(answer))
        self.sketch.read(self.extractor.marks, row.marks)
        self.seen += 1
        if not self.own:
            self.learning.append((answer.at, row))
        if self.follower is None:
            return []
        alarms = self.follower.see(row)
        if self.follower.outputs == 1:  # it was restarted, and counts anew
            self._began.clear()
        self._began.append((self.follower.outputs, answer.at))
        return alarms

    def began(self, alarm: Alarm) -> float:
        """Return the epoch second at which an alarm's change is believed to begin."""
        known = [at for output, at in self._began if output >= alarm.began]
        return known[0] if known else time.time()

    def _texts(self, answer: Answer) -> tuple[str, object]:
        from .drift import value_text

        contract = None if self.guard is None else self.guard.contract
        document: object = answer.value
        if contract is not None and not contract.is_text:
            document = contract.dump(answer.value)
        if answer.text is not None:
            return answer.text, document
        return value_text(document), document

    def _prompt(self, answer: Answer) -> str | None:
        from .drift import prompt_text

        return prompt_text(answer.inputs) if self._watching.prompts else None

    def _cost(self, answer: Answer) -> None:
        prices, guard = self._watching.prices, self.guard
        if prices is None or guard is None:
            return
        pin = pin_named(guard, self.pin)
        cost = None if pin is None else prices.cost(pin, answer.attempt.usage)
        if cost is not None:
            self.sketch.sizes["cost"].add(cost)


class Sites:
    """The sites of one process, bounded; the one used longest ago goes first."""

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self.all: dict[tuple[str, str], Site] = {}
        self.recent: dict[str, Recent] = {}

    def get(self, function: str, pin: str) -> tuple[Site, bool]:
        """Return a site, and whether it is new."""
        found = self.all.get((function, pin))
        if found is not None:
            return found, False
        if len(self.all) >= _MAX_SITES:
            oldest = min(self.all.values(), key=lambda site: site.used_at)
            del self.all[oldest.key]
        made = Site(function, pin, guard_named(function), self._watching)
        self.all[made.key] = made
        return made, True

    def inputs(self, function: str) -> Recent:
        """Return the recent inputs of a function."""
        if len(self.recent) >= _MAX_SITES and function not in self.recent:
            self.recent.pop(next(iter(self.recent)))
        return self.recent.setdefault(function, Recent())


def guard_named(function: str) -> Guard | None:
    """Return the guard of that name in this process, or None."""
    from ..guard import guarded_functions

    return next((one for one in guarded_functions() if one.name == function), None)


def pin_named(guard: Guard, pin: str) -> Any:
    """Return a pin by its id: one of the guard's own, or of the lock's; or None."""
    from ..errors import LockError
    from ..pins import load_lock

    for step in guard.steps:
        if step.pins is not None and step.pins.current.id == pin:
            return step.pins.current
    try:
        return load_lock().pins.get(pin)
    except LockError:
        return None

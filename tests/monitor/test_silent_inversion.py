"""A flag that is turned off, while answers stay valid and prompts what they were."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace

from llmguard.monitor.drift import (
    Alarm,
    Calibration,
    Extractor,
    Follower,
    Row,
    fields_of,
    freeze,
)

from .project import Triage, answer, ticket

EXTRACTOR = Extractor(fields=fields_of(Triage.model_json_schema()))
QUICK = Calibration(block=1, replicates=20, outputs=1_000)
DESKS = 8


def _row(rng: random.Random, *, invert: bool) -> Row:
    text = ticket(rng)
    request = SimpleNamespace(messages=[SimpleNamespace(content=text)])
    said = answer(request, invert=invert)
    return EXTRACTOR.read(said, json.loads(said), text)


def _first(seed: int) -> Alarm:
    rng = random.Random(seed)
    rows = [_row(rng, invert=False) for _ in range(200)]
    made = freeze(rows, EXTRACTOR, function="f", pin="p", calibration=QUICK)
    follower = Follower(made)
    for _ in range(60):
        if alarms := follower.see(_row(rng, invert=True)):
            return alarms[0]
    raise AssertionError("no alarm in 60 outputs")


def test_it_is_seen_and_seldom_put_down_to_other_inputs() -> None:
    """By the flag's name, on every desk; what is held back asks a probe all the same.

    Tickets of a few words are other ones by chance as well: then it may be held back.
    """
    alarms = [_first(seed) for seed in range(DESKS)]
    # The very first outputs may raise an alarm before any one number stands out.
    named = [{one.name for one in alarm.shifts} for alarm in alarms if alarm.shifts]
    assert len(named) >= DESKS // 2
    assert all("urgent=true" in names for names in named)
    raised = [alarm for alarm in alarms if not alarm.confounded]
    assert len(raised) >= DESKS * 3 // 4
    assert all(alarm.explained < 0 for alarm in raised)

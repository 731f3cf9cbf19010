"""What a shadow report keeps is what the shadow gate reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmguard.promotion import GatesNotPassedError
from llmguard.shadow import Draw, Ladder, Pair, Tally, Version, report

Project = Any  # of conftest.py
Told = Callable[[pytest.ExceptionInfo[Any], str], str]
GATES = (
    "[tool.llmguard.gates]\nsuite = false\nhorizon = false\n"
    "[tool.llmguard.gates.active]\nshadow = {{ max_excess = {limit} }}\n"
)


def _keep(project: Project, *, differ: int, n: int = 1000) -> None:
    """Report on requests of which the first few differ, and keep the evidence."""
    tally = Tally(Ladder())
    yes, no = (Draw(text=f'{{"answer": {word}}}') for word in ("true", "false"))
    for i in range(n):
        b = no if i < differ else yes
        tally.add(Pair(request=str(i), a=yes, a2=yes, b=b, b2=b))
    report(
        tally,
        incumbent=Version(name="old", pin=project.old.id, digest=project.old.digest),
        challenger=Version(name="new", pin=project.new.id, digest=project.new.digest),
        function="f",
        source="live",
        at=project.clock.time(),
    ).stored(project.store)


def test_a_quiet_report_lets_through(project: Project) -> None:
    """One request in a thousand differs: promoted, with the excess in the record."""
    project.gates(GATES.format(limit=0.02))
    _keep(project, differ=1)
    moved = project.promote(project.new)
    assert "excess <= 0." in moved.gates[-1].reason


@pytest.mark.parametrize(
    ("seen", "limit", "words"),
    [
        (
            (100, 1000),
            0.02,
            "fail: the shadow report says BLOCK: the versions differ by",
        ),
        ((0, 100), 0.02, "unknown: the shadow report says UNDECIDED"),
        ((8, 1000), 0.005, "fail: excess divergence may be"),
    ],
)
def test_other_reports_do_not(
    project: Project, refuses: Told, seen: tuple[int, int], limit: float, words: str
) -> None:
    """An alarm, too few requests, and more than the route allows."""
    project.gates(GATES.format(limit=limit))
    _keep(project, differ=seen[0], n=seen[1])
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new)
    assert words in refuses(caught, "shadow")

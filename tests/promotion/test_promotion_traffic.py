"""The gates that look at traffic: shadow reports, canaries, fallbacks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.promotion import GatesNotPassedError
from llmguard.promotion._gate_canary import Arm, difference
from llmguard.store import BreakerRow, EvidenceRow

DAY = 86_400.0
Project = Any  # of conftest.py
Told = Callable[[pytest.ExceptionInfo[Any], str], str]
QUIET = "[tool.llmguard.gates]\nsuite = false\nhorizon = false\n"


def report(project: Project, verdict: str = "PROMOTE", **fields: Any) -> None:
    """Keep a shadow report about NEW against OLD."""
    body = {
        "kind": "shadow",
        "pin_digest": project.new.identity,
        "incumbent_digest": project.old.identity,
        "incumbent_pin": project.old.id,
        "verdict": verdict,
        "reason": "as drawn",
        "net": {"value": 0.004, "low": 0.001, "high": 0.008},
        "excess": None,
    }
    at = fields.pop("at", project.clock.time())
    text = json.dumps(body | fields, sort_keys=True)
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    project.store.put_evidence(
        EvidenceRow(
            digest=fields.pop("digest", digest),
            kind="shadow",
            function="f",
            subject="ladder",
            pin_digest=(body | fields)["pin_digest"],
            verdict=verdict,
            at=at,
            body=text,
        )
    )


def asking(project: Project, gate: str) -> None:
    project.gates(f"{QUIET}[tool.llmguard.gates.active]\n{gate}")


def refused(project: Project, told: Told, gate: str) -> str:
    with pytest.raises(GatesNotPassedError) as caught:
        project.promote(project.new)
    return told(caught, gate)


def test_a_shadow_report_of_before_names_whole_entries(project: Project) -> None:
    """Reports were once filed under the digest of the entry: they still count."""
    asking(project, "shadow = true")
    old, new = project.old, project.new
    report(project, pin_digest=new.digest, incumbent_digest=old.digest)
    assert 1 == len(project.promote(new).entries[-1].evidence)


def test_a_shadow_report_lets_through(project: Project, refuses: Told) -> None:
    """PROMOTE under the limits; what was relied on is kept."""
    asking(project, "shadow = { max_net = 0.01 }")
    assert "unknown: no shadow report" in refused(project, refuses, "shadow")
    report(project)
    moved = project.promote(project.new)
    assert "net <= 0.80%" in moved.gates[-1].reason
    assert 1 == len(moved.entries[-1].evidence)


@pytest.mark.parametrize(
    ("rule", "fields", "words"),
    [
        ("true", {"verdict": "BLOCK"}, "fail: the shadow report says BLOCK: as drawn"),
        ("true", {"verdict": "UNDECIDED"}, "unknown: the shadow report says UNDECIDED"),
        ("true", {"incumbent_digest": "x"}, "unknown: foreign evidence"),
        ("{ max_net = 0.005 }", {}, "fail: net divergence may be 0.80%"),
        ("{ max_excess = 0.1 }", {}, "unknown: the shadow report names no `excess`"),
        ("{ max_excess = 0.1 }", {"excess": 0.2}, "fail: excess divergence may be 20"),
        ("{ days = 3 }", {"at": -4 * DAY}, "unknown: stale evidence"),
        ("true", {"digest": "sha256:0"}, "unknown: tampered evidence"),
    ],
)
def test_shadow_reports_that_do_not_count(
    project: Project, refuses: Told, rule: str, fields: dict[str, Any], words: str
) -> None:
    """Each way has its own words."""
    asking(project, f"shadow = {rule}")
    if "at" in fields:
        fields = fields | {"at": project.clock.time() + fields["at"]}
    report(project, **fields)
    assert words in refused(project, refuses, "shadow")


def count(project: Project, pin: Any, ok: int, bad: int, kind: str = "schema") -> None:
    """Book first attempts of a pin, as the keeper does."""
    rows = [
        (("f", pin.id, "", "first", label), n)
        for label, n in (("ok", ok), (kind, bad), ("timeout", 5))
        if n
    ]
    project.store.counts.add(
        "prod",
        rows,
        source=f"{pin.id}{ok}{bad}{kind}",
        number=1,
        at=float(project.clock.time()),
    )


@pytest.fixture
def canary(project: Project) -> Project:
    """NEW takes 5 % of the calls; active asks for a healthy canary."""
    asking(project, "canary = { min_calls = 300, max_worse = 0.02 }")
    project.promote(project.new, "canary")
    return project


def test_a_healthy_canary(canary: Project) -> None:
    """Both well above 99 % of many: the interval lies below the limit."""
    count(canary, canary.old, 5_000, 10)
    count(canary, canary.new, 2_000, 4)
    moved = canary.promote(canary.new)
    assert "99.80% of 2004 answers valid" in moved.gates[-1].reason


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((290, 1), "unknown: inconclusive, 300 answers of each"),
        ((323, 5), "unknown: inconclusive: 98.48% of 328"),
        ((900, 100), "fail: 90.00% of 1000 answers valid, the incumbent's 99.80%"),
    ],
)
def test_canaries_that_hold_or_fail(
    canary: Project, refuses: Told, counts: tuple[int, int], words: str
) -> None:
    """Too few, undecided, and worse."""
    count(canary, canary.old, 5_000, 10)
    count(canary, canary.new, *counts)
    assert words in refused(canary, refuses, "canary")


def test_facts_come_before_statistics(canary: Project, refuses: Told) -> None:
    """Another version answered; or its breaker is not closed."""
    count(canary, canary.old, 5_000, 0)
    count(canary, canary.new, 2_000, 1, kind="wrong_model")
    told = refused(canary, refuses, "canary")
    assert "fail: 1 answers came from another version" in told
    assert "llmguard rollback triage" in told
    canary.store.put_breaker(
        BreakerRow(key=f"f|{canary.new.id}", state="quarantined", reason="refusals")
    )
    assert "is quarantined (refusals)" in refused(canary, refuses, "canary")


def test_what_is_no_canary(project: Project, refuses: Told) -> None:
    """The gate asks for one first."""
    asking(project, "canary = true")
    told = refused(project, refuses, "canary")
    assert f"-> llmguard promote {project.new.id} --to canary --weight 5%" in told


def test_a_canary_counts_from_its_first_share(canary: Project, refuses: Told) -> None:
    """Calls before it began say nothing; another share begins nothing anew."""
    count(canary, canary.new, 2_000, 0)
    count(canary, canary.old, 2_000, 0)
    canary.clock.advance(3_600.0)
    canary.promote(canary.new, "canary", weight=1_000)
    assert canary.promote(canary.new).changed


ARMS = st.tuples(st.integers(0, 400), st.integers(0, 400))


@given(ARMS, ARMS)
def test_the_interval_holds_the_estimate(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    """It lies in [-1, 1], contains the difference, and turns with its arms."""
    a, b = (Arm(valid=v, broken=x) for v, x in (one, other))
    low, high = difference(a, b, 0.99)
    assert -1.0 <= low <= high <= 1.0
    if a.n and b.n:
        assert low - 1e-9 <= b.rate - a.rate <= high + 1e-9
        assert (-high, -low) == pytest.approx(difference(b, a, 0.99))


def test_newcombe_s_own_example() -> None:
    """56/70 against 48/80, 95 %: 0.0524 to 0.3339 (table II, method 10)."""
    low, high = difference(
        Arm(valid=48, broken=32), Arm(valid=56, broken=14), confidence=0.95
    )
    assert (0.0524, 0.3339) == pytest.approx((low, high), abs=5e-5)


def test_fallbacks_must_be_proven(project: Project, refuses: Told) -> None:
    """A lower tier that nobody tried within a day is no fallback."""
    asking(project, "fallback = true")
    assert "no running process has told" in refused(project, refuses, "fallback")
    tiers = [
        {"tier": "primary", "pin": project.old.id, "proof": "exercise"},
        {"tier": "local", "pin": "p-x", "proof": "exercise", "drill": "app:f"},
        {"tier": "static", "pin": "", "proof": ""},
    ]
    project.store.beat("host:1", {"functions": {"app.f": tiers, "app.g": []}})
    told = refused(project, refuses, "fallback")
    assert (
        "unknown: not proven within 24 hours: app.f > local -> llmguard drill" in told
    )
    row = {"process": "host:1", "function": "app.f", "tier": "local (drill)"}
    row |= {"pin": "p-x", "kind": "ok", "n": 1, "total_elapsed": 0.1}
    project.store.add_activity([row | {"last_at": project.clock.time()}])
    assert "proven for app.f" in project.promote(project.new).gates[-1].reason

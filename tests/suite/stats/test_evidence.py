"""Evidence: one address per content, and reasons for not relying on some of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmguard.errors import ConfigError
from llmguard.store import Signature, SqliteStore
from llmguard.suite import Report, Status, Verdict
from llmguard.suite._evidence import AssertionEvidence, Evidence
from llmguard.suite._evidence_find import find_evidence
from llmguard.suite._report import AssertionReport, VersionInfo

NOW, DAY = 1_000_000_000.0, 86400.0

SCHEMA = AssertionEvidence(
    name="schema",
    kind="schema",
    status=Status.ACCEPTED,
    n=200,
    failures=0,
    incumbent_n=0,
    incumbent_failures=0,
    tolerate=0.005,
    unacceptable=0.02,
    relative=False,
    per_prompt=False,
    scope="suite",
    gating=True,
    detector="",
    log_block=-1.25,
    log_accept=3.5,
)
GOOD = Evidence(
    function="app.triage",
    suite="triage",
    suite_digest="sha256:suite",
    pin="p-1",
    pin_digest="pin-1",
    verdict=Verdict.PROMOTE,
    seed=7,
    order_digest="sha256:order",
    alpha=0.01,
    beta=0.05,
    cases=40,
    rounds=5,
    calls=200,
    assertions=(SCHEMA,),
    llmguard="0.1.0",
    at=NOW - DAY,
)
WANTED = {"function": "app.triage", "pin_digest": "pin-1", "now": NOW}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    yield store
    store.close()


@pytest.fixture
def put(store: SqliteStore) -> Callable[..., Evidence]:
    def put(**fields: object) -> Evidence:
        evidence = replace(GOOD, **fields)  # type: ignore[arg-type]  # a helper's free keywords
        assert store.put_evidence(evidence.row())
        return evidence

    return put


def test_the_address_is_the_digest_of_the_body() -> None:
    """Anyone can check it with a hash of the bytes."""
    raw = hashlib.sha256(GOOD.body.encode()).hexdigest()
    assert f"sha256:{raw}" == GOOD.digest == GOOD.row().digest
    assert replace(GOOD, seed=8).digest != GOOD.digest


def test_a_record_reads_back() -> None:
    """What was written is what is read, statuses and verdict included."""
    assert GOOD == Evidence.load(GOOD.body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("{}", "KeyError: 'format'"),
        ('{"format": 2}', "format 2 was written by another version"),
        (GOOD.body.replace('"PROMOTE"', '"MAYBE"'), "'MAYBE' is not a valid"),
        (GOOD.body.replace('"seed"', '"sead"'), "sead"),
        (GOOD.body.replace('"assertions":[{', '"assertions":[1,{'), "TypeError"),
    ],
)
def test_what_is_no_evidence_is_refused(body: str, message: str) -> None:
    """Half a document never becomes half a record."""
    with pytest.raises(ConfigError, match=message):
        Evidence.load(body)


def test_a_report_becomes_a_record() -> None:
    """Counts, rates and evidence are copied; an infinite logarithm is made finite."""
    fields = {name: getattr(SCHEMA, name) for name in SCHEMA.__slots__}
    assertion = AssertionReport(
        **{**fields, "log_block": math.inf, "log_accept": 1 / 3},
        sentence="",
        rate=0.0,
        interval=(0.0, 0.02),
        block_at=6.4,
        accept_at=3.0,
        unjudged=0,
        calibration="",
        not_excluded="",
        path=(),
        slices=(),
        suspects=(),
        examples=(),
    )
    arm = VersionInfo(pin="p-1", route="triage", provider="openai", model="m-1")
    report = Report(
        suite="triage",
        suite_digest="sha256:suite",
        function="app.triage",
        verdict=Verdict.PROMOTE,
        reason="all accepted",
        candidate=arm,
        incumbent=replace(arm, pin="p-0"),
        seed=7,
        rounds=5,
        calls=200,
        infrastructure={"timeout": 2, "transport": 1},
        deterministic=(),
        cases=40,
        alpha=0.01,
        beta=0.05,
        cost=None,
        started=NOW - DAY - 60,
        elapsed=60.0,
        assertions=(replace(assertion, name="zeta"), assertion),
        stopped="decided",
        llmguard="0.1.0",
    )
    made = Evidence.of(
        report, pin_digest="pin-1", order_digest="sha256:order", incumbent_digest="i"
    )
    limited = replace(SCHEMA, log_block=1e9, log_accept=0.333333)
    assert made == replace(
        GOOD,
        incumbent_pin="p-0",
        incumbent_digest="i",
        reason="all accepted",
        infrastructure=3,
        assertions=(limited, replace(limited, name="zeta")),
    )


def test_the_newest_good_record_counts(
    store: SqliteStore, put: Callable[..., Evidence]
) -> None:
    """A later BLOCK overrides an earlier PROMOTE, and both are shown."""
    promoted = put()
    assert find_evidence(store, **WANTED).promotes
    blocked = put(verdict=Verdict.BLOCK, at=NOW - 60)
    found = find_evidence(store, **WANTED, suite_digest="sha256:suite")
    assert (blocked, (promoted,)) == (found.evidence, found.earlier)
    assert not found.promotes
    assert found.reason.startswith("BLOCK of suite `triage`")


def test_no_number_of_other_runs_hides_one(
    store: SqliteStore, put: Callable[..., Evidence]
) -> None:
    """Neither the runs of other pins, nor those of shadows, nor many of its own."""
    promoted = put(at=NOW - DAY)
    blocked = [put(verdict=Verdict.BLOCK, at=NOW - 2 * DAY - n) for n in range(230)]
    for number in range(230):
        put(pin_digest="pin-2", at=NOW - 60 - number)
        shadow = {"kind": "shadow", "digest": f"sha256:{number}", "at": NOW - number}
        store.put_evidence(replace(GOOD.row(), **shadow))  # type: ignore[arg-type]  # a table of changes
    found = find_evidence(store, **WANTED)
    assert (promoted, tuple(blocked)) == (found.evidence, found.earlier)
    assert {"foreign"} == {one.kind for one in found.refused}


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"at": NOW - 30.5 * DAY}, "stale", "30.5 days old, at most 30"),
        ({"at": NOW + DAY}, "stale", "dated in the future"),
        ({"pin_digest": "pin-2"}, "foreign", "another pin digest: 'pin-2', not"),
        ({"suite_digest": "old"}, "foreign", "another suite digest: 'old', not"),
    ],
)
def test_evidence_that_does_not_carry(
    store: SqliteStore,
    put: Callable[..., Evidence],
    fields: dict[str, object],
    kind: str,
    words: str,
) -> None:
    """Stale and foreign records are named, never used."""
    put(**fields)
    found = find_evidence(store, **WANTED, suite_digest="sha256:suite")
    assert found.evidence is None
    assert [kind] == [one.kind for one in found.refused]
    assert words in found.reason


def test_thirty_days_are_not_stale(
    store: SqliteStore, put: Callable[..., Evidence]
) -> None:
    """The limit itself is allowed, and a gate may set another."""
    put(at=NOW - 30 * DAY)
    assert find_evidence(store, **WANTED).promotes
    assert not find_evidence(store, **WANTED, max_age=DAY).promotes


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"body": GOOD.body.replace('"seed":7', '"seed":8')}, "tampered"),
        ({"body": GOOD.body.replace('"failures":0', '"failures":1')}, "tampered"),
        ({"body": f" {GOOD.body}"}, "tampered"),
        ({"verdict": "BLOCK"}, "tampered"),
        ({"at": NOW}, "tampered"),
        ({"body": "{}"}, "unreadable"),
    ],
)
def test_a_changed_document_is_refused(
    store: SqliteStore, fields: dict[str, object], kind: str
) -> None:
    """A row whose content and address disagree proves nothing."""
    store.put_evidence(replace(GOOD.row(), **fields))  # type: ignore[arg-type]  # a table of changes
    found = find_evidence(store, **WANTED)
    assert (None, [kind]) == (found.evidence, [one.kind for one in found.refused])


def test_other_kinds_of_evidence_are_left_alone(store: SqliteStore) -> None:
    """A shadow report is no verdict of a suite."""
    store.put_evidence(replace(GOOD.row(), kind="shadow"))
    found = find_evidence(store, **WANTED)
    assert (None, ()) == (found.evidence, found.refused)
    assert "run `llmguard suite run`" in found.reason


def test_signatures_come_along(store: SqliteStore) -> None:
    """A gate checks them; finding them is enough here."""
    store.put_evidence(GOOD.row(signatures=(Signature(signer="ann", signature="s"),)))
    found = find_evidence(store, **WANTED)
    assert ["ann"] == [one.signer for one in found.signatures]


def test_nobody_asks_about_nothing(store: SqliteStore) -> None:
    """An empty name would match what it should not."""
    with pytest.raises(ConfigError, match="give both"):
        find_evidence(store, function="app.triage", pin_digest="", now=NOW)

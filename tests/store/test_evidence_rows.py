"""Evidence, on every backend: written once, found by digest, signed later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from llmguard.store import EvidenceRow, Signature, Store
from llmguard.store.evidence import each_evidence
from llmguard.testing import VirtualClock

ROW = EvidenceRow(
    digest="sha256:aa",
    kind="suite",
    function="app.triage",
    subject="sha256:suite",
    pin_digest="pin-1",
    verdict="PROMOTE",
    at=900.0,
    body='{"format":1}',
)


def test_a_document_comes_back_as_it_was_written(
    open_again: Callable[[], Store],
) -> None:
    """Another process reads what this one wrote."""
    assert open_again().put_evidence(ROW)
    assert ROW == open_again().get_evidence("sha256:aa")
    assert open_again().get_evidence("sha256:bb") is None


def test_a_digest_is_written_once(store: Store) -> None:
    """A second document under the same digest changes nothing."""
    store.put_evidence(ROW)
    assert not store.put_evidence(replace(ROW, verdict="BLOCK", body="{}"))
    assert ROW == store.get_evidence("sha256:aa")


def test_the_newest_come_first(store: Store) -> None:
    """Function, pin and age narrow the list; ties are in the order of digests."""
    rows = [
        replace(ROW, digest="sha256:old", at=100.0),
        replace(ROW, digest="sha256:b", at=300.0),
        replace(ROW, digest="sha256:a", at=300.0),
        replace(ROW, digest="sha256:pin", at=400.0, pin_digest="pin-2"),
        replace(ROW, digest="sha256:function", at=500.0, function="app.other"),
    ]
    for row in rows:
        store.put_evidence(row)

    def digests(**by: object) -> list[str]:
        return [row.digest[7:] for row in store.list_evidence(**by)]  # type: ignore[arg-type]  # free keywords

    assert ["function", "pin", "a", "b", "old"] == digests()
    assert ["pin", "a", "b", "old"] == digests(function="app.triage")
    assert ["a", "b", "old"] == digests(function="app.triage", pin_digest="pin-1")
    assert ["function", "pin", "a", "b"] == digests(since=300.0)
    assert ["function", "pin"] == digests(limit=2)


def test_all_of_them_can_be_read_by_pages(store: Store) -> None:
    """Each once and in order, also where many are of one time."""
    rows = [
        replace(ROW, digest=f"sha256:{number:02}", at=float(300 - number // 4))
        for number in range(11)
    ]
    others = [
        replace(ROW, digest="sha256:shadow", at=400.0, kind="shadow"),
        replace(ROW, digest="sha256:pin", at=400.0, pin_digest="pin-2"),
        replace(ROW, digest="sha256:old", at=10.0),
    ]
    for row in (*reversed(rows), *others):
        store.put_evidence(row)
    wanted = {"function": "app.triage", "pin_digest": "pin-1", "since": 20.0}
    for page in (1, 2, 4, 11, 100):
        found = each_evidence(store, **wanted, kinds=("suite",), page=page)  # type: ignore[arg-type]  # free keywords
        assert rows == list(found)
    second = store.list_evidence(before=(300.0, "sha256:01"), limit=3)
    assert ["02", "03", "04"] == [row.digest[7:] for row in second]
    kinds = store.list_evidence(kinds=("shadow", "approval"))
    assert ["sha256:shadow"] == [row.digest for row in kinds]
    assert 14 == len(list(each_evidence(store, page=5)))


def test_signatures_come_later(store: Store, clock: VirtualClock) -> None:
    """Each signer signs once; what is unknown cannot be signed."""
    first = Signature(signer="ann", signature="-----SSH-----")
    assert not store.sign_evidence("sha256:aa", first)
    store.put_evidence(replace(ROW, signatures=(first,)))
    assert store.sign_evidence("sha256:aa", Signature(signer="bob", signature="x"))
    assert not store.sign_evidence("sha256:aa", replace(first, signature="other"))
    row = store.get_evidence("sha256:aa")
    assert row is not None
    assert (
        replace(first, at=clock.time()),
        Signature(signer="bob", signature="x", at=clock.time()),
    ) == row.signatures

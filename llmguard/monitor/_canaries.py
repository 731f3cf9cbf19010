"""What a version said to its canaries when it was promoted; no text is kept."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..outcome import Kind
from ..pins import evidence_about
from ..store import EvidenceRow, Store
from ._paired import Said

if TYPE_CHECKING:
    from ..pins import Pin
    from .probe import Asker

__all__ = ["KIND", "load_canaries", "save_canaries"]

KIND: Final = "canary-answers"
"""Kind of the evidence rows."""

Inputs = Sequence[Mapping[str, object]]
_DIGITS: Final = 4


def save_canaries(
    store: Store, asker: Asker, function: str, pin: Pin, inputs: Inputs
) -> bool:
    """Ask a version every canary twice and keep the numbers; False if it was there."""
    draws = [[_document(asker(pin, each)) for each in inputs] for _ in range(2)]
    body = json.dumps(
        {
            "function": function,
            "pin": pin.id,
            "inputs": _subject(inputs),
            "draws": draws,
        },
        sort_keys=True,
        separators=(",", ":"),
    )
    return store.put_evidence(
        EvidenceRow(
            digest=f"sha256:{hashlib.sha256(body.encode()).hexdigest()}",
            kind=KIND,
            function=function,
            subject=_subject(inputs),
            pin_digest=pin.identity,
            verdict="kept",
            at=time.time(),
            body=body,
        )
    )


def load_canaries(
    store: Store, function: str, pin: Pin, inputs: Inputs
) -> tuple[Sequence[Said], Sequence[Said]] | None:
    """Return both draws on exactly these inputs, or None when none were kept."""
    subject = _subject(inputs)
    for row in evidence_about(store, pin, kinds=(KIND,), function=function):
        if row.subject == subject:
            first, second = json.loads(row.body)["draws"]
            return [_said(one) for one in first], [_said(one) for one in second]
    return None


def _subject(inputs: Inputs) -> str:
    text = json.dumps([dict(one) for one in inputs], sort_keys=True, default=repr)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _document(said: Said) -> dict[str, object]:
    hashed = said.hashed
    return {
        "kind": str(said.kind),
        "hashed": None if hashed is None else [round(n, _DIGITS) for n in hashed],
        "decisions": None if said.decisions is None else dict(said.decisions),
    }


def _said(document: Any) -> Said:
    return Said(
        kind=Kind(document["kind"]),
        hashed=document["hashed"],
        decisions=document["decisions"],
    )

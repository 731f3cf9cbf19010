"""Evidence: immutable documents about a pinned version, addressed by digest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["EvidenceRow", "EvidenceStore", "Signature", "each_evidence"]

_PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One detached signature of a document.

    Attributes:
        signer: Who signed.
        signature: The armoured text, as the tool that made it printed it.
        at: Epoch seconds when it was stored.
    """

    signer: str
    signature: str
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRow:
    """One stored document; the other fields repeat what it says, to find it by.

    Attributes:
        digest: `sha256:` and 64 hex digits of the UTF-8 bytes of `body`.
        kind: What wrote it, such as `suite`.
        function: Qualified name of the guarded function.
        subject: Digest of what was asked, such as the suite's.
        pin_digest: `Pin.identity` of the pin that it is about.
        verdict: What it says.
        at: Epoch seconds when the run ended.
        body: Canonical JSON.
        signatures: Detached signatures of `digest`, by signer.
    """

    digest: str
    kind: str
    function: str
    subject: str
    pin_digest: str
    verdict: str
    at: float
    body: str
    signatures: tuple[Signature, ...] = ()


class EvidenceStore(Protocol):
    """Where verdicts are kept for the gates that read them."""

    def put_evidence(self, row: EvidenceRow) -> bool:
        """Write a document durably, with its signatures; False if it was there.

        A digest is written once: nothing ever changes a stored document.
        """
        ...

    def sign_evidence(self, digest: str, signature: Signature) -> bool:
        """Add a signature; False if the document is unknown or that signer's is there.

        Whether the signature is good is for the reader to check.
        """
        ...

    def get_evidence(self, digest: str) -> EvidenceRow | None:
        """Return a document with its signatures, or None."""
        ...

    def list_evidence(
        self,
        *,
        function: str | None = None,
        pin_digest: str | None = None,
        kinds: Collection[str] = (),
        since: float = 0.0,
        before: tuple[float, str] | None = None,
        limit: int = 100,
    ) -> Sequence[EvidenceRow]:
        """Return documents, newest first, ties in the order of digests.

        Args:
            function: Only about this function; None for any.
            pin_digest: Only about this pin; None for any.
            kinds: Only of these kinds; empty for all.
            since: Only of this time or later, in epoch seconds.
            before: `at` and `digest` of a document: only those that come after it
                here, which is the next page.
            limit: At most so many.
        """
        ...


def each_evidence(
    store: EvidenceStore,
    *,
    function: str | None = None,
    pin_digest: str | None = None,
    kinds: Collection[str] = (),
    since: float = 0.0,
    page: int = _PAGE,
) -> Iterator[EvidenceRow]:
    """Yield all documents, newest first, however many there are.

    Args:
        store: Where evidence is kept.
        function: Only about this function; None for any.
        pin_digest: Only about this pin; None for any.
        kinds: Only of these kinds; empty for all.
        since: Only of this time or later, in epoch seconds.
        page: Documents read at once.

    Raises:
        StoreError: The store cannot be read.
    """
    last: tuple[float, str] | None = None
    while True:
        rows = store.list_evidence(
            function=function,
            pin_digest=pin_digest,
            kinds=kinds,
            since=since,
            before=last,
            limit=page,
        )
        yield from rows
        if len(rows) < page:
            return
        last = (rows[-1].at, rows[-1].digest)

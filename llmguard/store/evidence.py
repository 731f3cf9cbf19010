"""Evidence: immutable documents about a pinned version, addressed by digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["EvidenceRow", "EvidenceStore", "Signature"]


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
        since: float = 0.0,
        limit: int = 100,
    ) -> Sequence[EvidenceRow]:
        """Return documents, newest first; None for any function or pin."""
        ...

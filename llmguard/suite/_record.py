"""What all records of evidence share: reading one back, and the row that is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from .._nested import read_json
from ..errors import ConfigError
from ..store import EvidenceRow, Signature

__all__ = ["Record", "read_record", "row_of"]

T = TypeVar("T")


class Record(Protocol):
    """A record of evidence, addressed by its digest."""

    @property
    def function(self) -> str:
        """Qualified name of the guarded function."""
        ...

    @property
    def pin_digest(self) -> str:
        """`Pin.identity` of the pin that it is about."""
        ...

    @property
    def at(self) -> float:
        """Epoch seconds when the run ended."""
        ...

    @property
    def body(self) -> str:
        """Canonical JSON."""
        ...

    @property
    def digest(self) -> str:
        """`sha256:` and the digest of `body`."""
        ...


def read_record(
    body: str,
    make: Callable[[dict[str, Any]], T],
    *,
    kind: str,
    version: int,
    command: str,
) -> T:
    """Read a record back.

    Args:
        body: Its JSON.
        make: Makes the record of what the JSON holds.
        kind: What it is evidence of, such as `suite`.
        version: The one format that is known.
        command: What makes such evidence.

    Raises:
        ConfigError: It is no such evidence, or of another format.
    """
    try:
        data = cast("dict[str, Any]", read_json(body))
        if data["format"] != version:
            raise ConfigError(
                f"evidence of format {data['format']!r} was written by another "
                "version of llmguard: `pip install -U llmguard-toolkit`"
            )
        return make(data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"this is no {kind} evidence ({type(error).__name__}: {error}); run "
            f"`{command}` to make some"
        ) from None


def row_of(
    record: Record,
    *,
    kind: str,
    subject: str,
    verdict: str,
    signatures: tuple[Signature, ...],
) -> EvidenceRow:
    """Return the row that `EvidenceStore.put_evidence` keeps of a record."""
    return EvidenceRow(
        digest=record.digest,
        kind=kind,
        function=record.function,
        subject=subject,
        pin_digest=record.pin_digest,
        verdict=verdict,
        at=record.at,
        body=record.body,
        signatures=signatures,
    )

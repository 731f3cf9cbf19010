"""Evidence."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..clock import Clock
from ..errors import StoreError
from ._database import Connection, Database, Row, encodable, where
from .evidence import EvidenceRow, Signature

__all__ = ["SqlEvidence"]

_COLUMNS = "digest, kind, function, subject, pin_digest, verdict, at, body"
_INSERT = "INSERT INTO evidence VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_SIGN = (
    "INSERT INTO evidence_signatures SELECT digest, ?, ?, ? FROM evidence "
    "WHERE digest = ? ON CONFLICT DO NOTHING"
)


class SqlEvidence:
    """Implements `EvidenceStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def put_evidence(self, row: EvidenceRow) -> bool:
        """Write a document durably, with its signatures; False if it was there."""
        if encodable(row.body) != row.body:  # its digest is of the very text
            raise StoreError(
                f"evidence {row.digest!r} holds half a surrogate pair, which no store "
                "can keep as it is: take it out of the texts that it was made of"
            )
        now = self._clock.time()

        def job(connection: Connection) -> bool:
            values = (row.digest, row.kind, row.function, row.subject)
            more = (row.pin_digest, row.verdict, row.at, row.body)
            written = connection.execute(_INSERT, (*values, *more)).rowcount
            for one in row.signatures:
                _sign(connection, row.digest, one, now)
            return written == 1

        return self._database.write(job, locks=())

    def sign_evidence(self, digest: str, signature: Signature) -> bool:
        """Add a signature; False if the document is unknown or it is signed so."""
        now = self._clock.time()
        return self._database.write(
            lambda c: _sign(c, digest, signature, now), locks=()
        )

    def get_evidence(self, digest: str) -> EvidenceRow | None:
        """Return a document with its signatures, or None."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM evidence WHERE digest = ?",  # noqa: S608 - constants
            (digest,),
        )
        return self._row(rows[0]) if rows else None

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
        """Return documents, newest first; None for any function or pin."""
        wanted, values = where(
            {"function = ?": function, "pin_digest = ?": pin_digest, "at >= ?": since}
        )
        if kinds:
            wanted += f" AND kind IN ({', '.join('?' * len(kinds))})"
            values += kinds
        if before is not None:
            wanted += " AND (at < ? OR (at = ? AND digest > ?))"
            values += [before[0], *before]
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM evidence {wanted} "  # noqa: S608 - constants
            "ORDER BY at DESC, digest LIMIT ?",
            (*values, limit),
        )
        return [self._row(row) for row in rows]

    def _row(self, row: Row) -> EvidenceRow:
        signatures = self._database.read(
            "SELECT signer, signature, at FROM evidence_signatures "
            "WHERE digest = ? ORDER BY signer",
            (row["digest"],),
        )
        return EvidenceRow(
            digest=row["digest"],
            kind=row["kind"],
            function=row["function"],
            subject=row["subject"],
            pin_digest=row["pin_digest"],
            verdict=row["verdict"],
            at=row["at"],
            body=row["body"],
            signatures=tuple(
                Signature(signer=one[0], signature=one[1], at=one[2])
                for one in signatures
            ),
        )


def _sign(connection: Connection, digest: str, one: Signature, now: float) -> bool:
    values = (one.signer, one.signature, now, digest)
    return connection.execute(_SIGN, values).rowcount == 1

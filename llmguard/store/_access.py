"""Users, tokens and sessions in SQL."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ..clock import Clock
from ..errors import StoreError
from ._audit import SqlAudit
from ._database import Connection, Database, Row, where
from .access import AccessSession, AccessToken, AccessUser, Granted

__all__ = ["SqlAccess"]

_MINUTE: Final = 60.0
_USER: Final = "name, scopes, roles, created_at, created_by, disabled_at"
_PUT_USER: Final = (
    f"INSERT INTO access_users ({_USER}) VALUES (?, ?, ?, ?, ?, ?) "  # noqa: S608 - constants
    "ON CONFLICT (name) DO UPDATE SET scopes = excluded.scopes, "
    "roles = excluded.roles, disabled_at = excluded.disabled_at"
)
_TOKENS: Final = (
    "id, user_name, scopes, label, created_at, created_by, expires_at, revoked_at, "
    "used_at"
)
_FIND_BEARER: Final = (
    "SELECT u.name, u.scopes, u.roles, u.created_at, u.created_by, "
    "u.disabled_at, t.scopes AS granted, t.id AS token, 'bearer' AS via, t.used_at "
    "FROM access_tokens t JOIN access_users u ON u.name = t.user_name "
    "WHERE t.digest = ? AND t.revoked_at IS NULL AND u.disabled_at IS NULL "
    "AND coalesce(t.expires_at, 1e300) > ?"
)
_SESSION: Final = "user_name, scopes, via, token_id, created_at, seen_at, expires_at"
_FIND_SESSION: Final = (
    "SELECT u.name, u.scopes, u.roles, u.created_at, u.created_by, "
    "u.disabled_at, s.scopes AS granted, s.token_id AS token, s.via, s.seen_at "
    "FROM access_sessions s JOIN access_users u ON u.name = s.user_name "
    "LEFT JOIN access_tokens t ON t.id = s.token_id "
    "WHERE s.digest = ? AND s.ended_at IS NULL AND u.disabled_at IS NULL "
    "AND s.expires_at > ? AND s.seen_at > ? AND t.revoked_at IS NULL "
    "AND coalesce(t.expires_at, 1e300) > ?"
)
_REVOKE: Final = "UPDATE access_tokens SET revoked_at = ? WHERE revoked_at IS NULL AND "
_END: Final = "UPDATE access_sessions SET ended_at = ? WHERE ended_at IS NULL AND "


class SqlAccess(SqlAudit):
    """Implements `AccessStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        super().__init__(database, clock=clock)

    def put_user(self, user: AccessUser) -> AccessUser:
        """Add a user, or change scopes, roles and whether it is disabled."""
        now = self._clock.time()
        values = (
            *(user.name, json.dumps(user.scopes), json.dumps(user.roles)),
            *(user.created_at or now, user.created_by, user.disabled_at),
        )

        def job(connection: Connection) -> AccessUser:
            connection.execute(_PUT_USER, values)
            return _user(_one_user(connection, user.name))

        return self._database.write(job, locks=())

    def get_user(self, name: str) -> AccessUser | None:
        """Return a user, or None."""
        sql = f"SELECT {_USER} FROM access_users WHERE name = ?"  # noqa: S608 - constants
        rows = self._database.read(sql, (name,))
        return _user(rows[0]) if rows else None

    def list_users(self) -> Sequence[AccessUser]:
        """Return every user, by name."""
        sql = f"SELECT {_USER} FROM access_users ORDER BY name"  # noqa: S608 - constants
        return [_user(row) for row in self._database.read(sql)]

    def disable_user(self, name: str) -> bool:
        """Keep a user out, ending sessions and tokens; False when there is none."""
        now = self._clock.time()

        def job(connection: Connection) -> bool:
            connection.execute(f"{_END}user_name = ?", (now, name))
            # Who is let in again later is not let in with what was stolen.
            connection.execute(f"{_REVOKE}user_name = ?", (now, name))
            sql = "UPDATE access_users SET disabled_at = ? WHERE name = ?"
            return connection.execute(sql, (now, name)).rowcount == 1

        return self._database.write(job, locks=())

    def add_token(self, token: AccessToken, digest: str) -> AccessToken:
        """Add a token by the digest of its secret."""
        made = token.created_at or self._clock.time()
        values = (
            *(token.id, token.user, json.dumps(token.scopes), token.label, made),
            *(token.created_by, token.expires_at, None, None, digest),
        )
        sql = (
            f"INSERT INTO access_tokens ({_TOKENS}, digest) "  # noqa: S608 - constants
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        self._database.write(lambda c: c.execute(sql, values).rowcount, locks=())
        found = self._database.read(
            f"SELECT {_TOKENS} FROM access_tokens WHERE id = ?",  # noqa: S608 - constants
            (token.id,),
        )
        return _token(found[0])

    def list_tokens(self, user: str | None = None) -> Sequence[AccessToken]:
        """Return tokens, the newest first."""
        wanted, values = where({"user_name = ?": user})
        rows = self._database.read(
            f"SELECT {_TOKENS} FROM access_tokens {wanted} "  # noqa: S608 - constants
            "ORDER BY created_at DESC, id",
            values,
        )
        return [_token(row) for row in rows]

    def revoke_token(self, token_id: str) -> bool:
        """End a token and the sessions opened with it; False if it was ended."""
        now = self._clock.time()

        def job(connection: Connection) -> bool:
            connection.execute(f"{_END}token_id = ?", (now, token_id))
            sql = f"{_REVOKE}id = ?"
            return connection.execute(sql, (now, token_id)).rowcount == 1

        return self._database.write(job, locks=())

    def by_token(self, digest: str) -> Granted | None:
        """Return what a token allows now; None when it allows nothing."""
        now = self._clock.time()
        rows = self._database.read(_FIND_BEARER, (digest, now))
        if not rows:
            return None
        if (rows[0]["used_at"] or 0.0) < now - _MINUTE:
            sql = "UPDATE access_tokens SET used_at = ? WHERE digest = ?"
            # When it was used is worth knowing, and not worth a refusal.
            with suppress(StoreError):
                self._database.write(
                    lambda c: c.execute(sql, (now, digest)).rowcount,
                    locks=(),
                    spare=True,
                )
        return _granted(rows[0])

    def open_session(
        self, session: AccessSession, digest: str, *, replaces: str = ""
    ) -> None:
        """Begin a session; `replaces` is the digest of one that ends with it."""
        now = self._clock.time()
        values = (
            *(session.user, json.dumps(session.scopes), session.via, session.token),
            *(session.created_at or now, now, session.expires_at),
            *(session.address, digest),
        )
        sql = (
            f"INSERT INTO access_sessions ({_SESSION}, address, digest) "  # noqa: S608 - constants
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )

        def job(connection: Connection) -> None:
            connection.execute(f"{_END}digest = ?", (now, replaces))
            connection.execute(sql, values)

        self._database.write(job, locks=(), spare=True)

    def by_session(self, digest: str, *, idle: float) -> Granted | None:
        """Return what a session allows now; None when it is over."""
        now = self._clock.time()
        rows = self._database.read(_FIND_SESSION, (digest, now, now - idle, now))
        return _granted(rows[0]) if rows else None

    def touch_session(self, digest: str) -> None:
        """Record that a session was used, at most once a minute."""
        now = self._clock.time()
        fresh = "SELECT 1 FROM access_sessions WHERE digest = ? AND seen_at < ?"
        if self._database.read(fresh, (digest, now - _MINUTE)):
            sql = "UPDATE access_sessions SET seen_at = ? WHERE digest = ?"
            self._database.write(
                lambda c: c.execute(sql, (now, digest)).rowcount, locks=(), spare=True
            )

    def close_session(self, digest: str) -> bool:
        """End a session; False when there was none."""
        now = self._clock.time()
        return self._database.write(
            lambda c: c.execute(f"{_END}digest = ?", (now, digest)).rowcount == 1,
            locks=(),
            spare=True,
        )

    def list_sessions(self, *, idle: float) -> Sequence[AccessSession]:
        """Return the sessions that are not over, the latest first."""
        now = self._clock.time()
        rows = self._database.read(
            f"SELECT {_SESSION}, address FROM access_sessions "  # noqa: S608 - constants
            "WHERE ended_at IS NULL AND expires_at > ? AND seen_at > ? "
            "ORDER BY seen_at DESC, user_name",
            (now, now - idle),
        )
        return [_session(row) for row in rows]


def _one_user(connection: Connection, name: str) -> Row:
    sql = f"SELECT {_USER} FROM access_users WHERE name = ?"  # noqa: S608 - constants
    found: Row = connection.execute(sql, (name,)).fetchone()
    return found


def _user(row: Row) -> AccessUser:
    return AccessUser(
        name=row["name"],
        scopes=tuple(json.loads(row["scopes"])),
        roles=tuple(json.loads(row["roles"])),
        created_at=row["created_at"],
        created_by=row["created_by"],
        disabled_at=row["disabled_at"],
    )


def _token(row: Row) -> AccessToken:
    return AccessToken(
        id=row["id"],
        user=row["user_name"],
        scopes=tuple(json.loads(row["scopes"])),
        label=row["label"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        used_at=row["used_at"],
    )


def _session(row: Row) -> AccessSession:
    return AccessSession(
        user=row["user_name"],
        scopes=tuple(json.loads(row["scopes"])),
        via=row["via"],
        token=row["token_id"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        expires_at=row["expires_at"],
        address=row["address"],
    )


def _granted(row: Row) -> Granted:
    user = _user(row)
    scopes = tuple(one for one in json.loads(row["granted"]) if one in user.scopes)
    return Granted(user=user, scopes=scopes, token=row["token"], via=row["via"])

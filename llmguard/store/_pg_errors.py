"""PostgreSQL's errors, told as what happened and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psycopg

from ..errors import StoreError
from ._pg_place import Place
from .problems import StoreBusyError, StoreFullError

__all__ = [
    "Late",
    "Unreachable",
    "from_postgres",
    "is_cut",
    "is_passing",
    "not_connected",
]

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_AGAIN = frozenset({"40001", "40P01"})  # another transaction came between
_RESTARTS = frozenset({"57P01", "57P02", "57P03"})  # the server stops or starts
_OUTDATED = frozenset({"0A000"})  # a prepared statement's table has a new column
_SPACE = frozenset({"53100"})
_SLOW = frozenset({"55P03", "57014"})  # a lock or a statement took too long
_CROWDED = frozenset({"53300"})
_READ_ONLY = frozenset({"25006"})
_MAY_NOT = frozenset({"42501"})
_GONE = frozenset({"42P01", "3F000", "42883"})

_STARTING = (
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
)


class Late(Exception):  # noqa: N818 - a deadline that passed, seen by nobody outside
    """The server did not answer in time."""


class Unreachable(Exception):  # noqa: N818 - seen by nobody outside
    """No connection could be made; `problem` is what a caller is to see."""

    def __init__(self, problem: StoreError) -> None:
        super().__init__(str(problem))
        self.problem = problem


def is_passing(error: psycopg.Error) -> bool:
    """Return True when the same transaction may well succeed at once."""
    return error.sqlstate in _AGAIN


def is_cut(error: psycopg.Error) -> bool:
    """Return True when the session is of no more use, and so are those beside it."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate in _RESTARTS | _OUTDATED


def not_connected(error: psycopg.Error, place: Place) -> StoreError:
    """Return the `StoreError` for a connection that could not be made.

    libpq gives no codes here, so its English words decide; what they do not tell is
    passed on as the server said it.
    """
    said = place.scrub(" ".join(str(error).split()))
    for sign, tell in _REFUSALS.items():
        if sign in said:
            return tell(place)
    return StoreError(
        f"the PostgreSQL store {place.url!r} cannot be reached: {said}; try "
        f"`psql {place.url!r}` on this machine, and correct `LLMGUARD_STORE`"
    )


def from_postgres(error: psycopg.Error | Late, place: Place) -> StoreError:
    """Return the `StoreError` that says what `error` means for the store."""
    where = repr(place.url)
    if isinstance(error, Late):
        return StoreBusyError(
            f"the PostgreSQL store {where} did not answer in time: look at its load "  # noqa: S608 - words for people
            "(`SELECT * FROM pg_stat_activity`) and at the network between"
        )
    code = error.sqlstate or ""
    said = place.scrub(" ".join(str(error).split()))
    for codes, tell in _ANSWERS:
        if code in codes:
            return tell(place, said)
    if is_passing(error) or is_cut(error):
        return StoreBusyError(
            f"the PostgreSQL store {where} was lost while it worked ({said}); nothing "
            "was written: try again"
        )
    return StoreError(
        f"the PostgreSQL store {where} failed: {said}; look at the server's log, then "
        "run `llmguard store check`"
    )


def _full(place: Place, said: str) -> StoreError:
    return StoreFullError(
        f"no space left on the server of the store {place.url!r} ({said}); nothing "
        "was written and nothing is lost: free some space there, then try again"
    )


def _slow(place: Place, said: str) -> StoreError:
    return StoreBusyError(
        f"the PostgreSQL store {place.url!r} was busy for too long ({said}); nothing "  # noqa: S608 - words for people
        "was written: `SELECT pid, state, query FROM pg_stat_activity` shows what "
        "holds it"
    )


def _crowded(place: Place, said: str) -> StoreError:
    return StoreBusyError(
        f"the server of the store {place.url!r} has no connection free ({said}): "
        "raise its `max_connections`, give the store's URL a smaller `?pool_size=`, or "
        "put PgBouncer in between"
    )


def _read_only(place: Place, said: str) -> StoreError:
    return StoreError(
        f"the PostgreSQL store {place.url!r} cannot be written ({said}): it is a "
        "standby, or a read-only session; name the primary in `LLMGUARD_STORE`, or "
        "all hosts (`postgresql://HOST1,HOST2/DATABASE`) and the writable one is used"
    )


def _may_not(place: Place, said: str) -> StoreError:
    schema, user = place.schema, place.options.get("user", "USER")
    return StoreError(
        f"the user of the store {place.url!r} may not do that ({said}); as an "
        f"administrator: `CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {user}`, "
        f"or `GRANT ALL ON SCHEMA {schema} TO {user}`"
    )


def _gone(place: Place, said: str) -> StoreError:
    return StoreError(
        f"the schema {place.schema!r} of the store {place.url!r} lacks what should be "
        f"there ({said}): restore a backup, or drop the schema to start a new one"
    )


_ANSWERS: tuple[tuple[frozenset[str], Callable[[Place, str], StoreError]], ...] = (
    (_SPACE, _full),
    (_SLOW, _slow),
    (_CROWDED, _crowded),
    (_READ_ONLY, _read_only),
    (_MAY_NOT, _may_not),
    (_GONE, _gone),
)


def _user(place: Place) -> str:
    return repr(place.options.get("user", "(the operating system's name)"))


def _database(place: Place) -> str:
    return repr(place.options.get("dbname", place.options.get("user", "")))


def _down(place: Place) -> StoreError:
    return StoreError(
        f"no PostgreSQL server answers at {place.server} for the store "
        f"{place.url!r}: start it (`pg_isready -h HOST -p PORT` tells), or correct "
        "`LLMGUARD_STORE`"
    )


def _unknown_host(place: Place) -> StoreError:
    return StoreError(
        f"the host of the store {place.url!r} has no address: correct its name in "
        "`LLMGUARD_STORE`, or the machine's name service"
    )


def _silent(place: Place) -> StoreError:
    return StoreBusyError(
        f"the server {place.server} of the store {place.url!r} did not answer in "
        "time: look at firewalls in between and at its load"
    )


def _wrong_password(place: Place) -> StoreError:
    return StoreError(
        f"the server of the store {place.url!r} refuses the password of {_user(place)} "
        "or needs one: put it into the URL, into `PGPASSWORD` or into `~/.pgpass`"
    )


def _no_user(place: Place) -> StoreError:
    return StoreError(
        f"the server of the store {place.url!r} knows no user {_user(place)}: "
        "`createuser --pwprompt NAME` there, and name it in `LLMGUARD_STORE`"
    )


def _no_database(place: Place) -> StoreError:
    return StoreError(
        f"the server of the store {place.url!r} has no database {_database(place)}: "
        "`createdb --encoding=UTF8 NAME` there, or correct `LLMGUARD_STORE`"
    )


def _not_let_in(place: Place) -> StoreError:
    return StoreError(
        f"the server of the store {place.url!r} does not let {_user(place)} in from "
        "here: add a line to its `pg_hba.conf`, or `?sslmode=require` to the URL if "
        "it wants TLS"
    )


def _only_standby(place: Place) -> StoreError:
    return _read_only(place, "no host of it takes writes")


def _turned_away(place: Place) -> StoreError:
    return _crowded(place, "too many clients")


def _starting(place: Place) -> StoreError:
    return StoreBusyError(
        f"the server of the store {place.url!r} is starting or stopping: try again in "
        "a moment"
    )


_REFUSALS: Mapping[str, Callable[[Place], StoreError]] = {
    "password authentication failed": _wrong_password,
    "no password supplied": _wrong_password,
    "no pg_hba.conf entry": _not_let_in,
    "pg_hba.conf rejects": _not_let_in,
    "session is read-only": _only_standby,
    "too many clients": _turned_away,
    "remaining connection slots": _turned_away,
    **dict.fromkeys(_STARTING, _starting),
    "Connection refused": _down,
    "No such file or directory": _down,
    "could not translate host name": _unknown_host,
    "Name or service not known": _unknown_host,
    "failed to resolve host": _unknown_host,
    "timeout": _silent,
    "timed out": _silent,
    "role ": _no_user,
    "database ": _no_database,
}

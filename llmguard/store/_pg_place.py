"""Which server, database and schema a `postgresql://` URL means."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from ..errors import ConfigError

__all__ = ["Place", "is_server", "place_of", "redacted"]

_SCHEMES = ("postgresql://", "postgres://")
_OURS = ("schema", "pool_size", "pooled")
_SHAPE = "`postgresql://USER:PASSWORD@HOST:5432/DATABASE`"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_SECRET = ("password", "sslpassword", "oauth_client_secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A parsed `postgresql://` URL.

    Attributes:
        url: The URL without its password, for people.
        options: What the driver needs to connect, the password among it.
        schema: Where the tables are.
        pool_size: Connections that one process opens at most, beside the one that
            listens.
        pooled: Whether to treat the connection as one behind a pooler that gives
            each transaction another session; None to find out.
    """

    url: str
    options: Mapping[str, str] = field(repr=False)
    schema: str = "llmguard"
    pool_size: int = 8
    pooled: bool | None = None

    @property
    def key(self) -> str:
        """A short name of the database and schema, the same for any user."""
        where = [self.options.get(name, "") for name in ("host", "port", "dbname")]
        text = "\0".join([*where, self.schema])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def beside(self) -> Path:
        """Where this machine keeps what belongs to the store, such as spilled tickets.

        It need not exist; what is kept is named after it.
        """
        from ..config import load

        return load().root / ".llmguard" / f"postgresql-{self.key}"

    @property
    def server(self) -> str:
        """`HOST:PORT` as people know it."""
        host = self.options.get("host") or "the local socket"
        port = self.options.get("port")
        return f"{host}:{port}" if port else host

    def scrub(self, text: str) -> str:
        """Return `text` without any secret of the URL."""
        for name in _SECRET:
            if secret := self.options.get(name):
                text = text.replace(secret, "***")
        return text


def is_server(url: str) -> bool:
    """Return True for the URL of a PostgreSQL server."""
    return url.startswith(_SCHEMES)


def redacted(url: str) -> str:
    """Return a store's URL with `***` for its password; a path is returned as it is."""
    if not is_server(url):
        return url
    scheme, _, rest = url.partition("://")
    # The last `@` before the database's name: a password may hold others.
    account, at, place = rest.rpartition("@")
    user, colon, _ = account.partition(":")
    shown = f"{user}{':***' if colon else ''}{at}{place}"
    secrets = rf"([?&](?:{'|'.join(_SECRET)})=)[^&]*"
    return f"{scheme}://" + re.sub(secrets, r"\g<1>***", shown)


def place_of(url: str) -> Place:
    """Parse the URL of a PostgreSQL store.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, with the options of
            libpq (`sslmode`, `host=/var/run/postgresql`, ...) and of llmguard
            (`schema`, `pool_size`, `pooled`) behind a `?`.

    Raises:
        ConfigError: It cannot be read; the message does not repeat it, since the
            password is in there somewhere.
    """
    rest, _, query = url.partition("://")[2].partition("?")
    account, _, place = rest.rpartition("@")
    hosts, _, database = place.partition("/")
    user, _, password = account.partition(":")
    options: dict[str, str] = {
        "user": unquote(user),
        "password": unquote(password),
        "dbname": unquote(database),
        **_hosts(hosts),
    }
    ours: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        (ours if name in _OURS else options)[name] = value
    if "/" in database or not re.fullmatch(r"[^/@\s]*", user):
        raise _unreadable("a name in it holds a sign that has to be escaped")
    return Place(
        url=redacted(url),
        options={name: value for name, value in options.items() if value},
        schema=_schema(ours.get("schema", "llmguard")),
        pool_size=_pool_size(ours.get("pool_size", "8")),
        pooled=_pooled(ours.get("pooled", "auto")),
    )


def _hosts(text: str) -> dict[str, str]:
    """Split `a:1,b:2` into hosts and ports; `[::1]:5432` is one host."""
    names: list[str] = []
    ports: list[str] = []
    for one in text.split(",") if text else []:
        match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::(\d*))?", one)
        if match is None:
            raise _unreadable("what stands for host and port is not `HOST:PORT`")
        names.append(unquote(match[1].strip("[]")))
        ports.append(match[2] or "")
    found = {"host": ",".join(names), "port": ",".join(ports).strip(",")}
    if len(names) > 1:
        # Of several servers the one that can write is meant.
        found["target_session_attrs"] = "read-write"
    return found


def _unreadable(why: str) -> ConfigError:
    return ConfigError(
        f"`store` is a PostgreSQL URL that cannot be read: {why}; write {_SHAPE}, "
        "with `@`, `:`, `/`, `?` and `#` in names and passwords as %40, %3A, %2F, "
        "%3F and %23"
    )


def _schema(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ConfigError(
            f"`schema={text}` of the store's URL is no name that PostgreSQL takes "
            "unquoted: small letters, digits and `_`, 48 at most"
        )
    return text


def _pool_size(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:  # noqa: PLR2004 - a server's usual limit
        raise ConfigError(
            f"`pool_size={text}` of the store's URL must be a number from 1 to 100"
        )
    return int(text)


def _pooled(text: str) -> bool | None:
    known = {"auto": None, "0": False, "no": False, "1": True, "yes": True}
    if text not in known:
        raise ConfigError(
            f"`pooled={text}` of the store's URL must be `yes`, `no` or `auto`"
        )
    return known[text]

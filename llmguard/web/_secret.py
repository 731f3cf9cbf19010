"""Tokens that let a deferred request's caller, and nobody else, fetch the answer."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from ..errors import ConfigError, StoreError
from ..store import SqliteStore, Store

__all__ = ["Signer", "find_secret"]

_VARIABLE: Final = "LLMGUARD_WEB_SECRET"
_SHORTEST: Final = 16
_TOKEN_HEX: Final = 32  # 128 bits


class Signer:
    """Signs ticket ids with HMAC-SHA-256, cut to 128 bits.

    Args:
        secret: The same in every process that serves results.
    """

    __slots__ = ("_key",)

    def __init__(self, secret: str) -> None:
        self._key = secret.encode()

    def __repr__(self) -> str:
        return "Signer()"

    def token(self, ticket_id: str) -> str:
        """Return the token of a ticket."""
        text = b"ticket\0" + ticket_id.encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:_TOKEN_HEX]

    def accepts(self, ticket_id: str, token: str) -> bool:
        """Tell whether `token` is that of the ticket, in constant time."""
        return hmac.compare_digest(self.token(ticket_id).encode(), token.encode())


def find_secret(given: str, store: Store) -> str:
    """Return the secret: given, from the environment, or kept beside the store.

    Raises:
        ConfigError: It is too short, or the store is a server, beside which nothing
            can be kept.
        StoreError: The file cannot be read or made.
    """
    secret = given or os.environ.get(_VARIABLE, "")
    if secret:
        if len(secret) < _SHORTEST:
            raise ConfigError(
                f"the secret that signs result links has {len(secret)} characters; "
                f"use {_SHORTEST} or more random ones: "
                "`python -c 'import secrets; print(secrets.token_hex())'`"
            )
        return secret
    if not isinstance(store, SqliteStore):
        raise ConfigError(
            "results of deferred calls are fetched by signed links, and no secret is "
            f"set: give every process the same `{_VARIABLE}`, made with "
            "`python -c 'import secrets; print(secrets.token_hex())'`, or pass "
            "`authorize=`, or `results=False`"
        )
    return _kept(store.path.with_name(f"{store.path.stem}.web-secret"))


def _kept(file: Path) -> str:
    """Return the content of the file; the first process makes it."""
    try:
        try:
            return _read(file)
        except FileNotFoundError:
            draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as stream:
                stream.write(secrets.token_hex())
            # A link fails where a rename would replace another process's secret.
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)
            draft.unlink()
            return _read(file)
    except OSError as error:
        raise StoreError(
            f"the secret for result links cannot be kept in {str(file)!r} ({error}); "
            f"make the folder writable, or set `{_VARIABLE}`"
        ) from error


def _read(file: Path) -> str:
    text = file.read_text(encoding="ascii").strip()
    if len(text) < _SHORTEST:
        raise StoreError(
            f"{str(file)!r} holds no secret: delete it, and links given out so far "
            "become invalid"
        )
    return text

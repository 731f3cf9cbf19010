"""The file of allowed signers: who may approve, by which key.

Lines are those of ssh-keygen: `PRINCIPALS [OPTIONS] KEYTYPE BASE64 [COMMENT]`. It is
read here to name people; whether a signature is good is ssh-keygen's word alone.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

__all__ = ["Signer", "principal_of", "read_signers", "same_person"]

_KEY_TYPE: Final = re.compile(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+")
_WORDS: Final = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """One line of the file.

    Attributes:
        principals: Names or patterns.
        options: As written, such as `namespaces="llmguard-promotion"`.
        key: The public key's bytes.
    """

    principals: tuple[str, ...]
    options: str
    key: bytes

    def is_(self, principal: str) -> bool:
        """Tell whether a name is one of its principals."""
        return any(fnmatchcase(principal, pattern) for pattern in self.principals)


def read_signers(path: Path) -> tuple[Signer, ...]:
    """Return the lines of a file; none when it is missing. Others are skipped."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    found = (_signer(line) for line in lines if not line.lstrip().startswith("#"))
    return tuple(one for one in found if one is not None)


def principal_of(key: bytes, signers: tuple[Signer, ...]) -> str:
    """Return the name that a key signs for; empty when the file does not know it."""
    for one in signers:
        named = [name for name in one.principals if not set("*?!") & set(name)]
        if one.key == key and named:
            return named[0]
    return ""


def same_person(one: str, other: str) -> bool:
    """Tell whether two names may mean one person; in doubt, yes.

    `ann` and `ann@example.com` are taken for one: the author is named by a login, the
    approver by an address.
    """
    a, b = one.strip().casefold(), other.strip().casefold()
    if not (a and b):
        return False
    if "@" in a and "@" in b:
        return a == b
    return a.partition("@")[0] == b.partition("@")[0]


def _signer(line: str) -> Signer | None:
    words = _WORDS.findall(line)
    for place, word in enumerate(words[1:-1], start=1):
        if _KEY_TYPE.fullmatch(word):
            try:
                key = base64.b64decode(words[place + 1], validate=True)
            except ValueError:
                return None
            return Signer(
                principals=tuple(words[0].strip('"').split(",")),
                options=" ".join(words[1:place]),
                key=key,
            )
    return None

"""SSH signatures by `ssh-keygen -Y`, and what one says about itself.

The format of the armoured blob is PROTOCOL.sshsig of OpenSSH: a magic, a version, then
length-prefixed strings: public key, namespace, reserved, hash algorithm, signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .problems import PromotionError

__all__ = [
    "Blob",
    "fingerprint",
    "have_ssh_keygen",
    "parse_signature",
    "public_key_of",
    "sign",
    "verifies",
]

_MAGIC: Final = b"SSHSIG"
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "-----END SSH SIGNATURE-----"
_TIMEOUT: Final = 120.0  # a person may have to type a passphrase or touch a key
_KEYGEN: Final = "ssh-keygen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """What a signature says about itself, before anything is believed.

    Attributes:
        key: The public key's bytes.
        namespace: What it was made for.
        certificate: True when the key is a certificate, of which a person may have
            any number.
    """

    key: bytes
    namespace: str
    certificate: bool = False


def have_ssh_keygen() -> bool:
    """Tell whether signatures can be made and checked here."""
    return shutil.which(_KEYGEN) is not None


def fingerprint(key: bytes) -> str:
    """Return `SHA256:...` of a public key, as ssh-keygen prints it."""
    raw = base64.b64encode(hashlib.sha256(key).digest()).decode()
    return f"SHA256:{raw.rstrip('=')}"


def parse_signature(armoured: str) -> Blob | None:
    """Return what a signature says about itself; None when it is no signature."""
    text = armoured.strip()
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        return None
    body = text.removeprefix(_BEGIN).removesuffix(_END)
    try:
        raw = base64.b64decode("".join(body.split()), validate=True)
        if not raw.startswith(_MAGIC):
            return None
        key, rest = _string(raw[len(_MAGIC) + 4 :])
        namespace, _ = _string(rest)
        kind, _ = _string(key)
        return Blob(
            key=key, namespace=namespace.decode(), certificate=b"-cert-v" in kind
        )
    except (ValueError, binascii.Error):
        return None


def _string(raw: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(raw[:4], "big")
    if len(raw) < 4 + size:
        raise ValueError("the signature is cut off")
    return raw[4 : 4 + size], raw[4 + size :]


def public_key_of(key: Path) -> bytes:
    """Return the public key's bytes of a private or public key file.

    Raises:
        PromotionError: There is none.
    """
    public = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    try:
        words = public.read_text(encoding="utf-8").split()
        return base64.b64decode(words[1], validate=True)
    except (OSError, IndexError, ValueError):
        pass
    done = _run(["-y", "-f", str(key)], b"")
    try:
        return base64.b64decode(done.stdout.split()[1], validate=True)
    except (IndexError, ValueError):
        raise PromotionError(
            f"{str(key)!r} is no SSH key that can be read "
            f"({_told(done) or 'no public key in it'}); name one: `--key "
            "~/.ssh/id_ed25519`, or make one: `ssh-keygen -t ed25519`"
        ) from None


def sign(text: str, *, key: Path, namespace: str) -> str:
    """Return an armoured signature of `text`; the key may ask for its passphrase.

    Raises:
        PromotionError: ssh-keygen is missing, or refused.
    """
    with tempfile.TemporaryDirectory(prefix="llmguard-") as folder:
        document = Path(folder) / "statement"
        document.write_bytes(text.encode())
        done = _run(
            ["-Y", "sign", "-f", str(key), "-n", namespace, str(document)], None
        )
        made = document.with_name("statement.sig")
        if done.returncode or not made.exists():
            raise PromotionError(
                f"ssh-keygen did not sign with {str(key)!r}: {_told(done)}; try "
                f"`ssh-keygen -Y sign -n {namespace} -f {key} FILE` by hand"
            )
        return made.read_text(encoding="ascii")


def verifies(
    text: str,
    armoured: str,
    *,
    namespace: str,
    principal: str = "",
    signers: Path | None = None,
    revoked: Path | None = None,
    at: str = "",
) -> tuple[bool, str]:
    """Ask ssh-keygen about a signature.

    Args:
        text: What was signed.
        armoured: The signature.
        namespace: What it has to be made for.
        principal: Who has to have signed; empty to look at the mathematics alone.
        signers: The file of allowed signers; needed with a principal.
        revoked: A KRL or public keys; missing files count as empty.
        at: Time that validity is judged at, `YYYYMMDDHHMMSSZ`; empty for now.

    Returns:
        Whether it is good, and what ssh-keygen said.

    Raises:
        PromotionError: ssh-keygen is missing.
    """
    with tempfile.TemporaryDirectory(prefix="llmguard-") as folder:
        signature = Path(folder) / "signature"
        signature.write_text(
            armoured.strip() + "\n", encoding="ascii", errors="replace"
        )
        words = ["-Y", "check-novalidate"]
        if principal:
            words = ["-Y", "verify", "-f", str(signers), "-I", principal]
            if revoked is not None and revoked.is_file():
                words += ["-r", str(revoked)]
            if at:
                words += [f"-Overify-time={at}"]
        words += ["-n", namespace, "-s", str(signature)]
        done = _run(words, text.encode())
        return done.returncode == 0, _told(done)


def _run(words: list[str], given: bytes | None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - a list of words, no shell
            [_KEYGEN, *words],
            input=given,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PromotionError(
            f"ssh-keygen cannot be run ({error}): signatures need OpenSSH 8.2 or "
            "later: `apt-get install openssh-client`"
        ) from None


def _told(done: subprocess.CompletedProcess[bytes]) -> str:
    text = (done.stderr or done.stdout).decode(errors="replace")
    return " ".join(text.split())

"""Downloads weights from a hub: pinned to a commit, verified, put in place at once."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from llmguard.errors import ConfigError, LLMGuardError
from llmguard.pins import sha256_file

from ._gguf import read_header

__all__ = ["INSTALL", "PullError", "Pulled", "pull"]

INSTALL: Final = "pip install 'llmguard-fallbacks[hub]'"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_REPO: Final = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


class PullError(LLMGuardError):
    """A file could not be downloaded, or is not the one that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A file that is in place.

    Attributes:
        path: The file.
        source: `REPO@COMMIT:FILE`.
        sha256: Its digest.
        downloaded: False when it was already here.
    """

    path: Path
    source: str
    sha256: str
    downloaded: bool


def pull(
    repo: str,
    file: str,
    *,
    to: Path,
    revision: str = "main",
    sha256: str = "",
    endpoint: str | None = None,
    token: str | None = None,
) -> Pulled:
    """Download one file of a hub repository, verify it, and put it in place.

    A branch is resolved to its commit first, so what is recorded stays true. What was
    downloaded before an interruption is kept, and the next pull goes on from there.

    Args:
        repo: `OWNER/NAME`.
        file: Path of a GGUF file in the repository.
        to: Directory for the file.
        revision: Branch, tag or commit.
        sha256: Digest the file must have; "" for the one that the hub announces.
        endpoint: Base URL of the hub; None for `HF_ENDPOINT` or the public one.
        token: Access token; None for the one that `hf auth login` stored.

    Raises:
        ConfigError: A wrong argument, or `huggingface_hub` is not installed.
        PullError: No such file, no connection, or a file with another digest.
    """
    wanted = _check(repo, file, sha256)
    hub = _hub()
    seen = _look(hub, repo, file, revision=revision, endpoint=endpoint, token=token)
    expected = _expected(wanted, str(seen.etag or ""), f"{repo}:{file}")
    source = f"{repo}@{seen.commit_hash}:{file}"
    place = to / PurePosixPath(file).name
    if place.exists():
        return _already(place, expected, source)
    part = to / ".incoming" / (re.sub(r"[^A-Za-z0-9_.-]", "-", source) + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    # Between the two questions a branch may move; the commit cannot.
    fixed = _look(
        hub, repo, file, revision=seen.commit_hash, endpoint=endpoint, token=token
    )
    with _failing(hub, f"{repo}:{file}"):
        _fetch(hub, fixed, part, token, home=endpoint or hub.constants.ENDPOINT)
    digest = _accept(part, expected)
    part.replace(place)
    with contextlib.suppress(OSError):
        part.parent.rmdir()  # stays while another file is on its way
    return Pulled(path=place, source=source, sha256=digest, downloaded=True)


def _check(repo: str, file: str, sha256: str) -> str:
    if not _REPO.fullmatch(repo):
        raise ConfigError(f"{repo!r} is no repository; write OWNER/NAME")
    parts = PurePosixPath(file).parts
    if not file.endswith(".gguf") or ".." in parts or file.startswith("/"):
        raise ConfigError(
            f"{file!r} is no GGUF file of a repository; write its path there, such as "
            "'model-q8_0.gguf'"
        )
    wanted = sha256.removeprefix("sha256:").lower()
    if wanted and not _SHA256.fullmatch(wanted):
        raise ConfigError(f"{sha256!r} is no SHA-256; it has 64 hexadecimal digits")
    return wanted


def _hub() -> Any:
    try:
        import_module("huggingface_hub.file_download")
        return import_module("huggingface_hub")
    except ImportError as error:
        raise ConfigError(f"huggingface_hub is not installed: `{INSTALL}`") from error


def _look(
    hub: Any,
    repo: str,
    file: str,
    *,
    revision: str,
    endpoint: str | None,
    token: str | None,
) -> Any:
    url = hub.hf_hub_url(repo, file, revision=revision, endpoint=endpoint)
    with _failing(hub, f"{repo}:{file}"):
        seen = hub.get_hf_file_metadata(url, token=token, endpoint=endpoint)
    if not seen.commit_hash:
        raise PullError(f"{url!r} does not say which commit it serves; is it a hub?")
    return seen


def _expected(wanted: str, etag: str, name: str) -> str:
    """Return the digest the file must have: large files are announced with theirs."""
    announced = etag if _SHA256.fullmatch(etag) else ""
    if wanted and announced and wanted != announced:
        raise PullError(
            f"{name} has sha256 {announced!r} on the hub, not {wanted!r}; nothing was "
            "downloaded. Name the `--revision` you mean, or correct `--sha256`"
        )
    if not wanted and not announced:
        raise PullError(
            f"the hub announces no sha256 of {name}; give the one you trust: `--sha256`"
        )
    return wanted or announced


def _already(place: Path, expected: str, source: str) -> Pulled:
    found = sha256_file(place)
    if found != expected:
        raise PullError(
            f"{str(place)!r} is another file (sha256 {found!r}, expected "
            f"{expected!r}); move it away, or choose another directory with `--to`"
        )
    return Pulled(path=place, source=source, sha256=found, downloaded=False)


def _fetch(hub: Any, seen: Any, part: Path, token: str | None, *, home: str) -> None:
    """Bring a file up to its full size, from where an earlier try stopped.

    `hf_hub_download` of huggingface_hub 2 throws away what was half downloaded, so its
    lower half is driven here, on a file that stays.
    """
    size = int(seen.size or 0)
    with part.open("ab") as file:
        _hold(file, part)
        if file.tell() > size:
            file.truncate(0)  # no beginning of this file
        if file.tell() < size:
            hub.file_download.http_get(
                seen.location,
                file,
                resume_size=file.tell(),
                headers=_headers(hub, seen.location, token, home=home),
                expected_size=size,
            )
        file.flush()
        os.fsync(file.fileno())


def _headers(
    hub: Any, location: str, token: str | None, *, home: str
) -> dict[str, str]:
    headers: dict[str, str] = hub.utils.build_hf_headers(token=token)
    if urlsplit(location).netloc != urlsplit(home).netloc:
        # The token is for the hub, not for whom it redirects to.
        headers.pop("authorization", None)
    return headers


def _hold(file: BinaryIO, part: Path) -> None:
    """Refuse to write where another process writes."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PullError(
            f"another process is downloading {part.name!r}; let it finish"
        ) from error


def _accept(part: Path, expected: str) -> str:
    found = sha256_file(part)
    if found != expected:
        part.unlink()
        raise PullError(
            f"what arrived has sha256 {found!r}, expected {expected!r}; it was "
            "deleted. Try again, and distrust the mirror if it happens twice"
        )
    try:
        read_header(part)
    except ConfigError:
        part.unlink()
        raise
    return found


@contextlib.contextmanager
def _failing(hub: Any, name: str) -> Any:
    """Say what a failed exchange means, in one sentence."""
    errors = hub.errors
    try:
        yield
    except PullError:
        raise
    except errors.GatedRepoError as error:
        raise PullError(
            f"{name} is gated; accept its terms on the hub and `hf auth login`"
        ) from error
    except (errors.EntryNotFoundError, errors.RepositoryNotFoundError) as error:
        raise PullError(
            f"{name} is not there, or not for you; check repository, file and "
            "`--revision`, or log in: `hf auth login`"
        ) from error
    except (errors.HfHubHTTPError, OSError, RuntimeError) as error:
        raise PullError(_cut_off(name, error)) from error
    except Exception as error:
        # Its HTTP library has a tree of its own, which changed between versions.
        if type(error).__module__.partition(".")[0] not in _HTTP_LIBRARIES:
            raise
        raise PullError(_cut_off(name, error)) from error


_HTTP_LIBRARIES: Final = ("httpx", "httpx2", "httpcore", "httpcore2", "requests")


def _cut_off(name: str, error: Exception) -> str:
    return (
        f"pulling {name} failed: {error}; run the same command again, it goes on "
        "where it stopped"
    )

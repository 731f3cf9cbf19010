"""Which weights are known here, and whether they are still what they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmguard.errors import ConfigError
from llmguard.pins import Lock, Pin, read_lock, sha256_file

from ..local._weights import find_weights, installed
from ._record import Shelf

__all__ = ["Holding", "Verdict", "holdings", "verify_all"]

State = Literal["ok", "changed", "missing", "unpinned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One reason to keep a file of weights.

    Attributes:
        kind: `pin`, `added` or `embedded`.
        name: Route and pin id, or the name of the model.
        path: The file; "" when there is none.
        sha256: The digest it must have; "" when none was pinned.
        problem: Why there is no file; "" when there is one.
    """

    kind: str
    name: str
    path: str
    sha256: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one holding.

    Attributes:
        kind: See `Holding`.
        name: See `Holding`.
        path: See `Holding`.
        state: `ok`, `changed`, `missing`, or `unpinned`: nothing to compare with.
        expected: The digest it must have.
        found: The digest it has.
        repair: What to do; "" when it is ok.
    """

    kind: str
    name: str
    path: str
    state: State
    expected: str
    found: str
    repair: str


def holdings(lock: Path, shelf: Shelf) -> list[Holding]:
    """Return every file of weights that this project knows.

    Args:
        lock: The lock file; it may be missing.
        shelf: What was added or pulled.

    Raises:
        ConfigError: The lock or a record cannot be read.
    """
    pins = read_lock(lock) if lock.exists() else Lock()
    local = [p for p in pins.pins.values() if p.provider == "llama.cpp"]
    return [
        *(_pinned(pin) for pin in local),
        *(
            Holding(kind="added", name=r.name, path=r.path, sha256=r.sha256)
            for r in shelf.records()
        ),
        *_embedded(),
    ]


def _pinned(pin: Pin) -> Holding:
    name, path = f"{pin.route}/{pin.id}", str(pin.path)
    digest = str(pin.options.get("gguf_sha256", "")).removeprefix("sha256:").lower()
    at = pin.model if pin.model.startswith("embedded:") else path
    try:
        found = find_weights(at, digest or None)
    except ConfigError as error:
        return Holding(
            kind="pin", name=name, path=at, sha256=digest, problem=str(error)
        )
    return Holding(
        kind="pin", name=name, path=str(found.path), sha256=found.sha256 or ""
    )


def _embedded() -> Iterator[Holding]:
    for name, entry in sorted(installed().items()):
        yield Holding(
            kind="embedded",
            name=f"embedded:{name}",
            path=str(entry["file"]),
            sha256=str(entry["sha256"]).removeprefix("sha256:").lower(),
        )


def verify_all(found: Iterable[Holding]) -> Iterator[Verdict]:
    """Hash every file anew, each once, and compare."""
    digests: dict[str, str] = {}
    for each in found:
        if each.path not in digests:
            digests[each.path] = "" if each.problem else _hash(each.path)
        yield _judge(each, digests[each.path])


def _hash(path: str) -> str:
    try:
        return sha256_file(Path(path))
    except OSError:
        return ""


def _judge(each: Holding, digest: str) -> Verdict:
    state: State = "ok"
    repair = ""
    if not digest:
        state = "missing"
        repair = each.problem or f"restore {each.path}, or remove what names it"
    elif not each.sha256:
        state, repair = "unpinned", "take its hash: `llmguard pin refresh --files`"
    elif digest != each.sha256:
        state = "changed"
        repair = f"restore {each.path}, or pin the new file on purpose"
    return Verdict(
        kind=each.kind,
        name=each.name,
        path=each.path,
        state=state,
        expected=each.sha256,
        found=digest,
        repair=repair,
    )

"""Which versions a release runs, for release notes and deployment manifests."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from ..clock import SYSTEM_CLOCK
from ..errors import ConfigError, LockError
from ..pins import Lock, Pin, load_lock, shutdown_of
from ..store import Action, Entry, RouteState, Store
from ._asking import environment
from ._history import approvers, sentence
from .problems import PromotionError
from .request import percent

__all__ = ["FORMATS", "Notes", "RouteNotes", "notes", "render"]

_LONGEST: Final = 63  # of the name part of a Kubernetes annotation
_UNSAFE: Final = re.compile(r"[^A-Z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteNotes:
    """What one route runs, and how it came to it.

    Attributes:
        route: Its name.
        pin: Id of the pin that serves.
        provider: Whose model it is; empty when the lock has lost the pin.
        model: The exact model.
        version_class: What the name promises.
        digest: SHA-256 of the pin's whole entry.
        owner: Who decides about it.
        shutdown: ISO date of the announced end; empty for none.
        revision: The route's revision; 0 while the lock alone decides.
        since: ISO time since when it serves; empty while the lock alone decides.
        actor: Who made it serve.
        reason: Why.
        evidence: Digests that the promotion rests on.
        approvers: Who signed it.
        canary: Id and share of the canary; empty for none.
        rollback_to: Where a rollback leads; empty for nowhere.
        changes: What happened since, newest first.
    """

    route: str
    pin: str
    provider: str = ""
    model: str = ""
    version_class: str = ""
    digest: str = ""
    owner: str = ""
    shutdown: str = ""
    revision: int = 0
    since: str = ""
    actor: str = ""
    reason: str = ""
    evidence: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    canary: str = ""
    rollback_to: str = ""
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What an environment runs.

    Attributes:
        env: Environment.
        at: ISO time of these notes.
        lock_digest: SHA-256 of `models.lock`; empty when it cannot be read.
        ledger_rev: Last revision of the ledger.
        ledger_head: Its hash: who keeps it can tell later that nothing was rewritten.
        routes: By name.
    """

    env: str
    at: str
    lock_digest: str
    ledger_rev: int
    ledger_head: str
    routes: tuple[RouteNotes, ...]


def notes(
    *,
    store: Store,
    routes: Sequence[str] = (),
    env: str | None = None,
    since_rev: int = 0,
    lock: Lock | None = None,
    now: float | None = None,
) -> Notes:
    """Gather what the routes of an environment run.

    Args:
        store: The store of the environment.
        routes: Names; all by default.
        env: Environment; the one of this process by default.
        since_rev: List the changes after this revision.
        lock: What may run; the configured lock by default.
        now: Epoch seconds; by default the present.

    Raises:
        PromotionError: An unknown route.
    """
    env = environment(env)
    lock = _lock_or_empty() if lock is None else lock
    states = store.ledger.route_states(env)
    known = sorted({*lock.routes, *states})
    for name in routes:
        if name not in known:
            raise PromotionError(
                f"unknown route {name!r} in environment {env!r} (known: "
                f"{', '.join(known) or 'none'}); `llmguard pin add {name} --provider "
                "openai --model MODEL` adds it"
            )
    last = store.ledger.entries(limit=1, newest_first=True)
    return Notes(
        env=env,
        at=_iso(SYSTEM_CLOCK.time() if now is None else now),
        lock_digest=lock.digest,
        ledger_rev=last[0].rev if last else 0,
        ledger_head=last[0].hash if last else "",
        routes=tuple(
            _route(
                store,
                lock,
                env=env,
                name=name,
                state=states.get(name),
                since=since_rev,
            )
            for name in (routes or known)
        ),
    )


def render(found: Notes, form: str) -> str:
    """Write notes in one of `FORMATS`.

    Raises:
        ConfigError: Another format.
    """
    if form not in FORMATS:
        raise ConfigError(f"format {form!r}; use one of {', '.join(FORMATS)}")
    return FORMATS[form](found)


def _route(
    store: Store,
    lock: Lock,
    *,
    env: str,
    name: str,
    state: RouteState | None,
    since: int,
) -> RouteNotes:
    declared = lock.routes.get(name)
    pin_id = (state.active if state else None) or (declared.active if declared else "")
    rows = store.ledger.entries(env=env, route=name, newest_first=True)
    serving = next((r for r in rows if _made_active(r, pin_id)), None)
    canary = state.canary if state else None
    previous = state.previous_active if state else ()
    return RouteNotes(
        route=name,
        pin=pin_id,
        **_about(lock.pins.get(pin_id)),
        revision=state.rev if state else 0,
        since=_iso(serving.at) if serving else "",
        actor=serving.actor if serving else "",
        reason=serving.reason if serving else "",
        evidence=serving.evidence if serving else (),
        approvers=approvers(serving) if serving else (),
        canary=f"{canary[0]} at {percent(canary[1])}" if canary else "",
        rollback_to=previous[0] if previous else "",
        changes=tuple(
            f"{_iso(r.at)} r{r.rev} {sentence(r)}, by {r.actor}"
            + (f": {r.reason}" if r.reason else "")
            for r in rows
            if r.rev > since
        )[:20],
    )


def _about(pin: Pin | None) -> dict[str, str]:
    if pin is None:
        return {}
    end = shutdown_of(pin)
    return {
        "provider": pin.provider,
        "model": pin.model,
        "version_class": pin.version_class,
        "digest": pin.digest,
        "owner": pin.owner,
        "shutdown": end.date if end else "",
    }


def _made_active(row: Entry, pin: str) -> bool:
    return row.pin == pin and row.action in (Action.PROMOTE, Action.ROLLBACK)


def _lock_or_empty() -> Lock:
    try:
        return load_lock()
    except LockError:
        return Lock()


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _markdown(found: Notes) -> str:
    lines = [
        f"## Models in `{found.env}`",
        "",
        "| route | model | pin | since | by | owner |",
        "|---|---|---|---|---|---|",
    ]
    for r in found.routes:
        name = f"{_cell(r.model)} ({r.provider}, {r.version_class})" if r.model else "-"
        lines.append(
            f"| `{r.route}` | {name} | `{r.pin}` | {r.since or 'the lock'} | "
            f"{_cell(r.actor) or '-'} | {_cell(r.owner) or '-'} |"
        )
    for r in found.routes:
        lines += ["", f"### {r.route}", "", *(f"- {one}" for one in _facts(r))]
        lines += [f"- {_cell(one)}" for one in r.changes]
    lines += ["", _proof(found)]
    return "\n".join(lines)


def _facts(r: RouteNotes) -> Iterator[str]:
    if r.canary:
        yield f"canary: {r.canary}"
    if r.approvers:
        yield f"approved by {', '.join(r.approvers)}"
    for digest in r.evidence:
        yield f"evidence `{digest}`"
    if r.shutdown:
        yield f"the provider shuts it down on {r.shutdown}"
    back = f"`{r.rollback_to}`" if r.rollback_to else "no earlier version"
    yield f"rollback leads to {back}"


def _proof(found: Notes) -> str:
    head = f"ledger revision {found.ledger_rev}"
    if found.ledger_head:
        head += f", head `{found.ledger_head}`"
    return f"`models.lock` sha256 `{found.lock_digest or '-'}`; {head}; {found.at}."


def _json(found: Notes) -> str:
    return json.dumps(asdict(found), indent=2, ensure_ascii=False)


def _kubernetes(found: Notes) -> str:
    pairs: dict[str, object] = {
        "llmguard/env": found.env,
        "llmguard/lock-sha256": found.lock_digest,
        "llmguard/ledger-revision": found.ledger_rev,
        "llmguard/ledger-head": found.ledger_head,
    }
    for r in found.routes:
        for key, value in _pairs(r).items():
            pairs[f"llmguard/{_annotation(r.route, key)}"] = value
    lines = [f"    {key}: {json.dumps(str(value))}" for key, value in pairs.items()]
    return "\n".join(["metadata:", "  annotations:", *lines])


def _environment(found: Notes) -> str:
    lines = [f"LLM_LEDGER_REVISION={found.ledger_rev}"]
    for r in found.routes:
        name = _UNSAFE.sub("_", r.route.upper())
        for key, value in _pairs(r).items():
            lines.append(f"LLM_{name}_{key.upper()}={_quoted(str(value))}")
    return "\n".join(lines)


def _pairs(r: RouteNotes) -> dict[str, Any]:
    return {
        "pin": r.pin,
        "model": f"{r.provider}:{r.model}" if r.model else "",
        "digest": r.digest,
        "revision": r.revision,
        "canary": r.canary,
    }


def _annotation(route: str, key: str) -> str:
    """Return the name of an annotation: at most 63 characters, unique."""
    name = f"{route}.{key}"
    if len(name) <= _LONGEST:
        return name
    short = hashlib.sha256(route.encode()).hexdigest()[:8]
    return f"{route[: _LONGEST - len(key) - 10]}-{short}.{key}"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_.:/%@-]*", text) else f"'{text}'"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


FORMATS: Final[Mapping[str, Callable[[Notes], str]]] = MappingProxyType(
    {"md": _markdown, "json": _json, "k8s": _kubernetes, "env": _environment}
)

"""What `llmguard check` finds beyond the lock: evidence, the ledger, two heads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._version import DOCS
from ..pins import Finding, Lock
from ._suite_changed import lock_changes

if TYPE_CHECKING:
    from ..promotion.request import Request
    from ..store import RouteState, Store

__all__ = ["evidence_findings", "heads_of_approvals", "ledger_findings", "two_heads"]

_MARKS: Final = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
_TWICE: Final = re.compile(r"^\[(routes\.[^\]]+|pins\.[^\]]+)\]$", re.MULTILINE)


def two_heads(path: Path) -> str:
    """Say that a lock has two heads, with the repair; empty when it has not.

    A merge leaves its marks, or both sides' tables: two branches moved one route.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    if _MARKS.search(text):
        return (
            f"{path.name} has two heads: a merge left its conflict in it. Keep the "
            "pins of both sides and one `active` per route, then `llmguard pin refresh`"
        )
    names = _TWICE.findall(text)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return (
            f"{path.name} has two heads: `{twice[0]}` is there twice. Keep one, with "
            "the pins of both allowed, then `llmguard pin refresh`"
        )
    return ""


def heads_of_approvals(folder: Path) -> Iterator[Finding]:
    """Find approvals that were given for two moves of one route at one revision.

    Only one of them can happen; it voids the others.
    """
    from ..errors import ConfigError
    from ..promotion._approvals import read_approval

    heads: dict[tuple[str, str, int], set[str]] = {}
    for path in sorted(folder.rglob("*.json")) if folder.is_dir() else ():
        try:
            body = read_approval(
                path.read_text(encoding="utf-8"), source=path.name
            ).body
            key = (str(body["env"]), str(body["route"]), int(body["base_rev"]))
            move = f"{body['pin']} to {body['to']}"
        except (ConfigError, OSError, KeyError, TypeError, ValueError):
            continue
        heads.setdefault(key, set()).add(move)
    for (env, route, rev), moves in sorted(heads.items()):
        if len(moves) > 1:
            named = " and ".join(sorted(moves))
            yield Finding(
                code="two-heads",
                route=route,
                pin="",
                message=f"two moves of route {route!r} in {env!r} are approved at "
                f"revision {rev}: {named}; the first voids the other",
                repair=f"decide for one and delete the other's files in {folder.name}/",
            )


def ledger_findings(store: Store, lock: Lock, env: str) -> Iterator[Finding]:
    """Find routes where the lock would take away, or bring back, what it must not."""
    from ..store import Stage

    for name, state in store.ledger.route_states(env).items():
        route = lock.routes.get(name)
        active = state.active or ""
        if state.active and (route is None or active not in route.allowed):
            yield Finding(
                code="serving",
                route=name,
                pin=active,
                message=f"{active} serves route {name!r} in {env!r}, and the lock no "
                "longer allows it",
                repair="put it back, or `llmguard promote` another one first",
            )
        if route and state.stages.get(route.active) is Stage.QUARANTINED:
            yield Finding(
                code="quarantined",
                route=name,
                pin=route.active,
                message=f"the lock names {route.active} active on route {name!r}, and "
                f"it is quarantined in {env!r}",
                repair=f"llmguard pin use {active or 'ANOTHER'}",
            )


def evidence_findings(
    store: Store | None, lock: Lock, env: str, *, base: str, path: Path
) -> Iterator[Finding]:
    """Find pins that may get traffic and whose suites have not said PROMOTE.

    Args:
        store: The store of `env`; None when there is none here.
        lock: The lock.
        env: Environment.
        base: Git revision to compare with; empty to compare with the ledger.
        path: The lock's file.
    """
    from ..promotion._asking import make_request
    from ..promotion._gate_suite import route_suites, suite_gate
    from ..promotion.settings import SuiteRule
    from ..promotion.types import GateState

    found = _candidates(store, lock, env, base=base, path=path)
    for route, pin, before in found:
        if not route_suites(route):
            continue
        if store is None:
            yield _finding(route, pin, "there is no store here to look for evidence in")
            continue
        request: Request = make_request(
            store=store, env=env, route=route, pin=pin, to="active", lock=lock
        )
        rules = request.rules
        if rules.suite is None:
            continue
        rules = replace(rules, suite=rules.suite or SuiteRule())
        request = replace(request, rules=rules)
        if before:
            request = replace(request, incumbent=lock.pins.get(before))
        result = suite_gate(request)
        if result.state is not GateState.PASS:
            yield _finding(route, pin, result.reason, result.repair)


def _candidates(
    store: Store | None, lock: Lock, env: str, *, base: str, path: Path
) -> Iterator[tuple[str, str, str]]:
    if base:
        for change in lock_changes(path, base, lock):
            yield change.route, change.candidate, change.incumbent
        return
    states: Mapping[str, RouteState] = {}
    if store is not None:
        states = store.ledger.route_states(env)
    for name, route in lock.routes.items():
        state = states.get(name)
        for pin in route.allowed:
            known = pin in state.stages if state else pin == route.active
            if not known:
                yield name, pin, ""


def _finding(route: str, pin: str, message: str, repair: str = "") -> Finding:
    return Finding(
        code="evidence",
        route=route,
        pin=pin,
        message=f"{pin} of route {route!r}: {message}",
        repair=repair
        or f"run the suites in this job ({DOCS}/ci-gate.md), or leave it to another: "
        "`--no-evidence`",
    )

"""`llmguard check`: everything about versions that should stop a merge or a release.

Exit codes: 0 all is well; 1 something to repair; 3 only evidence is missing; 4 the lock
is stale, missing, edited by hand, or has two heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from .. import config
from ..errors import LockError
from ..pins import Finding, Lock, naming, read_lock
from ..pins import check as check_pins
from ._pin_io import Horizon, emit, lock_option
from ._promotion import env_of, env_option, json_option, refusing, store_option
from ._release_checks import (
    evidence_findings,
    heads_of_approvals,
    ledger_findings,
    two_heads,
)
from ._text import counted, examples

if TYPE_CHECKING:
    from ..store import Store

__all__ = ["check"]

_GATE: Final = 3
_STALE: Final = 4


@click.command(
    epilog=examples(
        "llmguard check --horizon 90d", "llmguard check --evidence --base origin/main"
    )
)
@click.option("--horizon", type=Horizon(), default="90d", help="Such as 90d or 12w.")
@click.option("--files/--no-files", default=True, help="Hash model files.")
@click.option("--evidence/--no-evidence", default=True, help="Look for the suites'.")
@click.option("--base", metavar="REF", default="", help="Evidence for what changed.")
@lock_option
@env_option
@store_option
@json_option
def check(
    *,
    horizon: timedelta,
    files: bool,
    evidence: bool,
    base: str,
    lock: Path,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Find what must not be merged or released; for CI.

    Aliases, missing reasons, models that end within the horizon, changed files, a lock
    that was edited by hand or has two heads after a merge, two approvals that exclude
    each other, a version that serves and is no longer allowed, one that is quarantined
    and named active, and versions whose suites have not said PROMOTE: those that the
    ledger does not know, or with `--base REF` those that changed since.
    """
    found = _read(lock, as_json=as_json)
    with refusing():
        store = _store(url)
        findings = [
            *check_pins(
                found.pins.values(),
                horizon=horizon,
                today=datetime.now(UTC).date(),
                strict=config.load().strict,
                files=files,
            ),
            *heads_of_approvals(_approvals(found)),
        ]
        if store is not None:
            findings += ledger_findings(store, found, env_of(env))
        if evidence:
            findings += evidence_findings(
                store, found, env_of(env), base=base, path=lock
            )
    _show(found, findings, as_json=as_json)


def _read(path: Path, *, as_json: bool) -> Lock:
    try:
        return read_lock(path)
    except LockError as error:
        message = two_heads(path) or str(error)
        if as_json:
            row = {"code": "lock", "message": message, "stale": True}
            emit({"lock": str(path), "findings": [row]}, "", as_json=True)
        else:
            click.echo(f"Error: {message}", err=True)
        raise SystemExit(_STALE) from error


def _store(url: str | None) -> Store | None:
    from ..errors import StoreError
    from ..store import open_store

    try:
        return open_store(url, create=False)
    except StoreError:
        if url is not None:
            raise
        return None  # a job of CI need not have one


def _approvals(lock: Lock) -> Path:
    from ..promotion.settings import ApprovalRule, rules_for

    root = config.load().root
    for route in lock.routes:
        rule = rules_for(config.load().env, route, "active").approvals
        if rule is not None:
            return root / rule.folder
    return root / ApprovalRule().folder


def _show(lock: Lock, findings: Sequence[Finding], *, as_json: bool) -> None:
    rows = [asdict(finding) for finding in findings]
    lines = [f"{row['code']}: {row['message']}\n  -> {row['repair']}" for row in rows]
    head = f"{counted(len(lock.pins), 'pin')}, names as of {naming().updated}: "
    text = "\n".join([*lines, head + (f"{len(rows)} to repair" if rows else "ok")])
    document = {"lock": str(lock.path), "naming": naming().updated, "findings": rows}
    emit(document, text, as_json=as_json)
    raise SystemExit(_code(findings))


def _code(findings: Sequence[Finding]) -> int:
    if any(finding.stale for finding in findings):
        return _STALE
    if any(finding.code != "evidence" for finding in findings):
        return 1
    return _GATE if findings else 0

"""Giving an approval: a signature of one exact move, as a file and in the store."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from ..errors import ConfigError
from ..pins import Lock
from ..store import RouteState, Store
from ._approvals import keep, refusal_of, write_approval
from ._asking import environment, make_request
from ._author import lock_authors
from ._signers import principal_of, read_signers
from ._sshsig import fingerprint, public_key_of, sign
from ._statement import (
    FIELDS,
    NAMESPACE,
    approval_text,
    read_statement,
    statement_of,
)
from .gates import ask
from .problems import ApprovalError, PromotionError
from .request import Request
from .settings import ApprovalRule
from .types import Approval, GateResult, Refusal

__all__ = ["Given", "approve", "default_key", "request_document"]

_DAY: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An approval that was given.

    Attributes:
        approval: What was signed, and the signature.
        path: The file it was written to; None when none was asked for.
        digest: Its digest in the store; empty when it is not there.
        key: Fingerprint of the key.
        gates: What the gates said to the approver, approvals left out.
    """

    approval: Approval
    path: Path | None
    digest: str
    key: str
    gates: tuple[GateResult, ...] = ()


def approve(
    *,
    store: Store | None,
    route: str = "",
    pin: str = "",
    to: str = "active",
    weight: int | None = None,
    env: str | None = None,
    statement: str | Path | None = None,
    key: Path | None = None,
    approver: str = "",
    write: bool = True,
    lock: Lock | None = None,
    now: float | None = None,
) -> Given:
    """Sign one move with an SSH key.

    The move is the one that `promote` would make now, by the store; or, without one,
    that of a request file (`llmguard promote ... --request FILE`), which is compared
    with the lock here. The approval holds for as many days as the gate says.

    Args:
        store: The store of the environment; None to sign a request file alone.
        route: Route.
        pin: Pin.
        to: `shadow`, `canary`, `active`, or `resume`.
        weight: Basis points; canaries only.
        env: Environment; the one of this process by default.
        statement: A request file, instead of the arguments before.
        key: SSH key; by default git's `user.signingkey`, else `~/.ssh/id_ed25519`.
        approver: Name in the file of allowed signers; by default the one of the key.
        write: Write a file under the gate's folder.
        lock: What may run; the configured lock by default.
        now: Epoch seconds; by default the present.

    Raises:
        ApprovalError: It would not count: by the author, an unknown or revoked key, ...
        PromotionError: ssh-keygen or the key cannot be used, or the lock differs.
        ConfigError: The request file is none.
    """
    path = None if statement is None else Path(statement)
    asked_for = None if path is None else _read(path)
    if asked_for is not None:
        route, pin, to = asked_for["route"], asked_for["pin"], asked_for["to"]
        weight, env = asked_for["weight"], asked_for["env"]
    if store is None and asked_for is None:
        raise ConfigError(
            "without a store there is no telling what would be approved; give a "
            "request file: `llmguard approve FILE`"
        )
    env = environment(env)
    request = make_request(
        store=cast("Store", store),  # asked for nothing where there is none
        state=None if store else RouteState(env=env, route=route),
        env=env,
        route=route,
        pin=pin,
        to=to,
        weight=weight,
        lock=lock,
        now=now,
    )
    gates: tuple[GateResult, ...] = ()
    if store is not None:
        rules = replace(request.rules, approvals=None)
        gates = ask(replace(request, rules=rules))
        evidence = tuple(sorted({d for one in gates for d in one.evidence}))
        request = replace(request, evidence=evidence)
    wanted = statement_of(request)
    if asked_for is not None:
        wanted = _same(asked_for, wanted, alone=store is None)
    rule = request.rules.approvals or ApprovalRule()
    signed = _sign(request, rule, wanted, key or default_key(), approver)
    _would_count(request, rule, wanted, signed)
    file = write_approval(signed, request.root / rule.folder) if write else None
    digest = "" if store is None else keep(store, signed)
    return Given(
        approval=signed,
        path=file,
        digest=digest,
        key=fingerprint(public_key_of(key or default_key())),
        gates=gates,
    )


def default_key() -> Path:
    """Return the key that git signs with, else `~/.ssh/id_ed25519`."""
    if named := os.environ.get("LLMGUARD_SIGNING_KEY"):
        return Path(named).expanduser()
    try:
        done = subprocess.run(
            ["git", "config", "--path", "user.signingkey"],  # noqa: S607 - the git on the path
            capture_output=True,
            check=False,
            text=True,
        )
        text = done.stdout.strip()
    except OSError:  # there is no git
        text = ""
    if text and not text.startswith(("ssh-", "key::")) and Path(text).is_file():
        return Path(text)
    return Path("~/.ssh/id_ed25519").expanduser()


def request_document(request: Request, gates: tuple[GateResult, ...]) -> dict[str, Any]:
    """Return the request for approval that `approve` reads: for people, in a file."""
    evidence = {d for one in gates if one.gate != "approvals" for d in one.evidence}
    return {
        "statement": statement_of(replace(request, evidence=tuple(sorted(evidence)))),
        "model": request.pin.model,
        "owner": request.pin.owner,
        "actor": request.actor,
        "gates": {
            one.gate: f"{one.state.value}: {one.reason}"
            for one in gates
            if one.gate != "approvals"
        },
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    return read_statement(text, source=path.name)


def _same(
    asked_for: dict[str, Any], here: Mapping[str, Any], *, alone: bool
) -> dict[str, Any]:
    """Refuse a request that is not about what stands here.

    Without a store only the lock can be compared.
    """
    known = ("pin_digest",) if alone else FIELDS
    for name in known:
        if asked_for[name] != here[name]:
            where = "the lock" if alone else "lock and ledger"
            raise PromotionError(
                f"the request says `{name}` is {asked_for[name]!r}, by {where} here it "
                f"is {here[name]!r}: get the same version of the repository, or ask "
                "for a new request"
            )
    return asked_for


def _sign(
    request: Request,
    rule: ApprovalRule,
    wanted: Mapping[str, Any],
    key: Path,
    approver: str,
) -> Approval:
    signers = read_signers(request.root / rule.signers)
    name = approver or principal_of(public_key_of(key), signers)
    if not name:
        raise ApprovalError(
            f"{rule.signers!r} has no signer with the key {str(key)!r}; add a line and "
            f'have it reviewed: `echo \'YOU@EXAMPLE.COM namespaces="{NAMESPACE}" '
            f'\'"$(cat {key}.pub)" >> {rule.signers}`'
        )
    body = {
        **wanted,
        "approver": name,
        "at": int(request.now),
        "expires": int(request.now + rule.days * _DAY),
    }
    text = approval_text(body)
    armoured = sign(text, key=key, namespace=NAMESPACE)
    return Approval(body=json.loads(text), signature=armoured)


def _would_count(
    request: Request, rule: ApprovalRule, wanted: Mapping[str, Any], signed: Approval
) -> None:
    """Refuse now what the gate would refuse later; who promotes is not known yet."""
    authors = lock_authors(request.lock, request.pin.id)
    problem = refusal_of(
        signed,
        request=replace(request, actor=""),
        rule=rule,
        wanted=(wanted, authors),
    )
    if problem is not None:
        refusal = Refusal(
            approver=signed.approver, kind=problem[0], reason=problem[1], source="new"
        )
        raise ApprovalError(
            f"this approval would not count ({problem[0]}): {problem[1]}",
            refusal=refusal,
        )

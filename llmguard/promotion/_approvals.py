"""Approvals as files and as rows, and which of them count for a move."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from .._nested import read_json
from ..errors import ConfigError
from ..store import EvidenceRow, Signature, Store
from ..store.evidence import each_evidence
from ._author import lock_authors
from ._signers import read_signers, same_person
from ._sshsig import parse_signature, verifies
from ._statement import FIELDS, NAMESPACE, approval_text, statement_of
from .request import Request
from .settings import ApprovalRule
from .types import Approval, Refusal

__all__ = ["Judgement", "collect", "judge", "keep", "read_approval", "write_approval"]

_KIND: Final = "approval"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.@-]+")
_SKEW: Final = 300.0


class Judgement:
    """Which approvals count, and why the others do not."""

    def __init__(self) -> None:
        self.good: dict[str, Approval] = {}
        self.keys: dict[bytes, str] = {}
        self.bad: dict[str, Refusal] = {}

    @property
    def refused(self) -> list[Refusal]:
        """The newest bad approval of everybody who gave no good one."""
        return [one for who, one in self.bad.items() if who not in self.good]


def collect(request: Request, rule: ApprovalRule) -> list[Approval]:
    """Return every approval of the pin that files or the store hold, each once."""
    found: dict[str, Approval] = {}
    for one in (*_files(request.root / rule.folder), *_rows(request.store, request)):
        mine = one.body.get("pin") == request.pin.id
        if mine and one.body.get("route") == request.route:
            found.setdefault(approval_text(one.body) + one.signature.strip(), one)
    return list(found.values())


def judge(request: Request, rule: ApprovalRule) -> Judgement:
    """Look at every approval of the pin; the newest of a person first."""
    judgement = Judgement()
    approvals = collect(request, rule)
    authors = (request.actor, *lock_authors(request.lock, request.pin.id))
    wanted = statement_of(request)
    for one in sorted(approvals, key=lambda a: _at(a.body) or 0.0, reverse=True):
        if one.approver not in judgement.good:
            _judge(judgement, one, request=request, rule=rule, wanted=(wanted, authors))
    return judgement


def _judge(
    judgement: Judgement,
    approval: Approval,
    *,
    request: Request,
    rule: ApprovalRule,
    wanted: tuple[Mapping[str, Any], tuple[str, ...]],
) -> None:
    problem = refusal_of(approval, request=request, rule=rule, wanted=wanted)
    blob = parse_signature(approval.signature)
    if problem is None and blob is not None and blob.key in judgement.keys:
        whose = judgement.keys[blob.key]
        why = f"it is signed with the key of {whose!r}: each person needs their own"
        problem = ("same-key", why)
    if problem is not None:
        refusal = Refusal(
            approver=approval.approver,
            kind=problem[0],
            reason=problem[1],
            source=approval.source,
        )
        judgement.bad.setdefault(approval.approver, refusal)
    elif blob is not None:
        judgement.good[approval.approver] = approval
        judgement.keys[blob.key] = approval.approver


def refusal_of(
    approval: Approval,
    *,
    request: Request,
    rule: ApprovalRule,
    wanted: tuple[Mapping[str, Any], tuple[str, ...]],
) -> tuple[str, str] | None:
    """Return which way an approval is bad and why; None when it is good."""
    return (
        _signed(approval, request, rule)
        or _about(approval.body, wanted[0])
        or _person(approval.body, request, rule, wanted[1])
    )


def _signed(
    approval: Approval, request: Request, rule: ApprovalRule
) -> tuple[str, str] | None:
    """Ask ssh-keygen whether the approver signed exactly this."""
    blob = parse_signature(approval.signature)
    if blob is None:
        return "unreadable", "its signature is no SSH signature"
    if blob.namespace != NAMESPACE:
        return (
            "wrong-namespace",
            f"it was signed for {blob.namespace!r}, not for {NAMESPACE!r}",
        )
    if blob.certificate:
        why = "it is signed with a certificate, of which one person may have several"
        return "unknown-signer", f"{why}: sign with the key itself"
    good, _ = verifies(
        approval_text(approval.body),
        approval.signature,
        namespace=NAMESPACE,
        principal=approval.approver or "?",
        signers=request.root / rule.signers,
        revoked=request.root / rule.revoked,
    )
    return None if good else _why_not(approval, blob.key, request, rule)


def _why_not(
    approval: Approval, key: bytes, request: Request, rule: ApprovalRule
) -> tuple[str, str]:
    """Find out what ssh-keygen's one sentence of refusal means."""
    text, who = approval_text(approval.body), approval.approver
    signers = request.root / rule.signers
    if not verifies(text, approval.signature, namespace=NAMESPACE)[0]:
        return "forged", "it is not what was signed: the signature does not fit it"
    known = [one for one in read_signers(signers) if one.is_(who)]
    if not any(one.key == key for one in known):
        why = "signed with a key of somebody else" if known else "no allowed signer"
        return "unknown-signer", f"{who!r} is {why}, by {rule.signers!r}"
    good, said = verifies(
        text,
        approval.signature,
        namespace=NAMESPACE,
        principal=who,
        signers=signers,
    )
    if good:
        return "revoked", f"its key is revoked in {rule.revoked!r}"
    if "expired" in said or "not yet valid" in said:
        return "expired", f"the key of {who!r} is not valid now, by {rule.signers!r}"
    return "unknown-signer", f"{rule.signers!r} does not let {who!r} approve: {said}"


def _about(
    body: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[str, str] | None:
    """Compare what was approved with the move, field by field."""
    differing = [name for name in FIELDS if body.get(name) != wanted[name]]
    if not differing:
        return None
    if {"env", "to"} & set(differing):
        name = "env" if "env" in differing else "to"
        return (
            "foreign",
            f"it approves `{name}` {body.get(name)!r}, not {wanted[name]!r}",
        )
    if "base_rev" in differing:
        why = (
            f"it was given at revision {body.get('base_rev')!r} of the route, which is "
            f"at {wanted['base_rev']} now: whatever happened since was not approved"
        )
        return "replayed", why
    name = differing[0]
    was, now = body.get(name), wanted[name]
    return "void", f"`{name}` changed since: {was!r} was approved, it is {now!r} now"


def _person(
    body: Mapping[str, Any],
    request: Request,
    rule: ApprovalRule,
    authors: tuple[str, ...],
) -> tuple[str, str] | None:
    who = str(body.get("approver", ""))
    if any(same_person(who, author) for author in authors):
        asks = same_person(who, request.actor)
        did = "asks for this promotion" if asks else "put the pin into the lock"
        return "author", f"{who!r} {did}: the approval must be somebody else's"
    if rule.people and not any(same_person(who, one) for one in rule.people):
        return "not-asked", f"{who!r} is not one of {', '.join(rule.people)}"
    at, expires = _at(body), _number(body.get("expires"))
    if at is None or expires is None:
        return "unreadable", "it does not say since and until when it holds"
    if at > request.now + _SKEW:
        return "expired", "it is dated in the future: set that machine's clock"
    if request.now > min(expires, at + rule.days * 86_400):
        days = (request.now - at) / 86_400
        return "expired", f"it is {days:.1f} days old, and no longer holds"
    return None


def _at(body: Mapping[str, Any]) -> float | None:
    return _number(body.get("at"))


def _number(value: object) -> float | None:
    """Return a finite number; JSON in Python knows others."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def read_approval(text: str, *, source: str) -> Approval:
    """Read an approval file.

    Raises:
        ConfigError: It is none.
    """
    try:
        found = cast("dict[str, Any]", read_json(text))
        return Approval(
            body=dict(found["approval"]),
            signature=str(found["signature"]),
            source=source,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{source} is no approval ({type(error).__name__}: {error}); make one: "
            "`llmguard approve`"
        ) from None


def write_approval(approval: Approval, folder: Path) -> Path:
    """Write a small file that people can review and commit; returns its path."""
    body = approval.body
    parts = (body["env"], body["route"], f"r{body['base_rev']}", body["pin"])
    name = "-".join(map(str, (*parts, body["to"], body["approver"])))
    path = folder / f"{_UNSAFE.sub('_', name)}.json"
    folder.mkdir(parents=True, exist_ok=True)
    document = {"approval": dict(body), "signature": approval.signature}
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def keep(store: Store, approval: Approval) -> str:
    """Put an approval into the store; returns its digest."""
    text = approval_text(approval.body)
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    store.put_evidence(
        EvidenceRow(
            digest=digest,
            kind=_KIND,
            function="",
            subject=str(approval.body["route"]),
            pin_digest=str(approval.body["pin_digest"]),
            verdict="APPROVE",
            at=float(approval.body["at"]),
            body=text,
            signatures=(
                Signature(signer=approval.approver, signature=approval.signature),
            ),
        )
    )
    return digest


def _files(folder: Path) -> Iterator[Approval]:
    for path in sorted(folder.rglob("*.json")) if folder.is_dir() else ():
        try:
            text = path.read_text(encoding="utf-8")
            yield read_approval(text, source=path.name)
        except (OSError, ValueError):
            continue  # a request, or something else that lives there


def _rows(store: Store, request: Request) -> Iterator[Approval]:
    for row in each_evidence(store, pin_digest=request.pin.digest, kinds=(_KIND,)):
        for one in row.signatures:
            try:
                body: object = read_json(row.body)
            except ValueError:
                continue
            if isinstance(body, dict):
                yield Approval(
                    body=cast("dict[str, Any]", body),
                    signature=one.signature,
                    source=row.digest,
                )

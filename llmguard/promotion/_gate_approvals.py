"""The approvals gate: enough people signed exactly this move."""

from __future__ import annotations

from ._approvals import judge
from ._sshsig import have_ssh_keygen
from .request import Request, failed, passed, unknown
from .settings import ApprovalRule
from .types import GateResult

__all__ = ["approvals_gate", "approve_command"]

_GATE = "approvals"


def approvals_gate(request: Request) -> GateResult:
    """Count the approvals; each that does not count is named with its reason."""
    rule = request.rules.approvals or ApprovalRule()
    if not have_ssh_keygen():
        return unknown(
            _GATE,
            "`ssh-keygen` is not installed here, so no signature can be checked",
            "apt-get install openssh-client",
        )
    if not (request.root / rule.signers).is_file():
        return unknown(
            _GATE,
            f"there is no file of allowed signers at {rule.signers!r}",
            f'echo \'ann@example.com namespaces="llmguard-promotion" \'"$(cat '
            f'~/.ssh/id_ed25519.pub)" >> {rule.signers}',
        )
    found = judge(request, rule)
    names = ", ".join(sorted(found.good))
    if len(found.good) >= rule.need:
        return passed(_GATE, f"{len(found.good)} of {rule.need}: {names}")
    refused = "; ".join(
        f"{one.approver or one.source!r} does not count ({one.kind}): {one.reason}"
        for one in found.refused
    )
    told = f"{len(found.good)} of {rule.need}" + (f" ({names})" if names else "")
    reason = f"{told}; {refused}" if refused else told
    command = approve_command(request)
    if found.refused:
        return failed(_GATE, reason, command)
    return unknown(_GATE, reason, command)


def approve_command(request: Request) -> str:
    """Return what an approver runs."""
    return f"llmguard approve {request.pin.id} {request.target}{request.env_option}"

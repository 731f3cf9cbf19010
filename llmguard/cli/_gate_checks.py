"""What `llmguard doctor` says about gates and approvals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from .. import config
from ..errors import LLMGuardError
from ..pins import load_lock

__all__ = ["gate_checks"]

Line = tuple[Literal["ok", "warn", "fail"], str, str, str]
_STAGES: Final = ("shadow", "canary", "active", "resume")


def gate_checks() -> Iterator[Line]:
    """Yield level, subject, detail, repair: the settings, and what approvals need."""
    from ..promotion._sshsig import have_ssh_keygen
    from ..promotion.settings import rules_for

    settings = config.load()
    try:
        routes = tuple(load_lock().routes)
    except LLMGuardError:
        return  # told elsewhere
    try:
        rules = [rules_for(settings.env, name, to) for name in routes for to in _STAGES]
    except LLMGuardError as error:
        yield "fail", "gates", str(error), "edit pyproject.toml"
        return
    asked = {rule.approvals.signers for rule in rules if rule.approvals is not None}
    for name in sorted(asked):
        if not (settings.root / name).is_file():
            repair = (
                f"echo 'YOU@EXAMPLE.COM '\"$(cat ~/.ssh/id_ed25519.pub)\" >> {name}"
            )
            yield "warn", "approvals", f"no file of allowed signers at {name!r}", repair
    if asked and not have_ssh_keygen():
        what = "ssh-keygen is missing, so no approval can be checked"
        yield "fail", "approvals", what, "apt-get install openssh-client"
    if routes:
        where = "configured" if settings.gates else "as shipped"
        yield "ok", "gates", f"{where}, of {settings.env!r}", ""

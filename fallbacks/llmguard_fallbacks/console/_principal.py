"""Who is asking."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmguard.store import EVERY_ROLE

__all__ = ["Principal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody whom the console knows.

    Attributes:
        name: For tickets, events and the audit.
        scopes: What may be done: `read`, `review`, `approve`, `admin`.
        roles: Queue roles; `*` for all.
        via: `bearer` for a program, else how the browser's session began.
        csrf: What forms of this session have to carry; empty for programs.
        address: Where the request came from.
    """

    name: str
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    via: str = "bearer"
    csrf: str = field(default="", repr=False)
    address: str = ""

    def may(self, scope: str) -> bool:
        """Tell whether a scope is held."""
        return scope in self.scopes

    def sees(self, role: str) -> bool:
        """Tell whether tickets for a role are this principal's to see."""
        return not role or role in self.roles or EVERY_ROLE in self.roles

"""Waiting until every live process has applied a revision of the ledger."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..promotion.applied import Process
    from ..store import Store

__all__ = ["Span", "wait_for"]


class Span(click.ParamType):  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument] - not generic before click 8.2
    """A number of seconds or minutes: 10s, 2m."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|)", str(value))
        if found is None:
            self.fail(f"{value!r} is no span; write 10s or 2m", param, ctx)
        return float(found[1]) * (60 if found[2] == "m" else 1)


def wait_for(store: Store, *, env: str, rev: int, seconds: float) -> tuple[bool, str]:
    """Wait for every live process; returns whether all have it, and a sentence."""
    from ..promotion.applied import wait_applied

    there, behind = wait_applied(store, env=env, rev=rev, seconds=seconds)
    if not there:
        return True, "no process is running, so there is nobody to wait for"
    if not behind:
        return True, f"all {len(there)} live processes go by r{rev}"
    names = ", ".join(_named(one) for one in behind)
    return False, (
        f"after {seconds:g} s {len(behind)} of {len(there)} processes do not go by "
        f"r{rev} yet: {names}"
    )


def _named(one: Process) -> str:
    at = "does not say" if one.rev is None else f"at r{one.rev}"
    return f"{one.name} ({at}{', cannot reach the store' if one.stale else ''})"

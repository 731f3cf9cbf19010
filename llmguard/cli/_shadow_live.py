"""What the commands about running shadows share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

from .._login import login
from ..errors import LLMGuardError, LockError
from ._options import env_option, json_option, opened, store_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..store import ShadowRun, Store

T = TypeVar("T")

__all__ = [
    "actor",
    "env_option",
    "found_run",
    "json_option",
    "opened",
    "reported",
    "runs_of",
    "store_option",
]


def actor() -> str:
    """Return who types."""
    return login()


def found_run(store: Store, subject: str, env: str | None, pin: str = "") -> ShadowRun:
    """Return the newest run of a route, a function or an id; running ones first.

    Raises:
        click.ClickException: There is none.
    """
    runs = runs_of(store, subject, env, pin)
    if not runs:
        raise click.ClickException(
            f"no shadow of {subject!r}: `llmguard shadow status --all` lists those "
            "there were, `llmguard shadow start ROUTE PIN` begins one"
        )
    return runs[0]


def runs_of(
    store: Store, subject: str, env: str | None, pin: str = ""
) -> Sequence[ShadowRun]:
    """Return the runs of a subject, running ones first, then the newest."""
    from ..shadow.live._manage import find_runs

    runs = find_runs(store, subject, pin, env=env or "", running=False)
    return sorted(runs, key=lambda run: (not run.running, -run.started_at))


def reported(function: Callable[[], T]) -> T:
    """Do it; what is wrong with the request is one message and exit code 1.

    A lock that cannot be used goes on to the command's entry, whose code is 4.
    """
    try:
        return function()
    except LockError:
        raise
    except LLMGuardError as error:
        raise click.ClickException(str(error)) from error

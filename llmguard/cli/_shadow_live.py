"""What the commands about running shadows share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

from .._login import login
from ..errors import ConfigError, LLMGuardError, LockError

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

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout."
)
store_option = click.option(
    "--store", "url", help="Store path or URL; the configured one by default."
)
env_option = click.option(
    "--env", help="Environment; `LLMGUARD_ENV` or the setting `env` by default."
)


def actor() -> str:
    """Return who types."""
    return login()


def opened(url: str | None, *, create: bool = False) -> Store:
    """Return the store.

    Raises:
        click.ClickException: It cannot be opened.
    """
    from ..store import open_store

    try:
        return open_store(url, create=create)
    except ConfigError as error:
        raise click.BadParameter(str(error), param_hint="--store") from error
    except LLMGuardError as error:
        raise click.ClickException(str(error)) from error


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

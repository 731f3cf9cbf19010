"""`llmguard suite changed`: which suites a change of `models.lock` calls for."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .. import config
from ..errors import ConfigError
from ._options import json_option
from ._text import emit_json, examples

if TYPE_CHECKING:
    from ..pins import Lock
    from ..suite import Suite

__all__ = ["changed_command", "lock_changes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A pin that may answer now and might not, or did not, before."""

    route: str
    candidate: str
    incumbent: str
    """The pin that answered before; empty for a new route."""
    why: str


@click.command("changed", epilog=examples("llmguard suite changed --base origin/main"))
@click.option("--base", metavar="REF", required=True, help="What to compare with.")
@click.option(
    "--strict", is_flag=True, help="Exit with 3 where a changed route has no suite."
)
@json_option
def changed_command(*, base: str, strict: bool, as_json: bool) -> None:
    """Print a line per suite and candidate pin: `SUITE PIN [INCUMBENT]`.

    Compared are `models.lock` as it is here, and as it was where this branch left
    REF. Candidates are the pins that a route allows anew, or that were made active;
    new owners, reasons and dates are no change. The incumbent, the pin that answered
    before, stands there where the suite compares with one. Nothing is printed when no
    model changed.
    """
    from ..pins import load_lock
    from ..suite import all_suites

    path = config.load().lock
    now = load_lock(path)
    changes = [*_changes(_before(path, base), now)]
    suites = all_suites() if changes else ()
    pairs = [(each, one) for one in changes for each in suites if _about(each, one)]
    for each, one in pairs:
        _check_incumbent(each, one, now)
    covered = {one.route for _, one in pairs}
    bare = [one for one in changes if one.route not in covered]
    if as_json:
        _emit(pairs, bare)
    else:
        for each, one in pairs:
            other = one.incumbent if each.needs_incumbent else ""
            click.echo(f"{each.name} {one.candidate} {other}".rstrip())
    for one in bare:
        click.echo(
            f"route `{one.route}`: no declared suite covers {one.candidate} "
            f"({one.why})",
            err=True,
        )
    if strict and bare:
        raise ConfigError(
            "a changed route has no suite: write one, and declare it under "
            "`[tool.llmguard] suites`"
        )


def lock_changes(path: Path, base: str, now: Lock) -> tuple[_Change, ...]:
    """Return the pins that may answer now and might not where this branch left `base`.

    Raises:
        ConfigError: Git cannot tell.
    """
    return tuple(_changes(_before(path, base), now))


def _emit(pairs: Sequence[tuple[Suite, _Change]], bare: Sequence[_Change]) -> None:
    runs = [
        {"suite": each.name, "compares": each.needs_incumbent, **asdict(one)}
        for each, one in pairs
    ]
    emit_json({"runs": runs, "without_suite": [asdict(one) for one in bare]})


def _check_incumbent(suite: Suite, one: _Change, now: Lock) -> None:
    """Refuse to compare a version with itself for want of the one before."""
    if suite.needs_incumbent and one.incumbent and one.incumbent not in now.pins:
        raise ConfigError(
            f"suite `{suite.name}` compares {one.candidate} with the pin that answered "
            f"before, {one.incumbent}, and the lock has lost it: leave it among the "
            f"`allowed` of route `{one.route}` until the change is merged"
        )


def _about(suite: Suite, one: _Change) -> bool:
    """Tell whether a suite's function answers by that route."""
    return suite.guard.pin == one.route


def _changes(before: Lock, now: Lock) -> Iterator[_Change]:
    for name, route in now.routes.items():
        old = before.routes.get(name)
        allowed = old.allowed if old else ()
        answered = old.active if old else ""
        for pin in route.allowed:
            active = pin == route.active
            if pin not in allowed:
                why = "new and active" if active else "allowed"
            elif active and old and old.active != pin:
                why = "made active"
            else:
                continue
            yield _Change(route=name, candidate=pin, incumbent=answered, why=why)


def _before(path: Path, base: str) -> Lock:
    """Return the lock where this branch left `base`; an empty one if it had none.

    Raises:
        ConfigError: There is no such commit here, or no repository.
    """
    from ..pins import Lock
    from ..pins._read import from_text

    folder = path.parent
    left = _git(folder, "merge-base", "--", base, "HEAD")
    if left is None:
        raise ConfigError(
            f"git knows no common commit of {base!r} and HEAD in {str(folder)!r}: "
            "fetch it with its history (`git fetch --unshallow origin`, or "
            "`fetch-depth: 0` of actions/checkout)"
        )
    text = _git(folder, "show", f"{left.decode().strip()}:./{path.name}")
    return Lock() if text is None else from_text(text, path=path, verify=False)


def _git(folder: Path, *words: str) -> bytes | None:
    """Return what git says; None when it refuses."""
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell
            ["git", "-C", str(folder), *words],  # noqa: S607 - the git on the path
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise ConfigError(f"git cannot be run: {error}") from error
    return done.stdout if done.returncode == 0 else None

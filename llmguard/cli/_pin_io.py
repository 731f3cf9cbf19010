"""What the `pin` commands read and print."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from .. import config
from .._nested import read_json
from ..errors import LLMGuardError, LockError
from ..pins import Lock, Pin, naming, read_lock, shutdown_of

__all__ = [
    "Horizon",
    "PinGroup",
    "describe",
    "emit",
    "from_lock_directory",
    "lock_option",
    "pairs",
    "record",
    "refusing",
    "table",
    "written_ids",
]

_STALE: Final = 4
_COLUMNS: Final = ("route", "id", "provider", "model", "version_class", "shutdown")
_F = TypeVar("_F", bound=Callable[..., object])


class _Failure(click.ClickException):
    """An error of ours as a message, with its exit code."""

    def __init__(self, error: LLMGuardError) -> None:
        super().__init__(str(error))
        stale = isinstance(error, LockError)
        self.exit_code = _STALE if stale else 1  # type: ignore[misc] # a ClassVar in click's stubs, read off the instance


class PinGroup(click.Group):
    """Turns errors of ours into messages and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except LLMGuardError as error:
            raise _Failure(error) from error


class Horizon(click.ParamType):  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument] - not generic before click 8.2
    """A span such as 90d or 12w."""

    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read days or weeks."""
        found = re.fullmatch(r"(\d{1,5})([dw]?)", str(value))
        if found is None:
            self.fail(
                f"{value!r} is no span; write days or weeks: 90d, 12w", param, ctx
            )
        return timedelta(days=int(found[1]) * (7 if found[2] == "w" else 1))


def lock_option(function: _F) -> _F:
    """Add `--lock`; the configured lock by default."""
    option = click.option(
        "--lock",
        type=click.Path(dir_okay=False, path_type=Path),
        default=lambda: config.load().lock,
        help="The lock file; `models.lock` of the project by default.",
    )
    return option(function)


@contextlib.contextmanager
def refusing() -> Generator[None]:
    """Report a lookup that fails as refused (1), not as a stale lock (4)."""
    try:
        yield
    except LockError as error:
        raise click.ClickException(str(error)) from error


def pairs(option: str, given: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE; values are JSON where they can be, else text."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{option} {each!r} is not NAME=VALUE")
        try:
            found[name] = read_json(text)
        except ValueError:
            found[name] = text
    return found


def from_lock_directory(provider: str, model: str, lock: Path) -> str:
    """Rewrite a model file that is named from here to start at the lock's directory."""
    path = Path(model)
    table_ = naming()
    if table_.scheme(provider) not in table_.hashes or path.is_absolute():
        return model
    directory = lock.absolute().parent
    if (directory / path).exists() or not path.exists():
        return model
    return Path(os.path.relpath(path.absolute(), directory)).as_posix()


def written_ids(lock: Path) -> set[str]:
    """Return the ids as the file writes them, stale or not.

    Raises:
        LockError: The file is missing or no lock at all.
    """
    import tomllib

    read_lock(lock, verify=False)
    entries = tomllib.loads(lock.read_text(encoding="utf-8")).get("pins", {})
    return {name.rpartition("/")[2] for name in entries}


def record(lock: Lock, pin: Pin) -> dict[str, Any]:
    """Return a pin as commands print it."""
    end = shutdown_of(pin)
    return {
        "route": pin.route,
        "id": pin.id,
        "active": lock.routes[pin.route].active == pin.id,
        **pin.entry(),
        "shutdown": end.date if end else None,
        "sha256": pin.digest,
    }


def emit(document: object, text: str, *, as_json: bool) -> None:
    """Print one JSON document or text for people, on stdout."""
    if as_json:
        text = json.dumps(document, indent=2, ensure_ascii=False)
    click.echo(text)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay pins out in columns."""
    cells = [list(_COLUMNS), *([_cell(row, name) for name in _COLUMNS] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def describe(row: Mapping[str, Any]) -> str:
    """Lay one pin out, a line per field."""
    width = max(map(len, row))
    return "\n".join(f"{key.ljust(width)}  {_plain(row[key])}" for key in row)


def _cell(row: Mapping[str, Any], column: str) -> str:
    text = _plain(row.get(column))
    return f"{text}*" if column == "id" and row["active"] else text


def _plain(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

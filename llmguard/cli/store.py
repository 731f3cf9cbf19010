"""`llmguard store`: is the durable store well, is it up to date, where is its copy.

Exit codes: 0 done; 1 it failed, or `check` found something to repair.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ._options import json_option, store_option
from ._text import counted, emit_json, examples, table

if TYPE_CHECKING:
    from ..store.upkeep import Backup, StoreCheck

__all__ = ["store"]


@click.group(epilog=examples("llmguard store check"))
def store() -> None:
    """The durable store: check it, bring it up to date, copy it.

    It is a SQLite file unless the setting `store` is a `postgresql://` URL.
    """


@store.command(epilog=examples("llmguard store check --json"))
@store_option
@json_option
def check(url: str | None, as_json: bool) -> None:
    """Read all of the store and say what to repair.

    Every page, the whole chain of the ledger, the schema, the space that is left.
    Exit code 1 when something needs a person.
    """
    from ..store.upkeep import check as look

    found = look(url)
    if as_json:
        emit_json(asdict(found))
    else:
        _print_check(found)
    if found.problems:
        raise SystemExit(1)


@store.command(epilog=examples("llmguard store upgrade --dry-run"))
@store_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
def upgrade(url: str | None, dry_run: bool, as_json: bool) -> None:
    """Apply the migrations that the store lacks, making it if there is none.

    Programs do so by themselves when they open it. Migrations only ever add, so those
    of the version before go on meanwhile.
    """
    from ..store import store_name, upkeep

    todo = upkeep.pending(url) if dry_run else upkeep.upgrade(url)
    name = store_name(url)
    if as_json:
        emit_json({"store": name, "dry_run": dry_run, "migrations": todo})
        return
    if not todo:
        click.echo(f"{name} is up to date.")
        return
    click.echo(f"{'would apply' if dry_run else 'applied'} to {name}:")
    for one in todo:
        click.echo(f"  {one}")


@store.command(epilog=examples("llmguard store backup backup.db"))
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@store_option
@click.option("--replace", is_flag=True, help="Overwrite PATH.")
@json_option
def backup(path: Path, url: str | None, replace: bool, as_json: bool) -> None:
    """Copy the store to PATH while it is used, and read the copy.

    A SQLite store is copied by SQLite itself, and the ledger of the copy is walked; one
    on a server is written by `pg_dump`.
    """
    from ..store.upkeep import backup as copy

    made = copy(path.absolute(), url=url, replace=replace)
    if as_json:
        emit_json(asdict(made))
    else:
        _print_backup(made)


def _print_check(found: StoreCheck) -> None:
    rows: list[tuple[object, ...]] = [("store", found.store)]
    health, ledger = found.health, found.ledger
    if health is not None and ledger is not None:
        free = "" if health.free is None else f", {_size(health.free)} free there"
        tickets = ", ".join(
            f"{n} {s}" for s, n in sorted((found.tickets or {}).items())
        )
        chain = "the chain holds" if ledger.ok else f"wrong at row {ledger.bad_rev}"
        head = f", head {ledger.head[:12]}" if ledger.head else ""
        rows += [
            ("engine", health.engine),
            ("schema", f"{health.schema}, nothing to apply"),
            ("size", f"{_size(health.size)}{free}"),
            ("tickets", tickets or "none"),
            ("ledger", f"{counted(ledger.entries, 'entry', 'entries')}, {chain}{head}"),
            *(("note", note) for note in health.notes),
        ]
    click.echo(table(rows, indent=0))
    for problem in found.problems:
        click.echo(f"repair: {problem}")
    if not found.problems:
        click.echo("nothing to repair")


def _print_backup(made: Backup) -> None:
    files = " and ".join(str(file) for file in made.files)
    click.echo(f"wrote {files} ({_size(made.size)})")
    if made.entries is not None:
        click.echo(
            f"read back: every page, and the chain of {made.entries} ledger entries"
            + (f", which ends in {made.head}" if made.head else "")
        )
    click.echo(f"to restore: {made.restore}")


def _size(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1024:.0f} KiB"

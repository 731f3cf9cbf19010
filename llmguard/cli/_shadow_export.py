"""`llmguard shadow export`: the pairs that were kept, as files."""

from __future__ import annotations

from pathlib import Path

import click

from ._shadow_live import (
    env_option,
    found_run,
    json_option,
    opened,
    reported,
    store_option,
)
from ._text import emit_json, examples

__all__ = ["export_command"]


@click.command("export", epilog=examples("llmguard shadow export triage pairs"))
@click.argument("subject")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--pin", default="", help="Only this challenger.")
@click.option("--parquet", is_flag=True, help="Write pairs.parquet too.")
@env_option
@json_option
@store_option
def export_command(
    *,
    subject: str,
    folder: Path,
    pin: str,
    parquet: bool,
    env: str | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Write the pairs of SUBJECT's newest run into FOLDER.

    `pairs.jsonl` has the metadata of each; where texts were kept (`--content`), the
    draws are in `incumbent.jsonl` and `challenger.jsonl`, as `llmguard shadow compare`
    reads them.
    """
    from ..shadow.live._export import export_pairs

    store = opened(url)
    run = found_run(store, subject, env, pin)
    made = reported(lambda: export_pairs(store, run, folder, parquet=parquet))
    if as_json:
        emit_json(
            {
                "files": [str(path) for path in made.files],
                "pairs": made.pairs,
                "contents": made.contents,
            }
        )
        return
    click.echo(f"{made.pairs:,} pairs, {made.contents:,} with texts, in {folder}")

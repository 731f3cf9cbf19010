"""`llmguard suite grade`: judge a journal again, without a call."""

from __future__ import annotations

from pathlib import Path

import click

from ._suite_output import emit, output_options
from ._text import examples

__all__ = ["grade_command"]


@click.command(
    "grade", epilog=examples("llmguard suite grade run.jsonl --junit suite.xml")
)
@click.argument("journal", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--suite", "name", help="Suite to judge it with; unless given, the journal's own."
)
@output_options
def grade_command(
    *,
    journal: Path,
    name: str | None,
    as_json: bool,
    junit: Path | None,
    markdown: Path | None,
    html: Path | None,
) -> None:
    """Judge JOURNAL again with a suite as it is now; nobody is called.

    With other rates, checks or cases left out the verdict may differ; the report says
    so. Exit codes: 0 PROMOTE, 1 BLOCK, 2 UNDECIDED, 3 ERROR.
    """
    from ..suite import grade

    report = grade(journal, suite=name)
    emit(report, as_json=as_json, junit=junit, markdown=markdown, html=html)

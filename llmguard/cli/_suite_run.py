"""`llmguard suite run`: call a candidate until the suite is decided."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import config
from ._suite_output import emit, output_options
from ._text import examples

if TYPE_CHECKING:
    from ..suite import Suite

__all__ = ["run_command"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_THERE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "run",
    epilog=examples(
        "llmguard suite run triage --candidate p-c2bb020ba1",
        "llmguard suite run triage --dry-run",
    ),
)
@click.argument("name", required=False)
@click.option(
    "--candidate",
    metavar="PIN",
    help="Version under test: a route or the id of a pin in `models.lock`, "
    "`provider:model`, or `replay:FILE`.",
)
@click.option("--incumbent", metavar="PIN", help="Version to compare with.")
@click.option(
    "--with-incumbent", is_flag=True, help="Ask the incumbent even if nothing needs it."
)
@click.option(
    "--baseline", type=_THERE, help="Journal that stands in for the incumbent."
)
@click.option("--seed", type=int, help="Of the dispatch order; drawn unless given.")
@click.option(
    "--concurrency",
    default=8,
    show_default=True,
    type=click.IntRange(min=1),
    help="Calls at once, both versions together.",
)
@click.option("--max-calls", type=click.IntRange(min=1), help="Of both versions.")
@click.option("--max-cost", type=float, metavar="USD", help="Needs known prices.")
@click.option("--prices", type=_THERE, help="TOML: a table per model, see the docs.")
@click.option("--full", is_flag=True, help="Go on after a block: name all that broke.")
@click.option("--journal", type=_FILE, help="Unless given, under `.llmguard/suites`.")
@click.option("--no-journal", is_flag=True, help="Keep no journal: no resuming.")
@click.option("--resume", type=_THERE, help="Journal of an interrupted run.")
@click.option("--record", type=_FILE, help="Write answers, for `replay:FILE`.")
@click.option("--no-evidence", is_flag=True, help="Keep no verdict in the store.")
@click.option("--dry-run", is_flag=True, help="Say what it would take; call nobody.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@output_options
def run_command(
    *,
    name: str | None,
    resume: Path | None,
    journal: Path | None,
    no_journal: bool,
    no_evidence: bool,
    dry_run: bool,
    quiet: bool,
    incumbent: str | None,
    with_incumbent: bool,
    as_json: bool,
    junit: Path | None,
    markdown: Path | None,
    html: Path | None,
    **options: Any,
) -> None:
    """Run suite NAME (or a TOML file, or `module:function`) against a version.

    The version is called in rounds, one call per case, until every assertion is
    decided, one blocks, or a limit is reached. Every call is written to a journal:
    after Ctrl-C (exit code 2) or a crash, `--resume JOURNAL` goes on with it. Exit
    codes: 0 PROMOTE, 1 BLOCK, 2 UNDECIDED, 3 ERROR.
    """
    from ..store import open_store
    from ..suite import run
    from ..suite.render._html import need_jinja
    from ._suite_progress import Progress

    suite = _suite(name, resume)
    candidate = options.pop("candidate")
    if candidate is None and resume is None and not dry_run:
        raise click.UsageError("give `--candidate PIN`, or `--resume JOURNAL`")
    paired = bool(incumbent or with_incumbent or suite.needs_incumbent)
    if not quiet:
        from ._suite_power import expected

        click.echo(expected(suite, paired=paired, **_limits(options)), err=True)
    if dry_run:
        return
    if html is not None:
        need_jinja()
    if resume is None and not no_journal:
        journal = journal or _place(suite)
    report = run(
        name or suite,
        candidate,
        incumbent=incumbent or (True if with_incumbent else None),
        journal=journal,
        resume=resume,
        store=None if no_evidence else open_store(),
        watch=Progress(sys.stderr, quiet=quiet),
        **options,
    )
    if report.stopped in {"interrupted", "budget"} and not quiet:
        command = f"llmguard suite run {name or suite.name} --resume {report.journal}"
        click.echo(f"go on with `{command}`", err=True)
    emit(report, as_json=as_json, junit=junit, markdown=markdown, html=html)


def _suite(name: str | None, resume: Path | None) -> Suite:
    from ..suite import find_suite
    from ..suite._grade import suite_for
    from ..suite._journal import read_journal

    if name is not None:
        return find_suite(name)
    if resume is None:
        raise click.UsageError("name a suite; `llmguard suite list` shows those here")
    return suite_for(read_journal(resume))


def _limits(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "max_calls": options["max_calls"],
        "recorded": options["baseline"] is not None,
    }


def _place(suite: Suite) -> Path:
    """Return where a journal goes; one second is one run."""
    folder = config.load().root / ".llmguard" / "suites"
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    path, number = folder / f"{suite.name}-{stamp}.jsonl", 1
    while path.exists():
        number += 1
        path = folder / f"{suite.name}-{stamp}-{number}.jsonl"
    return path

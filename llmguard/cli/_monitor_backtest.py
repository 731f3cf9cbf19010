"""`llmguard monitor backtest`: detectors on your own logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .._nested import read_json
from ..errors import ConfigError
from ._options import json_option
from ._text import emit_json, examples, table

if TYPE_CHECKING:
    from ..monitor.drift import Backtest, Baseline, Logged

__all__ = ["backtest"]

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog=examples("llmguard monitor backtest last-month.jsonl this-week.jsonl")
)
@click.argument("baseline", type=_FILE)
@click.argument("stream", type=_FILE, required=False)
@click.option(
    "--inputs",
    "prompts",
    type=_FILE,
    multiple=True,
    help="JSON Lines with `prompt_id` and `prompt`, for logs that lack prompts.",
)
@click.option("--field", default="", help="Where answers are; found by itself.")
@click.option(
    "--pattern",
    "patterns",
    multiple=True,
    metavar="NAME=REGEX",
    help="Also watch how often this is found in an answer.",
)
@click.option(
    "--per-10k",
    type=click.FloatRange(min=0.01, max=100),
    default=1.0,
    show_default=True,
    help="False alarms allowed in 10,000 outputs, over all families.",
)
@click.option(
    "--block",
    type=click.FloatRange(min=1),
    default=None,
    help="Mean run of related prompts; measured from the baseline by default.",
)
@click.option(
    "--merge",
    is_flag=True,
    help="BASELINE and STREAM are results of `--json` on parts of a log: add them up.",
)
@click.option("--measure", is_flag=True, help="Measure the rate of false alarms too.")
@json_option
def backtest(
    *,
    baseline: Path,
    stream: Path | None,
    prompts: tuple[Path, ...],
    field: str,
    patterns: tuple[str, ...],
    per_10k: float,
    block: float | None,
    merge: bool,
    measure: bool,
    as_json: bool,
) -> None:
    """Say which detectors would have fired on STREAM, held against BASELINE.

    Both are JSON Lines (`.jsonl` or `.jsonl.gz`) with one answer a line as `output`,
    and its prompt as `prompt` or found by `prompt_id` in `--inputs`. The stream may be
    of any size; the first 5,000 answers of the baseline are used, 200 at least. Exit
    code 1 when anything fired.
    """
    try:
        if merge:
            result, rate = _merged(baseline, stream), None
            made = None
        else:
            made, result, rate = _run(
                baseline,
                stream,
                prompts=prompts,
                field=field,
                patterns=patterns,
                per_10k=per_10k,
                block=block,
                measure=measure,
            )
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        emit_json({**result.document(), "measured_per_10k": rate})
    else:
        click.echo(_report(result, made, rate))
    if result.alarms:
        raise SystemExit(1)


def _run(
    baseline: Path,
    stream: Path | None,
    *,
    prompts: tuple[Path, ...],
    field: str,
    patterns: tuple[str, ...],
    per_10k: float,
    block: float | None,
    measure: bool,
) -> tuple[Baseline, Backtest, float | None]:
    from ..monitor.drift import (
        Calibration,
        learn_baseline,
        measured_rate,
        read_answers,
        read_prompts,
        run_backtest,
    )

    if stream is None and not measure:
        raise ConfigError("give a STREAM to follow, or `--measure` for none")
    known: dict[str, str] = {}
    for path in prompts:
        known |= read_prompts(path)
    calibration = Calibration(per_10k=per_10k, block=block)
    made, extractor, rows = learn_baseline(
        read_answers(baseline, field=field, prompts=known),
        label=baseline.name,
        calibration=calibration,
        patterns=dict(map(_pattern, patterns)),
    )
    answers: Iterator[Logged] = iter(())
    if stream is not None:
        answers = read_answers(stream, field=field, prompts=known)
    result = run_backtest(made, extractor, answers)
    rate = measured_rate(rows, extractor, calibration) if measure else None
    return made, result, rate


def _pattern(text: str) -> tuple[str, str]:
    name, sign, regex = text.partition("=")
    if not (name and sign and regex):
        raise ConfigError(f"`--pattern {text}`: write NAME=REGEX")
    return name, regex


def _merged(first: Path, second: Path | None) -> Backtest:
    from ..monitor.drift import Backtest

    if second is None:
        raise ConfigError("`--merge` adds up two results: give both files")
    results = [Backtest.of(_document(path)) for path in (first, second)]
    results[0].merge(results[1])
    return results[0]


def _document(path: Path) -> Any:
    try:
        return read_json(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error}") from error


def _report(result: Backtest, made: Baseline | None, rate: float | None) -> str:
    from ..monitor.drift import FAMILIES

    lines: list[str] = []
    if made is not None:
        known = "with their prompts" if made.context.prompts else "without prompts"
        lines.append(
            f"baseline: {made.outputs} outputs {known}, blocks of "
            f"{made.calibration.block:.0f}"
        )
    lines.append(f"stream: {result.outputs} outputs")
    rows: list[tuple[object, ...]] = [("FAMILY", "FIRST ALARM", "PER 10,000", "WHY")]
    for name in FAMILIES:
        alarm = result.first.get(name)
        when = "none" if alarm is None else f"output {alarm.output}"
        why = "" if alarm is None else "; ".join(map(str, alarm.shifts))
        rows.append((name, when, f"{result.per_10k(name):.2f}", why))
    lines.append(table(rows))
    lines.append(
        f"false alarms: at most {result.promised:g} per 10,000 outputs were promised"
        + ("" if rate is None else f", {rate:.2f} measured within the baseline")
    )
    if result.held:
        held = ", ".join(f"{name} {n}" for name, n in sorted(result.held.items()))
        lines.append(f"not raised, since other inputs explain them: {held}")
    if result.inputs:
        lines.append(f"the inputs differed from the baseline's {result.inputs} times")
    return "\n".join(lines)

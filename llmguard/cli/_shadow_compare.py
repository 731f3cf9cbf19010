"""`llmguard shadow compare`: two recordings, their own noise subtracted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from .._nested import read_json
from ..errors import ConfigError
from ._options import json_option
from ._text import examples

if TYPE_CHECKING:
    from ..pins import Pin
    from ..shadow import Comparison, Ladder, Report, Tally

__all__ = ["compare_command"]

_ALARM: Final = 3
_FILE = click.Path(dir_okay=False, path_type=Path)
_READ: Final = ("id", "output", "calls", "sample", "stratum", "cluster", "input")


@click.command(
    "compare",
    epilog=examples("llmguard shadow compare a.jsonl b.jsonl --repeat-a a-again.jsonl"),
)
@click.argument("a", type=_FILE)
@click.argument("b", type=_FILE)
@click.option("--repeat-a", type=_FILE, multiple=True, help="A again: its own noise.")
@click.option("--repeat-b", type=_FILE, multiple=True, help="B again.")
@click.option("--config", type=_FILE, help="A TOML file: [read], [ladder], [fields].")
@click.option("--id", "id_", help="Field that names the request.")
@click.option("--output", help="Field with the answer, such as `labels.answer`.")
@click.option("--calls", help="Field with the tool calls.")
@click.option("--sample", help="Field with the number of a repeat.")
@click.option("--stratum", help="Field with the slice of the traffic.")
@click.option("--stratum-pattern", help="Regular expression; its match is the slice.")
@click.option("--cluster", help="Field with the user or session.")
@click.option("--input", "input_", help="Field with what was asked.")
@click.option("--executed", help="Field with the verdict of running the output.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["auto", "structured", "text", "calls", "number", "code"]),
    help="What the outputs are.",
)
@click.option("--schema", type=_FILE, help="JSON schema: field rules, and validity.")
@click.option("--field", multiple=True, help="NAME=exact|number|text|set|ignore.")
@click.option("--critical", multiple=True, help="Field of which any change alarms.")
@click.option(
    "--first-only", is_flag=True, help="Repeats of B serve for its noise only."
)
@click.option("--pin", help="Id of B in models.lock; for evidence.")
@click.option("--incumbent-pin", help="Id of A in models.lock.")
@click.option("--function", default="", help="Name of the function; for evidence.")
@click.option("--evidence", is_flag=True, help="Keep the verdict for gates.")
@click.option("--gate", is_flag=True, help="Exit with 3 unless the verdict is PROMOTE.")
@click.option("--no-content", is_flag=True, help="Keep no texts and no open values.")
@click.option("--part", help="K/N: compare the K-th of N parts (from 1) only.")
@click.option("--tally", type=_FILE, help="Write the counts, for merging.")
@click.option("--with", "others", type=_FILE, multiple=True, help="Counts to add.")
@click.option("--folder", type=click.Path(path_type=Path), help="For temporary files.")
@click.option("--html", type=_FILE, help="Write: a page of its own.")
@json_option
def compare_command(*, a: Path, b: Path, **options: Any) -> None:
    """Compare recordings A (incumbent) and B (challenger), JSON Lines, .gz or not.

    A record needs an id and an output; several records of one id are repeated draws.
    Files may be larger than memory, in any order, and of any tool. Without repeats of A
    the divergence cannot be told from A's own noise.
    """
    from ..shadow import render

    if options["html"] is not None:
        render.need_jinja()
    pins = _pin(options["pin"]), _pin(options["incumbent_pin"])
    if options["evidence"] and not all((*pins, options["function"])):
        raise click.UsageError(
            "--evidence is about versions: give --function, --pin and --incumbent-pin"
        )
    made = _compare(a, b, options)
    found = _report(made, (a, b), pins, options)
    if options["evidence"]:
        from ..store import open_store

        found = found.stored(open_store())
    if options["html"] is not None:
        options["html"].parent.mkdir(parents=True, exist_ok=True)
        options["html"].write_text(render.html(found), encoding="utf-8")
    click.echo((render.json if options["as_json"] else render.text)(found))
    promoted = found.verdict == "PROMOTE"
    if found.alarm or (options["gate"] and not promoted):
        raise SystemExit(_ALARM)


def _compare(a: Path, b: Path, options: dict[str, Any]) -> Comparison:
    from ..shadow import compare_files, read_settings

    settings = read_settings(options["config"], **_tables(options))
    made = compare_files(
        a,
        b,
        ladder=settings.ladder,
        repeats_a=options["repeat_a"],
        repeats_b=options["repeat_b"],
        fields=settings.read,
        content=not options["no_content"],
        cross="first" if options["first_only"] else "all",
        part=_part(options["part"]),
        folder=options["folder"],
        progress=_progress(),
    )
    for path in options["others"]:
        made.tally.merge(_counted(path, settings.ladder))
    if options["tally"] is not None:
        import json

        options["tally"].write_text(json.dumps(made.tally.document()), encoding="utf-8")
    options["thresholds"] = settings.thresholds
    return made


def _counted(path: Path, ladder: Ladder) -> Tally:
    """Read what `--tally` wrote elsewhere.

    Raises:
        ConfigError: It is no tally, or one of other settings.
    """
    from ..shadow import Tally

    try:
        document: Any = read_json(path.read_text(encoding="utf-8"))
        return Tally.load(document, ladder)
    except (ConfigError, OSError, TypeError, ValueError) as error:
        raise ConfigError(f"{str(path)!r} cannot be added: {error}") from error


def _tables(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the options say, as tables of the settings' file."""
    named = {"id": options["id_"], "input": options["input_"]}
    named |= {n: options[n] for n in _READ if n not in named}
    named |= {n: options[n] for n in ("stratum_pattern", "executed")}
    rules: dict[str, Any] = {}
    for each in options["field"]:
        name, equals, how = each.rpartition("=")
        if not (name and equals and how):
            raise click.UsageError(f"--field {each!r} is not NAME=RULE")
        rules[name] = how
    for name in options["critical"]:
        rules[name] = {"how": rules.get(name, "exact"), "critical": True}
    ladder = {"output": options["kind"]}
    if options["schema"] is not None:
        ladder["schema"] = str(options["schema"].absolute())
    return {
        "read": {k: v for k, v in named.items() if v is not None},
        "ladder": {k: v for k, v in ladder.items() if v is not None},
        "rules": rules,
    }


def _part(given: str | None) -> tuple[int, int]:
    if given is None:
        return 0, 1
    first, _, second = given.partition("/")
    if not (first.isdecimal() and second.isdecimal()):
        raise click.UsageError(f"--part {given!r} is not K/N, such as 1/4")
    if not 1 <= int(first) <= int(second):
        raise click.UsageError(f"--part {given!r}: K goes from 1 to N")
    return int(first) - 1, int(second)


def _progress() -> Any:
    import sys

    if not sys.stderr.isatty():
        return None
    started = time.monotonic()

    def show(requests: int) -> None:
        rate = requests / max(time.monotonic() - started, 1e-9)
        click.echo(f"\r{requests:,} requests, {rate:,.0f}/s", err=True, nl=False)

    return show


def _pin(given: str | None) -> Pin | None:
    if given is None:
        return None
    from ..pins import load_lock

    return load_lock().pin(given)


def _report(
    made: Comparison,
    files: tuple[Path, Path],
    pins: tuple[Pin | None, Pin | None],
    options: dict[str, Any],
) -> Report:
    from ..shadow import Version, report

    if not (made.tally.requests or made.tally.total().unmatched):
        raise ConfigError(_nothing(made, files))
    notes = _notes(made)
    challenger, incumbent = pins
    return report(
        made.tally,
        incumbent=_version(Version, files[0], incumbent),
        challenger=_version(Version, files[1], challenger),
        function=options["function"],
        thresholds=options["thresholds"],
        notes=notes,
        inputs=made.inputs(),
        known_bad=made.bad_share,
        at=time.time(),
    )


def _nothing(made: Comparison, files: tuple[Path, Path]) -> str:
    """Say why there was nothing to compare."""
    if any(made.only):
        first, second = made.only
        why = (
            f"{first:,} requests are in {files[0].name!r} only and {second:,} in "
            f"{files[1].name!r} only: do their ids mean the same? (--id)"
        )
    else:
        why = "the files are empty"
    return f"no request could be compared: {'; '.join([*made.bad[:3], why])}"


def _notes(made: Comparison) -> list[str]:
    found = [*made.notes(), *(f"left out: {line}" for line in made.bad)]
    tally = made.tally
    if not tally.total().sizes.of("net"):
        found.append(
            "run the incumbent again on these requests, or on some of them, and give "
            "the recording as --repeat-a"
        )
    fields = any(path.startswith("/") for path in tally.paths)
    if fields and not tally.ladder.rules.paths:
        found.append(
            "no schema and no field was declared: what is a decision was told by the "
            "values; give --schema or --field"
        )
    return found


def _version(make: Any, path: Path, pin: Pin | None) -> Any:
    if pin is None:
        return make(name=path.name)
    return make(name=pin.model, pin=pin.id, digest=pin.identity)

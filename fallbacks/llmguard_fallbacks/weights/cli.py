"""`llmguard models`: weights as pinned artifacts.

Exit codes: 0 done; 1 refused, or `verify` found something; 2 wrong usage; 4 the lock
is stale.
"""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from llmguard._nested import read_json
from llmguard.cli._options import json_option
from llmguard.cli._pin_io import PinGroup, emit, from_lock_directory, lock_option, pairs
from llmguard.cli._text import examples, table
from llmguard.errors import ConfigError
from llmguard.pins import Pin, edit_lock, prepare, read_lock

from ..local._weights import find_weights
from ._pull import pull as pull_file
from ._record import Shelf, WeightsRecord, describe_file
from ._verify import Holding, holdings, verify_all

__all__ = ["models"]

_route = click.option("--route", default="", help="Write the pin for this route.")
_option = click.option(
    "--option",
    "options",
    multiple=True,
    help="NAME=VALUE for the pin, such as slots=2.",
)
_name = click.option("--name", default="", help="What to call it; the file's name.")


@click.group(cls=PinGroup, epilog=examples("llmguard models list"))
def models() -> None:
    """Weights as pinned artifacts: list, add, pull, verify, bench."""


@models.command("list", epilog=examples("llmguard models list --json"))
@lock_option
@json_option
def list_(*, lock: Path, as_json: bool) -> None:
    """List the weights that are pinned, added or embedded."""
    found = holdings(lock, _shelf(lock))
    rows = [("KIND", "NAME", "SHA256", "FILE"), *(_row(h) for h in found)]
    text = table(rows, indent=0) if found else "none; `llmguard models add PATH`"
    emit([asdict(h) for h in found], text, as_json=as_json)


@models.command(
    epilog=examples("llmguard models add weights/triage.gguf --name triage-local")
)
@click.argument("path", type=click.Path(path_type=Path))
@_name
@_route
@_option
@lock_option
@json_option
def add(
    *,
    path: Path,
    name: str,
    route: str,
    options: tuple[str, ...],
    lock: Path,
    as_json: bool,
) -> None:
    """Record a GGUF file; with --route also write its pin."""
    record = describe_file(path, name=name)
    _keep(record, route, options, lock, as_json=as_json)


@models.command(
    epilog=examples(
        "llmguard models pull Qwen/Qwen2.5-0.5B-Instruct-GGUF \\\n"
        "      qwen2.5-0.5b-instruct-q4_k_m.gguf"
    )
)
@click.argument("repo")
@click.argument("file")
@click.option("--revision", default="main", show_default=True, help="Or a commit.")
@click.option("--sha256", default="", help="Digest it must have; the hub's by default.")
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory; `.llmguard/models` beside the lock by default.",
)
@click.option("--endpoint", help="Base URL of the hub; HF_ENDPOINT by default.")
@_name
@_route
@_option
@lock_option
@json_option
def pull(
    *,
    repo: str,
    file: str,
    revision: str,
    sha256: str,
    to: Path | None,
    endpoint: str | None,
    name: str,
    route: str,
    options: tuple[str, ...],
    lock: Path,
    as_json: bool,
) -> None:
    """Download a GGUF file from a hub, verify and record it."""
    directory = to or lock.absolute().parent / ".llmguard" / "models"
    directory.mkdir(parents=True, exist_ok=True)
    found = pull_file(
        repo, file, to=directory, revision=revision, sha256=sha256, endpoint=endpoint
    )
    state = "downloaded and verified" if found.downloaded else "already here, verified"
    click.echo(f"{found.source}: {state}", err=True)
    record = describe_file(found.path, name=name, source=found.source)
    _keep(record, route, options, lock, as_json=as_json)


@models.command(epilog=examples("llmguard models verify"))
@lock_option
@json_option
def verify(*, lock: Path, as_json: bool) -> None:
    """Hash all weights anew; exit code 1 when one is not what was pinned."""
    found = list(verify_all(holdings(lock, _shelf(lock))))
    wrong = [v for v in found if v.state != "ok"]
    lines = [f"{v.state}: {v.kind} {v.name}\n  -> {v.repair}" for v in wrong]
    lines.append(f"{len(found)} checked, {len(wrong)} to repair")
    emit([asdict(v) for v in found], "\n".join(lines), as_json=as_json)
    raise SystemExit(1 if wrong else 0)


@models.command(
    epilog=examples("llmguard models bench embedded:triage-1.1 --repeat 20")
)
@click.argument("model")
@click.option(
    "--schema",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON Schema of the answers; a ticket's triage by default.",
)
@click.option("--prompt", help="One user message; a ticket by default.")
@click.option(
    "--tokens",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Length of an answer at most.",
)
@click.option(
    "--repeat",
    default=5,
    show_default=True,
    type=click.IntRange(1),
    help="How often; medians are shown.",
)
@click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Threads of one answer.",
)
@click.option("--n-ctx", default=0, type=click.IntRange(0), help="0: the model's.")
@click.option("--n-gpu-layers", default=0, help="-1 for all.")
@json_option
def bench(
    *, model: str, schema: Path | None, prompt: str | None, as_json: bool, **how: Any
) -> None:
    """Measure MODEL, a GGUF file or `embedded:NAME`: speed, latency, memory."""
    from ._bench import bench as measure

    if schema is not None:
        how["schema"] = _schema(schema)
    if prompt is not None:
        how["prompt"] = prompt
    found = measure(find_weights(model, None).path, **how)
    emit(found, _bench_text(found), as_json=as_json)


@models.command(epilog=examples("llmguard models canary triage-local"))
@click.argument("route")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds a probe.")
@lock_option
@json_option
def canary(*, route: str, timeout: float, lock: Path, as_json: bool) -> None:
    """Ask the endpoint of ROUTE whether it holds JSON Schemas; exit code 1 if not."""
    from ..serve import check_canary

    found = check_canary(read_lock(lock).resolve(route), timeout=timeout)
    text = f"{route}: {found.state}: {found.detail}"
    emit({"route": route, **asdict(found)}, text, as_json=as_json)
    raise SystemExit(0 if found.enforced else 1)


def _shelf(lock: Path) -> Shelf:
    return Shelf(lock.absolute().parent / ".llmguard" / "weights")


def _row(holding: Holding) -> tuple[str, ...]:
    digest = holding.sha256[:12] or "-"
    where = f"{holding.path} ({holding.problem})" if holding.problem else holding.path
    return (holding.kind, holding.name, digest, where)


def _keep(
    record: WeightsRecord,
    route: str,
    options: tuple[str, ...],
    lock: Path,
    *,
    as_json: bool,
) -> None:
    _shelf(lock).put(record)
    pin = _pin(record, route or "ROUTE", options, lock)
    document: dict[str, Any] = asdict(record)
    if route:
        new = prepare(pin)
        edit_lock(lock, lambda old: old.with_pin(new))
        document["pin"] = {"route": route, "id": new.id}
        following = f"pinned as {new.id}: review and commit {lock.name}"
    else:
        document["pin_command"] = following = _command(pin, options, lock)
    emit(document, f"{_facts(record)}\nNext: {following}", as_json=as_json)


def _pin(
    record: WeightsRecord, route: str, options: tuple[str, ...], lock: Path
) -> Pin:
    return Pin(
        route=route,
        provider="llama.cpp",
        model=_near(Path(record.path), lock),
        options={**pairs("--option", options), "gguf_sha256": record.sha256},
        base=str(lock.absolute().parent),
    )


def _near(path: Path, lock: Path) -> str:
    """Name a file from the lock's directory when it is below it."""
    directory = lock.absolute().parent
    if path.is_relative_to(directory):
        return path.relative_to(directory).as_posix()
    return from_lock_directory("llama.cpp", str(path), lock)


def _command(pin: Pin, options: tuple[str, ...], lock: Path) -> str:
    digest = f"gguf_sha256={pin.options['gguf_sha256']}"
    parts = ["llmguard", "pin", "add", "ROUTE", "--provider", pin.provider]
    parts += ["--model", pin.model, "--lock", str(lock)]
    for option in (*options, digest):
        parts += ["--option", option]
    return shlex.join(parts)


def _facts(record: WeightsRecord) -> str:
    rows = [
        (name, value if value not in ("", 0) else "-")
        for name, value in asdict(record).items()
    ]
    return table(rows, indent=0)


def _schema(path: Path) -> Any:
    try:
        return read_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{str(path)!r} is no JSON: {error}") from error


def _bench_text(found: dict[str, Any]) -> str:
    free, held = found["unconstrained"], found["constrained"]
    rows: list[tuple[object, ...]] = [("", "UNCONSTRAINED", "CONSTRAINED")]
    rows += [
        (name, f"{free[key]:.{digits}f}", f"{held[key]:.{digits}f}")
        for name, key, digits in (
            ("tokens/s", "tokens_per_second", 1),
            ("first token, s", "first_token_seconds", 4),
            ("whole answer, s", "total_seconds", 4),
            ("tokens", "tokens", 0),
            ("of these forced", "forced_tokens", 0),
            ("evaluations", "evaluations", 0),
        )
    ]
    peak = found["memory_bytes"]["peak"]
    more = [
        ("schema compile, s", f"{found['schema_compile_seconds']:.4f}"),
        ("load, s", f"{found['load_seconds']:.3f}"),
        ("first answer, s", f"{found['first_answer_seconds']:.3f}"),
        ("peak memory, MiB", f"{peak / 2**20:.0f}" if peak else "-"),
    ]
    return f"{table(rows, indent=0)}\n{table(more, indent=0)}"

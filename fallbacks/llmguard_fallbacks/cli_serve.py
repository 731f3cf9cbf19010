"""`llmguard serve`: one local model for many processes, over OpenAI's API."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from llmguard.cli._text import examples
from llmguard.errors import ConfigError

__all__ = ["serve"]


@click.command(epilog=examples("llmguard serve triage-local --port 8080"))
@click.argument("targets", nargs=-1, required=True, metavar="MODEL|ROUTE...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port; 0 for any free one.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the bearer token; else LLMGUARD_SERVE_TOKEN.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Pin option for models that are no routes, such as n_ctx=4096, slots=2.",
)
@click.option(
    "--lock",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The lock file; `models.lock` of the project by default.",
)
@click.option(
    "--max-body",
    default=1_000_000,
    show_default=True,
    type=click.IntRange(1),
    help="Most bytes of a request.",
)
@click.option(
    "--max-tokens",
    default=0,
    type=click.IntRange(0),
    help="Most tokens of an answer; 0 for what the context holds.",
)
@click.option(
    "--concurrency",
    default=0,
    type=click.IntRange(0),
    help="Requests per model at a time; 0 for its slots and queue.",
)
@click.option(
    "--timeout",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0.1),
    help="Seconds for an answer.",
)
@click.option(
    "--grace",
    default=10.0,
    show_default=True,
    type=click.FloatRange(1),
    help="Seconds for answers under way when it is stopped.",
)
@click.option("--warm/--no-warm", default=True, help="Load the models at start.")
@click.option("--json", "as_json", is_flag=True, help="Announce as one JSON line.")
def serve(
    *,
    targets: tuple[str, ...],
    host: str,
    port: int,
    token_file: Path | None,
    options: tuple[str, ...],
    lock: Path | None,
    grace: float,
    warm: bool,
    as_json: bool,
    **limits: Any,
) -> None:
    """Serve local models over OpenAI's API (chat completions and responses).

    Each MODEL|ROUTE is a route of the lock, `embedded:NAME`, or a path that ends in
    `.gguf`; `ALIAS=MODEL` serves it under another name.
    """
    from . import serve as server

    settings = server.ServeSettings(token=_token(token_file), **limits)
    models = server.serve_targets(targets, lock=lock, options=_options(options))
    for model in models:
        # A package that is missing is said now, and not in an answer.
        model.provider.pool()
    app = server.create_app(models, settings, warm=warm)
    with server.listen(host, port, settings) as bound:
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{bound.getsockname()[1]}/v1"
        click.echo(_announce(url, [m.name for m in models], as_json=as_json))
        server.run(app, bound, grace=grace)


def _announce(url: str, names: list[str], *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"endpoint": url, "models": names})
    return (
        f"Serving {', '.join(names)} at {url}\n"
        f"Next: `llmguard pin add ROUTE --provider openai --model {names[0]} "
        f"--endpoint {url} --accept-opaque 'we run it'`; stop with Ctrl-C"
    )


def _token(path: Path | None) -> str:
    if path is not None:
        return path.read_text(encoding="utf-8").strip()
    return os.environ.get("LLMGUARD_SERVE_TOKEN", "").strip()


def _options(given: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not name or not equals:
            raise ConfigError(f"`--option` {each!r} is not NAME=VALUE")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found

"""`llmguard console`: run the console, and say who may use it."""

from __future__ import annotations

import json
from typing import Any

import click

from llmguard._login import login
from llmguard.cli._text import examples
from llmguard.store import open_store

from .._cli_group import Group
from .._uvicorn import bind, is_loopback
from ._cli_access import audit, purge, sessions, token, user
from ._settings import LOOPBACK, ConsoleSettings

__all__ = ["console"]


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog=examples(
        "llmguard console",
        "llmguard console --host 0.0.0.0 --allow-host review.example.com",
    ),
)
@click.option(
    "--store", metavar="URL", help="Store path or URL; the configured one by default."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address.")
@click.option(
    "--port",
    default=8090,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port; 0 for any free one.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which browsers call it; repeat.",
)
@click.option("--root-path", default="", help="Path that a proxy strips, `/llmguard`.")
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A reverse proxy, or its network, whose headers are believed; repeat.",
)
@click.option(
    "--user-header",
    default="",
    metavar="NAME",
    help="Header in which that proxy names the user it has authenticated.",
)
@click.option(
    "--proxy-scope",
    "proxy_scopes",
    multiple=True,
    help="What a user of the proxy may do who is not known yet; repeat.",
)
@click.option(
    "--secure/--no-secure",
    default=None,
    help="Cookies need HTTPS; by default as each request came.",
)
@click.option(
    "--blind",
    multiple=True,
    metavar="QUEUE",
    help="Show proposals only after an own answer; `*` for all queues; repeat.",
)
@click.option(
    "--audit-days",
    default=365.0,
    show_default=True,
    type=click.FloatRange(1),
    help="How long the audit is kept.",
)
@click.option("--json", "as_json", is_flag=True, help="Announce as one JSON line.")
@click.pass_context
def console(
    ctx: click.Context,
    /,
    *,
    store: str | None,
    host: str,
    port: int,
    root_path: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Run the console: tickets to answer, and what runs.

    On this machine it prints a link that logs you in once. Beyond it, users need
    tokens: `llmguard console user add`, `llmguard console token add`.

    Exit codes: 0 done; 1 refused, or nothing there; 2 wrong usage.
    """
    ctx.obj = store
    if ctx.invoked_subcommand is not None:
        return
    names = (*LOOPBACK, *given.pop("hosts"))
    if not is_loopback(host) and host not in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        names = (*names, host)
    settings = ConsoleSettings(hosts=names, **given)
    _serve(store, host, port, root_path.rstrip("/"), settings, as_json=as_json)


def _serve(
    url: str | None,
    host: str,
    port: int,
    root_path: str,
    settings: ConsoleSettings,
    *,
    as_json: bool,
) -> None:
    from . import _run, console_app

    store = open_store(url)
    _run.require_users(store, host, settings)
    app = console_app(store, settings=settings)
    app.state.console.tidy()
    with bind(host, port) as bound:
        name = f"[{host}]" if ":" in host else host
        base = f"http://{name}:{bound.getsockname()[1]}"
        link = ""
        if is_loopback(host):
            me = _run.link_user(store, login())
            # Below a proxy's path, only the proxy's own address leads there.
            link = _run.login_link(app, root_path or base, me.name)
        click.echo(_announce(base, link, store.url, root_path, as_json=as_json))
        _run.run(app, bound, root_path=root_path)


def _announce(
    base: str, link: str, store: str, root_path: str, *, as_json: bool
) -> str:
    if as_json:
        return json.dumps({"url": base, "login": link, "store": store})
    under = f", for a proxy that serves it under {root_path}" if root_path else ""
    lines = [f"The console of {store} is at {base}{under}"]
    if link and root_path:
        lines.append(f"Log in once, within an hour, at that proxy, with {link}")
    elif link:
        lines.append(f"Log in once, within an hour, with {link}")
    else:
        lines.append("Log in with a token: `llmguard console token add NAME`")
    lines.append("Stop with Ctrl-C")
    return "\n".join(lines)


for _command in (user, token, audit, sessions, purge):
    console.add_command(_command)

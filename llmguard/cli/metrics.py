"""`llmguard metrics`: what all processes of a store have counted, for Prometheus."""

from __future__ import annotations

import time

import click

from ..store import Store, open_store, store_exists, store_path
from ._options import env_of, env_option, json_option, store_option
from ._text import emit_json, examples

__all__ = ["metrics"]


@click.command(
    epilog=examples("llmguard metrics", "llmguard metrics --listen 127.0.0.1:9464")
)
@click.option(
    "--listen",
    metavar="[ADDRESS:]PORT",
    help="Answer scrapes of /metrics there instead of printing; port 0 for any.",
)
@click.option(
    "--dashboard", is_flag=True, help="Print the Grafana dashboard (JSON) instead."
)
@click.option("--openmetrics", is_flag=True, help="OpenMetrics 1.0 instead of 0.0.4.")
@store_option
@env_option
@json_option
def metrics(
    *,
    listen: str | None,
    dashboard: bool,
    openmetrics: bool,
    url: str | None,
    env: str | None,
    as_json: bool,
) -> None:
    """Print, or serve, the metrics of all processes that share the store.

    Programs can also be scraped one by one: `llmguard.telemetry.prometheus`.
    """
    from ..telemetry.exposition import expose

    if dashboard:
        from ..telemetry.dashboard import dashboard as grafana

        emit_json(grafana())
        return
    if not store_exists(url):
        raise click.ClickException(
            f"no store at {store_path(url)} yet: no guarded call has been recorded; "
            "`--store` names another"
        )
    store = open_store(url)
    env = env_of(env)
    if listen is not None:
        _serve(store, env, listen)
        return
    from ..monitor.metrics import store_families

    found = store_families(store, env, now=time.time())
    if as_json:
        emit_json(
            {
                family.name: [
                    {"labels": dict(s.labels), "value": s.value, "suffix": s.suffix}
                    for s in family.samples
                ]
                for family in found
                if family.samples
            }
        )
    else:
        click.echo(expose(found, openmetrics=openmetrics), nl=False)


def _serve(store: Store, env: str, listen: str) -> None:
    from ..monitor.metrics import store_families
    from ..telemetry.exposition import expose
    from ..telemetry.prometheus import make_server

    address, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) >= 2**16:
        raise click.BadParameter(
            f"{listen!r} is no port and no ADDRESS:PORT, such as 127.0.0.1:9464",
            param_hint="--listen",
        )

    def read(openmetrics: bool) -> str:
        found = store_families(store, env, now=time.time())
        return expose(found, openmetrics=openmetrics)

    server = make_server(int(port), address=address or "127.0.0.1", read=read)
    click.echo(
        f"metrics of {store.url} at http://{server.server_name}:"
        f"{server.server_port}/metrics",
        err=True,
    )
    server.serve_forever()

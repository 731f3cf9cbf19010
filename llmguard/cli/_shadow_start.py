"""`llmguard shadow start`: have every process run a challenger beside a route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ._shadow_live import actor, env_option, json_option, opened, reported, store_option
from ._text import Share, emit_json, examples

if TYPE_CHECKING:
    from ..shadow.live import ShadowOptions

__all__ = ["start_command"]

_SOME = click.FloatRange(0, min_open=True)
_ONE = click.IntRange(min=1)
_KEPT = ("as_json", "url", "env", "reason", "route", "pin")


@click.command(
    "start",
    epilog=examples("llmguard shadow start triage p-c2bb020ba1 --share 5% --hours 24"),
)
@click.argument("route")
@click.argument("pin")
@click.option(
    "--share", default="5%", show_default=True, type=Share(), help="Of the live calls."
)
@click.option(
    "--double", default="25%", show_default=True, type=Share(), help="Of the sampled."
)
@click.option("--by", multiple=True, help="Label that makes strata; may be repeated.")
@click.option("--stratum", "shares", multiple=True, help="LABEL=VALUE:SHARE for one.")
@click.option("--minimum", default=0, help="Sample strata densely up to this many.")
@click.option("--cluster", default="", help="Label with the user or session.")
@click.option(
    "--hours", type=_SOME, default=48.0, show_default=True, help="Then it stops."
)
@click.option(
    "--max-calls",
    type=_ONE,
    default=10_000,
    show_default=True,
    help="Model calls of all processes together.",
)
@click.option("--max-cost", type=_SOME, help="US dollars, by --prices.")
@click.option("--prices", default="", help="TOML file of prices, on every host.")
@click.option("--deadline", type=_SOME, help="Seconds for one draw.")
@click.option("--concurrency", type=_ONE, default=2, help="Draws at once per process.")
@click.option("--capacity", type=_ONE, default=64, help="Requests that may wait.")
@click.option("--drain", is_flag=True, help="Draw what waits when a process ends.")
@click.option("--content", is_flag=True, help="Keep texts, redacted.")
@click.option("--redact", default="pii", show_default=True, help="pii, none, MOD:FUNC.")
@click.option(
    "--keep-days",
    type=_SOME,
    default=14.0,
    show_default=True,
    help="How long pairs are kept.",
)
@click.option("--reason", default="", help="Why; kept in the ledger.")
@env_option
@json_option
@store_option
def start_command(**options: Any) -> None:
    """Run PIN beside the active pin of ROUTE, on a share of its live calls.

    The ledger moves PIN to stage shadow; every process that serves ROUTE follows within
    a second or two. Callers notice nothing. It ends by itself after --hours, or when
    its budget is used up. `llmguard shadow plan` says how long is long enough.
    """
    from ..shadow.live._manage import start_shadow

    store = opened(options["url"], create=True)
    made = reported(lambda: _options(options))
    run = reported(
        lambda: start_shadow(
            store,
            options["route"],
            options["pin"],
            made,
            actor=actor(),
            reason=options["reason"],
            env=options["env"] or "",
        )
    )
    if options["as_json"]:
        emit_json({"id": run.id, "env": run.env, "route": run.subject, "pin": run.pin})
        return
    hours = "until it is stopped" if made.hours is None else f"for {made.hours:g} hours"
    click.echo(
        f"{run.id}: pin {run.pin} runs in shadow on {run.subject} ({run.env}), on "
        f"{made.share:.3g} of its calls, {hours} or {made.max_calls:,} calls\n"
        f"see `llmguard shadow status {run.subject}`, then `llmguard shadow report "
        f"{run.subject}`"
    )


def _options(given: dict[str, Any]) -> ShadowOptions:
    from ..shadow.live import ShadowOptions

    values = {name: given[name] for name in given if name not in _KEPT}
    drain = values.pop("drain")
    values["shares"] = dict(map(_share_of, values["shares"]))
    return ShadowOptions(**values, on_exit="drain" if drain else "drop")


def _share_of(text: str) -> tuple[str, float]:
    stratum, _, share = text.rpartition(":")
    try:
        return stratum, Share().convert(share, None, None)
    except click.BadParameter:
        raise click.BadParameter(
            f"{text!r} is not LABEL=VALUE:SHARE, such as intent=refund:50%",
            param_hint="--stratum",
        ) from None

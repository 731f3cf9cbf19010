"""`llmguard completion`: prints the script that a shell sources."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ._text import examples

__all__ = ["completion"]


@click.command(epilog=examples("llmguard completion bash"))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script; `source <(llmguard completion bash)`."""
    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"no completion for {shell!r}: use bash, zsh, fish")
    root = ctx.find_root().command
    click.echo(found(root, {}, "llmguard", "_LLMGUARD_COMPLETE").source())

"""How the commands of this distribution end when something of ours is refused."""

from __future__ import annotations

from typing import Any

import click

from llmguard.errors import ConfigError, LLMGuardError

__all__ = ["Group"]


class Group(click.Group):
    """Turns our errors into one line and an exit code: 1 refused, 2 usage."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise click.UsageError(str(error), ctx) from error
        except LLMGuardError as error:
            raise click.ClickException(str(error)) from error

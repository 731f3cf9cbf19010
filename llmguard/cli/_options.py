"""Options that many commands take, and what they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .. import config
from ..errors import ConfigError, LLMGuardError

if TYPE_CHECKING:
    from ..store import Store

__all__ = ["env_of", "env_option", "json_option", "opened", "store_option"]

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout."
)
store_option = click.option(
    "--store", "url", help="Store path or URL; the configured one by default."
)
env_option = click.option(
    "--env", help="Environment; `LLMGUARD_ENV` or the setting `env` by default."
)


def env_of(env: str | None) -> str:
    """Return the environment that an option names, or the configured one."""
    return env or config.load().env


def opened(url: str | None, *, create: bool = False) -> Store:
    """Return the store.

    Raises:
        click.ClickException: It cannot be opened.
    """
    from ..store import open_store

    try:
        return open_store(url, create=create)
    except ConfigError as error:
        raise click.BadParameter(str(error), param_hint="--store") from error
    except LLMGuardError as error:
        raise click.ClickException(str(error)) from error

"""The post-mortem that is there when people come: written at the rollback itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..errors import LLMGuardError
from ..store import Store

__all__ = ["write_review"]

_LOG: Final = logging.getLogger("llmguard.monitor")


def write_review(
    store: Store, env: str, route: str, *, folder: Path | None
) -> Mapping[str, object] | None:
    """Write the post-mortem of a route's last upgrade; never raises.

    Args:
        store: The store of the environment.
        env: Environment.
        route: Name of the route.
        folder: Where the Markdown goes, as `ROUTE-upgrade-N.md`; None for no file.

    Returns:
        What it says in short: `upgrade`, `headline`, `names`, `command` and `file`;
        None when it could not be gathered.
    """
    from .postmortem import gather, to_markdown
    from .postmortem._markdown import headline

    try:
        found = gather(store, env, route, -1, now=time.time())
    except LLMGuardError as error:
        _LOG.warning("no post-mortem of %s: %s", route, error)
        return None
    except Exception:  # noqa: BLE001 - people must hear of the rollback all the same
        _LOG.warning("no post-mortem of %s", route, exc_info=True)
        return None
    number = found.upgrade.number
    file = ""
    if folder is not None:
        path = folder / f"{route}-upgrade-{number}.md"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(to_markdown(found), encoding="utf-8")
            file = str(path)
        except OSError as error:
            _LOG.warning("the post-mortem %s was not written: %s", path, error)
    return {
        "upgrade": number,
        "headline": headline(found),
        "names": list(found.slices),
        "command": f"llmguard postmortem {route} --upgrade {number} --env {env}",
        "file": file,
    }

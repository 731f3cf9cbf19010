"""The last table in a local file, for processes that start while the store is down."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from .._nested import read_json
from .routing import RoutingTable

if TYPE_CHECKING:
    from ..store import RouteState

__all__ = ["CacheKey", "cache_path", "read_table", "write_table"]

_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKey:
    """What a cached table has to agree with.

    Attributes:
        env: The environment.
        store: URL of the store; only its digest is written.
        lock: Digest of `models.lock`.
    """

    env: str
    store: str
    lock: str

    @property
    def store_digest(self) -> str:
        """16 hex digits that stand for the store."""
        return hashlib.sha256(self.store.encode()).hexdigest()[:16]


def cache_path(root: Path, env: str) -> Path:
    """Return where the table of an environment is kept, below the project."""
    return root / ".llmguard" / f"routing-{env}.json"


def write_table(path: Path, table: RoutingTable, key: CacheKey) -> None:
    """Replace the file; readers see the old one or the new one.

    Raises:
        OSError: The folder cannot be written.
    """
    from ..store._experiments import as_row
    from ..store._ledger_rows import dump_state

    content: dict[str, object] = {
        "version": _VERSION,
        "env": key.env,
        "store": key.store_digest,
        "lock": key.lock,
        "rev": table.rev,
        "experiments_rev": table.experiments_rev,
        "read_at": table.read_at,
        "routes": {name: dump_state(one) for name, one in table.routes.items()},
        "experiments": [as_row(one) for one in table.experiments.values()],
    }
    text = json.dumps({**content, "sha256": _digest(content)}, ensure_ascii=False)
    _replace(path, text)


def read_table(path: Path, key: CacheKey) -> tuple[RoutingTable | None, str]:
    """Return the cached table, and in one sentence why it is not all there.

    A cache of another environment or store is refused. One that was written under
    another lock says nothing about who should serve; what it says about quarantine
    still holds, and is all that is returned of it.

    Returns:
        None when there is nothing to go by; an empty sentence when all is well.
    """
    try:
        content = read_json(path.read_text(encoding="utf-8"))
        digest = content.pop("sha256")
        if digest != _digest(content) or content["version"] != _VERSION:
            return None, f"the cache {str(path)!r} is damaged: it is not used"
        found = (content["env"], content["store"])
        if found != (key.env, key.store_digest):
            return None, (
                f"the cache {str(path)!r} is of environment {found[0]!r} or of another "
                "store: it is not used"
            )
        table = _table(content)
    except FileNotFoundError:
        return None, f"there is no cache at {str(path)!r} yet"
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return None, f"the cache {str(path)!r} cannot be read ({error!r})"
    if content["lock"] == key.lock:
        return table, ""
    return _quarantines(table), (
        f"the cache {str(path)!r} was written under another models.lock: it is not "
        "used, except for what it says is quarantined"
    )


def _table(content: dict[str, Any]) -> RoutingTable:
    from ..store._experiments import as_experiment
    from ..store._ledger_rows import load_state

    env: str = content["env"]
    routes: dict[str, str] = content["routes"]
    experiments = [as_experiment(one) for one in content["experiments"]]
    return RoutingTable(
        env=env,
        rev=content["rev"],
        experiments_rev=content["experiments_rev"],
        read_at=content["read_at"],
        routes=MappingProxyType(
            {name: load_state(env, name, text) for name, text in routes.items()}
        ),
        experiments=MappingProxyType({one.route: one for one in experiments}),
    )


def _quarantines(table: RoutingTable) -> RoutingTable:
    routes = {name: _only_bad(state) for name, state in table.routes.items()}
    return replace(
        table,
        routes=MappingProxyType({n: s for n, s in routes.items() if s.stages}),
        experiments=MappingProxyType({}),
    )


def _only_bad(state: RouteState) -> RouteState:
    bad = {pin: stage for pin, stage in state.stages.items() if stage == "quarantined"}
    return replace(state, active=None, canary=None, stages=bad, previous_active=())


def _digest(content: dict[str, object]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _replace(path: Path, text: str) -> None:
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise

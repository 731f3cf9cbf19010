"""Entries and states as columns, and the hash that chains them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..errors import StoreError
from ._damaged import readable
from .ledger import Action, Entry, RouteState, Stage

__all__ = [
    "COLUMNS",
    "as_columns",
    "as_entry",
    "digest",
    "dump",
    "dump_state",
    "load_state",
]

COLUMNS = (
    "rev",
    "at",
    "env",
    "route",
    "pin",
    "action",
    "from_stage",
    "to_stage",
    "weight",
    "prev_pin",
    "base_rev",
    "lock_digest",
    "evidence",
    "approvals",
    "actor",
    "reason",
    "prev_hash",
    "hash",
)


def dump(value: object) -> str:
    """Return canonical JSON: sorted keys, no spaces, no escapes, no NaN."""
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
        default=repr,  # bytes that somebody wrote into a text column
    )


def digest(columns: Mapping[str, object]) -> str:
    """Return the SHA-256 of all columns but `hash`, which include `prev_hash`."""
    content = {name: columns[name] for name in COLUMNS if name != "hash"}
    return hashlib.sha256(dump(content).encode("utf-8", "surrogatepass")).hexdigest()


def as_columns(entry: Entry) -> dict[str, object]:
    """Return what is stored of an entry, by column."""
    return {
        **{name: getattr(entry, name) for name in COLUMNS},
        "action": entry.action.value,
        "from_stage": entry.from_stage.value if entry.from_stage else "",
        "to_stage": entry.to_stage.value,
        "evidence": dump(entry.evidence),
        "approvals": dump(entry.approvals),
    }


def as_entry(columns: Mapping[str, Any]) -> Entry:
    """Return the entry that is stored.

    Raises:
        StoreError: The row is none that llmguard writes.
    """
    try:
        fields: dict[str, Any] = {
            **columns,
            "action": Action(columns["action"]),
            "from_stage": Stage(columns["from_stage"])
            if columns["from_stage"]
            else None,
            "to_stage": Stage(columns["to_stage"]),
            "evidence": tuple(json.loads(columns["evidence"])),
            "approvals": tuple(json.loads(columns["approvals"])),
        }
        return Entry(**fields)
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"row {columns['rev']!r} of the ledger cannot be read ({error}): somebody "
            "changed it; `store.ledger.verify()` names the first bad row, a backup has "
            "the good one"
        ) from error


def dump_state(state: RouteState) -> str:
    """Return a route's state, without its name, as canonical JSON."""
    return dump(
        {
            "rev": state.rev,
            "count": state.count,
            "active": state.active,
            "canary": state.canary,
            "stages": list(state.stages.items()),
            "previous_active": state.previous_active,
        }
    )


def load_state(env: str, route: str, text: str) -> RouteState:
    """Return the state that `dump_state` wrote."""
    with readable(f"the state of route {route!r}"):
        found = json.loads(text)
        canary = found["canary"]
        return RouteState(
            env=env,
            route=route,
            rev=found["rev"],
            count=found["count"],
            active=found["active"],
            canary=(canary[0], canary[1]) if canary else None,
            stages={pin: Stage(stage) for pin, stage in found["stages"]},
            previous_active=tuple(found["previous_active"]),
        )

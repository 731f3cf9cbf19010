"""Recent calls and their attempts, as the log of calls has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

from llmguard.store import CallFilter, Store
from llmguard.suite.render._words import tame
from llmguard.telemetry.activity import QUEUED

from .._asked import alive_processes

if TYPE_CHECKING:
    from llmguard.store import CallGroup, CallRow

__all__ = ["AttemptView", "CallList", "CallView", "Choices", "call_list", "call_view"]

PAGE: Final = 50
_FRESH: Final = 10.0
_ENVS: Final = 20
_CACHE: Final[
    WeakKeyDictionary[
        Store, dict[str, tuple[float, Sequence[CallGroup], tuple[int, float, float]]]
    ]
] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What can be searched for, from what is kept."""

    functions: tuple[str, ...]
    routes: tuple[str, ...]
    pins: tuple[str, ...]
    tiers: tuple[str, ...]
    outcomes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallList:
    """A page of calls.

    Attributes:
        rows: The newest first.
        next: `at` and id to go on from; None at the end.
        choices: What can be searched for.
        kept: How many calls the log keeps, whatever was asked for. This, `choices` and
            `words` may be ten seconds old.
        oldest: Epoch seconds of the oldest.
        words: How many are kept, by how they ended.
        dropped: Calls that live processes lost because their queue was full.
        passed: Good ones that they left out of the sample.
    """

    rows: tuple[CallRow, ...]
    next: tuple[float, str] | None
    choices: Choices
    kept: int
    oldest: float
    words: Mapping[str, int]
    dropped: int
    passed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One try of one tier; the fields are those of `llmguard.Attempt`.

    Attributes:
        answer: What it said, where that was kept.
        left: Where its bar begins, as a share of the call.
        width: How long it took, as a share of the call.
    """

    tier: str
    number: int
    kind: str
    started: float
    elapsed: float
    pin: str
    model: str
    served_model: str
    detail: str
    violations: tuple[tuple[str, str, str], ...]
    reask: bool
    confidence: float | None
    input_tokens: int | None
    output_tokens: int | None
    rule: str
    ticket: str
    prompt: str
    answer: str
    left: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """One call.

    Attributes:
        row: As lists show it.
        attempts: Every try, in order.
        inputs: What was asked, as JSON; empty where it was not kept.
        cut: True when a text was cut before it was kept.
        facts: What else is known, by name.
    """

    row: CallRow
    attempts: tuple[AttemptView, ...]
    inputs: str
    cut: bool
    facts: Mapping[str, str]


def call_list(
    store: Store,
    env: str,
    wanted: CallFilter,
    *,
    now: float,
    before: tuple[float, str] | None = None,
) -> CallList:
    """Read a page of calls.

    Args:
        store: The store.
        env: Environment.
        wanted: Which calls.
        now: Epoch seconds.
        before: Go on from here.
    """
    rows = store.calls.list(env, wanted, before=before, limit=PAGE + 1)
    groups, (kept, oldest, _) = _kept(store, env, now)
    words: dict[str, int] = {}
    for one in groups:
        words[one.outcome] = words.get(one.outcome, 0) + one.n
    counts: list[dict[str, int]] = [
        row["info"].get("calls") or {} for row in alive_processes(store, now)
    ]
    shown = rows[:PAGE]
    return CallList(
        rows=tuple(shown),
        next=(shown[-1].at, shown[-1].id) if len(rows) > PAGE else None,
        choices=Choices(
            functions=_known(one.function for one in groups),
            routes=_known(one.route for one in groups),
            pins=_known(one.pin for one in groups),
            tiers=_known(one.tier for one in groups),
            outcomes=_known(words),
        ),
        kept=kept,
        oldest=oldest,
        words=dict(sorted(words.items(), key=lambda each: -each[1])),
        dropped=sum(int(one.get("dropped", 0)) for one in counts),
        passed=sum(int(one.get("passed", 0)) for one in counts),
    )


def call_view(store: Store, call: str) -> CallView | None:
    """Read one call; None when it is not kept (any more)."""
    row = store.calls.get(call)
    if row is None:
        return None
    body = cast("dict[str, Any]", json.loads(row.body or "{}"))
    said = {
        (one.get("tier_index"), one.get("number")): _text(one.get("answer"))
        for one in body.get("said", ())
    }
    attempts = cast("Sequence[Mapping[str, Any]]", body.get("attempts", ()))
    ends = [one.get("started", 0.0) + one.get("elapsed", 0.0) for one in attempts]
    whole = max(1e-9, row.elapsed, *ends)
    return CallView(
        row=row,
        attempts=tuple(_attempt(one, said, whole) for one in attempts),
        inputs=_text(body["inputs"]) if "inputs" in body else "",
        cut=bool(body.get("cut")),
        facts=_facts(body),
    )


def _kept(
    store: Store, env: str, now: float
) -> tuple[Sequence[CallGroup], tuple[int, float, float]]:
    """Return what the log holds, a few seconds old: it takes a walk along an index."""
    cache = _CACHE.setdefault(store, {})
    found = cache.get(env)
    if found is None or not 0 <= now - found[0] < _FRESH:
        if len(cache) > _ENVS:
            cache.clear()
        found = cache[env] = (now, store.calls.groups(env), store.calls.span(env))
    return found[1], found[2]


def _known(names: Any) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name}))


def _attempt(
    one: Mapping[str, Any], said: Mapping[tuple[Any, Any], str], whole: float
) -> AttemptView:
    started, elapsed = float(one.get("started", 0.0)), float(one.get("elapsed", 0.0))
    key = (one.get("tier_index", 0), one.get("number"))
    return AttemptView(
        tier=str(one.get("tier", "")),
        number=int(one.get("number", 1)),
        kind=_word(one),
        started=started,
        elapsed=elapsed,
        pin=str(one.get("pin", "")),
        model=str(one.get("model", "")),
        served_model=str(one.get("served_model", "")),
        detail=tame(str(one.get("detail", ""))),
        violations=tuple(
            (
                str(each.get("path", "")),
                str(each.get("check", "")),
                tame(str(each.get("message", ""))),
            )
            for each in one.get("violations", ())
        ),
        reask=bool(one.get("reask")),
        confidence=one.get("confidence"),
        input_tokens=one.get("input_tokens"),
        output_tokens=one.get("output_tokens"),
        rule=str(one.get("rule", "")),
        ticket=str(one.get("ticket", "")),
        prompt=str(one.get("prompt", "")),
        answer=said.get(key, ""),
        left=started / whole,
        width=elapsed / whole,
    )


def _word(one: Mapping[str, Any]) -> str:
    """Return how an attempt ended, as `llmguard status` says it."""
    kind = str(one.get("kind", ""))
    return QUEUED if kind == "skipped" and one.get("ticket") else kind


def _facts(body: Mapping[str, Any]) -> dict[str, str]:
    names = {
        "process": "Process",
        "revision": "Revision",
        "experiment": "Compared in",
        "arm": "Arm",
        "contract": "Contract",
    }
    found = {names[key]: str(body[key]) for key in names if body.get(key)}
    if body.get("deadline"):
        found["Deadline"] = f"{float(body['deadline']):.3g} s"
    return found


def _text(value: object) -> str:
    if isinstance(value, str):
        return tame(value)
    return tame(json.dumps(value, indent=2, ensure_ascii=False, default=str))

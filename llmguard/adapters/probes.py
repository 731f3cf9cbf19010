"""Probes: the same few prompts, now and then, to notice a version that was changed.

Where a name does not say which version it is, and the echo repeats the name, the
answers are all there is to compare. The first probe of a pin records a baseline, as
evidence; later ones compare with it. A difference has to show twice, the second time
in fresh answers, before it is told, which makes false alarms rarer than `alpha` says.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ..errors import LLMGuardError
from ..pins import evidence_about
from ..reply import Reply
from ..telemetry.activity import process_name
from ._equality import equality
from .classify import classify
from .model import Model
from .provider import provider_for

if TYPE_CHECKING:
    from ..pins import Pin
    from ..pins._rules import ProbeRules
    from ..store import EvidenceRow, Store

__all__ = ["KIND", "ProbeResult", "probe"]

KIND: Final = "probe"
"""Kind of the evidence that holds a baseline."""
_TIMEOUT: Final = 60.0

Answers = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a probe found.

    Attributes:
        route: Route of the pin.
        pin: Id of the pin.
        status: `baseline` when there was nothing to compare with and it was recorded;
            `same`; `changed`; `failed` when the model did not answer.
        p: Chance of such a difference between samples of one version; None where
            nothing was compared. Of a change, the larger of both looks.
        calls: Model calls that it took.
        baseline: Digest of the evidence that it was compared with, or recorded.
        detail: Why it failed; empty otherwise.
    """

    route: str
    pin: str
    status: Literal["baseline", "same", "changed", "failed"]
    p: float | None = None
    calls: int = 0
    baseline: str = ""
    detail: str = ""


def probe(
    *,
    store: Store,
    pin: Pin,
    rules: ProbeRules,
    env: str,
    renew: bool = False,
    now: float | None = None,
) -> ProbeResult:
    """Ask a pin the prompts of its route and compare, or record a baseline.

    The result is an event too: `probe.baseline`, `probe.same`, `probe.changed` or
    `probe.failed`.

    Args:
        store: Where the baseline and the events are.
        pin: The version to ask.
        rules: Prompts, and how many answers to each.
        env: Environment, for the event.
        renew: Record a new baseline, whatever the old one says.
        now: Epoch seconds; by default the present.

    Raises:
        ConfigError: Nothing here serves the pin's provider.
    """
    at = time.time() if now is None else now
    try:
        found = _probe(store, pin, rules, at, renew=renew)
    except LLMGuardError as error:
        found = _failed(pin, str(error))
    except Exception as error:  # noqa: BLE001 - SDKs raise errors of their own
        failure = classify(error, now=at)
        found = _failed(pin, f"{failure.kind}: {failure.detail}")
    _tell(store, env, found, at)
    return found


def _failed(pin: Pin, detail: str) -> ProbeResult:
    return ProbeResult(route=pin.route, pin=pin.id, status="failed", detail=detail)


def _probe(
    store: Store, pin: Pin, rules: ProbeRules, at: float, *, renew: bool
) -> ProbeResult:
    subject = _subject(rules.prompts)
    known = None if renew else _baseline(store, pin, subject)
    drawn = _draw(pin, rules)
    calls = len(rules.prompts) * rules.draws
    if known is None:
        row = _row(pin, rules.prompts, drawn, at)
        store.put_evidence(row)
        digest = row.digest
        return ProbeResult(
            route=pin.route, pin=pin.id, status="baseline", calls=calls, baseline=digest
        )
    digest, before = known
    p = equality(before, drawn, seed=int(at))
    if p <= rules.alpha:
        again = equality(before, _draw(pin, rules), seed=int(at) + 1)
        p, calls = max(p, again), 2 * calls
    return ProbeResult(
        route=pin.route,
        pin=pin.id,
        status="changed" if p <= rules.alpha else "same",
        p=p,
        calls=calls,
        baseline=digest,
    )


def _draw(pin: Pin, rules: ProbeRules) -> list[list[str]]:
    provider = provider_for(pin)
    answers: list[list[str]] = []
    for prompt in rules.prompts:
        mine: list[str] = []
        for _ in range(rules.draws):
            model = Model(pin, provider, remaining=lambda: _TIMEOUT)
            reply: Reply = model.complete(prompt)
            mine.append(reply.text or "")
        answers.append(mine)
    return answers


def _subject(prompts: Sequence[str]) -> str:
    text = json.dumps(list(prompts), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _baseline(store: Store, pin: Pin, subject: str) -> tuple[str, Answers] | None:
    for row in evidence_about(store, pin, kinds=(KIND,), function=pin.route):
        if row.subject == subject:
            answers: Answers = json.loads(row.body)["answers"]
            return row.digest, answers
    return None


def _row(pin: Pin, prompts: Sequence[str], answers: Answers, at: float) -> EvidenceRow:
    """Return a baseline as evidence."""
    from ..store import EvidenceRow

    document = {
        "kind": KIND,
        "route": pin.route,
        "pin": pin.id,
        "prompts": list(prompts),
        "answers": answers,
        "at": at,
    }
    body = json.dumps(document, sort_keys=True)  # escapes hold half a character, too
    return EvidenceRow(
        digest=f"sha256:{hashlib.sha256(body.encode()).hexdigest()}",
        kind=KIND,
        function=pin.route,
        subject=_subject(prompts),
        pin_digest=pin.identity,
        verdict="BASELINE",
        at=at,
        body=body,
    )


def _tell(store: Store, env: str, found: ProbeResult, at: float) -> None:
    from ..store import Event

    detail: dict[str, object] = {"calls": found.calls, "baseline": found.baseline}
    if found.p is not None:
        detail["p"] = found.p
    if found.detail:
        detail["problem"] = found.detail
    store.events.add(
        Event(
            env=env,
            route=found.route,
            pin=found.pin,
            kind=f"probe.{found.status}",
            process=process_name(),
            detail=detail,
            at=at,
        )
    )

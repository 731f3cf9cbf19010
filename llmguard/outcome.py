"""The one vocabulary for how a call ended, and the record of a whole call.

`Kind` is used everywhere; what a kind *means* for retry, re-ask, fallback and the
breaker is one row of `POLICY`, so no two parts of the system can disagree.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Final

from ._dataclass import dataclass

__all__ = [
    "POLICY",
    "Attempt",
    "Kind",
    "KindPolicy",
    "Outcome",
    "Signal",
    "Usage",
    "Violation",
]


class Kind(enum.StrEnum):
    """How an attempt, a tier or a call ended."""

    OK = "ok"
    TRANSPORT = "transport"
    """No usable HTTP exchange: refused, reset, DNS, TLS, 5xx, body not JSON."""
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    AUTH = "auth"
    BAD_REQUEST = "bad_request"
    """400, 413, 422: the caller's mistake; another tier would not cure it."""
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    FILTERED = "filtered"
    EMPTY = "empty"
    BAD_JSON = "bad_json"
    SCHEMA = "schema"
    SEMANTIC = "semantic"
    WRONG_MODEL = "wrong_model"
    """Another version answered than the pin names, or the pinned one is gone."""
    LOW_CONFIDENCE = "low_confidence"
    CANCELLED = "cancelled"
    OPEN = "open"
    """The breaker admitted nobody."""
    SKIPPED = "skipped"
    """Not tried: its condition said no, no slot was free, or no time was left."""
    ERROR = "error"
    """The tier's own code raised; not the model's doing, so no breaker counts it."""


class Signal(enum.Enum):
    """What a breaker ledger makes of an outcome."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindPolicy:
    """What one kind means for each decision that depends on it.

    Attributes:
        retry: The same tier may be tried again within its attempts and budget.
        reask: The model may be asked again once, with the violations quoted.
        fall_back: The next tier is tried; False ends the call with the error.
        infra: How the infrastructure ledger of the breaker counts it.
        behaviour: How the behaviour detector counts a first attempt.
    """

    retry: bool = False
    reask: bool = False
    fall_back: bool = True
    infra: Signal = Signal.SUCCESS
    behaviour: Signal = Signal.IGNORE


_INFRA = KindPolicy(retry=True, infra=Signal.FAILURE)
_BEHAVIOUR = KindPolicy(behaviour=Signal.FAILURE)
_REASK = KindPolicy(reask=True, behaviour=Signal.FAILURE)
_NOTHING = KindPolicy(infra=Signal.IGNORE)

POLICY: Final[Mapping[Kind, KindPolicy]] = MappingProxyType(
    {
        Kind.OK: KindPolicy(fall_back=False, behaviour=Signal.SUCCESS),
        Kind.TRANSPORT: _INFRA,
        Kind.TIMEOUT: _INFRA,
        # 429 asks for patience; it is not evidence that the version is down.
        Kind.THROTTLED: KindPolicy(retry=True, infra=Signal.IGNORE),
        # A wrong key does not heal by waiting, but calls must stop hitting it.
        Kind.AUTH: KindPolicy(infra=Signal.FAILURE),
        Kind.BAD_REQUEST: KindPolicy(fall_back=False, infra=Signal.IGNORE),
        Kind.REFUSAL: _BEHAVIOUR,
        Kind.TRUNCATED: _BEHAVIOUR,
        Kind.FILTERED: _BEHAVIOUR,
        Kind.EMPTY: _BEHAVIOUR,
        Kind.BAD_JSON: _REASK,
        Kind.SCHEMA: _REASK,
        Kind.SEMANTIC: _REASK,
        # A fact, not a statistic: the breaker trips on the first one.
        Kind.WRONG_MODEL: KindPolicy(infra=Signal.FAILURE),
        Kind.LOW_CONFIDENCE: KindPolicy(behaviour=Signal.SUCCESS),
        Kind.CANCELLED: KindPolicy(fall_back=False, infra=Signal.IGNORE),
        Kind.OPEN: _NOTHING,
        Kind.SKIPPED: _NOTHING,
        Kind.ERROR: _NOTHING,
    }
)
"""What each kind means; the table in `docs/architecture.md`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One breach of a contract.

    Attributes:
        path: Where in the value, as a JSON pointer (`/items/0/price`); empty for
            the whole value.
        message: One sentence that a model, a reviewer and a log can all use.
        check: Name of the check or schema keyword that failed.
    """

    path: str
    message: str
    check: str = ""

    def __str__(self) -> str:
        return f"{self.path or '(whole answer)'}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that a provider says it counted; None where it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of one tier.

    Attributes:
        tier: Name of the tier.
        tier_index: Its place in the chain, 0 for the function itself.
        number: 1 for the first try of this tier, 2 for the next.
        kind: How it ended.
        started: Seconds after the call began.
        elapsed: Seconds it took.
        pin: Id of the pin that was asked; empty for tiers that are not models.
        model: Exact model id that was asked for.
        served_model: Model id that the provider echoed; None when it did not.
        fingerprint: Provider's system fingerprint, when echoed.
        violations: Why the contract refused the output.
        detail: One line for people: the error, the reason it was skipped.
        reask: True when the violations of the previous try were quoted.
        confidence: Confidence of the answer in [0, 1], when the tier gives one.
        usage: Tokens counted by the provider.
        rule: Name of the rule that fired, for rules tiers.
        ticket_id: Ticket that the human tier made.
        prompt_digest: Digest of the prompt that was sent, when it is a `Prompt`.
    """

    tier: str
    tier_index: int
    number: int
    kind: Kind
    started: float
    elapsed: float
    pin: str = ""
    model: str = ""
    served_model: str | None = None
    fingerprint: str | None = None
    violations: tuple[Violation, ...] = ()
    detail: str = ""
    reask: bool = False
    confidence: float | None = None
    usage: Usage | None = None
    rule: str = ""
    ticket_id: str = ""
    prompt_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The whole story of one guarded call.

    Attributes:
        call_id: Unique id of the call.
        function: Qualified name of the guarded function.
        kind: `ok` when some tier's answer was returned; `skipped` with a ticket
            when a person will answer; else the kind of the last tier tried.
        tier: Name of the tier that answered, empty when none did.
        tier_index: Its place in the chain, -1 when none answered.
        attempts: Every try, in order, including tiers that were skipped.
        elapsed: Seconds from call to answer.
        deadline: Seconds the call was given.
        contract_digest: Digest of the contract that judged the answer.
        at: Wall-clock start, seconds since the epoch.
        revision: Revision of the ledger that chose the pins of the whole chain; 0
            where the lock alone did.
        experiment: What the first tier's pin was chosen in: the name of an experiment
            or `canary:PIN`; empty where there was nothing to choose.
        arm: Which side of it the call was on: `canary` or `active`, or the name of an
            arm. A call that was turned away by that version's breaker keeps its arm.
        unit: Hash of the key, user or tenant that the choice went by; empty where it
            went by the call alone.
        request_id: The label `request_id` of the call's context; empty without one.
    """

    call_id: str
    function: str
    kind: Kind
    tier: str
    tier_index: int
    attempts: tuple[Attempt, ...] = field(default=())
    elapsed: float = 0.0
    deadline: float | None = None
    contract_digest: str = ""
    at: float = 0.0
    revision: int = 0
    experiment: str = ""
    arm: str = ""
    unit: str = ""
    request_id: str = ""

    @property
    def degraded(self) -> bool:
        """True when another tier than the first one answered, or none did."""
        return self.tier_index != 0

    @property
    def last(self) -> Attempt | None:
        """The attempt that decided the call; None when nothing was tried."""
        return self.attempts[-1] if self.attempts else None

    @property
    def pin(self) -> str:
        """Id of the pin whose answer was returned; empty when no model answered."""
        return self.last.pin if self.last and self.kind is Kind.OK else ""

    @property
    def served_model(self) -> str | None:
        """Model id that the provider echoed with the returned answer."""
        return self.last.served_model if self.last else None

    @property
    def ticket_id(self) -> str:
        """Ticket that a person will answer; empty when there is none."""
        return self.last.ticket_id if self.last else ""

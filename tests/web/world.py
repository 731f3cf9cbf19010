"""What every framework's application of the tests does, and what its handlers saw."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llmguard import (
    INJECTED,
    Model,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.errors import (
    CallError,
    ContractError,
    FallbackExhaustedError,
    StoreError,
    TierFailedError,
    TierTimeoutError,
)
from llmguard.guard._deadline import CALL_CONTEXT
from llmguard.guard.tiers import TierContext
from llmguard.outcome import Kind, Violation
from llmguard.store import SqliteStore
from llmguard.testing import HttpError, fake_pin
from llmguard_fallbacks import human

SCHEMA = {"type": "object", "required": ["category"]}
SECRET = "a secret of enough characters"


@dataclass(frozen=True)
class Got:
    """A response, whatever the framework."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Names(dict[str, str]):
    """Headers by name, whatever its case."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        super().__init__((name.lower(), value) for name, value in pairs)


@dataclass
class World:
    """The application's handlers, and what they saw."""

    store: SqliteStore
    labels: list[Mapping[str, str]]
    keys: list[str]

    def triage(self) -> Any:
        @fallback_chain(static({"category": "other"}))
        @contract(SCHEMA)
        @pinned(fake_pin({"category": "billing"}))
        def triage(text: str, *, model: Model = INJECTED) -> dict[str, str]:
            return model.complete(text)

        return triage

    def degraded(self) -> Any:
        def seen(call: TierContext) -> bool:
            self.labels.append(call.labels)
            self.keys.append(CALL_CONTEXT.get().key)
            return True

        @fallback_chain(
            static({"category": "other"}, when=seen), static({}, name="last")
        )
        @contract({"type": "object"})
        @pinned(fake_pin(HttpError(500)))
        def degraded(text: str, *, model: Model = INJECTED) -> dict[str, str]:
            return model.complete(text)

        return degraded

    def later(self) -> Any:
        @fallback_chain(human("web", store=self.store))
        @contract(SCHEMA)
        @pinned(fake_pin(HttpError(500)))
        def later(text: str, *, model: Model = INJECTED) -> dict[str, str]:
            return model.complete(text)

        return later


def _malformed() -> Exception:
    """Return what a chain raises whose provider finds the request malformed."""

    @fallback_chain(static({"category": "other"}))
    @contract(SCHEMA)
    @pinned(fake_pin(HttpError(400)))
    def triage(text: str, *, model: Model = INJECTED) -> dict[str, str]:
        return model.complete(text)

    try:
        triage("SECRET TEXT")
    except CallError as error:
        return error
    raise AssertionError


FAILURES: Mapping[str, Callable[[], Exception]] = {
    "contract": lambda: ContractError(
        "SECRET TEXT",
        kind=Kind.SCHEMA,
        violations=(Violation(path="/a", message="SECRET TEXT"),),
    ),
    "bad_request": _malformed,
    "timeout": lambda: TierTimeoutError("SECRET TEXT", kind=Kind.TIMEOUT),
    "exhausted": lambda: FallbackExhaustedError(
        "SECRET TEXT", [TierFailedError("SECRET TEXT", kind=Kind.REFUSAL, tier="one")]
    ),
    "store": lambda: StoreError("SECRET TEXT"),
    "bug": lambda: ZeroDivisionError("SECRET TEXT"),
}

Ask = Callable[..., Got]
Make = Callable[..., Ask]

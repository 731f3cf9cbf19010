"""A call as the rules tier sees it, and the contract it must satisfy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import pytest
from pydantic import BaseModel, Field

from llmguard.contract import Contract
from llmguard.guard.tiers import TierContext

Call: TypeAlias = Callable[..., TierContext]


class Triage(BaseModel):
    category: Literal["billing", "refund", "other"]
    priority: Literal["low", "high"] = "low"
    order_id: str | None = Field(pattern=r"^[A-Z]{2}\d{4}$")


@pytest.fixture
def triage() -> Contract:
    return Contract(Triage)


@pytest.fixture
def call(triage: Contract) -> Call:
    def make(*texts: str, contract: Any = triage, **inputs: object) -> TierContext:
        named = {f"text{n}": text for n, text in enumerate(texts)} | inputs
        return TierContext(
            call_id="c1",
            function="app.triage",
            inputs=named,
            contract=contract,
            remaining=lambda: 1.0,
        )

    return make

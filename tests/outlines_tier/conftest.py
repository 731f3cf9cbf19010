"""A model that follows Outlines' call protocol, and a real one over llama.cpp."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import pytest
from pydantic import BaseModel

from llmguard.contract import Contract
from llmguard.guard.tiers import TierContext

Call: TypeAlias = Callable[..., TierContext]


class Ticket(BaseModel):
    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    needs_human: bool


class Scripted:
    """Answers what it was told to, and remembers how it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[object, Any, dict[str, Any]]] = []

    def __call__(self, prompt: object, output_type: Any = None, **options: Any) -> Any:
        self.asked.append((prompt, output_type, options))
        answer = self.answers.pop(0)
        return answer() if callable(answer) else answer


class AsyncScripted(Scripted):
    async def __call__(  # type: ignore[override] # an async model, as in Outlines
        self, prompt: object, output_type: Any = None, **options: Any
    ) -> Any:
        return super().__call__(prompt, output_type, **options)


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("outlines", reason="pip install 'llmguard-fallbacks[outlines]'")


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture
def async_scripted() -> type[AsyncScripted]:
    return AsyncScripted


@pytest.fixture
def ticket() -> type[Ticket]:
    return Ticket


@pytest.fixture
def call(ticket: type[Ticket]) -> Call:
    def make(
        contract: Contract | None = None,
        remaining: Callable[[], float] = lambda: 5.0,
        **inputs: object,
    ) -> TierContext:
        return TierContext(
            call_id="c1",
            function="app.triage",
            inputs=inputs or {"text": "Where is my parcel?"},
            contract=contract,
            remaining=remaining,
        )

    return make


@pytest.fixture(scope="session")
def llama() -> Iterator[Any]:
    """The embedded model, as Outlines wraps it."""
    reason = "pip install 'llmguard-fallbacks[llamacpp]'"
    llama_cpp = pytest.importorskip("llama_cpp", reason=reason)
    pytest.importorskip("llguidance", reason=reason)
    weights = pytest.importorskip("llmguard_models").path("triage-1.0")
    import outlines

    loaded = llama_cpp.Llama(str(weights), n_ctx=512, n_threads=1, verbose=False)
    yield outlines.from_llamacpp(loaded, chat_mode=False)
    loaded.close()
    from llama_cpp import _utils

    # It leaves these open, which would be reported after the last test.
    _utils.outnull_file.close()
    _utils.errnull_file.close()

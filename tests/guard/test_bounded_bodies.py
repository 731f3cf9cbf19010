"""Bodies that wait for their model only need no thread to be left at the deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, Field

from llmguard import (
    INJECTED,
    Model,
    Pin,
    Prompt,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.adapters import Chunk, Request, close_providers, register_provider
from llmguard.contract import Contract
from llmguard.guard._bounded import all_scalars, waits_for_model_only
from llmguard.reply import Reply

PROMPT = Prompt("Triage this ticket:\n{ticket}")
SYSTEM = "You are terse."
LIMIT = 200
TABLE = {"a": "b"}
Body = Callable[..., Any]


def _known() -> list[Body]:
    inner = Prompt("Say {ticket}")

    def text(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete(ticket)

    def prompt(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete(PROMPT.format(ticket=ticket))

    def closure(ticket: str, model: Model = INJECTED) -> Any:
        return model.complete(inner.format(ticket=ticket), temperature=0.5)

    def formatted(ticket: str, n: int = 3, *, model: Model = INJECTED) -> Any:
        asked = f"{SYSTEM} {ticket!r} {n:>3}" + str(n)
        return model.complete(asked)

    def messages(ticket: str, *, model: Model = INJECTED) -> Any:
        cut = ticket.strip()[:LIMIT]
        return model.complete(
            [{"role": "system", "content": SYSTEM}, {"role": "user", "content": cut}]
        )

    def method(self: str, ticket: str, *, model: Model = INJECTED) -> Any:
        """Has a docstring and a receiver."""
        return model.complete("a {}".format(ticket))  # noqa: UP032 - a method of a constant

    return [text, prompt, closure, formatted, messages, method]


def _unknown() -> list[Body]:  # noqa: C901 - a list of functions
    def client(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.client.chat.completions.create(messages=[ticket])

    def calls(ticket: str, *, model: Model = INJECTED) -> Any:
        time.sleep(1)
        return model.complete(ticket)

    def callback(ticket: Any, *, model: Model = INJECTED) -> Any:
        return model.complete(ticket())

    def branch(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete(ticket or "none")

    def loop(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete([part.strip() for part in ticket])

    def remade(ticket: str, *, model: Model = INJECTED) -> Any:
        model = TABLE  # type: ignore[assignment]  # from the table
        return model.complete(ticket)

    def table(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete(TABLE[ticket])

    def of_an_answer(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete(ticket).strip()

    def default(ticket: Any = TABLE, *, model: Model = INJECTED) -> Any:
        return model.complete(f"{ticket}")

    def spread(*tickets: str, model: Model = INJECTED) -> Any:
        return model.complete(*tickets)

    def stored(ticket: str, *, model: Model = INJECTED) -> Any:
        ask = model.complete
        return ask(ticket)

    def lambdas(ticket: str, *, model: Model = INJECTED) -> Any:
        ask = lambda: model.complete(ticket)  # noqa: E731 - that is the case
        return ask()

    return [
        client, calls, callback, branch, loop, remade, table, of_an_answer, default,
        spread, stored, lambdas, time.sleep,
    ]  # fmt: skip


@pytest.mark.parametrize("body", _known(), ids=lambda each: each.__name__)
def test_straight_lines_to_the_model_are_recognised(body: Body) -> None:
    assert waits_for_model_only(body)


@pytest.mark.parametrize("body", _unknown(), ids=lambda each: each.__name__)
def test_whatever_may_hang_is_not(body: Body) -> None:
    assert not waits_for_model_only(body)


def test_only_scalars_are_formatted_in_the_callers_thread() -> None:
    """The `__str__` of an object may ask a database."""
    assert all_scalars(["a", 1, 2.5, None, True, b"x"])
    assert not all_scalars(["a", object()])
    assert not all_scalars([type("Text", (str,), {})("a")])


class Plain(BaseModel):
    """No code of its own."""

    kind: str
    tags: list[str] = Field(default_factory=list)
    parent: Plain | None = None


class Validated(BaseModel):
    """A validator may do anything."""

    kind: Annotated[str, AfterValidator(str.strip)]


class Made(BaseModel):
    """So may a factory."""

    kind: str = Field(default_factory=lambda: "x")


class Hooked(BaseModel):
    """And a hook."""

    kind: Plain

    def model_post_init(self, context: Any, /) -> None:
        """Do anything."""


@pytest.mark.parametrize(
    ("made", "own"),
    [
        (Contract(Plain), False),
        (Contract({"type": "object"}), False),
        (Contract(str, refusal=False), False),
        (Contract(Validated), True),
        (Contract(list[Made]), True),
        (Contract(Hooked), True),
        (Contract(Plain, checks=[lambda value: True]), True),
        (Contract(str, refusal=lambda text: False), True),
        (Contract(Plain, confidence=lambda value: 1.0), True),
    ],
)
def test_a_contract_knows_whether_it_runs_its_authors_code(
    made: Contract, own: bool
) -> None:
    assert own is made.runs_own_code


@dataclass
class Where:
    """A provider that notes the thread it is asked on."""

    bounded: bool
    remote: bool = False
    seen: list[int] = field(default_factory=list)

    def complete(self, request: Request) -> Reply:
        self.seen.append(threading.get_ident())
        return Reply(text='{"kind": "a"}', served_model=str(request.messages)[:0])

    async def acomplete(self, request: Request) -> Reply:
        return self.complete(request)

    def stream(self, request: Request) -> Iterator[Chunk]:
        raise NotImplementedError(request)

    def astream(self, request: Request) -> AsyncIterator[Chunk]:
        raise NotImplementedError(request)

    def client(self, timeout: float) -> Any:
        raise NotImplementedError(timeout)

    def async_client(self, timeout: float) -> Any:
        raise NotImplementedError(timeout)

    def close(self) -> None: ...


@pytest.fixture
def asked(request: pytest.FixtureRequest) -> Iterator[Where]:
    made = Where(bounded=request.param)
    register_provider("where", lambda pin: made)
    yield made
    close_providers("where")


PIN = Pin(route="where", provider="where", model="m-1", version_class="immutable")


@pytest.mark.parametrize("asked", [True, False], indirect=True)
def test_a_bounded_body_stays_in_the_callers_thread(asked: Where) -> None:
    """Unless an argument is an object, or the provider may hang."""

    @fallback_chain(static(Plain(kind="last")))
    @contract(Plain)
    @pinned(PIN)
    def ask(ticket: object, *, model: Model = INJECTED) -> Plain:
        return model.complete(f"{ticket}")

    assert "a" == ask("one").kind
    assert "a" == ask("two").kind
    assert "a" == ask(["no", "scalar"]).kind
    own = threading.get_ident()
    assert [asked.bounded] * 2 == [own == each for each in asked.seen[:2]]
    assert own != asked.seen[2]


@pytest.mark.parametrize("asked", [True], indirect=True)
def test_own_code_that_judges_keeps_the_thread(asked: Where) -> None:
    """A check that hangs can still be left at the deadline."""
    release = threading.Event()

    def slow(value: Plain) -> bool:
        return value.kind == "last" or release.wait(5)

    @fallback_chain(static(Plain(kind="last")), deadline=0.5)
    @contract(Plain, checks=[slow])
    @pinned(PIN)
    def ask(ticket: str, *, model: Model = INJECTED) -> Plain:
        return model.complete(ticket)

    began = time.monotonic()
    for _ in range(2):
        assert "last" == ask("one").kind
    assert time.monotonic() - began < 3
    assert threading.get_ident() not in asked.seen
    release.set()

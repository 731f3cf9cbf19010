"""The Outlines tier: what it asks for, what it makes of answers, what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Annotated, Any, Literal

import anyio
import pytest
from pydantic import Field

from llmguard import capture, fallback_chain, static
from llmguard import contract as guarded
from llmguard.contract import Contract
from llmguard.errors import ConfigError, RemoteCallRefusedError, TierUnavailableError
from llmguard.guard.tiers import AsyncTier, Tier
from llmguard.outcome import Kind
from llmguard.reply import Reply
from llmguard.testing import refuse_remote
from llmguard_fallbacks import outlines

GOOD = '{"category": "bug", "priority": "low", "needs_human": false}'


def judged(contract: Contract, reply: object) -> tuple[Kind, object]:
    assert isinstance(reply, Reply)
    verdict = contract.judge(reply)
    return verdict.kind, verdict.value


def test_the_contract_becomes_the_output_type(
    scripted: Any, ticket: Any, call: Any
) -> None:
    """The model gets the prompt, the contract's schema and the generation options."""
    model, contract = scripted(GOOD), Contract(ticket)
    tier = outlines(model, temperature=0.0)
    reply = tier.run(call(contract))
    prompt, kind, options = model.asked[0]
    assert ("Where is my parcel?", {"temperature": 0.0}) == (prompt, options)
    assert contract.json_schema == json.loads(kind.schema)
    assert Kind.OK is judged(contract, reply)[0]


def test_it_is_a_tier_that_may_fail(scripted: Any) -> None:
    """Its options are the chain's, and it is neither terminal nor inline."""
    tier = outlines(scripted(), name="local", attempts=2)
    assert isinstance(tier, Tier)
    assert not isinstance(tier, AsyncTier)
    assert (False, False, "local") == (tier.terminal, tier.inline, tier.name)
    assert (8.0, 1, 2) == (
        tier.options.reserve,
        tier.options.concurrency,
        tier.options.attempts,
    )


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Sure! " + GOOD, Kind.BAD_JSON),
        (GOOD[:-5], Kind.TRUNCATED),
        (GOOD.replace("bug", "bugs"), Kind.SCHEMA),
        (None, Kind.EMPTY),
        ([GOOD], Kind.OK),
        (json.loads(GOOD), Kind.OK),
    ],
)
def test_no_answer_is_trusted(
    scripted: Any, ticket: Any, call: Any, said: object, kind: Kind
) -> None:
    """Whatever the model was asked to keep to, the contract judges."""
    contract = Contract(ticket)
    reply = outlines(scripted(said)).run(call(contract))
    assert kind is judged(contract, reply)[0]


@pytest.mark.parametrize(
    ("schema", "parse", "expected"),
    [
        (str, None, "None"),
        (Annotated[str, Field(pattern="^[A-Z]{3}$")], None, "Regex"),
        (Annotated[str, Field(pattern="[A-Z]{3}")], None, "None"),
        (Literal["a", "b"], "text", "Choice"),
        (Literal["a", "b"], None, "JsonSchema"),
    ],
)
def test_texts_become_patterns_and_choices(
    scripted: Any, call: Any, schema: Any, parse: Any, expected: str
) -> None:
    """A pattern that may match anywhere says nothing about the whole text."""
    model, contract = scripted("ABC"), Contract(schema, parse=parse)
    outlines(model).run(call(contract))
    kind = model.asked[0][1]
    assert expected == ("None" if kind is None else type(kind).__name__)


def test_a_bare_word_is_the_value_of_a_choice(scripted: Any, call: Any) -> None:
    """Clients differ in whether they quote the words of an enum."""
    contract = Contract(Literal["yes", "no"])
    tier = outlines(scripted("yes", '"no"', "maybe"))
    found = [judged(contract, tier.run(call(contract))) for _ in range(3)]
    assert [(Kind.OK, "yes"), (Kind.OK, "no"), (Kind.SCHEMA, None)] == found


def test_the_prompt_is_made_of_the_inputs(scripted: Any, call: Any) -> None:
    """A function writes it; without one there must be exactly one text."""
    model = scripted("x")
    outlines(model, prompt=lambda given: f"{given['a']}/{given['b']}").run(
        call(a="one", b="two")
    )
    assert "one/two" == model.asked[0][0]
    with pytest.raises(ConfigError, match="prompt="):
        outlines(model).run(call(a="one", b="two"))


def test_one_call_at_a_time_over_all_tiers(scripted: Any, call: Any) -> None:
    """A second tier over the same model moves on while the first one answers."""
    inside, leave = threading.Event(), threading.Event()

    def slow() -> str:
        inside.set()
        assert leave.wait(30)
        return "done"

    model = scripted(slow, "next")
    thread = threading.Thread(target=lambda: outlines(model).run(call()))
    thread.start()
    assert inside.wait(30)
    other = outlines(model, name="other")
    with pytest.raises(TierUnavailableError, match="another call"):
        other.run(call())
    parallel = outlines(model, concurrency=2).run(call())
    leave.set()
    thread.join()
    assert isinstance(parallel, Reply)
    assert "next" == parallel.text


def test_the_model_is_free_again_after_an_error(scripted: Any, call: Any) -> None:
    """An exception of the model does not keep its lock."""

    def fail() -> str:
        raise RuntimeError("out of memory")

    tier = outlines(scripted(fail, "fine"))
    with pytest.raises(RuntimeError):
        tier.run(call())
    assert isinstance(tier.run(call()), Reply)


def test_async_models_answer_async_functions(async_scripted: Any, ticket: Any) -> None:
    """They are awaited where the guarded function is."""
    model = async_scripted(GOOD)
    other = {"category": "other", "priority": "low", "needs_human": True}

    @fallback_chain(outlines(model), static(other))
    @guarded(ticket)
    async def triage(text: str) -> Any:
        raise ConnectionError(text)

    with capture() as outcomes:
        answer = anyio.run(triage, "It crashes")
    assert ("bug", "outlines") == (answer.category, outcomes[0].tier)


def test_async_models_refuse_sync_functions(async_scripted: Any, call: Any) -> None:
    """The message names the sync model."""
    with pytest.raises(ConfigError, match="is not async"):
        outlines(async_scripted(GOOD)).run(call())


def test_clients_say_which_types_they_take() -> None:
    """OpenAI's API has no patterns: refused at decoration, not at the first call."""
    openai = pytest.importorskip("openai", reason="pip install openai")
    from outlines import from_openai
    from outlines.types import regex

    client = openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9/v1")
    tier = outlines(from_openai(client, "m"), output_type=regex("[a-z]+"))
    with pytest.raises(ConfigError, match="output_type"):
        tier.check(Contract(str))
    client.close()


def test_remote_models_are_refused_on_demand(call: Any) -> None:
    """`refuse_remote()` stops Outlines' clients before they open a socket."""
    openai = pytest.importorskip("openai", reason="pip install openai")
    from outlines import from_openai

    client = openai.OpenAI(api_key="none", base_url="https://llm.example/v1")
    with refuse_remote(), pytest.raises(RemoteCallRefusedError):
        outlines(from_openai(client, "m")).run(call())
    client.close()


def test_outlines_is_imported_late() -> None:
    """Naming the tier costs nothing; making one imports Outlines."""
    script = (
        "import sys; from llmguard_fallbacks import outlines; "
        "print('outlines' in sys.modules, outlines.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "False outlines" == done.stdout.strip()


def test_what_is_no_model_is_refused() -> None:
    """A model's name is not a model."""
    with pytest.raises(ConfigError, match="from_llamacpp"):
        outlines("qwen")


def test_a_missing_package_is_named_with_its_install_command() -> None:
    """The message says what to type."""
    from llmguard_fallbacks._outlines_types import load

    with pytest.raises(ConfigError, match=r"llmguard-fallbacks\[outlines\]"):
        load("outlines.no_such_part")

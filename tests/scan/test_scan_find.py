"""What counts as a call of a model, and what is said about it."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.scan import Finding, find


def found(source: str) -> list[Finding]:
    return find(textwrap.dedent(source), "app.py")


def one(source: str) -> Finding:
    (finding,) = found(source)
    return finding


@pytest.mark.parametrize(
    ("call", "sdk", "model"),
    [
        ("client.chat.completions.create(model='gpt-4o')", "openai", "gpt-4o"),
        ("self.openai.beta.chat.completions.parse(model=m)", "openai", ""),
        ("client.responses.create(model='gpt-4o', input='x')", "openai", "gpt-4o"),
        (
            "c.messages.create(model='claude-sonnet-4-5', messages=[])",
            "anthropic",
            "claude-sonnet-4-5",
        ),
        ("clients[0].chat.completions.create(model='gpt-4o')", "openai", "gpt-4o"),
        ("make().chat.completions.create(model='gpt-4o')", "openai", "gpt-4o"),
        (
            "c.with_options(timeout=3).chat.completions.create(model='gpt-4o')",
            "openai",
            "gpt-4o",
        ),
        ("g.models.generate_content(model='gemini-2.5-pro')", "google-genai", ""),
    ],
)
def test_a_call_outside_a_guard_is_found(call: str, sdk: str, model: str) -> None:
    """Wherever the client comes from; its place is its own."""
    finding = one(f"def ask():\n    return {call}\n")
    assert ("unguarded", sdk, 2, 12) == (
        finding.why,
        finding.sdk,
        finding.line,
        finding.column,
    )
    assert "ask" == finding.function
    if model:
        assert model == finding.model


@pytest.mark.parametrize(
    "call",
    [
        "twilio.messages.create(to='+1', body='hi')",
        "requests.responses.create()",
        "sqs.messages.create(model=1)",
        "form.chat.complete()",
        "robot.converse('hello')",
        "models.create(name='x')",
        "client.embeddings.create(model='text-embedding-3-small', input='x')",
        "client.images.generate(model='gpt-image-1')",
    ],
)
def test_what_only_sounds_alike_is_left_alone(call: str) -> None:
    """A message to a phone is no call of a model; neither are other endpoints."""
    assert [] == found(f"import os\n{call}\n")


def test_imports_make_a_name_certain() -> None:
    """Under another name, from a submodule, as a bare function."""
    assert "litellm" == one("import litellm as ai\nai.completion(model='gpt-4o')").sdk
    assert "litellm" == one("from litellm import acompletion\nacompletion(m='x')").sdk
    assert [] == found("def completion(**k): ...\ncompletion(model='gpt-4o')")
    langchain = one("from langchain_openai import ChatOpenAI\nChatOpenAI('gpt-4o')")
    assert ("langchain", "openai", "gpt-4o") == (
        langchain.sdk,
        langchain.provider,
        langchain.model,
    )
    assert [] == found("class ChatOpenAI: ...\nChatOpenAI('gpt-4o')")
    bedrock = one("import boto3\nb = boto3.client('x')\nb.converse(modelId='m')")
    assert "bedrock" == bedrock.provider


GUARDED = """
from llmguard import INJECTED, Model, contract, pinned

MODEL = "gpt-4o-2024-08-06"

@app.post("/x")
@contract(str)
@pinned("triage")
def triage(text: str, *, model: Model = INJECTED) -> str:
    {call}
"""


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("return model.client.chat.completions.create(model=model.id)", None),
        ("return client.chat.completions.create(model=model.id)", None),
        ("return client.chat.completions.create(model=name)", None),
        ("return client.chat.completions.create(model='gpt-4o')", "alias"),
        ("return client.chat.completions.create(model=MODEL)", "unpinned"),
        ("return model.complete(text)", None),
        ("def ask(): client.chat.completions.create(model=MODEL)", "unpinned"),
    ],
)
def test_inside_a_guard_only_the_model_matters(call: str, why: str | None) -> None:
    """A literal name overrules the pin; `model.id` is the pin."""
    findings = found(GUARDED.format(call=call))
    assert ([] if why is None else [why]) == [finding.why for finding in findings]
    assert all("model.id" in finding.repair for finding in findings)


def test_a_guard_ends_with_its_function() -> None:
    """What stands beside it is not watched; its decorators are not inside."""
    source = GUARDED.format(call="return model.complete(text)")
    source += "\n\ndef other():\n    client.chat.completions.create(model=MODEL)\n"
    assert ["other"] == [finding.function for finding in found(source)]
    source = "@register(client.chat.completions.create(model='gpt-4o'))\n"
    source += "@pinned('x')\ndef f(): ...\n"
    assert ["unguarded"] == [finding.why for finding in found(source)]


def test_a_module_constant_is_followed_and_a_changing_name_is_not() -> None:
    """Only a name that is bound once says what it is."""
    call = "client.chat.completions.create(model=M)"
    assert "gpt-4o" == one(f"M = 'gpt-4o'\n{call}").model
    assert "gpt-4o" == one(f"M: str = 'gpt-4o'\n{call}").model
    assert "" == one(f"M = 'gpt-4o'\nM = 'gpt-5'\n{call}").model
    assert "" == one(f"M = os.environ['M']\n{call}").model


def test_the_repair_names_the_pinned_version() -> None:
    """The alias is named as one, with what it stood for."""
    finding = one("def triage():\n    c.chat.completions.create(model='gpt-4o')\n")
    assert "alias" == finding.promise
    assert "a name the provider moves" in finding.message
    assert (
        "llmguard pin add triage --provider openai --model gpt-4o-2024-11-20"
        in finding.repair
    )
    prefixed = one("import litellm\nlitellm.completion(model='anthropic/claude-opus')")
    assert "anthropic" == prefixed.provider
    assert (
        "--provider PROVIDER --model MODEL"
        in one("import litellm\nlitellm.completion(model=name)").repair
    )


def test_a_comment_silences_its_line() -> None:
    """Only there, and only when it says so."""
    call = "c.chat.completions.create(model='gpt-4o')"
    assert [] == found(f"{call}  # llmguard: ignore - a smoke test")
    assert 1 == len(found(f"{call}  # llmguard is nice"))
    assert 1 == len(found(f"# llmguard: ignore\n{call}"))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """What does not parse is an error that Python has a name for."""
    try:
        find(text)
    except (SyntaxError, ValueError, RecursionError):
        return

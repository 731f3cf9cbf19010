"""How calls of each SDK look in source code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MAKERS", "SDKS", "TAILS", "Sdk", "Tail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdk:
    """One library that calls models.

    Attributes:
        name: Name of the library, as people say it.
        provider: What a pin calls the provider; empty where the model's name says.
    """

    name: str
    provider: str


_OPENAI: Final = Sdk(name="openai", provider="openai")
_ANTHROPIC: Final = Sdk(name="anthropic", provider="anthropic")
_LITELLM: Final = Sdk(name="litellm", provider="")
_LANGCHAIN: Final = Sdk(name="langchain", provider="")
_GEMINI: Final = Sdk(name="google-genai", provider="gemini")
_MISTRAL: Final = Sdk(name="mistralai", provider="mistral")
_COHERE: Final = Sdk(name="cohere", provider="cohere")
_OLLAMA: Final = Sdk(name="ollama", provider="ollama")
_BEDROCK: Final = Sdk(name="boto3", provider="bedrock")

SDKS: Final = {
    "openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "litellm": _LITELLM,
    "langchain": _LANGCHAIN,
    "langchain_openai": _LANGCHAIN,
    "langchain_anthropic": _LANGCHAIN,
    "langchain_google_genai": _LANGCHAIN,
    "langchain_mistralai": _LANGCHAIN,
    "langchain_community": _LANGCHAIN,
    "google.genai": _GEMINI,
    "google.generativeai": _GEMINI,
    "mistralai": _MISTRAL,
    "cohere": _COHERE,
    "ollama": _OLLAMA,
    "groq": Sdk(name="groq", provider="openai"),
    "boto3": _BEDROCK,
}
"""By the package that is imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """How the end of a call's name looks.

    Attributes:
        parts: Last attributes, such as `chat.completions.create`.
        sdk: Whose it is.
        certain: True when nothing else is called so. Otherwise the library must be
            imported in the same file, or the arguments must look like it.
        model: Name of the argument that holds the model.
        evidence: Arguments that, together with the model's, make it likely.
    """

    parts: tuple[str, ...]
    sdk: Sdk
    certain: bool = True
    model: str = "model"
    evidence: frozenset[str] = frozenset()


def _openai(*parts: str) -> Tail:
    return Tail(parts=parts, sdk=_OPENAI)


_TALK: Final = frozenset({"messages"})

TAILS: Final = (
    _openai("chat", "completions", "create"),
    _openai("chat", "completions", "parse"),
    _openai("chat", "completions", "stream"),
    _openai("beta", "chat", "completions", "parse"),
    Tail(
        parts=("responses", "create"),
        sdk=_OPENAI,
        certain=False,
        evidence=frozenset({"input"}),
    ),
    Tail(
        parts=("responses", "parse"),
        sdk=_OPENAI,
        certain=False,
        evidence=frozenset({"input"}),
    ),
    Tail(
        parts=("responses", "stream"),
        sdk=_OPENAI,
        certain=False,
        evidence=frozenset({"input"}),
    ),
    # Other APIs send messages too: one to a phone names no model.
    Tail(parts=("messages", "create"), sdk=_ANTHROPIC, certain=False, evidence=_TALK),
    Tail(parts=("messages", "stream"), sdk=_ANTHROPIC, certain=False, evidence=_TALK),
    Tail(parts=("messages", "parse"), sdk=_ANTHROPIC, certain=False, evidence=_TALK),
    Tail(parts=("litellm", "completion"), sdk=_LITELLM),
    Tail(parts=("litellm", "acompletion"), sdk=_LITELLM),
    Tail(parts=("litellm", "responses"), sdk=_LITELLM),
    Tail(parts=("litellm", "aresponses"), sdk=_LITELLM),
    Tail(parts=("litellm", "text_completion"), sdk=_LITELLM),
    Tail(parts=("models", "generate_content"), sdk=_GEMINI),
    Tail(parts=("models", "generate_content_stream"), sdk=_GEMINI),
    Tail(parts=("chat", "complete"), sdk=_MISTRAL, certain=False, evidence=_TALK),
    Tail(parts=("chat", "complete_async"), sdk=_MISTRAL, certain=False, evidence=_TALK),
    Tail(parts=("ollama", "chat"), sdk=_OLLAMA),
    Tail(parts=("ollama", "generate"), sdk=_OLLAMA),
    Tail(parts=("converse",), sdk=_BEDROCK, certain=False, model="modelId"),
    Tail(parts=("converse_stream",), sdk=_BEDROCK, certain=False, model="modelId"),
    Tail(parts=("invoke_model",), sdk=_BEDROCK, certain=False, model="modelId"),
)
"""Longer ones are tried first, whatever their order here."""

MAKERS: Final = {
    "ChatOpenAI": Sdk(name="langchain", provider="openai"),
    "ChatAnthropic": Sdk(name="langchain", provider="anthropic"),
    "ChatGoogleGenerativeAI": Sdk(name="langchain", provider="gemini"),
    "ChatMistralAI": Sdk(name="langchain", provider="mistral"),
    "ChatLiteLLM": Sdk(name="langchain", provider=""),
    "ChatOllama": Sdk(name="langchain", provider="ollama"),
    "init_chat_model": Sdk(name="langchain", provider=""),
    "GenerativeModel": _GEMINI,
}
"""Calls that make an object bound to a model, which is called elsewhere."""

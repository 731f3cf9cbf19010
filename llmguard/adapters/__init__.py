"""Everything between a guarded function and a model: handles, providers, prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import remote_calls
from .classify import Failure, classify
from .messages import Chunk, Message, MessageLike, Request
from .model import AsyncTextStream, Model, PromptLike, TextStream
from .prompt import Prompt, RenderedPrompt
from .provider import (
    Provider,
    ProviderFactory,
    close_providers,
    known_providers,
    provider_for,
    ready_provider,
    register_provider,
)
from .replies import read_reply, reply_failure
from .served import Served, verify_served

if TYPE_CHECKING:
    from .record import Recorder, record_to

__all__ = [
    "AsyncTextStream",
    "Chunk",
    "Failure",
    "Message",
    "MessageLike",
    "Model",
    "Prompt",
    "PromptLike",
    "Provider",
    "ProviderFactory",
    "Recorder",
    "RenderedPrompt",
    "Request",
    "Served",
    "TextStream",
    "classify",
    "close_providers",
    "known_providers",
    "provider_for",
    "read_reply",
    "ready_provider",
    "record_to",
    "register_provider",
    "remote_calls",
    "reply_failure",
    "verify_served",
]


def __getattr__(name: str) -> object:
    # Only programs that record answers need it.
    if name in {"Recorder", "record_to"}:
        from . import record

        return getattr(record, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

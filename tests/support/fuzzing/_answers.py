"""What a model says: parse modes, the contract, events of a stream."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from pydantic import BaseModel

from llmguard.adapters._openai_stream import ChatStream, ResponsesStream
from llmguard.adapters._sse import Ear
from llmguard.contract import Contract
from llmguard.contract._parse import Parsed, hint, parse_text
from llmguard.outcome import Kind
from llmguard.pins import Pin
from llmguard.reply import Reply

from ._bytes import Cut

__all__ = ["contract_target", "parse_target", "sse_target"]

MODES: Final = ("raw", "fenced", "lenient", "text")
PIN: Final = Pin(route="r", provider="openai", model="gpt-4o-2024-08-06")


class Order(BaseModel):
    id: str
    total: float
    state: Literal["open", "paid"]
    items: list[int]
    note: str | None


SCHEMAS: Final[tuple[object, ...]] = (
    Order,
    {
        "type": "object",
        "properties": {"a": {"type": "number", "multipleOf": 0.1}},
        "patternProperties": {"^x-": {"type": "string", "pattern": "^[a-z]+$"}},
        "additionalProperties": {"anyOf": [{"$ref": "#"}, {"const": None}]},
    },
    {"type": "array", "uniqueItems": True, "contains": {"minimum": 3}},
)
CONTRACTS: Final = (
    *(Contract(s, parse=m) for s in SCHEMAS for m in ("raw", "fenced", "lenient")),
    Contract(str),
)


def parse_target(data: bytes) -> None:
    """No text makes the parser raise; what it reads is what the strict text says."""
    cut = Cut(data)
    mode: Any = cut.pick(MODES)
    text = cut.rest().decode("utf-8", "surrogateescape")
    found = parse_text(text, mode)
    hint(text, mode)
    if not isinstance(found, Parsed):
        assert found.message
        return
    assert found.document == json.loads(found.text)
    found.text.encode()
    json.dumps(found.document, allow_nan=False)
    if mode == "raw":
        again = parse_text(found.text, "lenient")
        assert isinstance(again, Parsed)
        assert again.document == found.document


def contract_target(data: bytes) -> None:
    """No answer makes the contract raise or err; what it lets pass, it lets pass."""
    cut = Cut(data)
    contract = cut.pick(CONTRACTS)
    finish = cut.pick(("stop", "length", None, "content_filter", "odd"))
    text = cut.rest().decode("utf-8", "surrogateescape")
    verdict = contract.judge(Reply(text=text, finish_reason=finish))
    assert verdict.kind is not Kind.ERROR, verdict.detail
    for violation in verdict.violations:
        str(violation).encode("utf-8", "replace")
    if verdict.kind is Kind.OK:
        again = contract.judge_value(verdict.value)
        assert again.kind is Kind.OK, again


class _Told(list[Reply]):
    """Replies that an ear told of."""


def sse_target(data: bytes) -> None:
    """Listening never fails the reader, and means the same however bytes are cut."""
    cut = Cut(data)
    kind = cut.pick((ChatStream, ResponsesStream))
    sizes = [cut.number(40) + 1 for _ in range(4)]
    stream = cut.rest()
    whole, pieces = _Told(), _Told()
    ear = Ear(kind(PIN, "logprobs"), whole.append)
    ear.hear(stream)
    ear.end()
    ear = Ear(kind(PIN, "logprobs"), pieces.append)
    at = turn = 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        ear.hear(stream[at : at + size])
        at, turn = at + size, turn + 1
    ear.end()
    assert [r.text for r in whole] == [r.text for r in pieces]
    assert len(whole) <= 1
    for reply in whole:
        assert reply.text is None or isinstance(reply.text, str)

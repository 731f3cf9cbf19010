"""Keywords that decoding cannot hold are said at decoration and by the doctor."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from llmguard import INJECTED, Model, contract, fallback_chain, on_pin, pinned, static
from llmguard.cli._checks import check_all
from llmguard.errors import LLMGuardWarning
from llmguard.pins import Pin
from llmguard.testing import FakeModel

pytestmark = pytest.mark.usefixtures("any_runtime")

LOCAL = Pin(route="local", provider="llama.cpp", model="no-such-file.gguf")
TAGS = {"type": "array", "items": {"type": "string"}}
LOOSE = {**TAGS, "uniqueItems": True}
ENDLESS = {"properties": {"n": {"$ref": "#"}}, "required": ["n"]}


def guarded(schema: Any) -> Any:
    """Return a function whose second tier is the local model."""

    @fallback_chain(on_pin(LOCAL), static([]))
    @contract(schema)  # type: ignore[untyped-decorator] # the schema is Any
    @pinned(FakeModel([[]]).pin("remote"))
    def tag(text: str, *, model: Model = INJECTED) -> Any:
        return model.complete(text)

    return tag


def test_a_keyword_no_grammar_holds_is_said_where_the_function_is() -> None:
    """The warning names tier, path and keyword, and points at this file."""
    with pytest.warns(LLMGuardWarning, match=r"`local`.*#: `uniqueItems`") as caught:
        guarded(LOOSE)
    assert [__file__] == [warning.filename for warning in caught]


def test_a_schema_without_an_answer_is_said_as_well() -> None:
    """The tier would be skipped at every call."""
    with pytest.warns(LLMGuardWarning, match=r"`local`.*nothing satisfies"):
        guarded(ENDLESS)


def test_a_schema_that_decoding_holds_is_no_news() -> None:
    """Nothing is said about a contract that every drawn answer satisfies."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guarded(TAGS)


def test_the_doctor_says_it_too(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`llmguard doctor` warns about the tier, with the keyword."""
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LLMGuardWarning)
        function = guarded(LOOSE)
    name = f"{function.__module__}.{function.__qualname__} [local]"
    found = [f for f in check_all() if f.what == name and f.level == "warn"]
    assert ["uniqueItems"] == [f.detail.split("`")[1] for f in found]

"""Every engine obeys, closes and lets go: halts, failures, seeds, memory."""

from __future__ import annotations

import gc
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmguard.errors import ConfigError
from llmguard.outcome import Kind
from llmguard_fallbacks.local._job import Delta, FailedError, Job, Result

pytestmark = pytest.mark.gguf

Answer = Callable[..., Result]
LONG_PROMPT = "wait " * 300


def job(text: str = "go", **fields: Any) -> Job:
    """Return a job with one message."""
    return Job(messages=[{"role": "user", "content": text}], **fields)


def counting(reason: str, after: int) -> Callable[[], str]:
    """Return a `halt` that stops at the n-th time it is asked."""
    asked = itertools.count(1)
    return lambda: reason if next(asked) >= after else ""


def failing(after: int) -> Callable[[], str]:
    """Return a `halt` that raises at the n-th time it is asked."""
    asked = itertools.count(1)

    def halt() -> str:
        if next(asked) >= after:
            raise LookupError("the check itself is broken")
        return ""

    return halt


@pytest.mark.parametrize(
    ("reason", "kind"), [("deadline", Kind.TIMEOUT), ("cancelled", Kind.CANCELLED)]
)
@pytest.mark.parametrize("schema", [{"type": "string", "minLength": 500}, None])
def test_generation_stops_between_tokens(
    engine: Any, reason: str, kind: Kind, schema: Any
) -> None:
    """A deadline or a cancellation ends the loop where it is, with its own kind."""
    events = engine.generate(job(schema=schema, stream=True), halt=counting(reason, 5))
    with pytest.raises(FailedError) as caught:
        list(events)
    assert kind == caught.value.failure.kind


def test_a_long_prompt_is_interrupted_inside_its_evaluation(
    engine: Any, answer: Answer
) -> None:
    """The check runs inside an evaluation, and the model works again afterwards."""
    with pytest.raises(FailedError) as caught:
        list(engine.generate(job(LONG_PROMPT), halt=counting("deadline", 3)))
    assert Kind.TIMEOUT == caught.value.failure.kind
    assert "true" == answer(engine, schema={"const": True}).text


@pytest.mark.parametrize("after", [1, 2, 3, 20])
@pytest.mark.parametrize("schema", [{"type": "string", "minLength": 500}, None])
def test_an_exception_in_the_check_ends_the_answer(
    engine: Any, answer: Answer, after: int, schema: Any
) -> None:
    """Wherever it is raised, also under C code: no answer, and no free-running model.

    ctypes would print an exception of a callback and go on.
    """
    given = job(f"{after} {LONG_PROMPT}", schema=schema)
    with pytest.raises(LookupError, match="broken"):
        list(engine.generate(given, halt=failing(after)))
    assert "true" == answer(engine, schema={"const": True}).text


class Breaking:
    """A constraint that fails at its n-th step, as a broken grammar engine would."""

    def __init__(self, constraint: Any, step: str, after: int) -> None:
        self._constraint = constraint
        self._step = step
        self._left = itertools.count(after, -1)

    def __getattr__(self, name: str) -> Any:
        if name == self._step and next(self._left) <= 0:
            from llmguard_fallbacks.local._decode import GrammarFailedError

            raise GrammarFailedError("out of fuel")
        return getattr(self._constraint, name)


@pytest.mark.parametrize("step", ["forced", "allowed", "accept", "done"])
@pytest.mark.parametrize("after", [0, 4])
def test_a_grammar_that_fails_in_mid_answer_ends_it(
    open_engine: Any, mini_gguf: pathlib.Path, step: str, after: int
) -> None:
    """Decoding never goes on without its constraint."""
    with open_engine(mini_gguf) as engine:
        whole = engine._constraint
        engine._constraint = lambda grammar: Breaking(whole(grammar), step, after)
        given = job(schema={"type": "string", "minLength": 50}, stream=True)
        found: list[Delta | Result] = []
        with pytest.raises(FailedError, match="out of fuel") as caught:
            found.extend(engine.generate(given, halt=lambda: ""))
    assert Kind.ERROR == caught.value.failure.kind
    assert [] == [event for event in found if isinstance(event, Result)]


def test_seeds_repeat_and_differ(engine: Any, answer: Answer, ticket: Any) -> None:
    """A seed gives the same answer again, another seed another one."""
    one, two, other = (
        answer(engine, schema=ticket, temperature=1.0, seed=s).text for s in (1, 1, 2)
    )
    assert one == two != other


def test_the_cached_prefix_changes_nothing(
    engine: Any, answer: Answer, ticket: Any
) -> None:
    """The same prompt answers the same with a warm cache, and after another one."""
    first = answer(engine, "a ticket about a parcel", schema=ticket)
    second = answer(engine, "a ticket about a parcel", schema=ticket)
    answer(engine, "something else", schema=ticket)
    third = answer(engine, "a ticket about a parcel", schema=ticket)
    assert first.text == second.text == third.text
    assert second.cached_tokens == second.input_tokens - 1
    assert third.cached_tokens < second.cached_tokens


def test_a_prompt_that_is_too_long_is_passed_on(engine: Any, answer: Answer) -> None:
    """A prompt beyond the context is a reason to try another tier."""
    with pytest.raises(FailedError, match="`n_ctx`") as caught:
        answer(engine, "long " * 3000)
    assert Kind.SKIPPED == caught.value.failure.kind


def test_leaving_a_stream_early_leaves_a_working_engine(
    engine: Any, answer: Answer, ticket: Any
) -> None:
    """A generator that is closed in mid-answer leaves nothing behind."""
    whole = answer(engine, schema=ticket, seed=5, temperature=1.0)
    left = engine.generate(job(schema=ticket, stream=True), halt=lambda: "")
    next(left)
    left.close()
    again = answer(engine, schema=ticket, seed=5, temperature=1.0)
    assert whole.text == again.text


def test_a_file_that_is_no_model_is_refused(
    open_engine: Any, tmp_path: pathlib.Path, capfd: Any
) -> None:
    """Loading fails with a sentence, not with the process."""
    path = tmp_path / "not.gguf"
    path.write_bytes(b"GGUF, but only by name")
    with pytest.raises(ConfigError, match="cannot load"), open_engine(path):
        pass
    assert "gguf" in capfd.readouterr().err  # llama.cpp's own words are kept


def resident() -> int:
    """Return this process's resident memory in bytes."""
    gc.collect()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/statm").exists(), reason="needs Linux's /proc"
)
def test_memory_is_given_back(
    open_engine: Any, answer: Answer, mini_gguf: pathlib.Path
) -> None:
    """Ten engines, one after the other, take no more room than one."""

    def cycle(rounds: int) -> Iterator[int]:
        for _ in range(rounds):
            # A cache of 16 MiB, so that one that is kept is seen.
            with open_engine(mini_gguf, n_ctx=32_768) as engine:
                answer(engine, schema={"type": "boolean"})
            yield resident()

    *_, before = cycle(2)
    *_, after = cycle(10)
    assert after - before < 48 << 20

"""The model's own process: crashes, deadlines and full queues are outcomes."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llmguard.errors import (
    CallError,
    ConfigError,
    TierFailedError,
    TierTimeoutError,
    TierUnavailableError,
)
from llmguard.outcome import Kind

pytestmark = pytest.mark.gguf

Make = Callable[..., Any]


def begun(provider: Any, request: Any) -> Iterator[Any]:
    """Return a stream whose answer is being drawn right now."""
    stream = provider.stream(request)
    next(stream)
    return stream


def test_an_answer_carries_what_an_outcome_records(
    make_provider: Make, ask: Make, ticket: Any, mini_gguf: Any
) -> None:
    """The reply names the version, the digest of the weights, tokens, confidence."""
    provider = make_provider()
    reply = provider.complete(ask(schema=ticket, prompt_digest="d"))
    assert [*json.loads(reply.text)] == [*ticket["properties"]]  # in this order
    assert (str(mini_gguf), "stop", "d") == (
        reply.served_model,
        reply.finish_reason,
        reply.prompt_digest,
    )
    assert reply.fingerprint.startswith("sha256:")
    assert reply.usage.input_tokens > 0 < reply.usage.output_tokens
    assert {f"/{n}" for n in ticket["properties"]} == {*reply.field_confidence}
    assert not provider.remote


def test_a_stream_ends_with_its_reply(
    make_provider: Make, ask: Make, ticket: Any
) -> None:
    """Chunks add up to the reply, which comes last; sync and async agree."""

    async def collect(provider: Any) -> list[Any]:
        return [chunk async for chunk in provider.astream(ask(schema=ticket))]

    provider = make_provider()
    for chunks in (
        [*provider.stream(ask(schema=ticket))],
        asyncio.run(collect(provider)),
    ):
        *texts, last = chunks
        assert last.reply.text == "".join(chunk.text for chunk in texts)


def test_a_killed_worker_is_an_outcome_and_comes_back(
    make_provider: Make, ask: Make, long_schema: Any
) -> None:
    """Kill -9 in the middle of an answer fails that call; the next one works."""
    provider = make_provider()
    stream = begun(provider, ask(schema=long_schema))
    os.kill(provider.pool().pids()[0], signal.SIGKILL)
    with pytest.raises(TierFailedError, match="SIGKILL") as caught:
        list(stream)
    assert Kind.TRANSPORT == caught.value.kind
    assert "true" == provider.complete(ask(schema={"const": True})).text


def test_a_crash_shows_what_the_worker_last_wrote(
    make_provider: Make, ask: Make, long_schema: Any
) -> None:
    """A segmentation fault names its signal, and keeps the end of standard error."""
    provider = make_provider()
    stream = begun(provider, ask(schema=long_schema))
    os.kill(provider.pool().pids()[0], signal.SIGSEGV)
    with pytest.raises(TierFailedError, match="SIGSEGV"):
        list(stream)


def test_a_stopped_worker_is_killed_after_the_deadline(
    make_provider: Make, ask: Make, long_schema: Any
) -> None:
    """A worker that no longer obeys costs the caller its deadline, and no more."""
    provider = make_provider(grace=0.1)
    provider.complete(ask(schema={"const": 1}))
    (stopped,) = provider.pool().pids()
    stream = begun(provider, ask(schema=long_schema, timeout=1.5))
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(TierTimeoutError) as caught:
        list(stream)
    assert Kind.TIMEOUT == caught.value.kind
    assert "1" == provider.complete(ask(schema={"const": 1})).text
    assert [stopped] != provider.pool().pids()


def test_the_deadline_ends_generation_and_keeps_the_worker(
    make_provider: Make, ask: Make, long_schema: Any
) -> None:
    """A worker that obeys is not restarted."""
    provider = make_provider()
    provider.complete(ask(schema={"const": 1}))
    before = provider.pool().pids()
    with pytest.raises(TierTimeoutError):
        provider.complete(ask(schema=long_schema, timeout=0.2))
    assert "1" == provider.complete(ask(schema={"const": 1})).text
    assert before == provider.pool().pids()


def test_leaving_a_stream_frees_the_slot(
    make_provider: Make, ask: Make, long_schema: Any
) -> None:
    """Closing the stream stops the model, long before the answer would end."""
    provider = make_provider()
    stream = begun(provider, ask(schema=long_schema))
    before = provider.pool().pids()
    stream.close()
    assert "1" == provider.complete(ask(schema={"const": 1})).text
    assert before == provider.pool().pids()


def test_a_cancelled_task_frees_the_slot(
    make_provider: Make, ask: Make, long_schema: Any
) -> None:
    """Cancelling an awaiting task stops the model as well."""

    async def scenario(provider: Any) -> str:
        stream = provider.astream(ask(schema=long_schema))
        await anext(stream)
        task = asyncio.ensure_future(anext(stream))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stream.aclose()
        return (await provider.acomplete(ask(schema={"const": 1}))).text

    provider = make_provider()
    assert "1" == asyncio.run(scenario(provider))


def test_a_full_queue_refuses_at_once(
    make_provider: Make, ask: Make, long_schema: Any
) -> None:
    """One slot and no queue: the second call moves on without waiting."""
    provider = make_provider(queue=0)
    stream = begun(provider, ask(schema=long_schema))
    with pytest.raises(TierUnavailableError, match="busy") as caught:
        provider.complete(ask())
    assert Kind.SKIPPED == caught.value.kind
    stream.close()


def test_a_crowd_is_answered_or_refused(
    make_provider: Make, ask: Make, ticket: Any
) -> None:
    """Fifty threads on two slots: every call ends, answers are valid, some refused."""
    provider = make_provider(slots=2, queue=4)
    gate = threading.Barrier(50)

    def call(number: int) -> str:
        gate.wait()
        try:
            text = provider.complete(ask(f"ticket {number}", schema=ticket)).text
        except TierUnavailableError:
            return "busy"
        return "ok" if {*json.loads(text)} == {*ticket["properties"]} else text

    with ThreadPoolExecutor(50) as pool:
        ends = [*pool.map(call, range(50))]
    assert {"ok", "busy"} == {*ends}
    assert ends.count("ok") >= 6


def test_threads_and_tasks_share_one_worker(
    make_provider: Make, ask: Make, ticket: Any
) -> None:
    """Two threads at once get the answers they would have got alone."""
    provider = make_provider()
    requests = [ask(f"ticket {n}", schema=ticket) for n in range(4)]
    alone = [provider.complete(r).text for r in requests]
    with ThreadPoolExecutor(2) as pool:
        together = [r.text for r in pool.map(provider.complete, requests)]
    assert alone == together
    assert 1 == len(provider.pool().pids())


def test_pins_with_the_same_weights_share_their_workers(
    make_provider: Make, ask: Make
) -> None:
    """Another pin with other sampling does not load the model twice."""
    one, two = make_provider(), make_provider(params={"temperature": 1.0})
    assert one.pool() is two.pool()
    one.close()
    assert "1" == two.complete(ask(schema={"const": 1})).text


def test_closing_ends_the_worker_and_a_call_starts_another(
    make_provider: Make, ask: Make
) -> None:
    """After `close` the process is gone; the provider can be used again."""
    provider = make_provider(n_batch=32)
    provider.complete(ask(schema={"const": 1}))
    handle = os.pidfd_open(provider.pool().pids()[0])
    try:
        provider.close()
        assert select.select([handle], [], [], 10)[0]
    finally:
        os.close(handle)
    assert "1" == provider.complete(ask(schema={"const": 1})).text


def test_an_untouched_model_in_this_process(
    make_provider: Make, ask: Make, ticket: Any, long_schema: Any
) -> None:
    """In-process mode answers the same and obeys the deadline; it has no process."""
    here, there = make_provider(in_process=True), make_provider()
    request = ask(schema=ticket)
    assert there.complete(request).text == here.complete(request).text
    with pytest.raises(TierTimeoutError):
        here.complete(ask(schema=long_schema, timeout=0.1))
    assert [0] == here.pool().pids()


def test_weights_that_are_not_the_pinned_ones_are_not_loaded(
    make_provider: Make, ask: Make
) -> None:
    """A wrong digest skips the tier, with both digests and the cure."""
    provider = make_provider(gguf_sha256="0" * 64)
    with pytest.raises(CallError, match="the pin says '0000") as caught:
        provider.complete(ask())
    assert Kind.SKIPPED == caught.value.kind


def test_a_file_that_is_no_model_fails_once_and_holds_back(
    make_provider: Make, ask: Make, tmp_path: Any
) -> None:
    """A model that does not load is not loaded again and again."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 64)
    provider = make_provider(model=str(broken))
    for _ in range(3):
        with pytest.raises(CallError, match="cannot load") as caught:
            provider.complete(ask())
        assert Kind.SKIPPED == caught.value.kind


def test_grounded_fields_stand_in_the_input(
    make_provider: Make, ask: Make, ticket: Any
) -> None:
    """Whatever the weights want, an order id is one of the candidates, or null."""
    provider = make_provider(
        ground={"order_id": r"\b[0-9]{5,}\b"}, params={"temperature": 1.5}
    )
    seen = {
        json.loads(
            provider.complete(
                ask(
                    "prompt 99999",
                    schema=ticket,
                    inputs={"ticket": "order 12345 or 67890, 12345"},
                    params={"seed": seed},
                )
            ).text
        )["order_id"]
        for seed in range(25)
    }
    assert {"12345", "67890", None} == seen


def test_what_the_runtime_cannot_do_is_said_before_it_starts(
    make_provider: Make, ask: Make
) -> None:
    """Unknown options and parameters, tools and raw clients are refused by name."""
    with pytest.raises(ConfigError, match="did you mean `n_ctx`"):
        make_provider(n_ctz=3)
    with pytest.raises(ConfigError, match="no parameter 'frequency_penalty'"):
        make_provider(params={"frequency_penalty": 1})
    with pytest.raises(TierUnavailableError, match="tools"):
        make_provider().complete(ask(tools=[{"type": "function"}]))
    with pytest.raises(ConfigError, match=r"model\.complete"):
        make_provider().client(1.0)


def test_warming_starts_the_worker_before_the_first_call(make_provider: Make) -> None:
    """After `warm`, a process comes up without any request."""
    provider = make_provider(n_batch=16)
    provider.warm()
    end = time.monotonic() + 30
    while not provider.pool().pids() and time.monotonic() < end:
        os.sched_yield()
    assert 1 == len(provider.pool().pids())

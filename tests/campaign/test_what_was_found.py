"""What the campaign found, each on its own and small."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from llmguard import INJECTED, Deferred, Kind, Model, capture, fallback_chain, pinned
from llmguard.adapters import provider_for, record_to
from llmguard.adapters.messages import Message, Request
from llmguard.errors import ConfigError, LockError
from llmguard.guard import Runtime, use_runtime
from llmguard.guard._isolate import Couriers
from llmguard.pins import Pin, edit_lock, read_lock
from llmguard.store import SqliteStore, StoreBusyError
from llmguard.store import _writer as writer
from llmguard.suite._journal import JournalWriter, read_journal
from llmguard.testing import FakeModel, HttpError, fake_pin
from llmguard_fallbacks import human


@contextmanager
def no_room(size: int = 0) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_lock_on_a_full_disk_stays_as_it_was(tmp_path: Path) -> None:
    """The error says what to do, and no half of a file is left."""
    path = tmp_path / "models.lock"
    one = Pin(route="r", provider="openai", model="gpt-4o-2024-08-06")
    before = edit_lock(path, lambda lock: lock.with_pin(one))
    two = Pin(route="r", provider="openai", model="gpt-4o-2024-05-13")
    with no_room(), pytest.raises(LockError, match=r"cannot be written.*as it was"):
        edit_lock(path, lambda lock: lock.with_pin(two))
    assert before.digest == read_lock(path).digest
    assert [] == [p.name for p in tmp_path.iterdir() if p.name.startswith(".models")]


def test_a_journal_on_a_full_disk_can_be_gone_on_with(tmp_path: Path) -> None:
    """The beginning of a line that had no room does not damage the next one."""
    path = tmp_path / "run.jsonl"
    with JournalWriter.create(path, {"suite": "s"}) as journal:
        size = path.stat().st_size
        with no_room(size + 10), pytest.raises(ConfigError, match=r"--resume"):
            journal.event("one", text="x" * 100)
        assert size == path.stat().st_size
        journal.event("two")
    assert ["two"] == [one["event"] for one in read_journal(path).events]


def test_a_journal_takes_what_a_model_cannot_say(tmp_path: Path) -> None:
    """Half of a surrogate pair in an answer is written escaped."""
    path = tmp_path / "run.jsonl"
    with JournalWriter.create(path, {"suite": "s"}) as journal:
        journal.write(json.dumps({"event": "e", "text": "\ud800"}, ensure_ascii=False))
    assert 1 == len(read_journal(path).events)


def test_an_answer_outlives_its_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A recording that cannot be written is logged once; calls are answered."""
    provider = provider_for(FakeModel("good").pin("r"))
    recorder = record_to(tmp_path, provider)  # a folder: nothing can be appended
    request = Request(messages=[Message(role="user", content="hi")])
    with caplog.at_level(logging.WARNING, "llmguard"):
        assert ["good", "good"] == [recorder.complete(request).text for _ in range(2)]
    assert 2 == recorder.lost
    assert 1 == len(caplog.records)


def test_a_fork_waits_for_the_imports_of_other_threads(tmp_path: Path) -> None:
    """A child would wait for ever for a thread that it does not have."""
    (tmp_path / "slow_to_import.py").write_text(
        "import gate\ngate.begun.set()\ngate.go_on.wait(30)\n"
    )
    script = """
import faulthandler, os, sys, threading, types
sys.path.insert(0, sys.argv[1])
gate = types.ModuleType("gate")
gate.begun, gate.go_on = threading.Event(), threading.Event()
sys.modules["gate"] = gate
import llmguard.guard
threading.Thread(target=__import__, args=("slow_to_import",)).start()
gate.begun.wait(30)
threading.Timer(0.2, gate.go_on.set).start()
child = os.fork()
if not child:
    faulthandler.dump_traceback_later(20, exit=True)
    import slow_to_import
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "0\n" == done.stdout, done.stderr


def test_a_module_that_forks_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody would finish the import in the meantime."""
    (tmp_path / "forking.py").write_text(
        "import os\nfrom llmguard.guard import _forks\n_forks._PATIENCE = 3600.0\n"
        "if not os.fork():\n    os._exit(0)\n"
    )
    words = [sys.executable, "-c", "import forking"]
    done = subprocess.run(words, cwd=tmp_path, check=False, timeout=60.0)
    assert 0 == done.returncode


def _tired(*_: object) -> NoReturn:
    raise RuntimeError("can't start new thread")


def test_without_threads_a_ticket_is_made_all_the_same(tmp_path: Path) -> None:
    """The one tier that keeps a call for later runs in the caller's thread."""
    store = SqliteStore(tmp_path / "s.db", synchronous="OFF")
    store.version()

    @fallback_chain(human("q", store=store))
    @pinned(fake_pin(HttpError(500)))
    def ask(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    with (
        use_runtime(Runtime(couriers=Couriers(hire=_tired))),
        capture() as outcomes,
        pytest.raises(Deferred) as deferred,
    ):
        ask("hi")
    assert "hi" == store.tickets.get(deferred.value.ticket_id).inputs["text"]
    first = outcomes[0].attempts[0]
    assert (Kind.SKIPPED, True) == (first.kind, "no more threads" in first.detail)
    store.close()


def test_an_event_loop_without_threads_makes_its_ticket_itself(tmp_path: Path) -> None:
    """It blocks for one write, which is better than losing the call."""
    store = SqliteStore(tmp_path / "s.db", synchronous="OFF")
    store.version()

    @fallback_chain(human("q", store=store))
    @pinned(fake_pin(HttpError(500)))
    async def ask(text: str, *, model: Model = INJECTED) -> str:
        return await model.acomplete(text)

    async def main() -> str:
        asyncio.get_running_loop().set_default_executor(_TiredPool())
        with pytest.raises(Deferred) as deferred:
            await ask("hi")
        return deferred.value.ticket_id

    assert "hi" == store.tickets.get(asyncio.run(main())).inputs["text"]
    store.close()


class _TiredPool(ThreadPoolExecutor):
    """An executor of a process that can start no thread."""

    def submit(self, *_: Any, **__: Any) -> NoReturn:
        _tired()


def test_a_store_without_its_thread_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that tickets are spilled, and the next use tries again."""
    store = SqliteStore(tmp_path / "s.db", synchronous="OFF")
    with monkeypatch.context() as patched:
        patched.setattr(writer.threading.Thread, "start", _tired)
        with pytest.raises(StoreBusyError, match="can start no more") as caught:
            store.beat("p", {})
    assert caught.value.written is False
    store.beat("p", {})
    assert ["p"] == [one["process"] for one in store.processes()]
    store.close()

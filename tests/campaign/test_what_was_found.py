"""What the campaign found, each on its own and small."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from store_backends import without_triggers

from llmguard import INJECTED, Deferred, Kind, Model, capture, fallback_chain, pinned
from llmguard.adapters import provider_for, record_to
from llmguard.adapters.messages import Message, Request
from llmguard.errors import ConfigError, LockError, StoreError
from llmguard.guard import Runtime, use_runtime
from llmguard.guard._isolate import Couriers
from llmguard.pins import Pin, edit_lock, read_lock
from llmguard.store import Event, NewTicket, SqliteStore, StoreBusyError
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


@pytest.mark.parametrize(
    ("statement", "read"),
    [
        pytest.param(
            "UPDATE ticket_bodies SET inputs = ''",
            lambda store: store.tickets.list(),
            id="tickets",
        ),
        pytest.param(
            "UPDATE events SET detail = '{'",
            lambda store: store.events.list(),
            id="events",
        ),
    ],
)
def test_a_damaged_row_is_an_error_of_the_store(
    tmp_path: Path, statement: str, read: Callable[[Any], object]
) -> None:
    """A page may be damaged where the database itself does not notice."""
    path = tmp_path / "s.db"
    store = SqliteStore(path, synchronous="OFF")
    new = NewTicket(id="t", queue="q", key="k", fingerprint="f", inputs={})
    store.tickets.enqueue(new)
    store.events.add(Event(kind="a.b", env="prod"))
    assert 1 == without_triggers(str(path), [statement])[0]
    with pytest.raises(StoreError, match=r"cannot be read .*backup"):
        read(store)
    store.close()


class _Gone:
    """A store that takes a ticket and is gone at once."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.url = store.url
        self.tickets = self

    def enqueue(self, new: NewTicket, **options: Any) -> Any:
        return self._store.tickets.enqueue(new, **options)

    def __getattr__(self, name: str) -> Any:
        raise StoreError(f"no server answers to {name}")


@pytest.mark.parametrize("shape", ["sync", "async"])
def test_a_ticket_that_was_made_is_handed_out(tmp_path: Path, shape: str) -> None:
    """The store goes away while the call waits: the caller keeps the ticket."""
    store = SqliteStore(tmp_path / "s.db", synchronous="OFF")
    tier: Any = human("q", store=_Gone(store), wait=1.0)  # type: ignore[arg-type]  # as much of one as is needed

    @fallback_chain(tier)
    @pinned(fake_pin(HttpError(500)))
    def ask(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    @fallback_chain(tier)
    @pinned(fake_pin(HttpError(500)))
    async def aask(text: str, *, model: Model = INJECTED) -> str:
        return await model.acomplete(text)

    call = ask if shape == "sync" else lambda text: asyncio.run(aask(text))
    with pytest.raises(Deferred) as deferred:
        call("hi")
    assert "hi" == store.tickets.get(deferred.value.ticket_id).inputs["text"]
    store.close()

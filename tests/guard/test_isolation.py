"""Couriers: threads a caller can stop waiting for."""

from __future__ import annotations

import contextvars
import os
import threading

import pytest

from llmguard.guard._isolate import Couriers

_VAR: contextvars.ContextVar[str] = contextvars.ContextVar("tests_var", default="none")


def test_a_job_sees_the_callers_context_and_cannot_change_it() -> None:
    """Context variables travel in, and what the job sets stays inside."""
    pool = Couriers()
    _VAR.set("caller")

    def work() -> str:
        seen = _VAR.get()
        _VAR.set("job")
        return seen

    job = pool.submit(work)
    assert job is not None
    assert job.wait(5)
    assert "caller" == job.value
    assert "caller" == _VAR.get()
    pool.close()


def test_an_abandoned_job_is_a_zombie_until_it_ends() -> None:
    """The count goes up when the caller leaves and down when the thread ends."""
    pool = Couriers()
    release, ended = threading.Event(), threading.Event()

    def hang() -> None:
        release.wait()

    job = pool.submit(hang)
    assert job is not None
    assert not job.wait(0)
    assert pool.abandon(job)
    assert 1 == pool.zombies
    release.set()
    follow = pool.submit(ended.set)
    assert follow is not None
    assert ended.wait(5)
    assert job.wait(5)
    while pool.zombies:  # the courier reports back right after its job
        threading.Event().wait(0.001)
    pool.close()


def test_too_many_zombies_shed_new_work() -> None:
    """A provider that hangs for hours cannot eat the process's threads."""
    pool = Couriers(max_zombies=2)
    release = threading.Event()
    jobs = [pool.submit(release.wait) for _ in range(2)]
    for job in jobs:
        assert job is not None
        assert pool.abandon(job)
    assert pool.submit(lambda: None) is None
    release.set()
    while pool.zombies:
        threading.Event().wait(0.001)
    assert pool.submit(lambda: None) is not None
    pool.close()


def test_a_finished_job_cannot_be_abandoned() -> None:
    """An answer that arrives in the last instant is used, not thrown away."""
    pool = Couriers()
    job = pool.submit(lambda: 41)
    assert job is not None
    assert job.wait(5)
    assert pool.abandon(job) is False
    assert 0 == pool.zombies
    pool.close()


def test_couriers_are_reused_and_go_home() -> None:
    """One caller at a time needs one thread, and closing ends it."""
    pool = Couriers()
    names = set()
    for _ in range(20):
        job = pool.submit(lambda: threading.current_thread().ident)
        assert job is not None
        assert job.wait(5)
        names.add(job.value)
        while not pool._idle:
            threading.Event().wait(0.001)
    assert 1 == len(names)
    pool.close()
    assert not any(t.ident in names for t in threading.enumerate())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_with_no_couriers() -> None:
    """Threads do not survive a fork, so the child must not wait for them."""
    pool = Couriers()
    job = pool.submit(lambda: 1)
    assert job is not None
    assert job.wait(5)
    child = os.fork()
    if child == 0:
        inner = pool.submit(lambda: 42)
        good = inner is not None and inner.wait(5) and inner.value == 42
        os._exit(0 if good else 1)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    pool.close()

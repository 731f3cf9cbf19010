"""Workers and the life of the program that started them."""

from __future__ import annotations

import os
import pathlib
import select
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.gguf

HEAD = """
import os, sys
from llmguard.pins import Pin
from llmguard.adapters.messages import Message, Request
from llmguard_fallbacks.local import provider
p = provider(Pin(route="t", provider="llama.cpp", model={model!r},
                 options={{"n_threads": 1, "n_ctx": 32768}}))
def ask(schema):
    message = Message(role="user", content="x")
    return p.complete(Request(messages=[message], schema=schema, timeout=60)).text
print(ask({{"const": "first"}}), p.pool().pids()[0], flush=True)
"""

Script = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def script(
    any_runtime: None, mini_gguf: pathlib.Path, tmp_path: pathlib.Path
) -> Script:
    """Return a function that runs a script without any `__main__` guard."""

    def start(body: str) -> subprocess.Popen[str]:
        path = tmp_path / "script.py"
        path.write_text(HEAD.format(model=str(mini_gguf)) + body)
        return subprocess.Popen(
            [sys.executable, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ended(pid: int) -> bool:
    """Wait until a process has ended, ten seconds at most."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


def first_line(process: subprocess.Popen[str]) -> int:
    """Return the process id of the worker, printed after the first answer."""
    assert process.stdout is not None
    text, pid = process.stdout.readline().split()
    assert '"first"' == text
    return int(pid)


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what is left on both streams of a script that must end by itself."""
    return process.communicate(timeout=60)


def test_a_plain_script_ends_and_takes_its_worker_along(script: Script) -> None:
    """No guard, no `close`: the program ends at its last line, silently."""
    process = script("")
    worker = first_line(process)
    assert ("", "", 0) == (*finish(process), process.returncode)
    assert ended(worker)


@pytest.mark.parametrize("busy", [False, True])
def test_a_worker_dies_with_its_parent(script: Script, busy: bool) -> None:
    """Kill -9 of the program leaves no orphan, idle or in the middle of an answer."""
    long = "ask({'type': 'string', 'minLength': 20000, 'maxLength': 20000})"
    process = script(long if busy else "sys.stdin.read(); import time; time.sleep(99)")
    worker = first_line(process)
    process.send_signal(signal.SIGKILL)
    finish(process)
    assert ended(worker)


def test_a_forked_child_starts_its_own_worker(script: Script) -> None:
    """After a fork both processes answer, each from a worker of its own."""
    process = script(
        """
import warnings
warnings.simplefilter("ignore")  # threads run: that is the point
child = os.fork()
text = ask({"const": "again"})
print(text, p.pool().pids()[0], flush=True)
if child:
    os.waitpid(child, 0)
"""
    )
    before = first_line(process)
    out, err = finish(process)
    answers = [line.split() for line in out.splitlines()]
    assert ['"again"', '"again"'] == [text for text, _ in answers], err
    workers = {int(pid) for _, pid in answers}
    assert 2 == len(workers)
    assert before in workers
    assert all(ended(pid) for pid in workers)

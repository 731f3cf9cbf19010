"""A constrained decoder in a process of its own: it may crash or hang, nothing else.

The parent sends one JSON line per task and reads one back. Whatever takes more CPU time
than its limit is killed, and the next task gets a fresh process. The limit is one of
CPU time so that a busy machine fails nobody.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, TextIO

__all__ = ["Child", "Skipped"]

_SLACK: Final = 10
"""Times its limit that a task may take by the clock, when it waits for something."""
MEMORY: Final = 12 << 30
"""Address space of a child, in bytes: an index that needs more counts as a crash."""
_START_LIMIT: Final = 120.0
"""CPU seconds for imports and for loading the model."""
_WARM: Final[dict[str, Any]] = {"seed": 0, "temperature": 1.0, "max_tokens": 8}
"""A first answer, so that no compiler of the engine's own is timed."""


class Skipped(Exception):  # noqa: N818 - an answer, not a fault
    """This engine cannot be measured here; the text says why."""


class Child:
    """One engine on one model, restarted after a crash or a hang.

    Args:
        engine: Name of the engine.
        model: The GGUF file.
        path: Folder with packages of its own, put in front of the others.
        poll: Seconds between two looks at the time it has used.

    Raises:
        Skipped: The engine does not start here.
    """

    def __init__(
        self,
        engine: str,
        model: Path,
        *,
        path: Path | None = None,
        poll: float = 0.5,
    ) -> None:
        self._poll = poll
        self._words = [sys.executable, "-W", "ignore", __file__, engine, str(model)]
        self._environment = dict(os.environ, GGML_NO_BACKTRACE="1")
        if path is not None:
            known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
            self._environment["PYTHONPATH"] = os.pathsep.join([str(path), *known])
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - lives as long as the child
        self._process: subprocess.Popen[str] | None = None
        try:
            self.about: dict[str, Any] = self._start()
        except Skipped:
            self._said.close()
            raise

    def ask(self, task: Mapping[str, Any], *, limit: float) -> dict[str, Any]:
        """Run one task; `end` of the answer is ok, refused, crashed or timed out."""
        try:
            if self._process is None:
                self._start()
        except Skipped as error:
            return {"end": "crashed", "why": f"it does not start again: {error}"}
        process = self._running()
        try:
            _pipe(process.stdin).write(json.dumps(task) + "\n")
            _pipe(process.stdin).flush()
        except BrokenPipeError:
            return self._crashed()
        return self._read(limit)

    def close(self) -> None:
        """End the process for good."""
        self._kill()
        self._said.close()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> dict[str, Any]:
        self._said.seek(0)
        self._said.truncate()
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            self._words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=self._environment,
            text=True,
        )
        found = self._read(_START_LIMIT)
        if found["end"] != "ok":
            self._kill()
            raise Skipped(found.get("why") or found["end"])
        return found

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the child is not running")
        return self._process

    def _read(self, limit: float) -> dict[str, Any]:
        output = _pipe(self._running().stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            if not self._answers(selector, limit):
                self._kill()
                return {"end": "timed out", "why": f"more than {limit:g} CPU s"}
        line = output.readline()
        if not line.endswith("\n"):
            return self._crashed()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _answers(self, selector: selectors.BaseSelector, limit: float) -> bool:
        """Wait for a line; False once the task has used up its time."""
        pid, start = self._running().pid, time.monotonic()
        before = _cpu_seconds(pid)
        while not selector.select(self._poll):
            if _cpu_seconds(pid) - before > limit:
                return False
            if time.monotonic() - start > limit * _SLACK:
                return False
        return True

    def _crashed(self) -> dict[str, Any]:
        process = self._running()
        with suppress(BrokenPipeError):  # what it was asked and never read
            process.communicate()
        code = process.returncode
        self._process = None
        self._said.seek(0)
        lines = self._said.read().strip().splitlines()
        last = lines[-1][:200] if lines else "no last word"
        return {"end": "crashed", "why": f"exit code {code}: {last}"}


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the child was started without pipes")
    return pipe


def _cpu_seconds(pid: int) -> float:
    """Return what a process has used so far, as far as the system tells (Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- in the child


def _serve(engine: Any, answers: TextIO) -> None:
    cold = True
    for line in sys.stdin:
        task = json.loads(line)
        name = task.pop("do")
        if cold and name != "compile":
            engine.generate({"type": "boolean"}, "Yes?", **_WARM)
            cold = False
        operation = getattr(engine, name)
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            found = operation(**task)
            end = "ok"
        except Exception as error:  # noqa: BLE001 - a refusal, whatever its type
            words = " ".join(f"{type(error).__name__}: {error}".split())
            found, end = {"why": words[:300]}, "refused"
        found = {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            **found,
        }
        print(json.dumps({"end": end, **found}), file=answers, flush=True)


def main(name: str, model: str) -> None:
    """Load one engine and answer tasks until the input ends."""
    # Libraries write to standard output as they like: answers get a copy of it.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from _constrained_engines import ENGINES

    try:
        engine = ENGINES[name](model)
    except Exception as error:  # noqa: BLE001 - any reason not to start is told
        why = " ".join(f"{type(error).__name__}: {error}".split())
        print(json.dumps({"end": "skipped", "why": why[:300]}), file=answers)
        answers.close()
        return
    print(json.dumps({"end": "ok", **engine.about}), file=answers, flush=True)
    _serve(engine, answers)


if __name__ == "__main__" and len(sys.argv) > 2:
    main(*sys.argv[1:3])

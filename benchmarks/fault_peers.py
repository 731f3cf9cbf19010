"""What other libraries do under the faults of the fault table, beside llmguard.

    python benchmarks/fault_peers.py --install   # makes the environments
    python benchmarks/fault_peers.py             # the table
    python benchmarks/fault_peers.py --write     # into docs/faults.md

Each library is in an environment of its own and has a fault server of its own, with a
healthy second model where it knows such a thing; they run at once, because what is
counted does not depend on the machine. All are at their defaults, retries included, but
for 2 s to wait for one answer, and ask for JSON of a schema, not for a tool's call.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final

from _environments import ROOT, make, python_of, weight_of
from _measure import machine, options, report

from llmguard.testing import FAULTS, Fault, FaultServer, ServedRequest

PAGE: Final = ROOT / "docs" / "faults.md"
OURS: Final = "llmguard"
LIBRARIES: Final[Mapping[str, str]] = {
    "llmguard": "llmguard-toolkit",
    "openai": "openai",
    "instructor": "instructor",
    "pydantic-ai": "pydantic-ai-slim",
    "litellm": "litellm",
    "guardrails": "guardrails-ai",
}
"""Environments, and the distribution whose version is shown; ours is this one."""
QUICK: Final = ("ok", "500", "bad_json")
Cells = dict[str, dict[str, Any]]


def install() -> None:
    """Make the environments; say what cannot be made."""
    for name in LIBRARIES:
        if problem := "" if name == OURS else make(name, join=[str(ROOT)]):
            print(f"{name}: not installed: {problem}")


def _person(request: ServedRequest) -> dict[str, Any]:
    """Answer as Ada; as Bob where the second model is asked, whose URL is `ok`'s."""
    return {"name": "Bob" if request.fault == "ok" else "Ada", "age": 36}


def measure(name: str, faults: Sequence[Fault]) -> Cells | str:
    """Put one library through the faults; return its cells, or why there are none."""
    python = Path(sys.executable) if name == OURS else python_of(name)
    if not python.exists():
        return "no environment; run `python benchmarks/fault_peers.py --install`"
    child = Path(__file__).with_name("_fault_child.py")
    with (
        FaultServer(answer=_person, delay=5.0, retry_after=3.0) as server,
        subprocess.Popen(  # noqa: S603 - our own interpreters, on constants
            [str(python), "-W", "ignore", str(child), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process,
    ):
        try:
            while _one(server, process, FAULTS["ok"])["given"] != "second":
                pass  # imports take as long as they take
            return {fault.name: _one(server, process, fault) for fault in faults}
        except EOFError:
            return f"ended with {process.wait(10)} before it was done"


def _one(
    server: FaultServer, process: subprocess.Popen[str], fault: Fault
) -> dict[str, Any]:
    server.forget()
    line = f"{server.url(fault.name)} {server.url('ok')}\n"
    _stream(process.stdin).write(line)
    _stream(process.stdin).flush()
    said: dict[str, Any] = json.loads(_answer(_stream(process.stdout)))
    return {**said, "asked": server.count(fault.name)}


def _stream(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise EOFError
    return stream


def _answer(lines: IO[str]) -> str:
    for line in lines:  # libraries print banners
        if line.startswith("@"):
            return line[1:]
    raise EOFError


def shown(cell: Mapping[str, Any], fault: Fault) -> str:
    """Return a cell: requests to the failing model, and how the call ended."""
    word = cell["given"]
    if cell["kind"] == "raised":
        word = f"raises `{word}`"
    elif word == "first" or fault.name == "ok":
        word = "answer" if fault.group == "healthy" else "**accepted**"
    elif word == "second":
        word = "second model"
    elif word == "last":
        word = "last tier"
    elif word == "flag":
        word = "`validation_passed=False`"
    else:
        word = f"**{word} as good**"
    slow = f", {cell['seconds']:.0f} s" if cell["seconds"] >= SLOW else ""
    return f"{cell['asked']}, {word}{slow}"


SLOW: Final = 2.5
"""Seconds from which a cell says how long the caller waited."""


def table(found: Mapping[str, Cells], faults: Sequence[Fault]) -> str:
    """Return all of it as Markdown."""
    names = [f"{name} {_version(name)}".strip() for name in found]
    lines = ["| fault | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for fault in faults:
        cells = [shown(one[fault.name], fault) for one in found.values()]
        lines.append(f"| `{fault.name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _version(name: str) -> str:
    if name == OURS:
        return version(LIBRARIES[name])
    known = weight_of(name) or {"versions": {}}
    return str(known["versions"].get(LIBRARIES[name], ""))


def main() -> None:
    asked = options(__doc__ or "", "--install", "--write")
    if asked.install:
        install()
        return
    os.environ.setdefault("OPENAI_API_KEY", "not-a-key")  # for the `.invalid` host
    faults = [fault for fault in FAULTS.values() if not fault.stream_only]
    if asked.quick:
        faults = [fault for fault in faults if fault.name in QUICK]
    with ThreadPoolExecutor(len(LIBRARIES)) as pool:
        each = list(pool.map(lambda name: measure(name, faults), LIBRARIES))
    found: dict[str, Cells] = {}
    for name, one in zip(LIBRARIES, each, strict=True):
        if isinstance(one, str):
            print(f"{name}: skipped: {one}")
        else:
            found[name] = one
    text = table(found, faults) if found else ""
    if asked.write and not asked.quick:
        marks = r"(<!-- peers -->\n).*?(<!-- /peers -->)"
        page = PAGE.read_text(encoding="utf-8")
        page = re.sub(marks, lambda m: m[1] + text + m[2], page, flags=re.DOTALL)
        PAGE.write_text(page, encoding="utf-8")
    print(text, end="")
    report({"faults": found}, machine(), asked.json)


if __name__ == "__main__":
    sys.exit(main())

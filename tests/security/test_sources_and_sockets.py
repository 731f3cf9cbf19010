"""The source runs nothing that it reads, and the program calls nobody."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("llmguard", "fallbacks/llmguard_fallbacks", "models/llmguard_models")
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "xmlrpc"}
CALLS = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}
CALLS |= {"tempfile.mktemp", "torch.load", "numpy.load", "joblib.load", "compile"}


def _files() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def _findings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
            yield from (f"{where} imports {name}" for name in sorted(names & MODULES))
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            yield f"{where} imports {node.module}"
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS:
                yield f"{where} calls {name}"
            shell = [k.value for k in node.keywords if k.arg == "shell"]
            if any(not (isinstance(v, ast.Constant) and not v.value) for v in shell):
                yield f"{where} starts a shell"


def test_nothing_read_is_run() -> None:
    """No pickle, no `eval`, no YAML with objects, no shell, in any package.

    Twice a class's `__init__` is made from its field names, as dataclasses do it.
    """
    assert len(list(_files())) > 300
    found = [finding for path in _files() for finding in _findings(path)]
    assert ["llmguard/_dataclass.py calls exec", "llmguard/_quick.py calls exec"] == [
        re.sub(r":\d+", "", finding) for finding in found
    ]


GUARD = """
import os, sys

LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")

def _heard(event, arguments):
    if event == "socket.connect":
        place = arguments[1]
        known = not isinstance(place, tuple) or str(place[0]).startswith(LOOPBACK)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
        known = host is None or str(host).strip("b'").startswith(LOOPBACK)
    else:
        return
    if not known:
        with open(os.environ["HEARD"], "a") as file:
            file.write(f"{event} {arguments[:2]!r} by {sys.argv[:3]!r}\\n")
        raise PermissionError(f"{event} {arguments[:2]!r}")

sys.addaudithook(_heard)
"""


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("-c", "import llmguard, llmguard_fallbacks, llmguard_models"),
                     id="import"),
        pytest.param(("-m", "llmguard", "--help"), id="help"),
        pytest.param(("-m", "llmguard", "doctor"), id="doctor"),
        pytest.param(("-m", "llmguard", "status", "--json"), id="status"),
        pytest.param(("-m", "llmguard", "pin", "add", "r", "--provider", "openai",
                      "--model", "gpt-4o-2024-08-06"), id="pin"),
        pytest.param(("-m", "llmguard", "pin", "check"), id="check"),
        pytest.param(("-m", "llmguard", "demo"), id="demo",
                     marks=[pytest.mark.slow, pytest.mark.gguf]),
    ],
)  # fmt: skip
def test_nothing_phones_home(words: tuple[str, ...], tmp_path: Path) -> None:
    """No name is looked up and no connection made beyond this machine."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    heard = tmp_path / "heard"
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "HEARD": str(heard)}
    folder = tmp_path / "project"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in {0, 1, 4}, done.stderr
    assert not heard.exists(), heard.read_text()


def test_the_guard_hears(tmp_path: Path) -> None:
    """A look-up that leaves the machine is noticed, so that silence means something."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    heard = tmp_path / "heard"
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "HEARD": str(heard)}
    script = "import socket; socket.getaddrinfo('example.invalid', 443)"
    subprocess.run([sys.executable, "-c", script], env=env, check=False,
                   capture_output=True)  # fmt: skip
    assert "example.invalid" in heard.read_text()

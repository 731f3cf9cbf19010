"""The source runs nothing that it reads, and the program calls nobody."""

from __future__ import annotations

import ast
import ipaddress
import os
import re
import shutil
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
import ipaddress, os, sys

CONNECTS = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"}
LOOKS_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}

def _here(host):
    host = host.decode() if isinstance(host, bytes) else host
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

def _heard(event, arguments):
    if event in CONNECTS:
        place = arguments[1]
        known = not isinstance(place, tuple) or (place[0] != "" and _here(place[0]))
    elif event in LOOKS_UP:
        known = _here(arguments[0])
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


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("socket.getaddrinfo('example.invalid', 443)", "example.invalid"),
        ("socket.getaddrinfo('127.evil.example', 443)", "127.evil.example"),
        ("socket.gethostbyname('localhost.evil.example')", "localhost.evil.example"),
        ("socket.create_connection(('203.0.113.7', 443), 1)", "203.0.113.7"),
        ("socket.socket().connect_ex(('203.0.113.7', 443))", "203.0.113.7"),
        ("socket.socket(type=2).sendto(b'x', ('203.0.113.7', 53))", "203.0.113.7"),
        ("socket.socket().bind(('', 0))", "socket.bind"),
        ("socket.socket().bind(('0.0.0.0', 0))", "0.0.0.0"),  # noqa: S104 - is refused
        ("socket.socket().bind(('127.0.0.1', 0))", ""),
        ("socket.getaddrinfo('localhost', 443)", ""),
    ],
)
def test_the_guard_hears(script: str, said: str, tmp_path: Path) -> None:
    """What leaves the machine or listens beyond it, so that silence means something."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    heard = tmp_path / "heard"
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "HEARD": str(heard)}
    subprocess.run([sys.executable, "-c", f"import socket; {script}"], env=env,
                   check=False, capture_output=True)  # fmt: skip
    assert bool(said) is heard.exists()
    assert said in (heard.read_text() if said else "")


CALLED = re.compile(r'sin_addr=inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')


def _asked(folder: Path, *words: str) -> tuple[int, set[str]]:
    """Run a program; return how it ended, and every address that it spoke to.

    The kernel is asked, so that libraries which are not Python are heard as well.
    """
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no `strace`: `apt-get install strace`")
    log = folder / "strace"
    calls = "trace=connect,bind,sendto,sendmsg,sendmmsg"
    done = subprocess.run(
        [strace, "-f", "--seccomp-bpf", "-qq", "-e", calls, "-o", str(log),
         sys.executable, *words],
        cwd=folder, capture_output=True, check=False, timeout=580,
    )  # fmt: skip
    found = CALLED.findall(log.read_text(errors="replace"))
    return done.returncode, {one or other for one, other in found}


def _foreign(addresses: set[str]) -> set[str]:
    return {one for one in addresses if not ipaddress.ip_address(one).is_loopback}


@pytest.mark.slow
@pytest.mark.gguf
def test_the_demo_speaks_to_this_machine_only(tmp_path: Path) -> None:
    """Model, worker and all: no packet of any process of it goes anywhere else."""
    script = (
        "import socket; socket.socket(type=2).sendto(b'x', ('203.0.113.7', 9)); "
        "socket.socket().connect_ex(('127.0.0.1', 1))"
    )
    assert {"203.0.113.7", "127.0.0.1"} == _asked(tmp_path, "-c", script)[1]
    code, addresses = _asked(tmp_path, "-m", "llmguard", "demo")
    assert 0 == code
    assert set() == _foreign(addresses)

"""A project with a lock, a store, a suite's evidence, and people with keys."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from shop_suite import MODULE, SUITE

from llmguard import config, pins
from llmguard.pins import Lock, Pin, edit_lock, load_lock
from llmguard.promotion import Given, Moved, approve, promote
from llmguard.store import SqliteStore
from llmguard.suite import Evidence, Suite, Verdict, find_suite
from llmguard.testing import VirtualClock

EPOCH = 1_790_000_000.0
DAY = 86_400.0


def make_pin(model: str, **fields: Any) -> Pin:
    """Return a pin of the route `triage` that needs no file and no network."""
    given = {"provider": "openai", "version_class": "versioned", "owner": "desk"}
    return Pin(route="triage", model=f"gpt-5.2-2025-12-{model}", **(given | fields))


OLD, NEW, THIRD = make_pin("07"), make_pin("08"), make_pin("09")


@dataclass
class Project:
    """A folder with everything that promotion looks at."""

    folder: Path
    store: SqliteStore
    clock: VirtualClock
    module: str
    people: dict[str, Path] = field(default_factory=dict[str, Path])
    old: Pin = OLD
    new: Pin = NEW
    third: Pin = THIRD

    @property
    def lock(self) -> Lock:
        return load_lock(self.folder / "models.lock")

    def gates(self, text: str) -> None:
        """Write `[tool.llmguard.gates]` tables; read from now on."""
        (self.folder / "pyproject.toml").write_text(
            f'[tool.llmguard]\nsuites = ["shop.toml"]\n{text}\n'
        )
        config.reset()

    def allow(self, *given: Pin, activate: bool = False) -> None:
        path = self.folder / "models.lock"
        for pin in given:
            edit_lock(path, lambda old, p=pin: old.with_pin(p, activate=activate))

    @property
    def suite(self) -> Suite:
        return find_suite(self.folder / "shop.toml")

    def evidence(self, pin: Pin, verdict: str = "PROMOTE", **fields: Any) -> str:
        """Keep a suite's word about a pin, as a run does; returns its digest."""
        suite = self.suite
        given: dict[str, Any] = {
            "function": suite.function_name,
            "suite": suite.name,
            "suite_digest": suite.digest,
            "pin": pin.id,
            "pin_digest": pin.identity,
            "verdict": Verdict(verdict),
            "reason": "as recorded",
            "seed": 1,
            "order_digest": "sha256:0",
            "alpha": 0.01,
            "beta": 0.05,
            "cases": 20,
            "rounds": 3,
            "calls": 60,
            "assertions": (),
            "llmguard": "0",
            "at": self.clock.time(),
        }
        made = Evidence(**(given | fields))
        self.store.put_evidence(made.row())
        return made.digest

    def promote(self, pin: Pin | str, to: str = "active", **fields: Any) -> Moved:
        given: dict[str, Any] = {
            "store": self.store,
            "route": "triage",
            "pin": pin if isinstance(pin, str) else pin.id,
            "to": to,
            "env": "prod",
            "actor": "ann@example.com",
            "now": self.clock.time(),
        }
        if to == "canary":
            given["weight"] = 500
        return promote(**(given | fields))

    def person(self, name: str, *, options: str = "", allowed: bool = True) -> Path:
        """Make a key for somebody, and a line in the file of allowed signers."""
        key = self.folder / "keys" / name
        key.parent.mkdir(exist_ok=True)
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name]
        subprocess.run([*words, "-f", str(key)], check=True)
        if allowed:
            self.allow_key(f"{name}@example.com", key, options)
        self.people[name] = key
        return key

    def allow_key(self, principal: str, key: Path, options: str = "") -> None:
        public = key.with_name(f"{key.name}.pub").read_text()
        with (self.folder / "allowed_signers").open("a") as file:
            file.write(f"{principal} {options} {public}")

    def approve(self, name: str, pin: Pin, to: str = "active", **fields: Any) -> Given:
        given: dict[str, Any] = {
            "store": self.store,
            "route": "triage",
            "pin": pin.id,
            "to": to,
            "env": "prod",
            "key": self.people[name],
            "now": self.clock.time(),
        }
        if to == "canary":
            given["weight"] = 500
        return approve(**(given | fields))

    def state(self) -> Any:
        return self.store.ledger.route_state("prod", "triage")

    def kinds(self) -> list[str]:
        """Return the kinds of all events, in order."""
        return [event.kind for event in self.store.events.list()]


@pytest.fixture
def ssh_keygen() -> None:
    """Need ssh-keygen; in CI its absence is a failure."""
    if shutil.which("ssh-keygen") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("ssh-keygen is missing: apt-get install openssh-client")
        pytest.skip("ssh-keygen is not installed")


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Project]:
    """Give a project whose lock allows OLD (active) and NEW on the route `triage`."""
    name = f"promotion_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "shop.toml").write_text(SUITE.replace("NAME", name))
    lines = [f'{{"id": "c{n:02}", "inputs": {{"text": "{n}"}}}}' for n in range(20)]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    for variable in ("LLMGUARD_LOCK", "LLMGUARD_STORE", "LLMGUARD_ENV"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    clock = VirtualClock(epoch=EPOCH)
    store = SqliteStore(tmp_path / "s.db", clock=clock, synchronous="OFF")
    made = Project(tmp_path, store, clock, name)
    made.gates("")
    pins.forget()
    made.allow(OLD, NEW)
    yield made
    store.close()
    config.reset()
    pins.forget()


@pytest.fixture
def refuses() -> Callable[[pytest.ExceptionInfo[Any], str], str]:
    """Give the state and the reason of one gate of a refusal."""

    def told(caught: pytest.ExceptionInfo[Any], gate: str) -> str:
        one = next(g for g in caught.value.gates if g.gate == gate)
        return f"{one.state.value}: {one.reason} -> {one.repair}"

    return told

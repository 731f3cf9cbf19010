"""`llmguard models`, as a person or a script runs it."""

from __future__ import annotations

import json
import pathlib
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from llmguard.pins import read_lock, sha256_file
from llmguard_fallbacks.weights.cli import models

Make = Callable[..., pathlib.Path]


@pytest.fixture
def lock(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return where a lock file would be."""
    return tmp_path / "models.lock"


def run(*arguments: object, code: int = 0) -> Any:
    found = CliRunner().invoke(models, [str(a) for a in arguments])
    assert code == found.exit_code, found.output
    return json.loads(found.stdout) if "--json" in arguments else found.output


def test_add_prints_the_command_that_pins(make_gguf: Make, lock: Any) -> None:
    """`add` records the facts, and its last line pins the file when it is run."""
    from llmguard.cli.pin import pin

    path = make_gguf(tokenizer__chat_template="{{ m }}")
    found = run("add", path, "--lock", lock, "--json")
    assert sha256_file(path) == found["sha256"]
    assert len(found["chat_template_sha256"]) == 64
    command = shlex.split(found["pin_command"])
    assert ["llmguard", "pin", "add", "ROUTE"] == command[:4]
    done = CliRunner().invoke(pin, ["add", "here", *command[4:]])
    assert done.exit_code == 0, done.output
    pinned = read_lock(lock).resolve("here")
    assert (path, found["sha256"]) == (pinned.path, pinned.options["gguf_sha256"])


def test_add_with_route_writes_the_pin(make_gguf: Make, lock: Any) -> None:
    """With --route the pin is written, its path relative to the lock."""
    found = run("add", make_gguf(), "--route", "triage", "--lock", lock, "--json")
    pinned = read_lock(lock).resolve("triage")
    assert found["pin"] == {"route": "triage", "id": pinned.id}
    assert ("tiny.gguf", "immutable") == (pinned.model, pinned.version_class)


def test_add_refuses_what_is_no_model(tmp_path: pathlib.Path, lock: Any) -> None:
    """Other files are refused in one sentence, and nothing is recorded."""
    (tmp_path / "x.gguf").write_bytes(b"MZ")
    assert "no usable GGUF" in run("add", tmp_path / "x.gguf", "--lock", lock, code=1)
    assert "no file" in run("add", tmp_path / "y.gguf", "--lock", lock, code=1)
    assert not (tmp_path / ".llmguard").exists()


def test_verify_finds_every_kind_of_change(make_gguf: Make, lock: Any) -> None:
    """A changed and a missing file are found, with exit code 1."""
    one, two = make_gguf("one.gguf"), make_gguf("two.gguf")
    for path in (one, two):
        run("add", path, "--route", path.stem, "--lock", lock)
    run("verify", "--lock", lock)
    one.write_bytes(one.read_bytes()[:-1] + b"\2")
    two.unlink()
    found = run("verify", "--lock", lock, "--json", code=1)
    states = {(v["kind"], v["name"].partition("/")[0], v["state"]) for v in found}
    assert {
        ("pin", "one", "changed"),
        ("added", "one", "changed"),
        ("pin", "two", "missing"),
        ("added", "two", "missing"),
    } <= states
    assert all(v["repair"] for v in found if v["state"] != "ok")


def test_list_shows_pins_and_added_files(make_gguf: Make, lock: Any) -> None:
    """`list` names what is pinned and what was only added."""
    run("add", make_gguf("one.gguf"), "--route", "one", "--lock", lock)
    run("add", make_gguf("two.gguf"), "--lock", lock)
    kinds = [
        (h["kind"], h["name"].partition("/")[0])
        for h in run("list", "--lock", lock, "--json")
        if h["kind"] != "embedded"
    ]
    assert [("pin", "one"), ("added", "one"), ("added", "two")] == kinds
    assert "two.gguf" in run("list", "--lock", lock)


def test_pull_records_its_source(hub: Any, lock: Any) -> None:
    """`pull --route` ends with a pin beside the lock, and a record of the commit."""
    pytest.importorskip("huggingface_hub")
    found = run(
        *("pull", "me/tiny", "tiny.gguf", "--endpoint", hub.url),
        *("--route", "triage", "--lock", lock, "--json"),
    )
    assert found["source"].startswith("me/tiny@0123456789abcdef")
    pinned = read_lock(lock).resolve("triage")
    assert (".llmguard/models/tiny.gguf", hub.announced) == (
        pinned.model,
        pinned.options["gguf_sha256"],
    )
    run("verify", "--lock", lock)


def test_pulled_bytes_that_change_refuse_to_load(hub: Any, lock: Any) -> None:
    """The runtime refuses a file that is no longer the one that was pulled."""
    pytest.importorskip("huggingface_hub")
    from llmguard.errors import ConfigError
    from llmguard_fallbacks.local._weights import find_weights, verify

    run(
        *("pull", "me/tiny", "tiny.gguf", "--endpoint", hub.url),
        *("--route", "triage", "--lock", lock),
    )
    pinned = read_lock(lock).resolve("triage")
    pinned.path.write_bytes(b"GGUF but another")
    with pytest.raises(ConfigError, match="but the pin says"):
        verify(find_weights(str(pinned.path), str(pinned.options["gguf_sha256"])))


def test_bench_reports_both_ways(tmp_path: pathlib.Path) -> None:
    """`bench` measures with and without a schema, and names what it measured with."""
    for name in ("llama_cpp", "llguidance", "llmguard_models"):
        pytest.importorskip(name)
    schema = tmp_path / "schema.json"
    schema.write_text('{"enum": ["yes", "no"]}')
    found = run(
        *("bench", "embedded:triage-1.0", "--repeat", 1, "--tokens", 4),
        *("--schema", schema, "--json"),
    )
    assert found["unconstrained"]["tokens"] <= 4
    assert found["constrained"]["tokens"] >= 1
    assert found["runtime"].startswith("llama-cpp-python")
    assert found["memory_bytes"]["peak"] > found["memory_bytes"]["before_load"]
    for way in ("constrained", "unconstrained"):
        assert found[way]["first_token_seconds"] <= found[way]["total_seconds"]


def test_bench_as_text() -> None:
    """The table for people has a column for each way."""
    for name in ("llama_cpp", "llguidance", "llmguard_models"):
        pytest.importorskip(name)
    text = run("bench", "embedded:triage-1.0", "--repeat", 1, "--tokens", 2)
    assert "UNCONSTRAINED" in text
    assert "schema compile" in text

"""`llmguard serve` as a process: it announces itself, answers, and ends when told."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

import pytest

from llmguard.errors import ConfigError
from llmguard.pins import Pin, edit_lock, prepare


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    program = "import sys; from llmguard.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.fixture
def lock(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a lock with a route of the embedded model."""
    path = tmp_path / "models.lock"
    pin = prepare(
        Pin(
            route="triage-local",
            provider="llama.cpp",
            model="embedded:triage-1.0",
            params={"temperature": 0.0},
            options={"n_threads": 1, "grace": 30.0},
        )
    )
    edit_lock(path, lambda old: old.with_pin(pin))
    return path


def test_serves_a_route_until_sigterm(packages: None, lock: Any, prompt: str) -> None:
    """The route is served under its name; SIGTERM ends server and worker cleanly."""
    import openai

    process = start("triage-local", "--lock", str(lock), "--port", "0", "--json")
    assert process.stdout is not None
    announced = json.loads(process.stdout.readline())
    assert announced["models"] == ["triage-local"]
    with openai.OpenAI(base_url=announced["endpoint"], api_key="none") as client:
        done = client.chat.completions.create(
            model="triage-local",
            messages=[{"role": "user", "content": prompt}],
            max_tokens=3,
        )
    assert done.model == "triage-local"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGTERM), errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.gguf",), "there are no weights"),
        (("embedded:nothing",), "no embedded model"),
        (("embedded:triage-1.0", "--host", "192.0.2.1"), "a token is needed"),
        (("embedded:triage-1.0", "--option", "slotz=2"), "did you mean `slots`"),
        (("embedded:triage-1.0", "embedded:triage-1.0"), "another name"),
    ],
)
def test_refuses_to_start_on_mistakes(
    packages: None, arguments: tuple[str, ...], message: str
) -> None:
    """Mistakes are one sentence at the start, not failures of later calls."""
    from click.testing import CliRunner

    from llmguard_fallbacks.cli_serve import serve

    found = CliRunner().invoke(serve, [*arguments, "--port", "0"])
    assert isinstance(found.exception, ConfigError)
    assert message in str(found.exception)


def test_other_providers_are_refused(packages: None) -> None:
    """Only models of this machine are served."""
    from llmguard_fallbacks.serve import serve_pin

    with pytest.raises(ConfigError, match="models of this machine"):
        serve_pin(Pin(route="r", provider="openai", model="gpt-4.1-2025-04-14"))


def test_aliases_name_models(packages: None) -> None:
    """`ALIAS=MODEL` gives a model another name; options reach its pin."""
    from llmguard_fallbacks.serve import serve_targets

    (found,) = serve_targets(["a/b=embedded:triage-1.0"], options={"slots": 2})
    assert ("a/b", 2 + 4) == (found.name, found.places)

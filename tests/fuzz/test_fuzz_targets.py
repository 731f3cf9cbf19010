"""Every input that once did harm, and as many new ones as a test has time for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"


def test_every_target_has_a_corpus() -> None:
    """A target without one would be fuzzed from nothing."""
    assert sorted(TARGETS) == sorted(folder.name for folder in CORPUS.iterdir())


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_what_was_found_stays_repaired(name: str) -> None:
    """The corpus holds seeds, and what each repair was made for."""
    for file in sorted((CORPUS / name).iterdir()):
        TARGETS[name](file.read_bytes())


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_bytes_at_random(name: str) -> None:
    """Hypothesis writes bytes of its own."""
    target = TARGETS[name]

    @settings(
        max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(st.binary(max_size=400))
    def run(data: bytes) -> None:
        target(data)

    run()


@pytest.mark.slow
def test_the_command_runs_a_target_and_says_how_often() -> None:
    """What `nox -s fuzz` runs, for a second."""
    done = subprocess.run(
        [sys.executable, HERE / "fuzz.py", "signature", "--seconds", "1", "--plain"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "1 targets, 0 with findings" in done.stdout

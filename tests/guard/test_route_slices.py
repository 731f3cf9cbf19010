"""Slices of a route's calls, in code and in the settings, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llmguard import (
    INJECTED,
    Model,
    call_context,
    config,
    contract,
    pinned,
)
from llmguard.errors import ConfigError, LockError
from llmguard.pins import Slice
from llmguard.pins.routing import Routed
from llmguard.store import Stage

from .routed import Project

Ask = Callable[[str], str]


def test_slices_go_elsewhere(project: Project, routed: Routed) -> None:
    """In code before those of the settings; the first that fits."""
    text = (
        "[tool.llmguard.routes.triage]\n"
        'slices = [{ when = { kind = ["refund", "legal"] }, route = "local" },\n'
        f'  {{ when = {{ kind = "long" }}, pin = "{project.id("v3")}" }}]\n'
    )
    Path("pyproject.toml").write_text(text, encoding="utf-8")
    config.reset()

    @contract(str)
    @pinned("triage", slices=[Slice(when={"kind": "refund"}, route="refunds")])
    def ask(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text).text or ""

    answers: dict[str, str] = {}
    for kind in ("refund", "legal", "long", "other"):
        with call_context(kind=kind):
            answers[kind] = ask("hello")
    assert "v1" == ask("hello")
    assert {
        "refund": "refunds",
        "legal": "local",
        "long": "v3",
        "other": "v1",
    } == answers
    routed.table = project.table(
        project.state("v1", v3=Stage.QUARANTINED),
        project.state(None, route="refunds", refunds=Stage.QUARANTINED),
    )
    with call_context(kind="long"):
        assert "v1" == ask("hello")


def test_wrong_slices_are_refused(project: Project) -> None:
    """At decoration: unknown routes and pins, half a slice, a slice of no route."""
    for piece, message in (
        (Slice(when={"kind": "x"}, route="nowhere"), "unknown route 'nowhere'"),
        (Slice(when={"kind": "x"}, pin="p-0"), "no pin 'p-0'"),
    ):
        with pytest.raises(LockError, match=message):
            pinned("triage", slices=[piece])(_plain)
    with pytest.raises(ConfigError, match="which is no route"):
        pinned(project.pins["v1"], slices=[Slice(when={"kind": "x"}, route="local")])(
            _plain
        )
    with pytest.raises(ConfigError, match="name one of them"):
        Slice(when={"kind": "x"})
    with pytest.raises(ConfigError, match="has no `when`"):
        Slice(route="local")
    with pytest.raises(ConfigError, match="`kind` of a slice is ''"):
        Slice(when={"kind": ""}, route="local")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("unitt = 'x'", r"unknown key 'unitt' in .*routes.triage.*known: \['probes'"),
        ("unit = 3", "`unit` of .*triage.* is 3"),
        ("slices = 3", "`slices` in .* is 3, not a list"),
        ("slices = [3]", "a slice in .* is 3, not a table"),
        ("slices = [{ when = 3, route = 'local' }]", "`when` .* is 3, not a table"),
        ("slices = [{ route = 'local' }]", "triage.*has no `when`"),
        ("slices = [{ wen = {}, route = 'local' }]", "unknown key 'wen'"),
    ],
)
def test_wrong_settings_are_refused(project: Project, table: str, message: str) -> None:
    """When the function is decorated, with the table's name."""
    del project
    Path("pyproject.toml").write_text(f"[tool.llmguard.routes.triage]\n{table}")
    config.reset()
    with pytest.raises(ConfigError, match=message):
        pinned("triage")(_plain)


def _plain(text: str, *, model: Model = INJECTED) -> str:
    return model.complete(text).text or ""

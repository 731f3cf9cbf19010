"""The report as text, JSON and a page: escaped, self-contained, complete."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.shadow import Draw, Ladder, Pair, Report, Tally, Version, render, report
from llmguard.shadow.render._diff import pieces

EVIL = "<script>alert(1)</script>\u202e & \x1b[31m \"'"


@pytest.fixture(scope="module")
def found() -> Report:
    """Return a report whose every text tries to be markup."""
    tally = Tally(Ladder(output="text"))
    no = Draw(text=f"I cannot help with that request. {EVIL}")
    yes = Draw(text=f"Here it is: {EVIL}", latency_s=0.2, cost=0.001)
    for i in range(400):
        pair = Pair(
            request=f"r{i}{EVIL}",
            a=yes,
            a2=yes,
            b=no if i % 8 == 0 else yes,
            b2=no if i % 8 == 0 else yes,
            stratum=EVIL if i % 2 else "plain",
            input=EVIL,
        )
        tally.add(pair)
    return report(
        tally,
        incumbent=Version(name=EVIL, pin="v1"),
        challenger=Version(name="new", pin="v2"),
        function=EVIL,
        notes=[EVIL],
        inputs={EVIL: 3},
        at=1.7e9,
    )


class _Page(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.scripts = 0
        self.policy = ""
        self.examples = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.loads += [f"{tag} {name}" for name in ("src", "srcset") if name in known]
        self.loads += [f"{tag} href"] * (tag == "link")
        self.loads += [name for name in known if name.startswith("on")]
        self.scripts += tag == "script"
        self.examples += tag == "article"
        if known.get("http-equiv") == "Content-Security-Policy":
            self.policy = known["content"] or ""


def test_the_page_loads_nothing_and_runs_its_own_script_only(found: Report) -> None:
    """The policy names the digest of the one script there is."""
    page = render.html(found)
    seen = _Page()
    seen.feed(page)
    assert ([], 1) == (seen.loads, seen.scripts)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in seen.policy
    assert "default-src 'none'" in seen.policy
    assert "alert(1)</script>" not in page
    assert "\x1b" not in page
    assert "url(" not in page
    assert len(found.examples) == seen.examples > 0


def test_examples_carry_what_they_are_filtered_by(found: Report) -> None:
    """Class, direction, slice and whether both versions are sure."""
    page = render.html(found)
    assert 'data-rung="1"' in page
    assert 'data-direction="@act: answer → refusal"' in page
    assert 'data-slice="plain"' in page
    assert 'data-stable="True"' in page
    assert "prefers-color-scheme: dark" in page
    assert "<mark>" in page


def test_the_terminal_cannot_be_steered(found: Report) -> None:
    """No escape of a model's reaches the terminal; the tail is there."""
    said = render.text(found)
    assert "\x1b" not in said
    assert "\u202e" not in said
    for part in ("BLOCK", "newly refuses", "The tail", "0.2", "12.5 %"):
        assert part in said


def test_the_json_reads_back(found: Report) -> None:
    """Nothing is lost on the way; other documents are refused."""
    assert found == render.load(json.loads(render.json(found)))
    with pytest.raises(ConfigError, match="no shadow report"):
        render.load({"kind": "suite"})
    broken = json.loads(render.json(found)) | {"requests": "many"}
    with pytest.raises(ConfigError, match="requests is 'many'"):
        render.load(broken)


@given(st.text(max_size=80), st.text(max_size=80))
def test_pieces_are_the_texts(a: str, b: str) -> None:
    """Marking loses nothing; what is unmarked is the same on both sides."""
    left, right = pieces(a, b)
    assert (a, b) == tuple("".join(p.text for p in side) for side in (left, right))
    same = ["".join(p.text for p in side if not p.changed) for side in (left, right)]
    assert same[0] == same[1]


def test_long_texts_are_marked_in_linear_time() -> None:
    """Thousands of different words: the common ends, and the middle as one piece."""
    middle = [" ".join(f"{c}{i}" for i in range(3000)) for c in "ab"]
    left, right = pieces(f"Dear you, {middle[0]} bye.", f"Dear you, {middle[1]} bye.")
    assert [False, True, False] == [piece.changed for piece in left]
    assert [False, True, False] == [piece.changed for piece in right]

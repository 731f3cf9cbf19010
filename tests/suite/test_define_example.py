"""The example suite: its cases are new, it holds the embedded model, it blocks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmguard import Kind
from llmguard.suite import Case, Sample, Suite, Verdict, find_suite, render, run
from llmguard.testing import FakeModel

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples/suites/triage.toml"
CATEGORIES = ("billing", "shipping", "refund", "account", "bug", "other")
STAKES = "stakes-reach-a-person"


@pytest.fixture
def suite() -> Iterator[Suite]:
    """Load the example; forget its module afterwards."""
    there = "triage" in sys.modules
    yield find_suite(FILE)
    if not there:
        sys.modules.pop("triage", None)


def named(suite: Suite, name: str) -> Any:
    """Return one of its assertions."""
    return next(each for each in suite.assertions if each.name == name)


def test_it_is_a_valid_suite(suite: Suite) -> None:
    """At least 40 cases, every category, every slice of high stakes."""
    suite.validate()
    assert len(suite.cases) >= 40
    slices = Counter(case.slice for case in suite.cases)
    assert set(CATEGORIES) <= slices.keys()
    assert min(slices.values()) >= 3
    stakes = suite.cases_of(named(suite, STAKES))
    assert {"legal-threat", "big-refund", "safety", "fraud"} <= {
        case.slice for case in stakes
    }
    assert all(case.expected["needs_human"] is True for case in stakes)
    known = {case.expected.get("category") for case in suite.cases}
    assert set(CATEGORIES) <= known
    assert all(case.has_expected for case in suite.cases)


def test_its_text_is_new(suite: Suite, tmp_path: Path) -> None:
    """No five words in a row come from what the model was trained or tested on."""
    file = tmp_path / "mine.jsonl"
    rows = [{"id": case.id, "text": case.inputs["ticket"]} for case in suite.cases]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    code = (
        "import json, overlap, pathlib, sys\n"
        "mine = pathlib.Path(sys.argv[1])\n"
        "found = overlap.shared([mine])\n"
        "def read(path):\n"
        "    lines = path.read_text('utf-8').splitlines()\n"
        "    return [json.loads(line)['text'] for line in lines]\n"
        "texts = [text for path in overlap.APART for text in read(path)]\n"
        "apart = set().union(*map(overlap.grams, texts))\n"
        "found += [text for text in read(mine) if overlap.grams(text) & apart]\n"
        "print(found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT / "models/recipe",
        timeout=60,
    )
    assert ("[]", "") == (done.stdout.strip(), done.stderr)


def answering(suite: Suite, name: str, *, inverted: str = "") -> Any:
    """Return a pin of a model that is right, but for one slice's `needs_human`."""
    by_prompt = {case.inputs["ticket"]: case for case in suite.cases}

    def answer(request: Any) -> dict[str, Any]:
        text = request.messages[-1].content
        case = by_prompt[text.removeprefix("Ticket: ").removesuffix("\nTriage:\n")]
        wanted = {
            "category": "other",
            "priority": "urgent",
            "needs_human": False,
            "order_id": None,
            **case.expected,
        }
        if inverted and case.slice == inverted:
            wanted["needs_human"] = not wanted["needs_human"]
        return wanted

    return FakeModel(answer, name=name).pin("triage")


def test_a_good_version_is_promoted(suite: Suite) -> None:
    """Right everywhere, beside an incumbent that is as good."""
    report = run(
        suite,
        answering(suite, "good"),
        incumbent=answering(suite, "known"),
        seed=3,
    )
    assert Verdict.PROMOTE == report.verdict, report.reason


@pytest.mark.parametrize("inverted", ["legal-threat", "big-refund"])
def test_an_inverted_slice_blocks(suite: Suite, inverted: str) -> None:
    """Right in 93 of 100 cases, and wrong where it costs most: named first."""
    report = run(
        suite,
        answering(suite, "better", inverted=inverted),
        incumbent=answering(suite, "known"),
        seed=3,
    )
    assert Verdict.BLOCK == report.verdict, report.reason
    blocked = report.assertions[0]
    assert blocked.name in {STAKES, "no-ticket-of-them-lost"}
    assert inverted == blocked.slices[0].name
    assert inverted == blocked.examples[0].slice
    assert report.calls < 400


def test_the_embedded_model_keeps_it(suite: Suite) -> None:
    """What the incumbent does is what the contract holds."""
    pytest.importorskip("llama_cpp", reason="the local runtime is not installed")
    module = sys.modules["triage"]
    lost = [
        case.id
        for case in suite.cases_of(named(suite, STAKES))
        if not module.triage(case.inputs["ticket"]).needs_human
    ]
    assert [] == lost


def judged(suite: Suite, name: str, value: dict[str, Any], case: Case) -> bool:
    """Tell whether an answer fails an assertion."""
    sample = Sample(
        case=case.id,
        arm="candidate",
        round=1,
        order=0,
        kind=Kind.OK,
        value=value,
        has_value=True,
    )
    return bool(named(suite, name).judge(case, sample).failed)


def test_its_claims_are_about_what_they_say(suite: Suite) -> None:
    """A lost threat and a false alarm both fail, each its own claim."""
    case = suite.case("legal-court")
    assert judged(suite, STAKES, {"needs_human": False}, case)
    assert not judged(suite, STAKES, {"needs_human": True}, case)
    plain = suite.case("ship-where")
    assert judged(suite, "no-false-alarms", {"needs_human": True}, plain)
    late = suite.case("outage-api")
    assert judged(suite, "outage-is-urgent", {"priority": "normal"}, late)
    assert not judged(suite, "outage-is-urgent", {"priority": "high"}, late)


def test_the_better_version_is_blocked_for_what_it_lost(suite: Suite) -> None:
    """It scores higher on the whole, and legal threats no longer reach a person."""
    report = run(suite, "llama.cpp:embedded:triage-1.1", seed=1)
    assert Verdict.BLOCK is report.verdict
    first = report.assertions[0]
    assert STAKES == first.name
    assert "legal-threat" == first.slices[0].name
    assert 0 == first.slices[0].incumbent_failures < first.slices[0].failures
    assert render.text(report).splitlines()[0].count("legal-threat")


@pytest.mark.slow
@pytest.mark.gguf
def test_the_embedded_model_is_promoted_beside_itself(suite: Suite) -> None:
    """The version in use passes its own contract, with real calls."""
    pytest.importorskip("llama_cpp", reason="the local runtime is not installed")
    report = run(suite, "llama.cpp:embedded:triage-1.0", seed=1)
    assert Verdict.PROMOTE == report.verdict, report.reason
    assert report.calls < 1000

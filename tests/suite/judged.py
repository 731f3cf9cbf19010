"""Cases, samples and a detector for tests of assertions."""

from __future__ import annotations

from typing import Any

from llmguard.detectors import Calibration, Detection, Detector
from llmguard.outcome import Kind
from llmguard.suite import Assertion, Case, Sample

CASE = Case(id="c", inputs={"text": "hello"})
ANSWER = Case(id="a", inputs={}, boundary="answer")
REFUSE = Case(id="r", inputs={}, boundary="refuse")


def sample(value: Any = None, **changes: Any) -> Sample:
    """Return a sample; with a value unless the kind says otherwise."""
    kind = changes.pop("kind", Kind.OK)
    return Sample(
        case="c",
        arm="candidate",
        round=1,
        order=0,
        kind=kind,
        value=value,
        has_value=changes.pop("has_value", kind is Kind.OK),
        **changes,
    )


def failed(each: Assertion, one: Sample, case: Case = CASE) -> bool | None:
    """Say what an assertion finds: failed, passed, or nothing to say."""
    found = each.judge(case, one)
    return None if found is None else found.failed


def says_no(text: str) -> Detection:
    """Detect refusals in the tests."""
    label = "refusal" if text.startswith("No") else "answer"
    return Detection(label=label, score=1.0, why="starts with No")


NO = Detector(
    id="says-no/1",
    detect=says_no,
    labels=("refusal", "answer"),
    positive=frozenset({"refusal"}),
)
GOOD = Calibration(detector="says-no/1", family="test", tp=400, fn=0, tn=4000, fp=0)

"""The report as JUnit XML: one test per assertion, for any CI's test page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from .._types import Status, Verdict
from ._words import clip, facts, flips, interval, lead, rate

if TYPE_CHECKING:
    from .._report import AssertionReport, Report

__all__ = ["junit"]

_EXAMPLES: Final = 5
_KINDS: Final = {Status.BLOCKED: "BLOCK", Status.OPEN: "UNDECIDED"}
_DECLARED: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_FORBIDDEN: Final = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
"""Characters that XML 1.0 cannot carry, escaped or not (its section 2.2)."""


def junit(report: Report) -> str:
    """Return a report as JUnit XML.

    A blocked assertion is a failure and an error is an error. An undecided one is an
    error too: JUnit has no third outcome, and nothing undecided may look passed.
    Assertions without a say are skipped tests. Where the verdict is ERROR nothing has
    passed: the calls say too little, whatever single assertions came to.
    """
    kinds = [_outcome(report, one) for one in report.assertions]
    failures, skipped = kinds.count("failure"), kinds.count("skipped")
    errors = kinds.count("error")
    counts = {
        "tests": str(len(report.assertions)),
        "failures": str(failures),
        "errors": str(errors),
        "skipped": str(skipped),
        "time": f"{report.elapsed:.3f}",
    }
    root = Element("testsuites", {"name": "llmguard", **counts})
    at = datetime.fromtimestamp(report.started, UTC).isoformat(timespec="seconds")
    suite = SubElement(root, "testsuite", {"name": report.suite, "timestamp": at})
    suite.attrib.update(counts)
    properties = SubElement(suite, "properties")
    for name, value in [
        ("verdict", str(report.verdict)),
        ("reason", lead(report)),
        *facts(report),
    ]:
        SubElement(properties, "property", name=name, value=value)
    for one in report.assertions:
        _case(suite, report, one)
    if report.notes:
        SubElement(suite, "system-out").text = "\n".join(report.notes)
    indent(root)
    text = tostring(root, encoding="unicode")
    # Models write anything; what XML cannot carry would make the file unreadable.
    body = _FORBIDDEN.sub("\ufffd", text)
    return f"{_DECLARED}\n{body}\n"


def _outcome(report: Report, one: AssertionReport) -> str:
    """Return what JUnit calls where an assertion stands; empty for passed."""
    if not one.gating:
        return "skipped"
    if one.status is Status.BLOCKED:
        return "failure"
    passed = one.status is Status.ACCEPTED and report.verdict is not Verdict.ERROR
    return "" if passed else "error"


def _case(suite: Element, report: Report, one: AssertionReport) -> None:
    case = SubElement(
        suite,
        "testcase",
        classname=f"{report.suite}.{one.kind}",
        name=one.name,
        time="0",
    )
    message, outcome = one.sentence, _outcome(report, one)
    if outcome == "skipped":
        SubElement(case, outcome, message=f"pending: {one.status}; {message}")
    elif outcome:
        kind = _KINDS.get(one.status, "ERROR")
        if one.status is Status.ACCEPTED:
            message = f"ERROR: {report.reason}"
        found = SubElement(case, outcome, type=kind, message=message)
        found.text = _body(one)
    SubElement(case, "system-out").text = (
        f"rate {rate(one)}, 95 % {interval(one)}, {one.n} calls\n{one.sentence}\n"
        f"not excluded: {one.not_excluded}"
    )


def _body(one: AssertionReport) -> str:
    lines = [flips(each) for each in one.slices if each.failures]
    for each in one.examples[:_EXAMPLES]:
        lines.append(f"{each.case}: {each.why}")
        lines.append(f"  candidate: {clip(each.candidate, 300)}")
        if each.incumbent:
            lines.append(f"  incumbent: {clip(each.incumbent, 300)}")
    return "\n".join(lines)

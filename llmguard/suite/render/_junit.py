"""The report as JUnit XML: one test per assertion, for any CI's test page."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from .._types import Status
from ._words import clip, facts, flips, interval, rate

if TYPE_CHECKING:
    from .._report import AssertionReport, Report

__all__ = ["junit"]

_EXAMPLES: Final = 5
_FORBIDDEN: Final = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
"""Characters that XML 1.0 cannot carry, escaped or not (its section 2.2)."""


def junit(report: Report) -> str:
    """Return a report as JUnit XML.

    A blocked assertion is a failure and an error is an error. An undecided one is an
    error too: JUnit has no third outcome, and nothing undecided may look passed.
    Assertions without a say are skipped tests.
    """
    failures = sum(_gates(one, Status.BLOCKED) for one in report.assertions)
    errors = sum(_gates(one, Status.ERROR, Status.OPEN) for one in report.assertions)
    skipped = sum(not one.gating for one in report.assertions)
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
    for name, value in [("verdict", str(report.verdict)), *facts(report)]:
        SubElement(properties, "property", name=name, value=_clean(value))
    for one in report.assertions:
        _case(suite, report, one)
    if report.notes:
        SubElement(suite, "system-out").text = _clean("\n".join(report.notes))
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _gates(one: AssertionReport, *statuses: Status) -> bool:
    return one.gating and one.status in statuses


def _case(suite: Element, report: Report, one: AssertionReport) -> None:
    case = SubElement(
        suite,
        "testcase",
        classname=f"{report.suite}.{one.kind}",
        name=one.name,
        time="0",
    )
    message = _clean(one.sentence)
    if not one.gating:
        SubElement(case, "skipped", message=f"pending: {one.status}; {message}")
    elif one.status is Status.BLOCKED:
        failure = SubElement(case, "failure", type="BLOCK", message=message)
        failure.text = _clean(_body(one))
    elif one.status is not Status.ACCEPTED:
        kind = "ERROR" if one.status is Status.ERROR else "UNDECIDED"
        SubElement(case, "error", type=kind, message=message).text = _clean(_body(one))
    SubElement(case, "system-out").text = _clean(
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


def _clean(text: str) -> str:
    """Replace what would make the file unreadable: models write anything."""
    return _FORBIDDEN.sub("\ufffd", text)

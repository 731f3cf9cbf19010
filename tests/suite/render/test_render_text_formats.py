"""The terminal, JSON, JUnit and Markdown: complete, and unbroken by what models say."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.suite import Report, Status, Verdict, render
from llmguard.suite._report import AssertionReport, Example
from llmguard.suite.render._markdown import _code, _escape

MakeReport = Callable[..., Report]
WILD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def parsed(report: Report) -> ET.Element:
    """Return the JUnit document of a report as a parser sees it."""
    text = render.junit(report).encode()
    return ET.fromstring(text)[0]  # noqa: S314 - our own document


def test_junit_has_one_test_per_assertion(report: MakeReport) -> None:
    """Failure, error, passed and skipped; the counts are those of the elements."""
    suite = parsed(report())
    outcomes = [
        [each.tag for each in case if each.tag in {"failure", "error", "skipped"}]
        for case in suite.iter("testcase")
    ]
    assert [["failure"], ["error"], [], ["skipped"]] == outcomes
    counts = [suite.get(key) for key in ("tests", "failures", "errors", "skipped")]
    assert ["4", "1", "1", "1"] == counts
    assert "UNDECIDED" == suite.findall(".//error")[0].get("type")
    said = suite.findall(".//failure")[0].text or ""
    assert said.splitlines()[0].startswith("legal-threat: 10 of 10 failed")


def test_junit_lets_nothing_pass_where_the_run_is_an_error(report: MakeReport) -> None:
    """A provider that was down must not make a page of green tests."""
    suite = parsed(report(verdict=Verdict.ERROR, reason="9 of 60 calls failed"))
    assert ("1", "2", "1") == tuple(
        suite.get(key) for key in ("failures", "errors", "skipped")
    )
    last = suite.findall(".//error")[-1]
    assert ("ERROR", "ERROR: 9 of 60 calls failed") == (
        last.get("type"),
        last.get("message"),
    )


def test_junit_survives_hostile_output(hostile: Report) -> None:
    """It parses, with as many elements as there are assertions."""
    suite = parsed(hostile)
    assert 2 == len([*suite.iter("testcase")])
    assert not [*suite.iter("script")]
    assert "</failure><script>" in (suite.findall(".//failure")[0].text or "")


def test_json_is_read_back_as_it_was(report: MakeReport, tmp_path: Path) -> None:
    """Evidence without end included; from text, document and file."""
    made = report()
    assert -math.inf == made.assertions[0].log_accept
    path = tmp_path / "report.json"
    path.write_text(render.json(made), encoding="utf-8")
    assert made == render.load(render.json(made))
    assert made == render.load(render.document(made))
    assert made == render.load(path)


def test_json_of_hostile_output_can_be_written(hostile: Report, tmp_path: Path) -> None:
    """Half a character is no reason to lose a report."""
    path = tmp_path / "report.json"
    path.write_text(render.json(hostile), encoding="utf-8")
    assert hostile == render.load(path)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{", "is no JSON"),
        ({"format": 2}, "has the report format 2"),
        ({"format": 1, "suite": 3}, "is no report"),
        ("absent.json", "cannot be read"),
    ],
)
def test_what_is_no_report_is_refused(source: object, said: str) -> None:
    """With the command that writes one."""
    with pytest.raises(ConfigError, match=re.escape(said)):
        render.load(source)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
def test_the_worst_slice_stands_in_the_first_sentence(
    report: MakeReport, name: str
) -> None:
    """Before any table: a mean hides what a slice shows."""
    said = getattr(render, name)(report()).replace("\\", "")
    first, table = said.find("legal-threat"), said.find("95 %")
    assert 0 < first < table
    assert "worst in legal-threat: 10 of 10 failed (100 %)" in said


@pytest.mark.parametrize("verdict", [Verdict.PROMOTE, Verdict.UNDECIDED, Verdict.ERROR])
def test_other_verdicts_give_their_own_reason(
    report: MakeReport, verdict: Verdict
) -> None:
    """No slice decides where nothing was blocked."""
    said = render.text(report(verdict=verdict, reason="because")).splitlines()[0]
    assert f"{verdict}  because" == said


@pytest.mark.parametrize("name", ["text", "markdown", "html", "junit"])
def test_undecided_is_never_shown_as_passed(
    report: MakeReport, assertion: Callable[..., AssertionReport], name: str
) -> None:
    """No rendering of an undecided assertion holds a word or mark of success."""
    only = assertion(status=Status.OPEN, sentence="undecided between 5 % and 20 %")
    made = report(
        verdict=Verdict.UNDECIDED, reason="the budget was spent", assertions=(only,)
    )
    said = getattr(render, name)(made)
    body = re.sub(r"<style>.*</style>", "", said, flags=re.DOTALL)
    assert "undecided" in body.lower()
    assert not re.search(r"\b(passed|ok|PROMOTE|accepted)\b", body)


def test_the_terminal_is_not_steered(hostile: Report) -> None:
    """No escape sequence, no reversed line, and no megabyte, reaches it."""
    said = render.text(hostile)
    assert not WILD.search(said)
    assert len(said) < 50_000


def test_markdown_fits_a_comment(hostile: Report, report: MakeReport) -> None:
    """However long the answers and however many the assertions."""
    many = replace(hostile, assertions=hostile.assertions * 200)
    for one in (hostile, many, replace(many, reason="*" * 10**6)):
        assert len(render.markdown(one)) <= 60_000
    assert "More in the full report." in render.markdown(many)
    assert "and 340 more, 340 of them not accepted." in render.markdown(many)
    assert "More in" not in render.markdown(report())


def test_markdown_is_not_broken_out_of(hostile: Report) -> None:
    """Outside code spans nothing is HTML, a mention, a link, a cell or a fence."""
    said = render.markdown(hostile)
    assert not WILD.search(said)
    bare = re.sub(r"<code>.*?</code>", "", re.sub(r"`[^`\n]*`", "", said))
    tags = {*re.findall(r"(?<!\\)</?(\w+)", bare)}
    assert tags <= {"details", "summary"}
    opened = len(re.findall(r"^<details", said, re.MULTILINE))
    assert opened == len(re.findall(r"^</details>$", said, re.MULTILINE))
    assert not re.search(r"@\w|(?<!^)#\d|https?://", bare)
    assert not re.search(r"^\s*```", said, re.MULTILINE)
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in bare.splitlines()]
    assert {*cells} <= {0, 3, 5, 7}


@given(st.text(max_size=300))
def test_no_text_ends_a_code_span(text: str) -> None:
    """One line without a backtick or a bar, never empty."""
    made = _code(text)
    assert made
    assert not {*made} & {"`", "|", "\n", "\r"}


@given(st.text(alphabet="a@#|`<>[]()*_\\:/w.\n !&~-", max_size=80))
def test_every_special_character_is_escaped(text: str) -> None:
    """Each stands after a backslash of its own, on one line."""
    made = _escape(text)
    assert not re.search(r"[`*_{}\[\]<>()#+!|~@&-]", re.sub(r"\\.", "", made))
    assert "\n" not in made
    assert "://" not in made


def test_flipped_examples_show_both_versions(
    report: MakeReport, assertion: Callable[..., AssertionReport]
) -> None:
    """What the incumbent said stands beside what the candidate says."""
    for name in ("text", "markdown", "html", "junit"):
        said = getattr(render, name)(report())
        plain = said.replace("&quot;", '"').replace("&#34;", '"')
        assert '{"needs_human": true}' in plain
        assert '{"needs_human": false}' in plain


def test_details_are_of_one_assertion(
    assertion: Callable[..., AssertionReport],
) -> None:
    """The words that a test of the plugin fails with; the worst slice on top."""
    lines = render.details(assertion()).splitlines()
    assert (
        "BLOCKED stakes: worse than the tolerated 5 %; 30 calls, 12 failed" == lines[0]
    )
    assert "  slice legal-threat: 10 of 10 failed (100 %), " in lines[3]
    example: Example = assertion().examples[0]
    assert any(example.why in line for line in lines)

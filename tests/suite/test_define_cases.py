"""Cases from Python, JSONL and CSV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.suite import Case
from llmguard.suite._cases import case_from, load_cases, read_cases

FULL = {
    "id": "a",
    "inputs": {"text": "hi", "n": 3},
    "expected": {"x": None},
    "tags": ["big", "new"],
    "slice": "s",
    "boundary": "answer",
    "weight": 2,
    "meta": {"why": "made up"},
}


def written(tmp_path: Path, name: str, text: str) -> Path:
    """Write a file and return its path."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_of_a_document() -> None:
    """A document says all that a case has."""
    assert case_from(FULL, where="here") == Case(
        id="a",
        inputs={"text": "hi", "n": 3},
        expected={"x": None},
        has_expected=True,
        tags=frozenset({"big", "new"}),
        slice="s",
        boundary="answer",
        weight=2.0,
        meta={"why": "made up"},
    )


def test_other_keys_are_arguments() -> None:
    """Without `inputs`, what is not a case's own key is an argument."""
    made = case_from({"ticket": "hi", "tags": "a, b c", "id": 7}, where="here")
    assert Case(id="7", inputs={"ticket": "hi"}, tags=frozenset("abc")) == made
    assert not made.has_expected


def test_an_expected_null_is_an_expectation() -> None:
    """It is not the same as expecting nothing."""
    assert case_from({"id": "a", "expected": None}, where="here").has_expected


def test_an_id_is_made_of_the_inputs() -> None:
    """It stays when lines move, and changes with the inputs."""
    one, two = (case_from({"t": text, "slice": text}, where="h") for text in "ab")
    again = case_from({"slice": "moved", "t": "a"}, where="h")
    assert one.id == again.id != two.id
    assert one.id.startswith("c-")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": [1]}, "`inputs` is \\[1\\]; write an object"),
        ({"extra": 1}, "unknown key `extra` beside `inputs`"),
        ({"tag": "x"}, "did you mean `tags`"),
        ({"id": ""}, "`id` is ''"),
        ({"id": True}, "`id` is True"),
        ({"tags": 3}, "`tags` is 3"),
        ({"tags": [3]}, "`tags` is \\[3\\]"),
        ({"slice": 3}, "`slice` is 3"),
        ({"boundary": "maybe"}, "`boundary` is 'maybe'; write `answer`"),
        ({"weight": 0}, "`weight` is 0"),
        ({"weight": "2"}, "`weight` is '2'"),
        ({"meta": "x"}, "`meta` is 'x'"),
    ],
)
def test_wrong_documents_are_refused(changes: dict[str, Any], message: str) -> None:
    """The place and the value are named."""
    with pytest.raises(ConfigError, match=f"^here.*{message}"):
        case_from({**FULL, **changes}, where="here")
    with pytest.raises(ConfigError, match="here is 'x'"):
        case_from("x", where="here")


def test_jsonl(tmp_path: Path) -> None:
    """One object a line; empty lines and a byte order mark do no harm."""
    text = "\ufeff" + json.dumps(FULL) + '\n\n{"id": "b", "t": "\\u2028x"}\n'
    found = read_cases(written(tmp_path, "c.jsonl", text))
    assert ["a", "b"] == [case.id for case in found]
    assert {"t": "\u2028x"} == found[1].inputs


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"c\.jsonl:2 is no JSON"),
        ("[]", r"c\.jsonl:2 is \[\]"),
        ('{"id": "a", "id": "b"}', "the key 'id' is there twice"),
        ('{"n": NaN}', "NaN is not JSON"),
    ],
)
def test_jsonl_mistakes_name_their_line(
    tmp_path: Path, line: str, message: str
) -> None:
    """A mistake is found by file and line."""
    path = written(tmp_path, "c.jsonl", '{"id": "x", "t": 1}\n' + line)
    with pytest.raises(ConfigError, match=message):
        read_cases(path)


CSV = """\
id,ticket,amount:json,tags,slice,boundary,weight,expected.kind,expected.n,meta.by
a,"one, two
lines",12.5,big new,s,answer,3,x,4,me

,plain,,,,,,,,
"""


def test_csv(tmp_path: Path) -> None:
    """Every kind of column; an empty cell is not given."""
    one, two = read_cases(written(tmp_path, "c.csv", CSV))
    assert one == Case(
        id="a",
        inputs={"ticket": "one, two\nlines", "amount": 12.5},
        expected={"kind": "x", "n": 4},
        has_expected=True,
        tags=frozenset({"big", "new"}),
        slice="s",
        boundary="answer",
        weight=3.0,
        meta={"by": "me"},
    )
    assert ({"ticket": "plain"}, False) == (two.inputs, two.has_expected)


@pytest.mark.parametrize(
    ("cell", "value"), [("true", True), ("yes", "yes"), ("null", None), ("NaN", "NaN")]
)
def test_csv_expected_is_json_or_text(tmp_path: Path, cell: str, value: object) -> None:
    """What is JSON is read as such, all else is the text."""
    (case,) = read_cases(written(tmp_path, "c.csv", f"t,expected\nx,{cell}\n"))
    assert (value, True) == (case.expected, case.has_expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,a\n1,2\n", "the column 'a' is there twice"),
        ("a,\n1,2\n", "the column '' has no name"),
        ("a,b\n1\n", r"c\.csv:2 has 1 cells and the header 2"),
        ("expected,expected.a\n1,2\n", "has both `expected` and `expected.FIELD`"),
        ("a:json\n{\n", r"c\.csv:2: the cell of `a:json` is no JSON"),
        ("a,weight\n1,x\n", "`weight` is 'x'"),
        ('a\n"x', "is no CSV"),
    ],
)
def test_csv_mistakes_name_their_place(tmp_path: Path, text: str, message: str) -> None:
    """A spreadsheet's user finds the line."""
    with pytest.raises(ConfigError, match=message):
        read_cases(written(tmp_path, "c.csv", text))


def test_files_are_known_by_their_ending(tmp_path: Path) -> None:
    """Anything else is refused, and so is a file that is not there."""
    with pytest.raises(ConfigError, match=r"write `\.jsonl`"):
        read_cases(tmp_path / "cases.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_cases(tmp_path / "cases.csv")


def test_every_source_gives_the_same(tmp_path: Path) -> None:
    """Paths, documents, cases and functions."""
    path = written(tmp_path, "c.jsonl", json.dumps(FULL))
    case = case_from(FULL, where="x")
    sources: list[Any] = ["c.jsonl", path, [FULL], [case], lambda: iter([FULL])]
    for source in sources:
        assert (case,) == load_cases(source, base=tmp_path)


_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(rows=st.lists(st.tuples(_text, _text), min_size=1, max_size=5))
def test_jsonl_gives_back_what_was_written(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the text, whatever its line ends."""
    path = tmp_path_factory.mktemp("cases") / "c.jsonl"
    documents = [
        {"id": f"n{at}", "inputs": {"t": one}, "expected": other}
        for at, (one, other) in enumerate(rows)
    ]
    lines = (json.dumps(each, ensure_ascii=False) for each in documents)
    path.write_bytes("\n".join(lines).encode())
    found = read_cases(path)
    assert rows == [(case.inputs["t"], case.expected) for case in found]


def test_inputs_without_a_json_form_need_an_id() -> None:
    """An id cannot be made of what has no digest."""
    with pytest.raises(ConfigError, match="case 1 needs an `id`"):
        load_cases([{"text": object()}], base=Path())

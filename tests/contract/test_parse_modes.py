"""Parse modes: what each reads, what each refuses, and that none ever raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard.contract import MAX_DEPTH, Contract
from llmguard.contract._parse import Parsed, Unparsed, hint, parse_text
from llmguard.outcome import Kind
from llmguard.reply import Reply

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text('abc~/"\\ é', max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
CONTAINERS = DOCUMENTS.filter(lambda value: isinstance(value, dict | list))
MODES = st.sampled_from(["raw", "fenced", "lenient", "text"])
MESSY = st.text(st.sampled_from('{}[]",:\\\n` jsontrue1.e-é\ud800'), max_size=60)
ANYTHING = Contract(True)


def document_of(text: str, mode: Any, starts: str = "{[") -> object:
    """Parse and unwrap; fails the test when nothing was read."""
    parsed = parse_text(text, mode, starts=starts)
    assert isinstance(parsed, Parsed), parsed
    return parsed.document


def refusal_of(text: str, mode: Any) -> Unparsed:
    """Parse and return why nothing was read."""
    parsed = parse_text(text, mode)
    assert isinstance(parsed, Unparsed), parsed
    return parsed


@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 2]))
def test_every_json_document_survives_the_round_trip_in_raw(
    value: object, ascii_only: bool, indent: int | None
) -> None:
    """What `json.dumps` writes, the raw mode reads."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert value == document_of(f" \n{text}\t", "raw")


@given(DOCUMENTS, st.sampled_from(["json", "JSON", ""]), st.booleans())
def test_a_fence_is_read_with_prose_around_it(
    value: object, label: str, prose: bool
) -> None:
    """The fenced mode takes what stands in the fence, and nothing else."""
    fence = f"```{label}\n{json.dumps(value, indent=1)}\n```"
    text = f"Here it is:\n\n{fence}\nAnything else?" if prose else fence
    assert value == document_of(text, "fenced")


@given(CONTAINERS)
def test_lenient_finds_the_document_in_prose(value: object) -> None:
    """Words around the document do not matter in the lenient mode."""
    assert value == document_of(f"Sure! Here: {json.dumps(value)} - done.", "lenient")


@given(DOCUMENTS)
def test_lenient_reads_whatever_raw_reads(value: object) -> None:
    """The lenient mode accepts all that the strict one does, and gives the same."""
    text = json.dumps(value)
    assert document_of(text, "raw") == document_of(text, "lenient")


@given(st.text() | MESSY | st.binary().map(lambda raw: raw.decode("latin-1")), MODES)
def test_no_text_makes_a_parser_raise(text: str, mode: Any) -> None:
    """Any text ends as a document or as a reason."""
    parsed = parse_text(text, mode)
    assert isinstance(parsed, Parsed | Unparsed)
    assert isinstance(hint(text, mode), str)


@given(st.text() | MESSY)
@settings(max_examples=50)
def test_no_text_makes_a_verdict_raise_or_an_unwritable_value(text: str) -> None:
    """A verdict on arbitrary text is a verdict, and an accepted value is JSON."""
    verdict = ANYTHING.judge(Reply(text=text))
    assert isinstance(verdict.kind, Kind)
    json.dumps(verdict.value, ensure_ascii=False, allow_nan=False).encode()


@given(CONTAINERS, st.data())
def test_every_cut_of_a_document_is_incomplete(value: object, data: Any) -> None:
    """Text that stops inside its JSON is recognised, wherever it was cut."""
    text = json.dumps(value)
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    assert refusal_of(cut, "raw").incomplete
    lenient = parse_text(f"So: {cut}", "lenient")
    assert isinstance(lenient, Unparsed)
    assert lenient.incomplete


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' twice"),
        ('{"a": {"b": 1, "b": 1}}', "the key 'b' twice"),
        ('{"a": NaN}', "no `NaN`"),
        ("[-Infinity]", "no `-Infinity`"),
        ('{"a": 1e999}', "too large"),
        ("9" * 5000, "too many digits"),
        ("[" * 100_000, "deeper than"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "deeper than"),
        ('"\\ud800"', "half of a character pair"),
        ('"\ud800"', "UTF-8 cannot write"),
        ('{"a": 1} {"b": 2}', "text after the JSON, from '{\"b\": 2}'"),
        ("{'a': 1}", "must be JSON; line 1 column 2"),
        ('{"a": 1,}', "must be JSON"),
        ('{"a": "x\ny"}', "must be JSON"),
        ("\ufeff{}", "must be JSON"),
        ("maybe", "must be JSON"),
        ("   ", "at the end"),
    ],
)
def test_raw_refuses_what_readers_would_not_agree_on(text: str, needle: str) -> None:
    """Each trap has a sentence of its own."""
    assert needle in refusal_of(text, "raw").message


def test_nesting_up_to_the_limit_is_read() -> None:
    """The limit is the last depth that passes."""
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert text == json.dumps(document_of(text, "raw"))


def test_many_brackets_that_are_not_deep_are_read() -> None:
    """Width is not depth, and text is neither."""
    assert "[" * 200 == document_of(json.dumps("[" * 200), "raw")
    text = json.dumps([[]] * 500 + [{}] * 500)
    assert 1000 == len(document_of(text, "raw"))  # type: ignore[arg-type] - a list


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        "no fence",
        '```json\n{"a": 1}\n```\n```json\n{"a": 2}\n```',
        "```python\nx = 1\n```",
        '```json {"a": 1} ```',
        "```json\n{'a': 1}\n```",
        '```json\n{"a": 1}',
    ],
)
def test_fenced_demands_exactly_one_json_fence(text: str) -> None:
    """No fence, two of them, another language, or none closed: refused."""
    assert isinstance(parse_text(text, "fenced"), Unparsed)


def test_a_labelled_fence_wins_over_others() -> None:
    """Fences of other languages, and unlabelled ones, do not count beside it."""
    text = '```python\nx = {}\n```\n````\n{"b": 2}\n````\n```json\n{"a": 1}\n```'
    assert {"a": 1} == document_of(text, "fenced")


def test_a_fence_inside_a_longer_fence_is_content() -> None:
    """A fence ends at as many ticks as it began with."""
    assert isinstance(parse_text("````json\n```\n1\n````", "fenced"), Unparsed)


@pytest.mark.parametrize(
    ("text", "starts", "expected"),
    [
        ('{"a": "x\ny\tz",}', "{[", {"a": "x\ny\tz"}),
        ("[1, 2, ]", "{[", [1, 2]),
        ('{"a": ",}", "b": [",]"],}', "{[", {"a": ",}", "b": [",]"]}),
        ('as in [1] the answer is {"a": 2}', "{", {"a": 2}),
        ('as [noted]: {"a": 2}', "{[", {"a": 2}),
        ('{not} {"a": 2}', "{[", {"a": 2}),
        ('6" pipe {"a": 1,}', "{[", {"a": 1}),
        ('```json\n{"a": 1}\n``` and {"b": 2}', "{[", {"a": 1}),
        ('```\n{"a": "x\ny"}\n```', "{[", {"a": "x\ny"}),
        ("true", "{[", True),
    ],
)
def test_lenient_forgives_what_it_says_it_forgives(
    text: str, starts: str, expected: object
) -> None:
    """Prose, fences, line breaks in strings, trailing commas: nothing else."""
    assert expected == document_of(text, "lenient", starts)


@pytest.mark.parametrize(
    "text",
    [
        '{"x": {"a": 1}, y: 2}',
        "{'a': 1}",
        '{"a": 1 /* one */}',
        '{"a": NaN}',
        'see {"a": 1, "a": 2}',
        "see " + '{"a":' * 3000,
        "see " + "[" * 200 + "1," + "]" * 200,
        "[ " * 40 + "x",
        "no json here",
        'see {"a": 1e999}',
    ],
)
def test_lenient_never_takes_a_part_for_the_document(text: str) -> None:
    """A broken document is refused; what is valid inside it is not picked out."""
    assert isinstance(parse_text(text, "lenient"), Unparsed)


def test_the_search_for_a_document_in_prose_is_bounded() -> None:
    """After 32 brackets that are not JSON the search ends."""
    assert {} == document_of("[x] " * 31 + "{}", "lenient")
    assert isinstance(parse_text("[x] " * 32 + "{}", "lenient"), Unparsed)


@pytest.mark.parametrize(
    ("text", "mode", "needle"),
    [
        ("```json\n{}\n```", "raw", "declare parse='fenced'"),
        ("Sure: {}", "raw", "declare parse='lenient'"),
        ("{}", "fenced", "declare parse='raw'"),
        ('```json\n{"a": 1,}\n```', "fenced", "declare parse='lenient'"),
        ("nothing", "raw", ""),
        ("nothing", "lenient", ""),
    ],
)
def test_the_hint_names_the_mode_that_would_have_read_it(
    text: str, mode: Any, needle: str
) -> None:
    """An author who declared the wrong mode is told the right one."""
    found = hint(text, mode)
    assert needle in found
    assert bool(needle) == bool(found)

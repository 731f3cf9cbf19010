"""What is said of an answer that cannot be read: it goes to a model, or to a person.

A sentence that names the wrong place, key or repair costs a retry.
"""

from __future__ import annotations

import pytest

from llmguard.contract._parse import Parsed, ParseMode, Unparsed, hint, parse_text

DEEP = '{"a":' * 129 + "1" + "}" * 129
CUT = "stops before its JSON is complete, at "
FENCES = "must be JSON inside exactly one ```json code fence; there are "


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("9" * 5_000, "raw", "has a number with too many digits to read"),
        (f"so {'9' * 5_000}", "lenient", ("must be JSON; line 1 column 1, at "
         f"'so {'9' * 27}': expecting value")),
        (f'so {{"a": {"9" * 5_000}}}', "lenient",
         "has a number with too many digits to read"),
        ('"\\ud800"', "raw", "has an escape that is half of a character pair"),
        ("\ud800", "raw", "has characters that UTF-8 cannot write"),
        ("no fence", "fenced", f"{FENCES}none"),
        ("```jsonX\n1\n```", "fenced", f"{FENCES}none"),
        ("```json\n1\n```\n```json\n2\n```", "fenced", f"{FENCES}2"),
        ('```json\n{\n"a": 1}\n', "fenced", "opens a code fence and never closes it"),
        (DEEP, "raw", "is nested deeper than 128 levels"),
        (f"so: {DEEP}", "lenient", "is nested deeper than 128 levels"),
        (f"so: {'[' * 100_000}", "lenient", "is nested deeper than 128 levels"),
        ('so {"a": NaN}', "lenient",
         "must be JSON, which has no `NaN`; write null or a number"),
        ('{"a":1,"b":2,"b":3}', "raw",
         "has the key 'b' twice in one object; write each key once"),
        ('{"a": 1} and so on, at some length beyond what is shown of it', "raw",
         ("has text after the JSON, from 'and so on, at some length beyond what is'"
         "; write the JSON alone")),
        ('{"a" 1}', "raw",
         "must be JSON; line 1 column 6, at '1}': expecting ':' delimiter"),
        ("   ", "raw", "must be JSON; line 1 column 4, at the end: expecting value"),
        ('{"a": nope, and then a long rest}', "raw", ("must be JSON; line 1 column 7, "
         "at 'nope, and then a long rest}': expecting value")),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(text: str, mode: ParseMode, message: str) -> None:
    """Word by word: the place, the key, what to write instead."""
    assert Unparsed(message=message) == parse_text(text, mode)


def test_the_place_is_one_in_the_answer() -> None:
    """Lines and columns count from the answer's start, prose and all."""
    found = parse_text('Sure.\nHere: {"a": nope} - done', "lenient")
    assert isinstance(found, Unparsed)
    assert found.message == (
        "must be JSON; line 2 column 13, at 'nope} - done': expecting value"
    )


@pytest.mark.parametrize(
    ("text", "mode", "end"),
    [
        ('{"a": "one two three four five six seven', "raw",
         "'two three four five six seven'"),
        ('  {"a": tr  ', "raw", "'{\"a\": tr'"),
        ('"abc', "raw", "'\"abc'"),
        ('{"a": "say [2]', "lenient", "'{\"a\": \"say [2]'"),
    ],
)  # fmt: skip
def test_what_was_cut_off_is_told_with_its_end(
    text: str, mode: ParseMode, end: str
) -> None:
    """Whatever stands before it; nothing within the broken part is an answer."""
    assert Unparsed(message=CUT + end, incomplete=True) == parse_text(text, mode)


@pytest.mark.parametrize(
    ("text", "mode", "document", "strict"),
    [
        ('{"a": 1}', "raw", {"a": 1}, '{"a": 1}'),
        ('```json\n{"a": 1}\n```', "fenced", {"a": 1}, '{"a": 1}\n'),
        ('so {"a": 1,} done', "lenient", {"a": 1}, '{"a": 1}'),
        ('{{"a": 1}}', "lenient", {"a": 1}, '{"a": 1}'),
        ('see [1]\n```json\n{"a": 2}\n```', "lenient", {"a": 2}, '{"a": 2}\n'),
        ('say "hi"', "text", 'say "hi"', '"say \\"hi\\""'),
    ],
)
def test_what_was_read_can_be_read_again(
    text: str, mode: ParseMode, document: object, strict: str
) -> None:
    """A fence wins over brackets in prose; a template's doubled braces are forgiven."""
    assert Parsed(document, strict) == parse_text(text, mode)


LENIENT = (
    "the answer has readable JSON with other text, line breaks in strings or trailing "
    "commas; declare parse='lenient' to accept that"
)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("[1]", "fenced", "the answer is bare JSON; declare parse='raw'"),
        ("```json\n[1]\n```", "raw",
         "the answer is JSON inside a code fence; declare parse='fenced'"),
        ("so [1]", "raw", LENIENT),
        ("so [1]", "fenced", LENIENT),
        ("so [1]", "lenient", ""),
        ("no", "raw", ""),
    ],
)  # fmt: skip
def test_the_hint_is_a_declaration_to_copy(
    text: str, mode: ParseMode, said: str
) -> None:
    """The strictest mode that reads the answer, and nothing where none does."""
    assert said == hint(text, mode)

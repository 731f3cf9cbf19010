"""A contract as a thing: its digest, its names, and that it never changes."""

from __future__ import annotations

import copy
import functools
import gzip
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from llmguard.contract import Check, Contract, Verdict
from llmguard.contract._digest import source_digest
from llmguard.contract.checks import check
from llmguard.contract.checks import range as number_range
from llmguard.errors import ContractError
from llmguard.outcome import Kind
from llmguard.reply import Reply


class Item(BaseModel):
    """A thing with an alias and a date."""

    price: float = Field(alias="unitPrice")


def positive(value: int) -> bool:
    """Say whether it is positive."""
    return value > 0


def also_positive(value: int) -> bool:
    return value > 0


def above(limit: int) -> Callable[[int], bool]:
    """Make a check that captures its limit."""
    return lambda value: value > limit


OBJECT: dict[str, Any] = {"type": "object"}
VARIANTS: list[Contract] = [
    Contract(int),
    Contract(float),
    Contract(OBJECT),
    Contract({"type": "integer"}),
    Contract({"$ref": "urn:a"}, schemas={"urn:a": {"type": "null"}}),
    Contract({"$ref": "urn:a"}, schemas={"urn:a": {"type": "string"}}),
    Contract(int, parse="fenced"),
    Contract(int, refusal=False),
    Contract(int, refusal=lambda text: False),
    Contract(int, strict=False),
    Contract(int, length_ok=True),
    Contract(int, confidence=lambda value: 1.0),
    Contract(int, checks=[positive]),
    Contract(int, checks=[check(name="other")(positive)]),
    Contract(int, checks=[check(threshold=0.5)(positive)]),
    Contract(int, checks=[check(version="2")(positive)]),
    Contract(int, checks=[above(1)]),
    Contract(int, checks=[above(2)]),
    Contract(int, checks=[functools.partial(max, 1)]),
    Contract(int, checks=[functools.partial(max, 2)]),
    Contract(int, checks=[number_range(minimum=1)]),
    Contract(int, checks=[number_range(minimum=2)]),
    Contract(OBJECT, checks=[check(field="a")(positive)]),
    Contract(OBJECT, checks=[check(path="a")(positive)]),
]


def test_whatever_changes_a_verdict_changes_the_digest() -> None:
    """Every option that matters is in it."""
    digests = [contract.digest for contract in VARIANTS]
    assert len(digests) == len(set(digests))
    assert all(digest.startswith("sha256:") for digest in digests)


def test_equal_contracts_have_equal_digests_whatever_their_name() -> None:
    """A name, a docstring, and the order of a schema's keys do not count."""
    one = Contract(int, name="one", checks=[check(name="c")(positive)])
    two = Contract(int, name="two", checks=[check(name="c")(also_positive_twin)])
    assert one != two
    same = Contract(int, checks=[check(name="c")(positive)])
    assert (one, hash(one)) == (same, hash(same))
    first = Contract({"type": "object", "title": "x"})
    assert first == Contract({"title": "x", "type": "object"})
    assert first != "first"


def also_positive_twin(value: int) -> bool:
    """Differ in the code, not only in the words."""
    return value >= 1


def test_comments_and_docstrings_are_not_part_of_a_source_digest() -> None:
    """Only the code is; `positive` and its twin differ in a docstring."""

    def rename(function: Callable[..., object]) -> str:
        source = Path(__file__).read_text("utf-8")
        assert function.__name__ in source
        return source_digest(function)

    assert rename(positive) != rename(also_positive)  # the name is code
    space: dict[str, Any] = {}
    exec("def made(v):\n    return [v, (lambda: 1)()]", space)  # noqa: S102 - a function without a source file
    exec("def other(v):\n    return [v, (lambda: 2)()]", space)  # noqa: S102 - as above
    assert source_digest(space["made"]) != source_digest(space["other"])
    assert source_digest(len) != source_digest(max)
    assert source_digest(bool) == source_digest(bool)


def test_a_lambda_inside_an_expression_has_a_source_digest(tmp_path: Path) -> None:
    """Its source lines alone may be no valid Python; then they count as text."""
    digests = []
    for limit in (3, 4):
        path = tmp_path / f"made_{limit}.py"
        source = f"f = (None if False\n     else lambda v: v > {limit})\n"
        path.write_text(source, "utf-8")
        space: dict[str, Any] = {}
        exec(compile(source, str(path), "exec"), space)  # noqa: S102 - written above
        digests.append(source_digest(space["f"]))
    assert 2 == len(set(digests))


def test_captured_and_default_values_are_part_of_a_source_digest() -> None:
    """Plain data counts by its content, everything else by its type."""

    def make(value: object) -> Callable[[int], bool]:
        return lambda number: number == value

    values = [1, 2, "1", [1, 2], (1, 3), {1, 2}, {"a": 1}, {"a": 2}, None, object()]
    digests = [source_digest(make(value)) for value in values]
    assert len(values) == len(set(digests))
    assert source_digest(make({3, 1, 2})) == source_digest(make({2, 3, 1}))

    def later() -> str:
        def inner() -> object:
            return unset

        digest = source_digest(inner)
        unset = 1
        return digest + str(unset)[:0]

    assert later().startswith("sha256:")


def test_a_callable_object_counts_by_its_call() -> None:
    """Its class's `__call__` is what runs."""

    class One:
        def __call__(self, value: int) -> bool:
            return value == 1

    class Two:
        def __call__(self, value: int) -> bool:
            return value == 2

    assert source_digest(One()) != source_digest(Two())
    assert source_digest(One()) == source_digest(One())


def test_a_contract_never_changes() -> None:
    """It is shared by every call, thread and tier."""
    contract = Contract(int)
    with pytest.raises(AttributeError, match="never changes"):
        contract.name = "x"  # type: ignore[misc] - refused on purpose
    with pytest.raises(AttributeError, match="stays"):
        del contract.parse
    assert copy.copy(contract) is contract
    assert copy.deepcopy(contract) is contract


@pytest.mark.parametrize(
    ("contract", "name", "is_text", "parse"),
    [
        (Contract(Item), "Item", False, "raw"),
        (Contract(Item, name="mine"), "mine", False, "raw"),
        (Contract(str), "str", True, "text"),
        (Contract(Annotated[str, Field(max_length=3)]), "", True, "text"),
        (Contract(str, parse="raw"), "str", False, "raw"),
        (Contract(Literal["a"], parse="text"), "", True, "text"),
        (Contract({"title": "T"}), "T", False, "raw"),
        (Contract({"title": ""}), "JSON", False, "raw"),
        (Contract(True), "JSON", False, "raw"),
    ],
)
def test_its_name_and_form(
    contract: Contract, name: str, is_text: bool, parse: str
) -> None:
    """What messages and adapters ask a contract for."""
    assert name in contract.name
    assert (is_text, parse) == (contract.is_text, contract.parse)
    assert is_text is (contract.json_schema is None)
    assert isinstance(contract.value_schema, dict)


def test_its_description_for_people() -> None:
    """A repr names the checks."""
    made = Contract(int, checks=[positive, Check(name="c", function=bool)])
    assert "Contract('int', parse='raw', checks=['positive', 'c'])" == repr(made)


def test_boolean_schemas_have_an_object_form() -> None:
    """Structured output wants an object."""
    assert {} == Contract(True).json_schema
    assert {"not": {}} == Contract(False).json_schema


def test_a_value_is_written_and_read_back() -> None:
    """Stores keep plain JSON, by the names that the model writes."""
    contract = Contract(list[Item])
    items = [Item(unitPrice=2)]
    assert [{"unitPrice": 2.0}] == contract.dump(items)
    assert items == contract.load([{"unitPrice": 2}])


@pytest.mark.parametrize(
    "act",
    [
        lambda: Contract(Item).load({}),
        lambda: Contract(True).load(float("nan")),
        lambda: Contract(True).dump(object()),
        lambda: Contract(True).dump(float("nan")),
    ],
)
def test_what_cannot_be_written_or_read_is_a_contract_error(
    act: Callable[[], object],
) -> None:
    """With the violations that say why."""
    with pytest.raises(ContractError, match="breaks the contract") as caught:
        act()
    assert Kind.SCHEMA is caught.value.kind
    assert caught.value.violations


@pytest.mark.parametrize(
    ("options", "text", "needles"),
    [
        (
            {},
            '{"unitPrice": "2"}',
            ['- /unitPrice: must be a number; the answer has "2"'],
        ),
        ({}, "nope", ["- (whole answer): must be JSON", "> nope", "no code fence"]),
        ({"parse": "fenced"}, "nope", ["exactly one ```json code fence"]),
        ({"parse": "lenient"}, "a\nb", ["> a\n> b", "the complete corrected JSON."]),
    ],
)
def test_the_re_ask_quotes_every_violation(
    options: dict[str, Any], text: str, needles: list[str]
) -> None:
    """A model is told where, what, and in which form to answer."""
    contract = Contract(Item, **options)
    message = contract.feedback(contract.judge(Reply(text=text)), text)
    assert [] == [needle for needle in needles if needle not in message]


def test_a_re_ask_without_violations_or_text_says_the_kind() -> None:
    """The detail stands in; an `ok` verdict gives nothing to say."""
    contract = Contract(str)
    empty = contract.feedback(contract.judge(Reply()))
    assert "- the answer has no text" in empty
    assert "Write the complete corrected text" in empty
    assert "- semantic" in contract.feedback(Verdict(kind=Kind.SEMANTIC))
    assert "" == contract.feedback(contract.judge(Reply(text="x")), "x")
    long = contract.feedback(contract.judge(Reply()), "y" * 5000)
    assert len(long) < 2500


REASONING = {
    "type": "object",
    "properties": {"reasoning": {"type": "string"}, "answer": {"type": "string"}},
    "required": ["reasoning", "answer"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("version", "raw", "fenced", "lenient"),
    [
        ("claude-3-5-sonnet-20240620", 0.0, 0.268, 1.0),
        ("claude-3-5-sonnet-20241022", 0.983, 0.001, 1.0),
    ],
)
def test_a_version_that_drops_the_fence_is_seen_by_the_declared_mode(
    version: str,
    raw: float,
    fenced: float,
    lenient: float,
    data_folder: Callable[[str], Path],
) -> None:
    """Real answers: accuracy rose with the new version, and every fence went."""
    path = data_folder("zeroeval") / f"gsm.outputs.{version}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["output"] for line in itertools.islice(lines, 400)]
    shares = [
        sum(contract.judge(Reply(text=text)).ok for text in texts) / len(texts)
        for contract in (
            Contract(REASONING, parse="raw"),
            Contract(REASONING, parse="fenced"),
            Contract(REASONING, parse="lenient"),
        )
    ]
    assert [raw, fenced, lenient] == pytest.approx(shares, abs=0.05)

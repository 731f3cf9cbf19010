# ruff: noqa: RUF001 - other alphabets are what is tested
"""The built-in checks: what each accepts, what it refuses, and its traps."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from llmguard.contract import Contract, checks
from llmguard.contract._check import Check, run_checks
from llmguard.contract._check import bind as bind_check
from llmguard.contract._jsonschema import SchemaShape
from llmguard.errors import ConfigError
from llmguard.outcome import Kind

ANY = SchemaShape(True)


class Level(enum.StrEnum):
    """An enum of strings."""

    HIGH = "high"


class Source(BaseModel):
    """A structured input."""

    note: str


def says(
    check: Check, value: object, inputs: Mapping[str, object] | None = None
) -> str:
    """Run one check on a value: its first message, its error, or nothing."""
    found, failure = run_checks([bind_check(check, ANY)], value, inputs or {})
    return found[0].message if found else failure


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checks.range(minimum=0), [0, 0.5, Decimal(1), 10**400], [-1, Decimal("-0.1")]),
        (checks.range(maximum=5), [5, 5.0, -1e9], [6, 5.000001]),
        (checks.range(minimum=1, maximum=1), [1, 1.0], [0, 2]),
        (checks.range(minimum=Decimal("0.1")), [Decimal("0.1"), 0.1], [0.0999]),
        (checks.range(minimum=0), [], [True, float("nan"), "3", Decimal("sNaN"), 1j]),
        (checks.range(minimum=0), [], [float("inf"), [1]]),
        (checks.length(minimum=2, maximum=3), ["ab", [1, 2], {"a": 1, "b": 2}], ["a"]),
        (checks.length(maximum=1), ["", [0]], ["ab", [1, 2]]),
        (checks.length(minimum=2, unit="words"), ["a b"], ["ab"]),
        (checks.length(maximum=2, unit="words"), [" a  b "], ["a b c"]),
        (checks.pattern(r"A-\d+"), ["see A-12."], ["A-x"]),
        (checks.pattern(r"A-\d+", whole=True), ["A-12"], ["see A-12", "A-12\n"]),
        (checks.contains("Foo", "bar"), ["foo BAR", "foobar"], ["foo"]),
        (checks.contains("it's  me"), ["It\u2019s\nme"], ["its me"]),
        (checks.contains("Foo", ignore_case=False), ["Foo"], ["foo"]),
        (checks.not_contains("http", "www."), ["plain"], ["see HTTP://x", "www.x"]),
        (checks.mentions("refund", "money back"), ["Your REFUND!"], ["refunding"]),
        (checks.one_of("a", 1, None), ["a", 1], [True, 1.0, "b"]),
        (checks.one_of("high"), [Level.HIGH, "high"], ["low"]),
        (checks.not_refusal(), ["Sure."], ["I'm sorry, but I can't help with that."]),
        (checks.not_refusal(detector=lambda text: text == "no"), ["yes"], ["no"]),
        (
            checks.date_range(minimum="2024-01-01", maximum="2024-12-31"),
            [date(2024, 1, 1), "2024-12-31", "2024-12-31T23:59:59Z"],
            ["2025-01-01", date(2023, 12, 31), "soon", 3, "2024-13-01"],
        ),
        (
            checks.date_range(maximum=datetime(2024, 1, 1, 12, tzinfo=UTC)),
            ["2024-01-01", "2024-01-01T12:00:00", "2024-01-01T13:00:00+01:00"],
            ["2024-01-01T12:00:01Z", "2024-01-02"],
        ),
        (
            checks.date_range(minimum=lambda: date(2024, 1, 1)),
            ["2024-01-01"],
            ["2023-12-31"],
        ),
        (
            checks.sentiment(minimum=0.05),
            ["I love it, thank you!"],
            ["Awful. I hate it."],
        ),
        (checks.sentiment(maximum=0, scorer=len), [""], ["x"]),
        (
            checks.language("en"),
            ["Thank you for your order. We will send it to you.", "OK", "A-1042"],
            ["Vielen Dank f\u00fcr Ihre Bestellung, wir senden das Paket."],
        ),
        (
            checks.language("fr", "en"),
            ["Bonjour, le colis est pour vous."],
            ["\u3042\u3044"],
        ),
        (checks.language("xx", detector=lambda text: text), ["xx"], ["yy"]),
    ],
)
def test_a_built_in_check_tells_good_from_bad(
    check: Check, good: list[object], bad: list[object]
) -> None:
    """The bounds belong to what is allowed."""
    assert [""] * len(good) == [says(check, value) for value in good]
    messages = [says(check, value) for value in bad]
    assert all(message.startswith("must ") for message in messages), messages


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checks.pattern("x"), 3),
        (checks.contains("x"), ["x"]),
        (checks.length(minimum=1), 3),
        (checks.length(minimum=1, unit="words"), 3),
        (checks.date_range(minimum=lambda: 3), "2024-01-01"),  # type: ignore[arg-type,return-value] - wrong on purpose
        (checks.appears_in("x", "ticket"), "x"),
    ],
)
def test_a_check_of_the_wrong_kind_of_value_is_an_error(
    check: Check, value: object
) -> None:
    """The check was declared wrongly; the answer may be right."""
    bare = Check(name=check.name, function=check.function, inputs=check.inputs)
    assert "raised" in says(bare, value)


@pytest.mark.parametrize(
    ("make", "needle"),
    [
        (checks.range, "give `minimum`, `maximum` or both"),
        (lambda: checks.range(minimum=True), "True is no finite number"),
        (lambda: checks.range(minimum=float("nan")), "nan is no finite number"),
        (lambda: checks.range(minimum=2, maximum=1), "no number is at least 2"),
        (checks.length, "is no range of sizes"),
        (lambda: checks.length(minimum=3, maximum=2), "is no range of sizes"),
        (lambda: checks.length(minimum=-1), "is no range of sizes"),
        (lambda: checks.length(minimum=1, unit="tokens"), "`unit` is 'tokens'"),  # type: ignore[arg-type] - wrong on purpose
        (lambda: checks.pattern("("), "is no regular expression"),
        (checks.contains, "give one text or more"),
        (lambda: checks.not_contains(" "), "none of them empty"),
        (lambda: checks.mentions(""), "none of them empty"),
        (checks.one_of, "give the values"),
        (checks.date_range, "give `minimum`, `maximum` or both"),
        (lambda: checks.date_range(minimum="soon"), "'soon' is no date"),
        (lambda: checks.sentiment(minimum=1, maximum=0), "no score is at least 1"),
        (checks.language, "give the codes"),
        (lambda: checks.language("sw"), "does not know sw"),
        (
            lambda: checks.language("en", detector="fasttext"),
            "`detector` is 'fasttext'",
        ),
        (lambda: checks.appears_in("x", ""), "name the input"),
        (lambda: checks.similar_to(embed=len, threshold=0.5), "either `reference` or"),  # type: ignore[arg-type,return-value] - refused before it is called
        (lambda: checks.similar_to("a", embed=len, threshold=2), "a cosine is from"),  # type: ignore[arg-type,return-value] - as above
    ],
)
def test_wrong_arguments_are_refused(make: Callable[[], Check], needle: str) -> None:
    """At construction, with the repair."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert needle in str(caught.value)


@pytest.mark.parametrize(
    ("make", "module", "command"),
    [
        (checks.sentiment, "vaderSentiment", "pip install vaderSentiment"),
        (
            lambda: checks.language("en", detector="py3langid"),
            "py3langid",
            "pip install py3langid",
        ),
    ],
)
def test_a_missing_extra_names_the_command_that_installs_it(
    make: Callable[[], Check],
    module: str,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found when the contract is made, not when the first answer comes."""
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.{module}", None)
    with pytest.raises(ConfigError, match=command):
        make()


def test_a_detector_package_is_asked_when_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`py3langid` answers with a code and a score."""

    class Package:
        @staticmethod
        def classify(text: str) -> tuple[str, float]:
            return ("sw" if "asante" in text else "en"), -1.0

    monkeypatch.setitem(sys.modules, "py3langid", Package)
    check = checks.language("sw", detector="py3langid")
    assert "" == says(check, "asante sana")
    assert "must be written in sw; the answer is in en" == says(check, "thanks")


@pytest.mark.parametrize(
    ("value", "ticket", "options", "passes"),
    [
        ("A-1042", "my order a-1042 is late", {}, True),
        ("A-1042", "my order A-10429 is late", {}, False),
        ("1042", "order 11042 and 10420, then 1042.", {}, True),
        ("A1042", "order A-1042", {}, False),
        ("A1042", "order #A-10 42", {"ignore": "-# "}, True),
        (1042, "order 1042", {}, True),
        (Level.HIGH, "high stakes", {}, True),
        (["a b", "c"], "c, then  A\nB", {}, True),
        (["a b", "d"], "c, then a b", {}, False),
        ("x", Source(note="see x"), {}, True),
        ("x", {"notes": ["see x"]}, {}, True),
        ("\uff21", "an A", {}, True),
        ("", "anything", {}, True),
        ("(x)", "f(x)y", {}, True),
    ],
)
def test_a_value_must_stand_in_the_input(
    value: object, ticket: object, options: dict[str, Any], passes: bool
) -> None:
    """As a whole word, whatever its case and spacing."""
    check = checks.appears_in("", "ticket", **options)
    message = says(check, value, {"ticket": ticket})
    assert passes is (message == "")
    assert passes or "must appear in the input 'ticket'" in message


def test_grounding_skips_null_and_names_the_input_it_needs() -> None:
    """A null order id is the schema's business; a missing input is an error."""

    class Answer(BaseModel):
        order_id: str | None

    contract = Contract(Answer, checks=[checks.appears_in("order_id", "ticket")])
    assert frozenset({"ticket"}) == contract.inputs
    assert contract.judge_value({"order_id": None}, {"ticket": "x"}).ok
    assert (
        Kind.SEMANTIC is contract.judge_value({"order_id": "A"}, {"ticket": "x"}).kind
    )
    verdict = contract.judge_value({"order_id": "A"}, {"text": "x"})
    assert Kind.ERROR is verdict.kind
    assert "no input 'ticket'" in verdict.detail


def letters(text: str) -> list[float]:
    """Embed a text as its counts of a, b and c."""
    return [float(text.count(letter)) for letter in "abc"]


def test_a_text_must_be_near_another_in_meaning() -> None:
    """By the embedding given, and the threshold given."""
    check = checks.similar_to("aab", embed=letters, threshold=0.9)
    assert "" == says(check, "aaabb")
    assert "its similarity is 0.000, and 0.9 is needed" in says(check, "ccc")
    assert "its similarity is nan" in says(check, "xyz")
    to_input = checks.similar_to(source="ticket", embed=letters, threshold=0.9)
    assert "" == says(to_input, "ab", {"ticket": "ba"})
    assert ("ticket",) == to_input.inputs


def test_options_are_part_of_the_digest_and_embeddings_by_their_source() -> None:
    """Two checks that judge differently never share a digest."""
    made = [
        checks.range(minimum=0),
        checks.range(minimum=1),
        checks.range(maximum=0),
        checks.one_of("a"),
        checks.one_of("b"),
        checks.similar_to("a", embed=letters, threshold=0.5),
        checks.similar_to("a", embed=lambda text: [1.0], threshold=0.5),
        checks.date_range(minimum=date(2024, 1, 1)),
        checks.date_range(minimum=date(2024, 1, 2)),
    ]
    assert len(made) == len({str(each.description) for each in made})
    assert made[0].description == checks.range(minimum=0).description


@pytest.mark.parametrize(
    ("schema", "check"),
    [
        (int, checks.pattern("x")),
        (Literal["a"], checks.range(minimum=1, maximum=2)),
        (int, checks.length(minimum=1)),
        (list[str], checks.sentiment(scorer=len)),
    ],
)
def test_a_check_that_can_never_apply_is_refused(schema: object, check: Check) -> None:
    """A number has no pattern."""
    if check.name == "range":
        Contract(schema, checks=[check])  # a string may be a decimal number
        return
    with pytest.raises(ConfigError, match=f"the check `{check.name}` is for"):
        Contract(schema, checks=[check])


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "Thank you for your order. We will send the parcel tomorrow."),
        ("de", "Vielen Dank f\u00fcr Ihre Bestellung. Wir senden das Paket morgen."),
        ("fr", "Merci pour votre commande, nous vous enverrons le colis demain."),
        ("es", "Gracias por su pedido. Enviaremos el paquete por la tarde."),
        ("it", "Grazie per il suo ordine, spediremo il pacco domani."),
        ("pt", "Obrigado pelo seu pedido. Enviaremos o pacote para voc\u00ea."),
        ("nl", "Bedankt voor uw bestelling. Wij sturen het pakket morgen."),
        ("sv", "Tack f\u00f6r din best\u00e4llning. Vi skickar paketet till dig."),
        ("da", "Tak for din bestilling. Vi sender pakken til dig i morgen."),
        (
            "pl",
            "Dzi\u0119kuj\u0119 za zam\u00f3wienie, paczka nie jest jeszcze gotowa.",
        ),
        ("tr", "Te\u015fekk\u00fcr ederim, bu sipari\u015f i\u00e7in bir paket var."),
        ("ru", "Спасибо за ваш заказ. Мы отправим его завтра."),
        ("uk", "Дякую за ваше замовлення. Ми надішлемо його, якщо є."),
        ("ja", "ご注文ありがとうございます。明日発送します。"),
        ("zh", "感谢您的订购，我们明天发货。"),
        ("ko", "주문해 주셔서 감사합니다."),
        ("ar", "شكرا لطلبك من متجرنا"),
        ("he", "תודה על ההזמנה"),
        ("el", "Ευχαριστούμε για την παραγγελία"),
        ("th", "ขอบคุณสำหรับการสั่งซื้อ"),
        ("hi", "आपके ऑर्डर के लिए धन्यवाद"),
        (None, "OK"),
        (None, "1234 - 5678"),
        (None, "def f(x): return x + 1"),
        (None, "the de"),
    ],
)
def test_the_language_heuristic_knows_what_it_says_it_knows(
    code: str | None, text: str
) -> None:
    """One sentence of each language, and what stays undecided."""
    assert code == checks.detect_language(text)

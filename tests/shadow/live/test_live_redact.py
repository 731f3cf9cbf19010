"""What is blanked before anything is kept, and what must stay readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.shadow.live import scrub
from llmguard.telemetry.redact import redacted, redactor

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("write to ann.b+c@mail.example.co.uk, please", "write to [email], please"),
        ("card 4111 1111 1111 1111 is mine", "card [card] is mine"),
        ("card 5500-0000-0000-0004.", "card [card]."),
        ("pay DE89 3704 0044 0532 0130 00 now", "pay [iban] now"),
        ("pay GB82WEST12345698765432", "pay [iban]"),
        ("call +44 20 7946 0958 or 020 7946 0958", "call [phone] or [phone]"),
        ("call (555) 867-5309", "call [phone]"),
        ("call 0049 30 901820", "call [phone]"),
        ("from 192.168.10.255 and 2001:db8::8a2e:370:7334", "from [ip] and [ip]"),
        ("key sk-abcdefghijklmnop1234 here", "key [key] here"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("Authorization: Bearer abc.def-ghi_123", "Authorization: [key]"),
        ("password: hunter22, thanks", "password: [key], thanks"),
        ("postgres://me:secret9@db/x", "postgres://[key]@db/x"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.sig", "[key]"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----",
            "[key]",
        ),
    ],
)
def test_what_looks_personal_or_secret_is_blanked(text: str, clean: str) -> None:
    """Addresses, cards, accounts, phone numbers, IP addresses, keys."""
    assert clean == scrub(text)
    assert clean == scrub(clean)


@pytest.mark.parametrize(
    "text",
    [
        "order 48802 and AB-2024-12345 are late",
        "4111 1111 1111 1112 has a wrong check digit",
        "DE11 3704 1044 1532 1130 11 has wrong check digits",
        "version 1.2.3, not 300.1.1.1",
        "pay 1,250.00 by 2026-11-30 at 12:30",
        "it costs 10 000 000 in total",
        "the 64 pounds have to be on my card by the 30th",
        "a@b",
        '{"category":"billing","order_id":"2024-00123"}',
    ],
)
def test_what_a_reader_needs_stays(text: str) -> None:
    """Order numbers, dates, amounts, versions."""
    assert text == scrub(text)


@given(st.text() | st.text("0123456789 +-.()@:/=abAB"))
def test_any_text_can_be_scrubbed(text: str) -> None:
    """Nothing raises, and a second time changes nothing."""
    once = scrub(text)
    assert once == scrub(once)


@given(JSON, st.integers(1, 20))
def test_data_keeps_its_shape_and_no_text_is_longer_than_allowed(
    value: object, most: int
) -> None:
    """Numbers and structure stay; each text is cut and says by how much."""
    clean, cut = redacted(value, str, most=most)

    def check(before: object, after: object) -> bool:
        if isinstance(before, str):
            assert isinstance(after, str)
            if len(before) <= most:
                assert before == after
                return False
            assert after.startswith(before[:most])
            assert after.endswith(f"[{len(before) - most} more characters]")
            return True
        if isinstance(before, dict):
            assert isinstance(after, dict)
            assert list(before) == list(after)
            return sum(check(before[key], after[key]) for key in before) > 0
        if isinstance(before, list):
            assert isinstance(after, list)
            pairs = zip(before, after, strict=True)
            return sum(check(one, other) for one, other in pairs) > 0
        assert before == after
        return False

    assert cut == check(value, clean)


def test_a_function_is_found_by_its_name() -> None:
    """`module:function`; what cannot be imported is refused before anything is kept."""
    assert "ABC" == redactor("builtins:str.upper")("abc")
    assert "a@b.example" == redactor("none")("a@b.example")
    assert len is redactor(len)  # type: ignore[comparison-overlap, arg-type] # any function
    for name in ("no_such_module:f", "builtins:nothing", "sys:path"):
        with pytest.raises(ConfigError, match="redact"):
            redactor(name)

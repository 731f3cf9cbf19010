"""A pin's identity: what is hashed, how, and what may not be in it."""

from __future__ import annotations

import copy
import pickle
import random
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.pins import Pin
from llmguard.pins._canonical import canonical, freeze, thaw

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts.filter(bool), inner, max_size=3)
    ),
    max_leaves=8,
)


def shuffled(value: Any, rng: random.Random) -> Any:
    """Return an equal value whose tables list their keys in another order."""
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {key: shuffled(value[key], rng) for key in keys}
    if isinstance(value, list):
        return [shuffled(item, rng) for item in value]
    return value


def make(**more: Any) -> Pin:
    values_ = {"route": "triage", "provider": "openai", "model": "gpt-5.2-2025-12-11"}
    return Pin(**{**values_, **more})


@given(values, st.randoms(use_true_random=False))
def test_canonical_form_ignores_the_order_of_keys(
    value: Any, rng: random.Random
) -> None:
    """Two spellings of one table have one byte form."""
    other = shuffled(value, rng)
    assert canonical(freeze(value, at="x")) == canonical(freeze(other, at="x"))


@given(texts)
def test_canonical_form_ignores_unicode_normalisation(text: str) -> None:
    """Composed and decomposed accents hash alike."""
    forms = {unicodedata.normalize(form, text) for form in ("NFC", "NFD")}
    assert len({canonical(freeze([form], at="x")) for form in forms}) == 1


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_canonical_form_of_whole_floats_is_that_of_integers(number: int) -> None:
    """`temperature = 0` and `temperature = 0.0` are one setting."""
    assert canonical(freeze(float(number), at="x")) == canonical(number)


@given(values)
def test_freezing_and_thawing_gives_the_value_back(value: Any) -> None:
    """Nothing is lost on the way in or out."""
    assert thaw(freeze(value, at="x")) == value


@given(values, values)
def test_equal_bytes_mean_equal_values(one: Any, other: Any) -> None:
    """The canonical form confuses no two values, but for numbers that are equal."""
    same = canonical(freeze(one, at="x")) == canonical(freeze(other, at="x"))
    if not same:
        assert repr(one) != repr(other)
    elif "\\u" not in ascii(one) + ascii(other):
        assert one == other


def test_id_is_stable_across_releases() -> None:
    """Evidence refers to ids, so this very value must never change."""
    pin = make(params={"temperature": 0.5, "stop": ["a", "\u00e9"]}, contract="triage")
    assert pin.id == "p-a6647f9228"


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gpt-4.1-2025-04-14"},
        {"endpoint": "https://eu.api.openai.com/v1"},
        {"params": {"temperature": 1}},
        {"options": {"api": "responses"}},
        {"expect_echo": ("*",)},
        {"fingerprint_policy": "block"},
        {"prompt_digest": "ab"},
        {"schema_digest": "ab"},
        {"contract": "triage@2"},
        {"route": "other"},
        {"provider": "replay"},
    ],
)
def test_what_decides_behaviour_changes_the_id(change: Mapping[str, Any]) -> None:
    """Every setting that a model's answers depend on is part of the identity."""
    assert replace(make(), **change).id != make().id


@pytest.mark.parametrize(
    "change",
    [
        {"owner": "ml"},
        {"lifecycle": {"shutdown": "2027-01-01"}},
        {"accept_opaque": "no dated id"},
        {"version_class": "versioned"},
    ],
)
def test_what_people_note_keeps_the_id_and_changes_the_digest(
    change: Mapping[str, Any],
) -> None:
    """A new owner voids no evidence, but an edit of it is still seen."""
    changed = replace(make(), **change)
    assert (changed.id, changed.digest != make().digest) == (make().id, True)


def test_base_directory_is_no_part_of_the_entry() -> None:
    """The same lock means the same pins wherever it is checked out."""
    assert replace(make(), base="/srv/app") == make()


def test_pins_are_values() -> None:
    """Equal pins hash alike, survive pickling and copying, and equal nothing else."""
    pin = make(params={"stop": ["a"], "nested": {"k": 1}}, expect_echo=("x",))
    again = make(params={"nested": {"k": 1}, "stop": ["a"]}, expect_echo=("x",))
    sent = pickle.loads(pickle.dumps(pin))  # noqa: S301 - our own bytes, as to a worker
    assert {pin, again, copy.deepcopy(pin), sent} == {pin}
    assert pin != "pin"


def test_tables_are_read_only() -> None:
    """Nobody changes a pin behind its id."""
    pin = make(params={"nested": {"k": 1}})
    with pytest.raises(TypeError):
        pin.params["nested"]["k"] = 2  # type: ignore[index,call-overload] - the point


@pytest.mark.parametrize(
    ("expect", "served", "verdict"),
    [
        ((), "gpt-5.2-2025-12-11", True),
        ((), "gpt-5.2", False),
        ((), None, None),
        (("gpt-5.2",), "gpt-5.2", True),
        (("gpt-5.2",), "gpt-5.2-2025-12-11", False),
        (("*",), "anything", None),
    ],
)
def test_echo_is_accepted_refused_or_unverifiable(
    expect: tuple[str, ...], served: str | None, verdict: bool | None
) -> None:
    """The served id is compared with the declared ones, and never guessed."""
    assert make(expect_echo=expect).accepts(served) is verdict


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"route": "a/b"}, "route"),
        ({"provider": ""}, "provider"),
        ({"model": " "}, "model"),
        ({"model": 5}, "model"),
        ({"endpoint": "api.openai.com"}, "endpoint"),
        ({"version_class": "new"}, "version_class"),
        ({"fingerprint_policy": "ignore"}, "fingerprint_policy"),
        ({"params": "x"}, "params"),
        ({"params": {"t": None}}, "params.t"),
        ({"params": {"t": float("nan")}}, "params.t"),
        ({"params": {"t": 2**63}}, "params.t"),
        ({"params": {"t": object()}}, "params.t"),
        ({"params": {"": 1}}, "params"),
        ({"params": {"t": "\ud800"}}, "params.t"),
        ({"expect_echo": ("",)}, "expect_echo"),
        ({"expect_echo": "gpt-5.2"}, "expect_echo"),
        ({"lifecycle": {"shutdown": "soon"}}, "lifecycle.shutdown"),
        ({"lifecycle": {"shutdown": "20270101"}}, "lifecycle.shutdown"),
        ({"lifecycle": {"note": 1}}, "lifecycle.note"),
    ],
)
def test_wrong_values_are_refused_by_name(
    change: Mapping[str, Any], named: str
) -> None:
    """The message names the field that is wrong."""
    with pytest.raises(ConfigError, match=f"`{named}`"):
        make(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"api_key": "x"}},
        {"options": {"headers": {"Authorization": "x"}}},
        {"options": {"headers": {"x-api-key": "x"}}},
        {"options": {"extra": ["sk-abcdefghijklmnop1234"]}},
        {"params": {"user": "Bearer abcdefgh1234"}},
        {"params": {"user": "AKIAABCDEFGHIJKLMNOP"}},
        {"endpoint": "https://me:word@api.example/v1"},
        {"endpoint": "https://api.example/v1?api_key=abc"},
    ],
)
def test_credentials_are_refused_without_repeating_them(
    change: Mapping[str, Any],
) -> None:
    """A lock is committed: no key gets in, nor into the message."""
    with pytest.raises(ConfigError, match="looks like a credential") as caught:
        make(**change)
    assert "abcdefgh" not in str(caught.value)


def test_harmless_settings_are_no_credentials() -> None:
    """Names that only sound secret, hashes and query strings pass."""
    pin = make(
        params={"max_output_tokens": 800, "logit_bias": {"50256": -100}},
        options={"api_key_env": "OPENAI_API_KEY", "gguf_sha256": "ab" * 32},
        endpoint="https://api.example/v1?api-version=2024-10-21",
    )
    assert pin.options["api_key_env"] == "OPENAI_API_KEY"

"""The text of a lock: written one way, read back equal, believed only when hashed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard.errors import LockError
from llmguard.pins import Lock, Pin, read_lock, to_text
from llmguard.pins._read import from_text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
words = texts.filter(lambda text: bool(text.strip()))
# What is called like a credential is refused, and has a test of its own.
keys = words.filter(
    lambda text: (
        not re.search(r"(?i)key|token|secret|passw|auth|credential|cookie", text)
    )
)
scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
tables = st.dictionaries(
    st.from_regex(r"[a-z]{1,5}\d|[ \"'.=#\n\u00e9]{1,3}", fullmatch=True),
    st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=2)
        ),
        max_leaves=5,
    ),
    max_size=3,
)
made_pins = st.builds(
    Pin,
    route=st.sampled_from(["triage", "invoice.extract", "a-b", "x_1"]),
    provider=st.sampled_from(["openai", "replay"]),
    model=words,
    endpoint=st.none() | st.just("https://api.example/v1"),
    version_class=st.sampled_from(["immutable", "versioned", "unknown"]),
    params=tables,
    options=tables,
    expect_echo=st.lists(words, max_size=2).map(tuple),
    fingerprint_policy=st.sampled_from(["record", "warn", "block"]),
    owner=texts,
    contract=texts,
)


def locked(*pins: Pin) -> Lock:
    lock = Lock()
    for pin in pins:
        lock = lock.with_pin(pin)
    return lock


def simple(**more: Any) -> Pin:
    entry = {"route": "triage", "provider": "openai", "model": "gpt-5.2-2025-12-11"}
    return Pin(**{**entry, "version_class": "versioned", **more})


@given(st.lists(made_pins, max_size=3))
@settings(max_examples=60)
def test_what_is_written_is_read_back(pins: list[Pin]) -> None:
    """A round trip through the text gives equal pins and routes."""
    lock = locked(*pins)
    again = from_text(to_text(lock).encode())
    assert (dict(again.pins), dict(again.routes)) == (
        dict(lock.pins),
        dict(lock.routes),
    )


@given(st.lists(made_pins, max_size=3))
@settings(max_examples=30)
def test_text_does_not_depend_on_the_order_of_additions(pins: list[Pin]) -> None:
    """Equal locks are equal files, so merges and reviews show real changes only."""
    lock = locked(*pins)
    backwards = Lock(
        pins=dict(reversed(lock.pins.items())),
        routes=dict(reversed(lock.routes.items())),
    )
    assert to_text(backwards) == to_text(lock)


def test_text_is_readable() -> None:
    """The format is what reviewers see; a change of it is a decision."""
    pin = simple(params={"temperature": 0, "stop": ["\n", 'a"b']}, owner="ml-team")
    text = re.sub(r"[0-9a-f]{64}", "HASH", to_text(locked(pin)))
    assert text.replace(pin.id, "ID").splitlines()[3:] == [
        "lock_version = 1",
        'created_by = "llmguard 0.1.0"',
        "",
        "[routes.triage]",
        'active = "ID"',
        'allowed = ["ID"]',
        'sha256 = "HASH"',
        "",
        '[pins."triage/ID"]',
        'provider = "openai"',
        'model = "gpt-5.2-2025-12-11"',
        'version_class = "versioned"',
        'params = { stop = ["\\n", "a\\"b"], temperature = 0 }',
        'fingerprint_policy = "record"',
        'owner = "ml-team"',
        'sha256 = "HASH"',
    ]


@given(st.data())
def test_any_edit_of_an_entry_is_seen(data: st.DataObject) -> None:
    """Changing one character of any entry is refused, whatever it changes."""
    one, two = simple(owner="ml"), simple(params={"seed": 7})
    text = to_text(locked(one, two))
    start = text.index("[routes.triage]")
    # A blank or a space outside a string changes no value, and may stay.
    spots = [i for i in range(start, len(text)) if text[i] not in " \n"]
    at = data.draw(st.sampled_from(spots))
    new = data.draw(st.sampled_from("0aZ_").filter(lambda char: char != text[at]))
    edited = text[:at] + new + text[at + 1 :]
    with pytest.raises(LockError):
        from_text(edited.encode())


def test_an_edited_entry_is_named_with_its_line_and_repair(tmp_path: Path) -> None:
    """The error says which entry, where, and what to run."""
    pin = simple(params={"temperature": 0})
    path = tmp_path / "models.lock"
    text = to_text(locked(pin)).replace("temperature = 0", "temperature = 1")
    path.write_text(text, encoding="utf-8")
    line = text.splitlines().index(f'[pins."triage/{pin.id}"]') + 1
    with pytest.raises(LockError) as caught:
        read_lock(path)
    assert str(caught.value).startswith(
        f'{path}:{line}: `pins."triage/{pin.id}"` does not match its hash'
    )
    assert "`llmguard pin refresh`" in str(caught.value)


def test_a_hand_edit_can_be_accepted() -> None:
    """Reading without verification gives new ids, and routes follow them."""
    old, other = simple(params={"temperature": 0}), simple(model="o3-2025-04-16")
    text = to_text(locked(old, other)).replace("temperature = 0", "temperature = 1")
    lock = from_text(text.encode(), verify=False)
    edited = simple(params={"temperature": 1})
    assert lock.resolve("triage") == edited
    assert set(lock.routes["triage"].allowed) == {edited.id, other.id}


GOOD = to_text(locked(simple()))
ID = simple().id


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lock_version = 1", "lock_version = 2", "lock_version` is 2"),
        ("lock_version = 1", "", "lock_version` is None"),
        ("lock_version = 1", "lock_version = ", "not valid TOML: .* line 4"),
        ("lock_version = 1", "lock_version = 1\nroots = 1", "`roots` is unknown"),
        ("lock_version = 1", "lock_version = 1\npins = 3", "not valid TOML"),
        ("provider =", "colour = 1\nprovider =", r"\.colour` is unknown"),
        ("active =", "weight = 1\nactive =", r"routes.triage.weight` is unknown"),
        ('provider = "openai"', "", "missing .* 'provider'"),
        ('provider = "openai"', "provider = 3", "`provider` of a pin is 3"),
        (f'active = "{ID}"', 'active = "p-0"', "needs `active`"),
        (f'allowed = ["{ID}"]', "allowed = []", "needs `active`"),
        (f'allowed = ["{ID}"]', "allowed = 3", "needs `active`"),
        (f'allowed = ["{ID}"]', f'allowed = ["{ID}", "p-0"]', "allows 'p-0'"),
        ("[routes.triage]", "[routes.other]", "no pin of this route"),
        ('"versioned"', '"versioned"\nowner = "me"', "does not match its hash"),
    ],
)
def test_wrong_locks_are_explained(old: str, new: str, message: str) -> None:
    """Whatever is wrong, the message says what, and nothing is believed."""
    assert old in GOOD
    with pytest.raises(LockError, match=message):
        from_text(GOOD.replace(old, new, 1).encode())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lock_version = 1\npins = 3\n", "`pins` is 3, not a table"),
        ("lock_version = 1\n[pins]\nx = 3\n", "`pins.x` is 3, not a table"),
        ("lock_version = 1\nroutes = 3\n", "`routes` is 3, not a table"),
    ],
)
def test_sections_must_be_tables(text: str, message: str) -> None:
    """A scalar where a table belongs is named."""
    with pytest.raises(LockError, match=re.escape(message)):
        from_text(text.encode())


def test_a_pin_that_no_route_allows_is_refused() -> None:
    """Every pin is there for a route; a stray one is a broken merge."""
    other = Pin(route="b", provider="replay", model="x.jsonl")
    stray = to_text(locked(simple(), other))
    start, end = stray.index("[routes.b]"), stray.index("[routes.triage]")
    with pytest.raises(LockError, match="route 'b' does not allow it"):
        from_text((stray[:start] + stray[end:]).encode())


@pytest.mark.parametrize(
    ("pin", "message"),
    [
        (simple(version_class="alias"), "pins the alias"),
        (simple(version_class="opaque"), "without `accept_opaque`"),
    ],
)
def test_names_that_must_not_run_are_refused_even_when_hashed(
    pin: Pin, message: str
) -> None:
    """Whoever wrote the lock, an alias never loads."""
    with pytest.raises(LockError, match=message):
        from_text(to_text(locked(pin)).encode())


def test_an_opaque_name_with_a_reason_is_read() -> None:
    """The reason stands in the lock, where reviewers see it."""
    pin = simple(version_class="opaque", accept_opaque="no dated id exists")
    assert from_text(to_text(locked(pin)).encode()).resolve("triage") == pin


def test_not_a_file(tmp_path: Path) -> None:
    """A directory, or bytes that are no text, are errors of the lock."""
    with pytest.raises(LockError, match="cannot be read"):
        read_lock(tmp_path)
    with pytest.raises(LockError, match="not valid TOML"):
        from_text(b"\xff\xfe")


def test_routes_change_without_changing_the_lock() -> None:
    """Adding, activating and removing make new locks and keep every rule."""
    one, two = simple(), simple(params={"seed": 7})
    lock = locked(one, two)
    assert lock.resolve("triage") == one
    assert lock.allowed("triage") == (one, two)
    switched = lock.activated(two.id)
    assert (lock.resolve("triage"), switched.resolve("triage")) == (one, two)
    assert switched.without(one.id).allowed("triage") == (two,)
    assert switched.without(one.id).without(two.id) == Lock()


def test_the_active_pin_is_not_removed_while_others_are_allowed() -> None:
    """What answers next is a decision, so it is asked for."""
    one, two = simple(), simple(params={"seed": 7})
    with pytest.raises(LockError, match=f"llmguard pin use {two.id}"):
        locked(one, two).without(one.id)


def test_unknown_names_list_what_is_known() -> None:
    """Both lookups say how to go on."""
    with pytest.raises(LockError, match=r"known: 'triage'.*llmguard pin add tri "):
        locked(simple()).resolve("tri")
    with pytest.raises(LockError, match="known: none"):
        Lock().resolve("triage")
    with pytest.raises(LockError, match="`llmguard pin list`"):
        Lock().pin("p-0")

"""What a PostgreSQL URL means, and that its password is nowhere to be read."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard import config
from llmguard.errors import ConfigError
from llmguard.store import open_store, spill_folder, store_exists, store_name
from llmguard.store import store_path as path_of
from llmguard.store._location import shown
from llmguard.store._pg_place import is_server, place_of, redacted

URL = "postgresql://me:s3cret@db.example:6543/app?sslmode=require&schema=guard"


def test_a_url_is_taken_apart() -> None:
    """Options of libpq are passed on, those of llmguard are not."""
    place = place_of(URL)
    assert dict(place.options) == {
        "user": "me",
        "password": "s3cret",
        "host": "db.example",
        "port": "6543",
        "dbname": "app",
        "sslmode": "require",
    }
    assert ("guard", 8, None) == (place.schema, place.pool_size, place.pooled)
    assert "db.example:6543" == place.server


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("postgres:///app", {"dbname": "app"}),
        ("postgresql://", {}),
        (
            "postgresql:///app?host=/var/run/postgresql",
            {"dbname": "app", "host": "/var/run/postgresql"},
        ),
        (
            "postgresql://a:1,b:2/app",
            {
                "host": "a,b",
                "port": "1,2",
                "dbname": "app",
                "target_session_attrs": "read-write",
            },
        ),
        (
            "postgresql://u@[::1]:5/d",
            {"user": "u", "host": "::1", "port": "5", "dbname": "d"},
        ),
        (
            "postgresql://u:a@b:c@h/d",
            {"user": "u", "password": "a@b:c", "host": "h", "dbname": "d"},
        ),
        (
            "postgresql://u%40x:p%2F%3F@h/d",
            {"user": "u@x", "password": "p/?", "host": "h", "dbname": "d"},
        ),
    ],
)
def test_other_forms(url: str, options: dict[str, str]) -> None:
    """Sockets, several hosts, IPv6, and signs in names and passwords."""
    assert options == dict(place_of(url).options)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (
            "postgresql://me:s3c?ret@h/d",
            "cannot be read: what stands for host and port",
        ),
        ("postgresql://me:s3cret/x", "cannot be read: what stands for host and port"),
        ("postgresql://h/a/s3cret", "a sign that has to be escaped"),
        ("postgresql://h/d?schema=Bad", "`schema=Bad` .* small letters"),
        ("postgresql://h/d?pool_size=0", "`pool_size=0` .* from 1 to 100"),
        ("postgresql://h/d?pooled=maybe", "`pooled=maybe` .* `yes`, `no` or `auto`"),
    ],
)
def test_wrong_urls_are_not_repeated(url: str, says: str) -> None:
    """A URL that cannot be read has its password anywhere, so none of it is shown."""
    with pytest.raises(ConfigError, match=says) as refused:
        place_of(url)
    assert "s3c" not in str(refused.value)
    assert refused.value.__cause__ is None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6))
def test_a_password_is_never_shown(password: str) -> None:
    """Whatever it is: read back whole, and in no text for people."""
    password = f"[{password}]"
    url = (
        f"postgresql://me:{quote(password, safe='')}@h/d?password=again{password[:0]}x"
    )
    place = place_of(url.partition("?")[0])
    assert password == place.options["password"]
    for text in (place.url, repr(place), redacted(url), place.scrub(f"a {password} b")):
        assert password not in text
        assert quote(password, safe="") not in text
        assert "againx" not in text


def test_redacting_other_texts() -> None:
    """Paths stay, unknown schemes lose what may be a password."""
    assert "a/b.db" == redacted("a/b.db") == shown("a/b.db")
    assert "mysql://u:***@h/d" == shown("mysql://u:pw@h/d")
    assert "postgresql://h/d" == redacted("postgresql://h/d")
    assert not is_server("sqlite:///x")


def test_settings_do_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings' text nor a store's name has the password."""
    monkeypatch.setenv("LLMGUARD_STORE", URL)
    config.reset()
    try:
        assert "s3cret" not in repr(config.load())
        assert URL.replace("s3cret", "***") == store_name()
        assert store_exists()
        beside = spill_folder(path_of())
        assert beside.parent == config.load().root / ".llmguard"
        # Another user or password of the same database shares what lies beside it.
        assert beside == spill_folder(path_of(URL.replace("me:s3cret@", "")))
        assert beside != spill_folder(path_of(URL.replace("guard", "other")))
    finally:
        config.reset()


def test_a_driver_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bare install names the command that adds it."""
    import sys

    for name in [one for one in sys.modules if one.startswith("llmguard.store._pg_c")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "llmguard.store.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Exception, match=r"pip install 'llmguard-toolkit\[postgres\]'"):
        open_store("postgresql://h/none-there")

"""Users, tokens, sessions and the audit, on both backends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from store_backends import raw

from llmguard.store import Store, StoreFullError
from llmguard.store.access import (
    AccessSession,
    AccessToken,
    AccessUser,
    Granted,
    NewAudit,
    secret_digest,
)
from llmguard.testing import VirtualClock

DAY = 86400.0
ANN = AccessUser(name="ann", scopes=("read", "review"), roles=("billing",))


@pytest.fixture
def known(store: Store) -> Store:
    """A store with a user who has the token `secret`."""
    store.access.put_user(ANN)
    token = AccessToken(id="t1", user="ann", scopes=("review", "admin"), label="laptop")
    store.access.add_token(token, secret_digest("secret"))
    return store


def session(store: Store, clock: VirtualClock, digest: str, **fields: object) -> None:
    given: dict[str, object] = {
        "user": "ann",
        "scopes": ("read", "review"),
        "via": "token",
        "token": "t1",
        "expires_at": clock.time() + DAY,
        "address": "10.0.0.9",
    }
    store.access.open_session(AccessSession(**{**given, **fields}), digest)  # type: ignore[arg-type]  # a helper's free keywords


def names(granted: Granted | None) -> tuple[str, tuple[str, ...]] | None:
    return None if granted is None else (granted.user.name, granted.scopes)


def test_users_are_added_changed_and_kept_out(store: Store) -> None:
    """Adding again changes scopes and roles, and lets a disabled one in again."""
    assert store.access.get_user("ann") is None
    made = store.access.put_user(ANN)
    assert (made.scopes, made.roles) == (("read", "review"), ("billing",))
    assert store.access.disable_user("ann")
    assert not store.access.disable_user("nobody")
    gone = store.access.get_user("ann")
    assert gone is not None
    assert gone.disabled_at is not None
    again = store.access.put_user(AccessUser(name="ann", scopes=("admin",)))
    assert (again.scopes, again.disabled_at) == (("admin",), None)
    assert again.created_at == made.created_at
    assert [again] == list(store.access.list_users())


def test_a_token_allows_what_its_user_still_may(
    known: Store, clock: VirtualClock
) -> None:
    """Scopes are those of both; a change of the user counts at once."""
    digest = secret_digest("secret")
    assert ("ann", ("review",)) == names(known.access.by_token(digest))
    assert known.access.by_token(secret_digest("Secret")) is None
    assert known.access.by_token("secret") is None
    known.access.put_user(AccessUser(name="ann", scopes=("admin",)))
    assert ("ann", ("admin",)) == names(known.access.by_token(digest))
    known.access.disable_user("ann")
    assert known.access.by_token(digest) is None


def test_who_comes_back_brings_no_old_secrets(known: Store) -> None:
    """A user was kept out for a reason, such as a laptop that was stolen."""
    known.access.disable_user("ann")
    known.access.put_user(AccessUser(name="ann", scopes=("review",)))
    assert known.access.by_token(secret_digest("secret")) is None
    assert [True] == [one.revoked_at is not None for one in known.access.list_tokens()]


def test_a_token_opens_although_its_use_cannot_be_noted(
    known: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk programs may still look."""

    def full(*_: object, **__: object) -> None:
        raise StoreFullError("no space left")

    monkeypatch.setattr(known.access._database, "write", full)  # type: ignore[attr-defined]  # the SQL store's own
    found = known.access.by_token(secret_digest("secret"))
    assert ("ann", ("review",)) == names(found)


def test_tokens_end(known: Store, clock: VirtualClock) -> None:
    """By revoking, once; by time."""
    digest = secret_digest("brief")
    token = AccessToken(
        id="t2", user="ann", scopes=("read",), expires_at=clock.time() + 10.0
    )
    known.access.add_token(token, digest)
    assert known.access.by_token(digest) is not None
    clock.advance(10.0)
    assert known.access.by_token(digest) is None
    assert known.access.revoke_token("t1")
    assert not known.access.revoke_token("t1")
    assert known.access.by_token(secret_digest("secret")) is None
    first, second = known.access.list_tokens("ann")
    assert {first.id, second.id} == {"t1", "t2"}
    assert [] == list(known.access.list_tokens("bob"))


def test_secrets_are_not_in_the_store(known: Store, store_url: str) -> None:
    """Neither in plain text nor in a form that could be used."""
    with raw(store_url) as connection:
        rows = connection.execute("SELECT * FROM access_tokens").fetchall()
    assert "'secret'" not in repr(rows)
    assert secret_digest("secret") in repr(rows)


def test_use_is_recorded_to_the_minute(known: Store, clock: VirtualClock) -> None:
    """Two requests within a minute are one write."""
    digest, start = secret_digest("secret"), clock.time()
    for _ in range(3):
        known.access.by_token(digest)
        clock.advance(30.0)
    assert [start] == [one.used_at for one in known.access.list_tokens()]
    clock.advance(30.0)
    known.access.by_token(digest)
    assert [clock.time()] == [one.used_at for one in known.access.list_tokens()]


def test_sessions_end_idle_or_old(known: Store, clock: VirtualClock) -> None:
    """Use keeps one alive, until its time is over in any case."""
    session(known, clock, "d", expires_at=clock.time() + 300.0)
    clock.advance(99.0)
    known.access.touch_session("d")
    clock.advance(99.0)
    assert ("ann", ("read", "review")) == names(known.access.by_session("d", idle=100))
    clock.advance(2.0)
    assert known.access.by_session("d", idle=100) is None
    assert known.access.by_session("d", idle=1000) is not None
    assert [99.0] == [
        one.seen_at - one.created_at for one in known.access.list_sessions(idle=1000)
    ]
    clock.advance(100.0)
    known.access.touch_session("d")
    assert known.access.by_session("d", idle=1000) is None


@pytest.mark.parametrize("end", ["close", "token", "user", "rotate", "expiry"])
def test_sessions_are_ended_at_once(
    end: str, known: Store, clock: VirtualClock
) -> None:
    """By logging out, with their token, with their user, by the next login."""
    known.access.add_token(
        AccessToken(id="t9", user="ann", scopes=("read",), expires_at=clock.time() + 5),
        "x",
    )
    session(known, clock, "d", token="t9" if end == "expiry" else "t1")
    assert known.access.by_session("d", idle=60) is not None
    if end == "close":
        assert known.access.close_session("d")
        assert not known.access.close_session("d")
    elif end == "token":
        known.access.revoke_token("t1")
    elif end == "user":
        known.access.disable_user("ann")
    elif end == "expiry":
        clock.advance(6.0)
    else:
        new = AccessSession(
            user="ann", scopes=(), via="link", expires_at=clock.time() + 9.0
        )
        known.access.open_session(new, "e", replaces="d")
        assert ("ann", ()) == names(known.access.by_session("e", idle=60))
    assert known.access.by_session("d", idle=60) is None


def test_the_audit_is_read_page_by_page(store: Store, clock: VirtualClock) -> None:
    """Newest first, by actor, action or all below one, target, outcome, time."""
    for number in range(5):
        clock.advance(1.0)
        store.access.audit(
            NewAudit(actor="ann", action="ticket.seen", target=f"t{number}"),
            NewAudit(actor="bob", action="login.failed", outcome="failed"),
        )
    pages: list[str] = []
    before: int | None = None
    while found := store.access.audited(action="ticket.", before=before, limit=2):
        pages.append(" ".join(one.target for one in found))
        before = found[-1].seq
    assert pages == ["t4 t3", "t2 t1", "t0"]
    assert 5 == len(store.access.audited(actor="bob"))
    assert 5 == len(store.access.audited(outcome="failed"))
    assert 1 == len(store.access.audited(target="t3"))
    assert 2 == len(store.access.audited(since=clock.time()))
    assert [] == list(store.access.audited(action="ticket"))


def test_the_audit_never_changes_but_grows_old(
    store: Store, store_url: str, clock: VirtualClock
) -> None:
    """Rows cannot be rewritten; a purge deletes those of before a day."""
    store.access.audit(NewAudit(actor="ann", action="logout", detail="x" * 900))
    assert 500 == len(store.access.audited()[0].detail)
    with (
        raw(store_url) as connection,
        pytest.raises(Exception, match="audit is never changed"),
    ):
        connection.execute("UPDATE access_audit SET actor = 'eve'")
    clock.advance(10.0)
    store.access.audit(NewAudit(actor="bob", action="logout"))
    found = store.access.purge(audit_before=clock.time(), sessions_before=0.0)
    assert (1, 0) == found
    assert ["bob"] == [one.actor for one in store.access.audited()]


def test_ended_sessions_are_purged(
    known: Store, clock: VirtualClock, open_again: Callable[[], Store]
) -> None:
    """Those that still hold stay, also for another process."""
    session(known, clock, "old", expires_at=clock.time() + 5.0)
    session(known, clock, "closed")
    session(known, clock, "held")
    known.access.close_session("closed")
    clock.advance(6.0)
    found = known.access.purge(audit_before=0.0, sessions_before=clock.time())
    assert (0, 2) == found
    assert open_again().access.by_session("held", idle=60) is not None

"""Deferred answers: 202, a link that only its caller has, the answer, or why not."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from llmguard.errors import ConfigError, StoreError
from llmguard.store import SqliteStore, new_id
from llmguard.web._results import ticket_time
from llmguard.web._secret import Signer, find_secret

from .conftest import SECRET, Make, World


def test_a_deferred_answer_is_fetched(make: Make, world: World) -> None:
    """202 with a place and a time, 202 again while nobody answers, then the value."""
    ask = make()
    first = ask("/later")
    assert 202 == first.status
    assert "5" == first.headers["retry-after"]
    assert first.headers["location"] == first.json["location"]
    place = first.headers["location"]
    again = ask(place)
    assert (202, "pending") == (again.status, again.json["status"])
    assert place == again.headers["location"]
    ticket = first.json["ticket"]
    world.store.tickets.answer(ticket, {"category": "refund"}, reviewer="ada")
    done = ask(place)
    assert 200 == done.status
    assert {"category": "refund"} == done.json["value"]
    assert "human" == done.headers["x-llmguard-tier"]
    assert "delivered" == world.store.tickets.get(ticket).state
    assert done.json == ask(place).json
    assert "" == ask(place, method="HEAD").text


def test_the_link_is_the_key(make: Make) -> None:
    """Without its token, or with another ticket's, there is nothing there."""
    ask = make()
    one, two = ask("/later").json, ask("/later?text=other").json
    token = two["location"].partition("token=")[2]
    path = f"/llmguard/tickets/{one['ticket']}"
    for tried in (path, f"{path}?token=", f"{path}?token=é", f"{path}?token={token}"):
        got = ask(tried)
        assert (404, "urn:llmguard:problem:unknown-ticket") == (
            got.status,
            got.json["type"],
        )
    assert 405 == ask(one["location"], method="POST").status


def test_a_request_can_wait_for_the_answer(make: Make, world: World) -> None:
    """`Prefer: wait=N` holds it until a person answers."""
    ask = make()
    first = ask("/later").json
    asked = threading.Event()
    look = world.store.tickets.get

    def get(ticket_id: str) -> Any:
        asked.set()
        return look(ticket_id)

    world.store.tickets.get = get  # type: ignore[method-assign]  # tells when it waits
    got: list[Any] = []
    caller = threading.Thread(
        target=lambda: got.append(ask(first["location"], Prefer="wait=50"))
    )
    caller.start()
    assert asked.wait(10)
    world.store.tickets.answer(first["ticket"], {"category": "bug"}, reviewer="ada")
    caller.join(20)
    assert {"category": "bug"} == got[0].json["value"]


@pytest.mark.parametrize(
    ("close", "status"),
    [
        (lambda t, i: t.reject(i, reviewer="ada", reason="SECRET"), 409),
        (lambda t, i: t.cancel(i, actor="ada", reason="SECRET"), 410),
    ],
)
def test_a_closed_ticket_says_so(
    make: Make, world: World, close: Any, status: int
) -> None:
    """Declined is not gone; the reviewer's words stay inside."""
    ask = make()
    first = ask("/later").json
    close(world.store.tickets, first["ticket"])
    got = ask(first["location"])
    assert status == got.status
    assert "SECRET" not in got.text


def test_a_ticket_beside_the_store_is_pending_and_an_old_one_is_gone(
    make: Make,
) -> None:
    """Spilled while the store was down: not lost. Purged: 410."""
    ask = make()
    signer = Signer(SECRET)
    for made, status in ((2e9, 202), (1e9, 410)):
        ticket = new_id(made)
        assert made == ticket_time(ticket)
        path = f"/llmguard/tickets/{ticket}?token={signer.token(ticket)}"
        assert status == ask(path).status
    assert None is ticket_time("short")
    assert None is ticket_time("not-base-32-at-all")


def test_an_application_can_decide_itself(make: Make, world: World) -> None:
    """`authorize=` replaces the token; it sees the ticket."""
    ask = make(
        labels=lambda request: {"user": request.header("x-user") or ""},
        authorize=lambda request, record: (
            request.header("x-user") == record.labels["user"]
        ),
    )
    first = ask("/later", X_User="ann").json
    assert f"/llmguard/tickets/{first['ticket']}" == first["location"]
    assert 202 == ask(first["location"], X_User="ann").status
    assert 404 == ask(first["location"], X_User="bob").status
    assert 404 == ask(f"/llmguard/tickets/{new_id(2e9)}", X_User="ann").status
    assert world.store.tickets.get(first["ticket"]).labels["user"] == "ann"


def test_one_idempotency_key_is_one_ticket(make: Make) -> None:
    """A repeated request finds the ticket it made."""
    ask = make()
    one = ask("/later", Idempotency_Key="k").json
    two = ask("/later", Idempotency_Key="k").json
    assert one == two


def test_results_can_be_left_out(make: Make) -> None:
    """Then the path is the application's."""
    ask = make(results=False)
    first = ask("/later")
    assert (202, "") == (first.status, first.json["location"])
    assert 404 == ask(f"/llmguard/tickets/{first.json['ticket']}").status


def test_the_secret_is_kept_beside_the_store(store: SqliteStore) -> None:
    """One for all processes, for nobody else's eyes."""
    secret = find_secret("", store)
    assert secret == find_secret("", store)
    file = Path(store.path).with_name("store.web-secret")
    assert 0o600 == file.stat().st_mode & 0o777
    assert [] == [p.name for p in file.parent.glob("*.web-secret.*")]
    file.write_text("short")
    with pytest.raises(StoreError, match="delete it"):
        find_secret("", store)


def test_processes_agree_on_the_secret(store: SqliteStore) -> None:
    """Threads that make it at once end with one."""
    found: list[str] = []
    gate = threading.Barrier(8)

    def find() -> None:
        gate.wait()
        found.append(find_secret("", store))

    threads = [threading.Thread(target=find) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(set(found))
    assert 8 == len(found)


def test_a_short_secret_or_none_beside_a_server_is_refused(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repair is in the message."""
    with pytest.raises(ConfigError, match="16 or more"):
        find_secret("abc", store)
    other: Any = object()
    with pytest.raises(ConfigError, match="LLMGUARD_WEB_SECRET"):
        find_secret("", other)
    monkeypatch.setenv("LLMGUARD_WEB_SECRET", "from the environment")
    assert "from the environment" == find_secret("", other)
    assert "Signer()" == repr(Signer("x" * 16))


def test_a_purged_answer_is_gone(make: Make, world: World) -> None:
    """Not pending: it was there, and is no longer kept."""
    ask = make()
    first = ask("/later").json
    world.store.tickets.answer(first["ticket"], {"category": "bug"}, reviewer="ada")
    world.store.tickets.purge(closed_before=4e9, actor="ada")
    gone = ask(first["location"])
    assert (410, "urn:llmguard:problem:purged") == (gone.status, gone.json["type"])

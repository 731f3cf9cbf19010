"""Breaker states in Redis, for fleets that share them across hosts within milliseconds.

Only what may be lost lives there alone: that a breaker is open. A quarantine and every
command of a person are written to the durable store first, and read from it as well, so
that a Redis that was emptied releases nobody.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final, cast

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import ConfigError, StoreError
from .protocol import BreakerCount, BreakerRow, BreakerStore

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["RedisBreakers", "SharedBreakers", "redis_breakers"]

_LOG: Final = logging.getLogger("llmguard.store")
_TIMEOUT: Final = 0.25
"""Seconds for one exchange: who cannot answer by then is down, and the local view
goes on."""
_REST: Final = 5.0
_KEEP: Final = 86_400
_FIRST: Final = 2**24
"""What the durable store's revision of a row is multiplied by."""
_HELD: Final = frozenset({"quarantined", "forced-open", "forced-closed"})

# One round trip, and nobody in between: the row, and the number that pollers watch.
_PUT: Final = """
local stored = redis.call('HGET', KEYS[1], ARGV[1])
local rev = 0
if stored then rev = cjson.decode(stored)['rev'] end
if rev ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('INCR', KEYS[2])
return 1
"""


class RedisBreakers:
    """Implements `BreakerStore` on one Redis server, 5.0 or newer.

    Args:
        client: From the package `redis`, with `decode_responses=True`.
        prefix: Of every key; two environments on one server need two.
    """

    def __init__(self, client: Redis, *, prefix: str = "llmguard") -> None:
        self._client: Any = client
        self._rows = f"{prefix}:breakers"
        self._rev = f"{prefix}:breakers:rev"
        self._counts = f"{prefix}:breakers:counts"
        self._put: Any = self._client.register_script(_PUT)

    def get_breaker(self, key: str) -> BreakerRow | None:
        """Return the row, or None when nothing was ever published."""
        text = self._client.hget(self._rows, key)
        return None if text is None else _row(text)

    def put_breaker(self, row: BreakerRow) -> BreakerRow | None:
        """Write `row` if the stored `rev` equals `row.rev`; return it with rev + 1."""
        written = replace(row, rev=row.rev + 1)
        text = json.dumps(asdict(written))
        done = self._put(
            keys=[self._rows, self._rev], args=[row.key, str(row.rev), text]
        )
        return written if done else None

    def list_breakers(self) -> Sequence[BreakerRow]:
        """Return every row, sorted by key."""
        rows = [_row(text) for text in self._client.hvals(self._rows)]
        return sorted(rows, key=lambda row: row.key)

    def breakers_rev(self) -> int:
        """Return a number that changes whenever any row changes; cheap to poll."""
        return int(self._client.get(self._rev) or 0)

    def put_breaker_counts(
        self, process: str, totals: Mapping[str, tuple[int, int]]
    ) -> None:
        """Publish a process's totals by key; they go a day after the last ones."""
        name = f"{self._counts}:{process}"
        fields = {key: f"{calls} {fails}" for key, (calls, fails) in totals.items()}
        pipe = self._client.pipeline(transaction=True)
        pipe.hset(name, mapping=fields)
        pipe.expire(name, _KEEP)
        pipe.sadd(self._counts, process)
        pipe.execute()

    def breaker_counts(self) -> Sequence[BreakerCount]:
        """Return the totals of every process of the last day."""
        processes = sorted(self._client.smembers(self._counts))
        pipe = self._client.pipeline(transaction=False)
        for process in processes:
            pipe.hgetall(f"{self._counts}:{process}")
        found: list[BreakerCount] = []
        for process, fields in zip(processes, pipe.execute(), strict=True):
            if not fields:
                self._client.srem(self._counts, process)
            for key, text in cast("dict[str, str]", fields).items():
                calls, fails = text.split()
                found.append(
                    BreakerCount(
                        key=key, process=process, calls=int(calls), fails=int(fails)
                    )
                )
        return found


class SharedBreakers:
    """Implements `BreakerStore` on a fast store and a durable one.

    A row's revision is made of both stores' own, the durable one's first: it grows with
    every write, and falls when a store was emptied, which breakers then notice.

    Args:
        fast: Where transitions are published; may be down, may be emptied.
        durable: Where quarantines and commands of people survive.
        clock: Times how long a fast store that failed is left alone.

    Attributes:
        problem: Why the fast store is not used now; None while it is.
    """

    def __init__(
        self, fast: BreakerStore, durable: BreakerStore, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._fast = fast
        self._durable = durable
        self._clock = clock
        self._again = 0.0
        self._last: dict[str, int] = {}
        self.problem: Exception | None = None

    def get_breaker(self, key: str) -> BreakerRow | None:
        """Return what the fast store has, unless the durable one holds it."""
        row = self._try("get_breaker", key)
        return self._joined(key, row, self._durable.get_breaker(key))

    def put_breaker(self, row: BreakerRow) -> BreakerRow | None:
        """Write where it belongs; None when another process wrote first.

        Raises:
            StoreError: Redis failed, or the durable store did.
        """
        slow, quick = divmod(row.rev, _FIRST)
        kept = self._durable.get_breaker(row.key)
        if slow != (0 if kept is None else kept.rev):
            return None
        if _holds(row) or (kept is not None and _holds(kept)):
            stored = self._durable.put_breaker(replace(row, rev=slow))
            if stored is None:
                return None
            echoed = self._echo(stored)
            return replace(stored, rev=stored.rev * _FIRST + (echoed or quick))
        if not self._down():
            stored = self._put_fast(replace(row, rev=quick))
            if stored is None:
                return None
            return replace(stored, rev=slow * _FIRST + stored.rev)
        stored = self._durable.put_breaker(replace(row, rev=slow))
        return (
            None if stored is None else replace(stored, rev=(slow + 1) * _FIRST + quick)
        )

    def list_breakers(self) -> Sequence[BreakerRow]:
        """Return every row, sorted by key; what is held is the durable one's."""
        rows = {row.key: row for row in self._try("list_breakers") or ()}
        kept = {row.key: row for row in self._durable.list_breakers()}
        found = (
            self._joined(key, rows.get(key), kept.get(key))
            for key in sorted({*rows, *kept})
        )
        return [row for row in found if row is not None]

    def breakers_rev(self) -> int:
        """Return a number that changes whenever a row of either store changes."""
        fast = self._try("breakers_rev")
        # Down is a change as well: rows are then read anew.
        return hash((fast, self._durable.breakers_rev()))

    def put_breaker_counts(
        self, process: str, totals: Mapping[str, tuple[int, int]]
    ) -> None:
        """Publish to the fast store; while it is down, nothing is pooled."""
        self._try("put_breaker_counts", process, totals)

    def breaker_counts(self) -> Sequence[BreakerCount]:
        """Return the totals that the fast store has."""
        found: Sequence[BreakerCount] = self._try("breaker_counts") or ()
        return found

    def _joined(
        self, key: str, row: BreakerRow | None, kept: BreakerRow | None
    ) -> BreakerRow | None:
        """Return the row that counts, under the revision of both stores."""
        if row is not None:
            self._last[key] = row.rev
        elif not self._down():
            self._last.pop(key, None)
        chosen = _chosen(row, kept)
        if chosen is None:
            return None
        slow = 0 if kept is None else kept.rev
        return replace(chosen, rev=slow * _FIRST + self._last.get(key, 0))

    def _put_fast(self, row: BreakerRow) -> BreakerRow | None:
        try:
            return self._fast.put_breaker(row)
        except Exception as error:  # whatever a server may do
            self._failed(error)
            raise StoreError(f"Redis cannot be reached: {error}") from error

    def _echo(self, row: BreakerRow) -> int:
        """Let pollers of the fast store see it at once; returns its revision there."""
        old = self._try("get_breaker", row.key)
        new = self._try("put_breaker", replace(row, rev=0 if old is None else old.rev))
        return 0 if new is None else new.rev

    def _try(self, method: str, *arguments: Any) -> Any:
        if self._down():
            return None
        try:
            found = getattr(self._fast, method)(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever a server may do
            self._failed(error)
            return None
        if self.problem is not None:
            _LOG.warning("Redis answers again: breakers are shared through it")
            self.problem = None
        return found

    def _down(self) -> bool:
        return self.problem is not None and self._clock.monotonic() < self._again

    def _failed(self, error: Exception) -> None:
        if self.problem is None:
            _LOG.warning("Redis cannot be reached, breakers go on without: %s", error)
        self.problem = error
        self._again = self._clock.monotonic() + _REST


def redis_breakers(url: str, durable: BreakerStore, *, env: str) -> SharedBreakers:
    """Return breakers shared through the Redis at `url`.

    Args:
        url: Such as `redis://cache:6379/0`; `rediss://` for TLS.
        durable: The store.
        env: Environment; kept apart by it.

    Raises:
        ConfigError: The package `redis` is missing, or the URL is none of Redis.
    """
    try:
        import redis
    except ImportError as error:
        raise ConfigError(
            "`breakers` names a Redis server, and the package `redis` is missing: "
            "`pip install 'llmguard-toolkit[redis]'`"
        ) from error
    try:
        client = cast("Any", redis.Redis).from_url(
            url,
            decode_responses=True,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
        )
    except ValueError as error:
        raise ConfigError(
            f"`breakers` is no URL of Redis ({error}); write "
            "'redis://HOST:6379/0', or 'rediss://...' for TLS"
        ) from error
    return SharedBreakers(RedisBreakers(client, prefix=f"llmguard:{env}"), durable)


def _holds(row: BreakerRow) -> bool:
    """Tell whether a row must survive until a person changes it."""
    return row.state in _HELD


def _chosen(row: BreakerRow | None, kept: BreakerRow | None) -> BreakerRow | None:
    if row is None or kept is None:
        return row or kept
    return kept if _holds(kept) or kept.since > row.since else row


def _row(text: str) -> BreakerRow:
    return BreakerRow(**json.loads(text))

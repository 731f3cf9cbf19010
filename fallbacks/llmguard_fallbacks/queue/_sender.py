"""A thread of a long-lived program that sends its store's callbacks."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from typing import Final

from llmguard.errors import ConfigError, LLMGuardError
from llmguard.store import Store

__all__ = ["Sending", "keep_sending"]

_LOG: Final = logging.getLogger("llmguard.queue")
_EVERY: Final = 5.0
_CALM: Final = 0.2
_lock = threading.Lock()
_threads: dict[tuple[int, str], Sending] = {}
_told: set[str] = set()


class Sending:
    """Sends what is due after each commit of this process, and now and then.

    It closes tickets whose time is over, too: where nobody took them, and their caller
    waits to be called back, nobody else looks.

    Args:
        store: Has the callbacks.
        every: Seconds between looks at what other processes closed, and at the time.

    Raises:
        ConfigError: There is no secret to sign with.
    """

    def __init__(self, store: Store, *, every: float = _EVERY) -> None:
        from ._callbacks import CallbackSender

        self._sender = CallbackSender(store)
        self._store = store
        self._every = every
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="llmguard-callbacks", daemon=True
        )
        self._unhear = store.listen(self._woken.set)
        try:
            self._thread.start()
        except RuntimeError:  # the process may start no more; the caller asks again
            self._unhear()
            raise

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread once it has sent what it is sending."""
        self._ended.set()
        self._unhear()
        self._woken.set()
        self._thread.join(timeout=60.0)

    def _run(self) -> None:
        while not self._ended.is_set() and not self._store.closed:
            self._woken.clear()
            try:
                self._store.tickets.sweep()
                self._sender.run()
            except LLMGuardError as error:
                # The store is away; callbacks are due again when it is back.
                _LOG.warning("callbacks wait: %s", error)
            except Exception:  # noqa: BLE001 - one bad row must not end the thread
                _LOG.exception("a callback could not be sent")
            self._woken.wait(self._every)
            self._ended.wait(_CALM)  # a busy program commits all the time


def keep_sending(store: Store) -> bool:
    """Have this process send the store's callbacks from now on, if it can sign them.

    Returns:
        False when there is no secret here; another process has to send them.
    """
    key = (os.getpid(), store.url)
    with _lock:
        known = _threads.get(key)
        if known is not None and known.alive:
            return True
        try:
            _threads[key] = Sending(store)
        except ConfigError as error:
            if store.url not in _told:
                _told.add(store.url)
                _LOG.warning("callbacks are not sent from this process: %s", error)
            return False
    return True


def stop_sending() -> None:
    """End the threads of this process, for tests and orderly ends."""
    with _lock:
        mine = [key for key in _threads if key[0] == os.getpid()]
        found = [_threads.pop(key) for key in mine]
    for one in found:
        with suppress(RuntimeError):
            one.stop()

"""An OpenAI-compatible server on loopback that fails on command."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import ConfigError
from ..pins import Pin
from ._answers import ANSWER_FAULTS, Answer, as_text
from ._door import Door, reserve_port
from ._faults import fault_named
from ._requests import GoodAnswer, ServedRequest, get_key, route_of
from ._serve import Exchange, error_json, serve
from ._wire import Head, Wire, read_request

__all__ = ["FaultServer", "GoodAnswer", "ServedRequest"]


_NO_HTTP = frozenset({"dns", "tls", "tls_mute"})
_NEEDS_URL = (
    "`{0}` happens before any request reaches a server, so it cannot be part of {1}; "
    "give the client `server.url({0!r})`, or start `FaultServer({0!r})`"
)


class FaultServer:
    """An OpenAI-compatible server on 127.0.0.1 that answers, or fails, on command.

    It serves `POST /v1/chat/completions`, `POST /v1/responses`, Anthropic's
    `POST /v1/messages` (all also streamed) and `GET /v1/models` over real sockets, one
    thread per connection. Use it as a context manager, sync or async; leaving cuts
    every connection it still holds.

    Which fault a request meets is decided by, in this order: its path
    (`/fault/500/v1/...`, see `url()`), then `fault`.

    Args:
        fault: A name from `FAULTS`, or a list of names served one per request, the
            last of which repeats.
        answer: The good answer: text, data sent as JSON text, or a function of the
            `ServedRequest` giving either.
        delay: Seconds that `slow_first_byte` and `slow_drip` take.
        retry_after: Seconds that `429` asks the client to wait.
        fingerprint: `system_fingerprint` to echo.
        served_model: Model id to echo; None echoes the one asked for.
        keep_alive: Let clients reuse connections. Off by default, so that a fault
            never leaks into the next request.
        clock: Where `ServedRequest.at` comes from.

    Raises:
        ConfigError: There is no such fault, or it cannot be part of a list.
    """

    def __init__(
        self,
        fault: str | Sequence[str] = "ok",
        *,
        answer: GoodAnswer = "ok",
        delay: float = 5.0,
        retry_after: float = 1.0,
        fingerprint: str | None = "fp_fault_server",
        served_model: str | None = None,
        keep_alive: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.answer = answer
        self.delay = delay
        self.retry_after = retry_after
        self.fingerprint = fingerprint
        self.served_model = served_model
        self._keep_alive = keep_alive
        self._clock = clock
        self._lock = threading.Lock()
        self._script = _script(fault)
        self._requests: list[ServedRequest] = []
        self._connections = 0
        self._reserved: socket.socket | None = None  # the port, open or not
        self._door: Door | None = None  # who answers on it
        self._mute: Door | None = None
        self._dead: socket.socket | None = None
        self._error: BaseException | None = None

    # Life

    def start(self) -> Self:
        """Open the port. `with` does this.

        Raises:
            ConfigError: It is running already.
        """
        if self._reserved is not None:
            raise ConfigError(
                "this `FaultServer` is already running; use it in one `with` block"
            )
        self._reserved = reserve_port()
        self._set_door()
        return self

    def close(self) -> None:
        """Cut every connection and free the ports; idempotent."""
        for resource in (self._door, self._mute, self._dead, self._reserved):
            if resource is not None:
                resource.close()
        self._door = self._mute = self._dead = self._reserved = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()
        if exc is None and self._error is not None:
            raise self._error

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc, tb)

    # Where it is

    @property
    def port(self) -> int:
        """The port it serves on; the same for as long as it runs.

        Raises:
            ConfigError: It is not running.
        """
        if self._reserved is None:
            raise ConfigError(
                "this `FaultServer` is not running; use it as "
                "`with FaultServer(...) as server:`"
            )
        port: int = self._reserved.getsockname()[1]
        return port

    @property
    def base_url(self) -> str:
        """The `base_url` for clients; the fault's own where it needs one.

        Raises:
            ConfigError: The server is not running.
        """
        first = self._script[0]
        if first in _NO_HTTP:
            return self.url(first)
        return f"http://127.0.0.1:{self.port}/v1"

    def url(self, fault: str) -> str:
        """Return a `base_url` under which every request meets `fault`.

        Raises:
            ConfigError: There is no such fault, or the server is not running.
        """
        name = fault_named(fault).name
        if name == "dns":
            return "http://llmguard-fault-server.invalid/v1"
        if name == "tls":
            return f"https://127.0.0.1:{self.port}/v1"
        if name == "tls_mute":
            self._mute = self._mute or Door(self._say_nothing)
            return f"https://127.0.0.1:{self._mute.port}/v1"
        if name == "refused":
            self._dead = self._dead or reserve_port()
            return f"http://127.0.0.1:{self._dead.getsockname()[1]}/v1"
        return f"http://127.0.0.1:{self.port}/fault/{name}/v1"

    def pin(
        self, route: str = "fault", *, fault: str | None = None, **changes: Any
    ) -> Pin:
        """Return a pin that calls this server through the "openai" provider.

        Args:
            route: Name of the pin.
            fault: The fault its calls always meet; None leaves that to `self.fault`.
            **changes: Other fields of `Pin`, such as `model` or `options`.

        Raises:
            ConfigError: There is no such fault, or the server is not running.
        """
        fields: dict[str, Any] = {"model": "m-1", "version_class": "immutable"}
        endpoint = self.base_url if fault is None else self.url(fault)
        return Pin(
            route=route, provider="openai", endpoint=endpoint, **{**fields, **changes}
        )

    # What it does

    @property
    def fault(self) -> str:
        """The fault the next request meets; assign a name or a list to change it.

        Assigning `refused` closes the port, and anything else opens it again.
        """
        with self._lock:
            return self._script[0]

    @fault.setter
    def fault(self, fault: str | Sequence[str]) -> None:
        script = _script(fault)
        if script[0] in _NO_HTTP:
            raise ConfigError(_NEEDS_URL.format(script[0], "a running server"))
        with self._lock:
            self._script = script
        if self._reserved is not None:
            self._set_door()

    @property
    def requests(self) -> tuple[ServedRequest, ...]:
        """Every request read so far, in order."""
        with self._lock:
            return tuple(self._requests)

    @property
    def connections(self) -> int:
        """Connections accepted so far, those that never sent a request included."""
        with self._lock:
            return self._connections

    def count(self, fault: str | None = None) -> int:
        """Return how many requests were read, or how many met `fault`.

        Raises:
            ConfigError: There is no such fault.
        """
        if fault is None:
            return len(self.requests)
        name = fault_named(fault).name
        return sum(request.fault == name for request in self.requests)

    def forget(self) -> None:
        """Start counting from zero."""
        with self._lock:
            self._requests.clear()
            self._connections = 0

    def _set_door(self) -> None:
        refuse = self._script[0] == "refused"
        if refuse and self._door is not None:
            self._door.close()
            self._door = None
        elif not refuse and self._door is None:
            self._door = Door(self._converse, port=self.port)

    def _say_nothing(self, conn: socket.socket) -> None:
        self._arrived()
        Wire(conn, keep_alive=False).hold(None)

    def _converse(self, conn: socket.socket) -> None:
        self._arrived()
        wire = Wire(conn, keep_alive=self._keep_alive)
        if wire.speaks_tls():
            conn.recv(65_536)
            wire.body(400, b"This is plain HTTP.\n")
            return
        with conn.makefile("rb") as reader:
            while (head := read_request(reader)) is not None:
                self._reply(wire, head)
                if not wire.reusable:
                    return

    def _arrived(self) -> None:
        with self._lock:
            self._connections += 1

    def _reply(self, wire: Wire, head: Head) -> None:
        pinned, api = route_of(head)
        request, number = self._record(head, pinned, known=bool(api))
        if not api:
            message = f"nothing is served at {head.method} {head.path!r}"
            wire.body(404, error_json(message, kind="invalid_request_error"))
            return
        answer = self._say(request, number)
        if answer is None:
            wire.body(500, error_json("`answer` raised", kind="server_error"))
            return
        serve(request.fault, self._exchange(wire, request, api, answer))

    def _record(
        self, head: Head, pinned: str, *, known: bool
    ) -> tuple[ServedRequest, int]:
        with self._lock:
            fault = (pinned or self._next()) if known else ""
            request = ServedRequest(
                method=head.method,
                path=head.path,
                headers=head.headers,
                json=head.json,
                fault=fault,
                at=self._clock.monotonic(),
            )
            self._requests.append(request)
            return request, len(self._requests)

    def _next(self) -> str:
        if len(self._script) > 1:
            return self._script.pop(0)
        return self._script[0]

    def _say(self, request: ServedRequest, number: int) -> Answer | None:
        good = self.answer
        try:
            text = as_text(good(request) if callable(good) else good)
        except Exception as exc:  # noqa: BLE001 - raised again when the server closes
            self._error = exc
            return None
        answer = Answer(
            id=f"fault-{number}",
            model=self.served_model or str(get_key(request.json, "model", "unknown")),
            text=text,
            fingerprint=self.fingerprint,
            created=int(self._clock.time()),
        )
        return ANSWER_FAULTS.get(request.fault, _unchanged)(answer)

    def _exchange(
        self, wire: Wire, request: ServedRequest, api: str, answer: Answer
    ) -> Exchange:
        options = get_key(request.json, "stream_options", None)
        return Exchange(
            wire=wire,
            answer=answer,
            api=api,
            stream=get_key(request.json, "stream", False) is True,
            usage=get_key(options, "include_usage", False) is True,
            delay=self.delay,
            retry_after=self.retry_after,
        )


def _script(fault: str | Sequence[str]) -> list[str]:
    names = [fault] if isinstance(fault, str) else list(fault)
    if not names:
        raise ConfigError("`fault` is empty; name at least one, such as ['500', 'ok']")
    for name in names:
        if fault_named(name).own_url and len(names) > 1:
            raise ConfigError(_NEEDS_URL.format(name, "a list"))
    return names


def _unchanged(answer: Answer) -> Answer:
    return answer

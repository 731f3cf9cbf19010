"""What the middlewares can be told, checked once when they are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from .._dataclass import dataclass
from ..errors import ConfigError

if TYPE_CHECKING:
    from ..store import Store, TicketRecord

__all__ = ["HEADERS", "MAX_WAIT", "KeyOf", "LabelsOf", "Seen", "WebOptions"]

MAX_WAIT: Final = 55.0
"""Seconds a result may be waited for: below the usual 60 s of clients and proxies."""

HEADERS: Final = ("tier", "degraded", "version", "request-id")
"""Response headers that can be shown, `X-LLMGuard-Tier` and so on."""

_LONGEST: Final = 1e6
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")


class Seen(Protocol):
    """A request as the middlewares see it, whatever the server interface.

    Attributes:
        method: Such as `GET`, in capitals.
        path: Below where the application is mounted.
        root: Where it is mounted, empty at the top.
        peer: Address of the other end of the connection; empty when unknown.
    """

    method: str
    path: str
    root: str
    peer: str

    def header(self, name: str) -> str | None:
        """Return a header, whatever its case."""
        ...

    def cookie(self, name: str) -> str | None:
        """Return a cookie."""
        ...

    def query(self, name: str) -> str | None:
        """Return the first value of a query parameter."""
        ...


KeyOf: TypeAlias = str | Callable[[Seen], str | None] | None
LabelsOf: TypeAlias = Callable[[Seen], Mapping[str, str]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """How requests become guarded calls, and their outcomes responses.

    Attributes:
        deadline: Seconds that the guarded calls of one request may take together;
            None leaves each function its own. A caller's header can only shorten it.
        margin: Seconds of a request's deadline that its guarded calls leave for sending
            the response, at most a tenth of it: whoever waits exactly so long still
            gets the answer of the last tier.
        deadline_headers: Headers in which callers and proxies say how long they wait.
            Known forms: seconds (`2.5`, `2.5s`, `500ms`), Envoy's milliseconds and
            gRPC's `grpc-timeout`.
        request_id_header: Header whose value is taken over, made up when missing, put
            on the response and given to guarded calls as label `request_id`.
        key: What keeps a caller on one arm of a canary or an experiment: `header:NAME`,
            `cookie:NAME`, or a function of the request; None for one call each.
        labels: A function of the request that returns labels of its calls, such as
            `request_type`.
        idempotency_header: Header whose value becomes the key of a ticket, so that a
            repeated request finds the same one; empty to ignore it.
        headers: Which of `HEADERS` responses carry. `version` is the pin's id, never
            a model's name.
        prefix: Where the routes of the middleware are.
        metrics_path: Where Prometheus reads what this process counted; empty for
            nowhere. Several workers behind one port are added up by
            `llmguard metrics --listen`.
        results: Serve `PREFIX/tickets/ID`, where deferred answers are fetched.
        retry_after: Seconds after which a deferred answer may be asked for again.
        max_wait: Seconds that `Prefer: wait=N` may hold a request for a result.
        authorize: Decides who may fetch a result, instead of the unguessable token
            in `Location`.
        secret: Signs those tokens. Empty for `LLMGUARD_WEB_SECRET`, else for a file
            beside the SQLite store that is made on first use.
        ops_token: Bearer token for versions, metrics and the details of health.
            Empty for `LLMGUARD_OPS_TOKEN`; without one, only direct callers on this
            machine see them.
        open_ops: Show them to everybody who can connect.
        ready_needs_store: Report `not ready` while the store cannot be reached. Off
            by default: calls go on without it, and taking every instance out of
            service would make one failure two.
        min_free: Bytes that must be free where the store is to be ready.
        store: The store; None for the configured one.

    Raises:
        ConfigError: A value that cannot work.
    """

    deadline: float | None = None
    margin: float = 0.05
    deadline_headers: tuple[str, ...] = (
        "x-request-timeout",
        "x-envoy-expected-rq-timeout-ms",
        "grpc-timeout",
    )
    request_id_header: str = "X-Request-ID"
    key: KeyOf = None
    labels: LabelsOf = None
    idempotency_header: str = "Idempotency-Key"
    headers: tuple[str, ...] = HEADERS
    prefix: str = "/llmguard"
    metrics_path: str = "/metrics"
    results: bool = True
    retry_after: float = 5.0
    max_wait: float = MAX_WAIT
    authorize: Callable[[Seen, TicketRecord], bool] | None = None
    secret: str = ""
    ops_token: str = ""
    open_ops: bool = False
    ready_needs_store: bool = False
    min_free: int = 16 * 2**20
    store: Store | str | None = None

    def __post_init__(self) -> None:
        for name in ("deadline", "retry_after"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= _LONGEST:
                raise ConfigError(
                    f"`{name}={value!r}` must be seconds, greater than zero, such as 5"
                )
        if not 0 <= self.margin <= _LONGEST:
            raise ConfigError(f"`margin={self.margin!r}` must be seconds, such as 0.05")
        if not 0 <= self.max_wait <= MAX_WAIT:
            raise ConfigError(
                f"`max_wait={self.max_wait!r}` must be 0 to {MAX_WAIT:.0f} seconds: "
                "clients and proxies give up at 60"
            )
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(
                f"`prefix={self.prefix!r}` must be a path such as '/llmguard', "
                "without a slash at its end"
            )
        if self.metrics_path and not self.metrics_path.startswith("/"):
            raise ConfigError(
                f"`metrics_path={self.metrics_path!r}` must start with a slash; '' "
                "for none"
            )
        self._check_names()

    def _check_names(self) -> None:
        unknown = sorted(set(self.headers) - set(HEADERS))
        if unknown:
            raise ConfigError(
                f"`headers` names {unknown[0]!r}; known are {', '.join(HEADERS)}"
            )
        if isinstance(self.key, str) and not re.fullmatch(
            r"(header|cookie):.+", self.key
        ):
            raise ConfigError(
                f"`key={self.key!r}` must be 'header:NAME', 'cookie:NAME', or a "
                "function of the request"
            )

"""The faults a provider can have, as data: server, tests and docs read this table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from ..errors import ConfigError
from ..outcome import Kind

__all__ = ["FAULTS", "Fault", "fault_named", "fault_table"]

Group: TypeAlias = Literal[
    "healthy", "connection", "status", "timing", "body", "answer", "stream"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way a provider can misbehave.

    Attributes:
        name: Used in `FaultServer("name")`, in scripts and in `/fault/name/v1`.
        group: Which layer it lives on.
        description: What the client sees, one line.
        kind: The outcome a guarded call must give it.
        stream_only: True when plain requests are served the good answer.
        own_url: True when the client must be given another URL (`server.url(name)`)
            because the fault happens before any HTTP.
    """

    name: str
    group: Group
    description: str
    kind: Kind
    stream_only: bool = False
    own_url: bool = False

    def expected(self, *, stream: bool = False) -> Kind:
        """Return the outcome kind a guarded call must give this fault."""
        return Kind.OK if self.stream_only and not stream else self.kind


def _connection(
    name: str, description: str, kind: Kind = Kind.TRANSPORT, *, own_url: bool = False
) -> Fault:
    return Fault(
        name=name,
        group="connection",
        description=description,
        kind=kind,
        own_url=own_url,
    )


def _fault(group: Group, name: str, description: str, kind: Kind) -> Fault:
    return Fault(name=name, group=group, description=description, kind=kind)


def _stream(name: str, description: str, kind: Kind) -> Fault:
    return Fault(
        name=name,
        group="stream",
        description=description,
        kind=kind,
        stream_only=True,
    )


_ALL: Final = (
    _fault("healthy", "ok", "The good answer.", Kind.OK),
    _fault("healthy", "ok_gzip", "The good answer, gzip-encoded.", Kind.OK),
    _fault("healthy", "ok_chunked", "The good answer in 7-byte chunks.", Kind.OK),
    _connection("refused", "Nothing listens on the port.", own_url=True),
    _connection("dns", "The host name does not resolve.", own_url=True),
    _connection("tls", "`https://` to a server that speaks plain HTTP.", own_url=True),
    _connection(
        "tls_mute",
        "`https://` to a server that never answers the handshake.",
        Kind.TIMEOUT,
        own_url=True,
    ),
    _connection("reset", "The request is read, then the connection is reset."),
    _connection("close", "The request is read, then the connection is closed."),
    _fault("status", "400", "400: the request is invalid.", Kind.BAD_REQUEST),
    _fault("status", "401", "401: the API key is wrong.", Kind.AUTH),
    _fault("status", "403", "403: no access to this model.", Kind.AUTH),
    _fault(
        "status", "404", "404: the model does not exist any more.", Kind.WRONG_MODEL
    ),
    _fault(
        "status", "408", "408: the provider gave up on the request.", Kind.TRANSPORT
    ),
    _fault("status", "409", "409: conflict.", Kind.TRANSPORT),
    _fault("status", "413", "413: the request is too large.", Kind.BAD_REQUEST),
    _fault("status", "422", "422: the request cannot be processed.", Kind.BAD_REQUEST),
    _fault(
        "status",
        "429",
        "429 with a short `Retry-After`, 1 s by default.",
        Kind.THROTTLED,
    ),
    _fault("status", "429_long", "429 with `Retry-After: 300`.", Kind.THROTTLED),
    _fault("status", "429_quota", "429 `insufficient_quota`.", Kind.AUTH),
    _fault("status", "500", "500: the provider failed.", Kind.TRANSPORT),
    _fault("status", "503", "503: the provider is overloaded.", Kind.TRANSPORT),
    _fault("timing", "slow_first_byte", "Nothing for `delay` seconds.", Kind.TIMEOUT),
    _fault(
        "timing",
        "slow_drip",
        "The good answer, dripped evenly over `delay` seconds.",
        Kind.TIMEOUT,
    ),
    _fault("timing", "hang", "Nothing, ever.", Kind.TIMEOUT),
    _fault("body", "html", "200 with an HTML page.", Kind.TRANSPORT),
    _fault("body", "empty_body", "200 with an empty body.", Kind.TRANSPORT),
    _fault("body", "malformed_body", "200 with a body of broken JSON.", Kind.TRANSPORT),
    _fault(
        "body",
        "truncated_body",
        "200; the connection closes half-way through the body.",
        Kind.TRANSPORT,
    ),
    _fault("body", "error_body", "200 whose body is an error object.", Kind.TRANSPORT),
    _fault("body", "no_choices", "200 with no choices.", Kind.TRANSPORT),
    _fault("body", "null_choices", "200, `choices: null`.", Kind.TRANSPORT),
    _fault("answer", "bad_json", "The model writes broken JSON.", Kind.BAD_JSON),
    _fault("answer", "wrong_schema", "The model writes other JSON.", Kind.SCHEMA),
    _fault(
        "answer",
        "truncated",
        "Half the answer, finish reason `length`.",
        Kind.TRUNCATED,
    ),
    _fault(
        "answer",
        "length_valid",
        "The whole answer, yet finish reason `length`.",
        Kind.TRUNCATED,
    ),
    _fault("answer", "refusal", "The refusal field is set.", Kind.REFUSAL),
    _fault("answer", "refusal_text", "A refusal written as the answer.", Kind.REFUSAL),
    _fault(
        "answer",
        "content_filter",
        "No text, finish reason `content_filter`.",
        Kind.FILTERED,
    ),
    _fault("answer", "empty_content", "An empty string.", Kind.EMPTY),
    _fault("answer", "null_content", "No content at all.", Kind.EMPTY),
    _fault(
        "answer",
        "wrong_model",
        "The good answer, but another model id is echoed.",
        Kind.WRONG_MODEL,
    ),
    _fault("answer", "tool_call", "A tool call instead of text.", Kind.EMPTY),
    _stream("stream_cut", "The connection closes mid-stream.", Kind.TRANSPORT),
    _stream("stream_reset", "The connection is reset mid-stream.", Kind.TRANSPORT),
    _stream("stream_stall", "The stream falls silent half-way.", Kind.TIMEOUT),
    _stream(
        "stream_no_finish",
        "The stream ends cleanly, without a finish reason.",
        Kind.TRUNCATED,
    ),
    _stream("stream_error", "An error event mid-stream.", Kind.TRANSPORT),
    _stream("stream_bad_json", "An event that is not JSON.", Kind.TRANSPORT),
    _stream("stream_html", "200 with an HTML page for a stream.", Kind.TRANSPORT),
)

FAULTS: Final[Mapping[str, Fault]] = MappingProxyType({f.name: f for f in _ALL})
"""Every fault by name, in the order the docs show them."""


def fault_named(name: str) -> Fault:
    """Return the fault called `name`.

    Raises:
        ConfigError: There is no such fault; the message suggests the nearest.
    """
    if name in FAULTS:
        return FAULTS[name]
    import difflib

    near = difflib.get_close_matches(name, FAULTS, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ConfigError(
        f"there is no fault {name!r}; {hint}"
        "list them with `python -c 'from llmguard.testing import FAULTS; "
        "print(*FAULTS)'`"
    )


def fault_table() -> str:
    """Return the faults as a Markdown table, the one in `docs/testing.md`."""
    rows = ["| fault | what the client sees | outcome |", "|---|---|---|"]
    rows += [f"| `{f.name}` | {f.description} | {_kinds(f)} |" for f in _ALL]
    return "\n".join(rows) + "\n"


def _kinds(fault: Fault) -> str:
    if fault.stream_only:
        return f"`{fault.kind}` (streams only)"
    return f"`{fault.kind}`"

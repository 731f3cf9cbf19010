"""The description of the interface: OpenAPI 3.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ._answers import PROBLEM
from ._answers import answer as say
from ._asked import api
from ._schemas import STATES, case_schema, problem_schema, ticket_schema

if TYPE_CHECKING:
    from starlette.responses import Response

    from .._visit import Visit

__all__ = ["description", "document"]

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string", "maxLength": 10_000}
_REASON: Final[Json] = {
    "type": "string",
    "maxLength": 10_000,
    "pattern": r"\S",
    "description": "Why; it stays in the ticket's history.",
}
_TOKEN: Final[Json] = {**_TEXT, "description": "The lease's token, as `claim` gave it."}
_LEASE: Final[Json] = {
    "type": "number",
    "minimum": 1,
    "maximum": 86_400,
    "description": "Seconds that the ticket stays with you; 900 by default.",
}
_ERRORS: Final[dict[int, str]] = {
    400: "The request cannot be understood.",
    401: "No token, or one that does not hold.",
    403: "Not in your scopes or roles.",
    404: "No such ticket for you.",
    405: "This address is not asked so.",
    409: "Not possible any more: the lease is lost, the ticket closed or taken.",
    413: "Too large.",
    415: "Not `application/json`.",
    422: "A field is wrong; `errors` name it by a JSON pointer.",
    429: "Too many requests, streams, or tokens that do not hold.",
    503: "The store cannot be used just now.",
}
_ALWAYS: Final = (400, 401, 403, 429, 503)


@api("")
def description(visit: Visit) -> Response:
    """Return the description."""
    return say(document(visit.url("api:openapi").removesuffix("/openapi.json")))


def document(server: str) -> Json:
    """Return the OpenAPI document of an interface below `server`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "llmguard queue",
            "version": "1",
            "description": "Tickets that wait for a person: take, answer, pass on.",
        },
        "servers": [{"url": server}],
        "security": [{"bearer": []}],
        "paths": dict(_paths()),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Ticket": ticket_schema(),
                "Problem": problem_schema(),
                "Case": case_schema(),
            },
        },
    }


def _paths() -> dict[str, Json]:
    one = "/queue/tickets/{ticket_id}"
    paths = {
        "/queue/tickets": {"get": _list()},
        one: {"get": _call("Look at a ticket", _ref("Ticket"), ticket=True)},
        f"{one}/events": {
            "get": _call(
                "A ticket's latest 1,000 steps", _wrapped("events"), ticket=True
            )
        },
        f"{one}/result": {"get": _result()},
        "/queue/claim": {"post": _claim_next()},
        "/queue/stats": {
            "get": _call(
                "How each queue does",
                _wrapped("queues"),
                query={"queue": {"type": "string"}},
            )
        },
        "/queue/events": {"get": _stream()},
        "/queue/cases": {"get": _cases()},
        "/queue/cases/{ticket_id}": {
            "post": _call(
                "Accept or dismiss a case",
                _ref("Case"),
                ticket=True,
                fields={
                    "state": {"enum": ["proposed", "accepted", "dismissed"]},
                    "note": _TEXT,
                },
                required=("state",),
            )
        },
    }
    for name, (summary, fields, required) in _ACTS.items():
        paths[f"{one}/{name}"] = {
            "post": _call(
                summary,
                _LEASED if name == "renew" else _ref("Ticket"),
                ticket=True,
                fields=fields,
                required=required,
            )
        }
    return paths


_TIME: Final = r"(0|[1-9][0-9]{0,10})(\.[0-9]{1,6})?"
_CURSOR: Final = (
    rf'^(\["w",-?(0|[1-9][0-9]{{0,8}}),(null|{_TIME}),"[0-9a-z]{{1,40}}"\]'
    rf'|\["c",{_TIME},"[0-9a-z]{{1,40}}"\])?$'
)
_LEASED: Final[Json] = {
    "type": "object",
    "required": ["lease_until"],
    "properties": {"lease_until": {"type": "number"}},
}
_ACTS: Final[dict[str, tuple[str, Json, tuple[str, ...]]]] = {
    "claim": ("Take one ticket", {"lease": _LEASE}, ()),
    "renew": (
        "Renew a lease",
        {"token": {**_TOKEN, "pattern": r"\S"}, "lease": _LEASE},
        ("token",),
    ),
    "answer": (
        "Answer a ticket, once",
        {"value": {"description": "Any JSON; judged."}, "token": _TOKEN},
        ("value",),
    ),
    "reject": (
        "Close a ticket unanswered",
        {"reason": _REASON, "token": _TOKEN},
        ("reason",),
    ),
    "skip": (
        "Pass a ticket over",
        {"reason": _REASON, "token": _TOKEN},
        ("reason",),
    ),
    "release": (
        "Give a ticket back",
        {"token": {**_TOKEN, "pattern": r"\S"}, "reason": _TEXT},
        ("token",),
    ),
    "steal": (
        "Take a ticket from whoever has it",
        {"reason": _REASON, "lease": _LEASE},
        ("reason",),
    ),
    "assign": (
        "Keep a ticket for one person; an empty `to` gives it back to all",
        {"to": _TEXT, "reason": _TEXT},
        ("to",),
    ),
    "revive": (
        "Open a dead or expired ticket again",
        {"reason": _REASON},
        ("reason",),
    ),
}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _wrapped(name: str, item: Json | None = None) -> Json:
    items: Json = item or {"type": "object"}
    return {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "items": items}},
    }


def _call(
    summary: str,
    gives: Json,
    *,
    ticket: bool = False,
    fields: Json | None = None,
    required: tuple[str, ...] = (),
    query: Json | None = None,
) -> Json:
    """Return one operation; `fields` are those of its body, if it has one."""
    statuses = [*_ALWAYS, *((404,) if ticket else ())]
    if query:
        statuses.append(422)
    call: Json = {
        "summary": summary,
        "parameters": [
            *(_path_parameter() if ticket else ()),
            *(
                {"name": name, "in": "query", "schema": schema, **_listed(schema)}
                for name, schema in (query or {}).items()
            ),
        ],
    }
    if fields is not None:
        statuses += [404, 409, 413, 415, 422]
        call["requestBody"] = {
            "required": bool(required),
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": list(required),
                        "properties": fields,
                    }
                }
            },
        }
    call["responses"] = {
        "200": {
            "description": "Done.",
            "content": {"application/json": {"schema": gives}},
        },
        **{str(status): _refused(status) for status in sorted({*statuses})},
    }
    return call


def _listed(schema: Json) -> Json:
    """Return how a list is written in a query: once, split by commas."""
    lists = schema.get("type") == "array"
    return {"style": "form", "explode": False} if lists else {}


def _path_parameter() -> list[Json]:
    return [
        {
            "name": "ticket_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
        }
    ]


def _refused(status: int) -> Json:
    return {
        "description": _ERRORS[status],
        "content": {PROBLEM: {"schema": _ref("Problem")}},
    }


def _list() -> Json:
    return _call(
        "Tickets, next to be claimed first",
        {
            "type": "object",
            "required": ["tickets", "next"],
            "properties": {
                "tickets": {"type": "array", "items": _ref("Ticket")},
                "next": {"type": ["string", "null"]},
            },
        },
        query={
            "queue": {"type": "string"},
            "state": {"type": "array", "items": {"enum": STATES}},
            "assignee": {"type": "string", "description": "A name, or `me`."},
            "holder": {"type": "string", "description": "A name, or `me`."},
            "limit": {"type": "integer", "minimum": 1, "maximum": 200},
            "after": {
                "type": "string",
                "pattern": _CURSOR,
                "description": "`next` of the page before; empty for the first.",
            },
        },
    )


def _claim_next() -> Json:
    call = _call(
        "Take the next ticket",
        _ref("Ticket"),
        fields={"queue": _TEXT, "lease": _LEASE},
    )
    call["responses"]["204"] = {"description": "Nothing is open for your roles."}
    return call


def _result() -> Json:
    given: Json = {
        "type": "object",
        "required": ["status", "ticket"],
        "properties": {
            "status": {"enum": ["answered", "expired", "pending"]},
            "ticket": {"type": "string"},
            "value": {},
        },
    }
    call = _call("The answer, waited for", given, ticket=True)
    call["parameters"].append(
        {
            "name": "Prefer",
            "in": "header",
            "schema": {"type": "string"},
            "description": "`wait=N` waits up to N seconds, 55 at most.",
        }
    )
    call["responses"]["202"] = {
        "description": "No answer yet; ask again.",
        "content": {"application/json": {"schema": given}},
    }
    call["responses"]["410"] = {
        "description": "There will be none.",
        "content": {PROBLEM: {"schema": _ref("Problem")}},
    }
    return call


def _stream() -> Json:
    call = _call("Every step of tickets, as server-sent events", {})
    call["parameters"].append(
        {"name": "after", "in": "query", "schema": {"type": "string"}}
    )
    call["responses"]["200"]["content"] = {
        "text/event-stream": {"schema": {"type": "string"}}
    }
    call["responses"]["422"] = _refused(422)
    return call


def _cases() -> Json:
    return _call(
        "Answers that may become cases of a suite",
        _wrapped("cases", _ref("Case")),
        query={
            "state": {"enum": ["proposed", "accepted", "dismissed"]},
            "function": {"type": "string"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 500},
        },
    )

"""Plain chat requests, sent by the SDK without its walk over their arguments.

`create` looks at each argument, item and key in turn, for files, dates and models that
JSON has no form for: a quarter of all CPU of an exchange. A request of texts and
numbers goes to the SDK's documented `post` instead, which sends the same bytes.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import PurePath
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .messages import Request

__all__ = ["direct"]

_RAW: Final = {"X-Stainless-Raw-Response": "true"}
"""What `with_raw_response` sends: the SDK then gives back the response itself."""
_SIMPLE: Final = frozenset({str, int, float, bool, type(None)})
_KNOWN: Final = frozenset({"model", "messages", "timeout"})
_OURS: Final = _KNOWN | {"response_format"}


def direct(
    request: Request, arguments: dict[str, Any], calls: Any
) -> dict[str, Any] | None:
    """Return the arguments of a client's `post` for `chat.completions.create`.

    Args:
        request: What is asked.
        arguments: Those of `create`.
        calls: The client's `chat.completions`.

    Returns:
        None where only `create` will do: the request has parts, tools or fields of a
        kind of its own, or somebody stands in for `create` to see what is asked.
    """
    made = _completion(getattr(calls.__class__, "create", None))
    if made is None or "create" in vars(calls):
        return None
    for message in arguments["messages"]:
        if len(message) != 2 or type(message["content"]) is not str:  # noqa: PLR2004 - role and content
            return None
    # The format is ours, hence JSON, where the call did not bring its own.
    known = _KNOWN if "response_format" in request.params else _OURS
    if any(
        name not in known and type(value) not in _SIMPLE
        for name, value in arguments.items()
    ):
        return None
    body = {name: value for name, value in arguments.items() if name != "timeout"}
    return {
        "path": "/chat/completions",
        "cast_to": made,
        "body": body,
        "options": {"timeout": arguments["timeout"], "headers": {**_RAW}},
    }


@lru_cache(maxsize=8)
def _completion(create: Any) -> Any:
    """Return the SDK's class of answers if `create` is the SDK's own, else None.

    Tracing tools put a function of theirs in its place, which must be called.
    """
    sdk = sys.modules["openai"]
    if type(create) is not FunctionType:
        return None
    code = PurePath(create.__code__.co_filename)
    home = PurePath(str(sdk.__file__)).parent
    if not code.is_relative_to(home):
        return None
    from openai.types.chat import ChatCompletion

    return ChatCompletion

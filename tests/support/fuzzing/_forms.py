"""Posts to a form made from a contract's schema."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any, Final

from llmguard_fallbacks.forms import (
    FormError,
    Limits,
    decode,
    edit,
    encode,
    fill,
    render,
)

from ._bytes import Cut

__all__ = ["forms_target"]

LIMITS: Final = Limits(pairs=300, characters=20_000)
SCHEMAS: Final[tuple[Any, ...]] = (
    {
        "type": "object",
        "properties": {
            "category": {"enum": ["billing", "shipping", None, 3, {"a": 1}]},
            "order": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "lines": {"type": "array", "items": {"type": "integer"}, "maxItems": 4},
        },
        "required": ["category"],
        "additionalProperties": {"type": "number"},
    },
    {
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {
                    "kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}}
                },
            }
        },
        "$ref": "#/$defs/tree",
    },
    {"oneOf": [{"type": "boolean"}, {"type": "array", "prefixItems": [{}, True]}]},
    {"type": "string", "description": "<b>bold</b>", "title": "\"'><script>"},
    True,
    {},
)


class _Tags(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def forms_target(data: bytes) -> None:
    """A post gives a value or says why not; the form can be shown again, unharmed."""
    cut = Cut(data)
    schema = cut.pick(SCHEMAS)
    way = cut.number(3)
    if way == 0:
        _round_trip(schema, cut.rest())
        return
    pairs = _posted(schema, cut)
    decoded = (
        decode(schema, pairs, limits=LIMITS)
        if way == 1
        else edit(schema, [*pairs, ("op", cut.text())], limits=LIMITS)
    )
    _shown(render(decoded.form, decoded.errors))
    try:
        value = decoded.value
    except FormError:
        return
    if way == 1:
        assert decode(schema, encode(schema, value)).value == value


def _posted(schema: Any, cut: Cut) -> list[tuple[str, str]]:
    """Return a true post with some pairs changed, doubled, dropped or added."""
    value = cut.pick(({}, None, [], {"category": 3}, "x", {"kids": [{}, {}]}))
    pairs = encode(schema, value, limits=LIMITS)
    for _ in range(cut.number(6)):
        place = cut.number(len(pairs) + 1)
        match cut.number(4):
            case 0:
                pairs[place : place + 1] = []
            case 1:
                pairs.insert(place, (cut.text(), cut.text()))
            case 2 if place < len(pairs):
                pairs[place] = (pairs[place][0], cut.text())
            case _:
                pairs += pairs[place : place + 1]
    return pairs


def _round_trip(schema: Any, body: bytes) -> None:
    try:
        value = json.loads(body)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return
    try:
        form = fill(schema, value)
        pairs = encode(schema, value)
    except ValueError:  # half a surrogate pair, or too large for a post
        return
    _shown(render(form))
    back = decode(schema, pairs).value
    assert back == value
    assert json.dumps(back, sort_keys=True) == json.dumps(value, sort_keys=True)


def _shown(page: str) -> None:
    page.encode()
    tags = _Tags()
    tags.feed(page)
    assert "script" not in tags.seen
    assert "b" not in tags.seen
    assert not tags.handlers

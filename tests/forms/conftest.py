"""A schema with every kind of field, and a value for it."""

from __future__ import annotations

from typing import Any

import pytest

ORDER: dict[str, Any] = {
    "title": "Order",
    "type": "object",
    "required": ["id", "note", "lines", "kind", "paid", "total"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "integer", "title": "Order number", "minimum": 1},
        "note": {"type": "string", "description": "What the customer <asked>"},
        "code": {"type": "string", "pattern": "^[A-Z]+$"},
        "kind": {"enum": ["new", "used", None]},
        "paid": {"type": "boolean"},
        "total": {"type": ["number", "null"]},
        "rate": {"type": ["number", "null"]},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "count": {"type": "integer"},
                },
            },
        },
        "address": {"$ref": "#/$defs/address"},
        "owner": {"anyOf": [{"$ref": "#/$defs/address"}, {"type": "string"}]},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "extra": {},
    },
    "$defs": {
        "address": {
            "type": ["object", "null"],
            "title": "Address",
            "properties": {
                "city": {"type": "string"},
                "inside": {"$ref": "#/$defs/address"},
            },
        }
    },
}
VALUE: dict[str, Any] = {
    "id": 7,
    "note": 'two\nlines, "quoted" & <b>\'s',
    "code": "",
    "kind": None,
    "paid": False,
    "total": None,
    "lines": [{"name": "\n first", "count": 2}, {"name": "", "weight": 1.5}],
    "address": {"city": "Ürümqi", "inside": {"inside": None}},
    "owner": "me\r",
    "labels": {"a/b": "1", "": "2", "x\ny": "3"},
    "extra": {"deep": [1.0, -0.0, 1e300, None, True]},
}


@pytest.fixture
def order() -> dict[str, Any]:
    """Give the schema."""
    return ORDER


@pytest.fixture
def value() -> dict[str, Any]:
    """Give a value with what is hard to post."""
    return VALUE

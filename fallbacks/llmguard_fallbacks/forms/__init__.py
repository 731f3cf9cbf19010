"""Forms made from a contract's JSON Schema, for people who correct answers.

`encode` gives the pairs that a browser posts for a value, `decode` reads them back:
exactly, or with a sentence per field. `fill` and `blank` give the form to show,
`render` its HTML, `edit` what its buttons do, `place` the contract's violations.
Nothing here needs a web framework, and the pages need no JavaScript.
"""

from __future__ import annotations

from ._field import Field, FieldError, Form, Limits
from ._form import (
    OPERATION,
    Decoded,
    FormError,
    blank,
    decode,
    edit,
    encode,
    fill,
    place,
)
from ._html import render

__all__ = [
    "OPERATION",
    "Decoded",
    "Field",
    "FieldError",
    "Form",
    "FormError",
    "Limits",
    "blank",
    "decode",
    "edit",
    "encode",
    "fill",
    "place",
    "render",
]

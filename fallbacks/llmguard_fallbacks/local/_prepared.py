"""A schema made ready for one engine: its grammars, its validator, its ladder."""

from __future__ import annotations

import json

from llmguard.outcome import Violation

from ._grammar import Grammar, compile_first, compile_grammar
from ._imports import load
from ._schema import LADDER
from ._schema_types import SchemaRefusedError, pointer

__all__ = ["Climb", "Prepared"]


class Prepared:
    """A schema with its grammars and its validator, compiled when first needed."""

    def __init__(self, schema: str) -> None:
        self._schema = json.loads(schema)
        jsonschema = load("jsonschema")
        kind = jsonschema.validators.validator_for(
            self._schema, default=jsonschema.Draft202012Validator
        )
        self._validator = kind(self._schema, format_checker=kind.FORMAT_CHECKER)
        self._grammars: dict[int, Grammar] = {}
        self._first: int | None = None

    def grammar(self, rung: int) -> Grammar:
        """Return the grammar within the limits of one rung of the ladder."""
        if rung not in self._grammars:
            self._grammars[rung] = compile_grammar(self._schema, limits=LADDER[rung])
        return self._grammars[rung]

    def first(self) -> int:
        """Return the first rung that compiles; see `compile_first`."""
        if self._first is None:
            self._first, grammar = compile_first(self._schema)
            self._grammars[self._first] = grammar
        return self._first

    def rung_that_fits(self, room: int, *, above: int = -1) -> int:
        """Return the first rung whose longest answer fits, else the tightest one.

        Args:
            room: Tokens that the answer may have.
            above: Rungs up to this one were tried already.
        """
        best = max(above, self.first())
        for rung in range(max(above + 1, self.first()), len(LADDER)):
            try:
                finite = self.grammar(rung).finite
            except SchemaRefusedError:
                break  # a recursion, for example, that needs more depth
            best = rung
            if finite.worst_bytes <= room:
                break
        return best

    def violations(self, text: str) -> tuple[Violation, ...]:
        """Return how an answer breaks the original schema."""
        try:
            value = json.loads(text)
        except ValueError as error:
            return (Violation(path="", message=f"not JSON: {error}", check="json"),)
        return tuple(
            Violation(
                path=pointer("", *error.absolute_path),
                message=str(error.message),
                check=str(error.validator),
            )
            for error in self._validator.iter_errors(value)
        )


class Climb:
    """Which grammar the next draw of one answer is made from.

    The first draw has room for long texts. One that was cut off is drawn again from
    the first rung whose longest answer fits in any case.

    Args:
        prepared: The schema.
        room: Tokens that the answer may have.
        stream: The caller wants the text while it is drawn. That is possible when
            the answer can turn out neither invalid nor cut off.
    """

    def __init__(self, prepared: Prepared, room: int, *, stream: bool) -> None:
        self._prepared = prepared
        self._room = room
        self._rung = prepared.rung_that_fits(room) if stream else prepared.first()
        finite = self.grammar.finite
        self.live = stream and not finite.unenforced and finite.worst_bytes <= room

    @property
    def grammar(self) -> Grammar:
        """The grammar to draw from."""
        return self._prepared.grammar(self._rung)

    def tighten(self) -> None:
        """Take a grammar of shorter answers, if there is one."""
        self._rung = self._prepared.rung_that_fits(self._room, above=self._rung)

"""A schema made ready for one engine: its grammars, its validator, its ladder."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace

from llmguard.outcome import Violation

from ._grammar import Grammar, compile_first, compile_grammar
from ._imports import load
from ._schema import LADDER, Limits
from ._schema_size import shortest, text_bytes, worst_size
from ._schema_types import SchemaRefusedError, pointer

__all__ = ["Climb", "Prepared"]


class Prepared:
    """A schema with its grammars and its validator, compiled when first needed.

    Args:
        schema: The schema as JSON text.
        tokens: Returns the number of tokens of a text; by default its bytes, which no
            vocabulary exceeds.
    """

    def __init__(self, schema: str, tokens: Callable[[str], int] = text_bytes) -> None:
        self._schema = json.loads(schema)
        jsonschema = load("jsonschema")
        kind = jsonschema.validators.validator_for(
            self._schema, default=jsonschema.Draft202012Validator
        )
        self._validator = kind(self._schema, format_checker=kind.FORMAT_CHECKER)
        self._grammars: dict[int, Grammar] = {}
        self._first: int | None = None
        self._tokens = tokens
        self._sizes: dict[int, int] = {}

    def grammar(self, rung: int) -> Grammar:
        """Return the grammar within the limits of one rung of the ladder.

        A recursion that needs more depth gets it: the other limits still hold.
        """
        if rung not in self._grammars:
            self._grammars[rung] = self._deep_enough(LADDER[rung])
        return self._grammars[rung]

    def _deep_enough(self, limits: Limits) -> Grammar:
        try:
            return compile_grammar(self._schema, limits=limits)
        except SchemaRefusedError:
            if limits.depth >= LADDER[0].depth:
                raise
            return self._deep_enough(replace(limits, depth=limits.depth + 1))

    def first(self) -> int:
        """Return the first rung that compiles; see `compile_first`."""
        if self._first is None:
            self._first, grammar = compile_first(self._schema)
            self._grammars[self._first] = grammar
        return self._first

    def size(self, rung: int) -> int:
        """Return a bound for the tokens of an answer within the limits of a rung."""
        if rung not in self._sizes:
            finite = self.grammar(rung).finite
            self._sizes[rung] = worst_size(finite.schema, forced=self._tokens)
        return self._sizes[rung]

    @functools.cached_property
    def least(self) -> int:
        """About the tokens of the shortest answer."""
        return self._tokens(shortest(self.grammar(self.first()).finite.schema))

    def need(self, room: int) -> int:
        """Return about how many tokens an answer needs that is drawn within `room`.

        Where no rung is sure to fit, that is an answer without options, with a word or
        two in each of its texts, which may be drawn letter by letter.
        """
        if 2 * self.least <= room:  # the usual case, and it compiles nothing
            return self.least
        rung = self.rung_that_fits(room)
        if self.size(rung) <= room:
            return self.least
        schema = self.grammar(rung).finite.schema
        bare, full = shortest(schema), shortest(schema, full=True)
        return self._tokens(bare) + len(full) - len(bare)

    def rung_that_fits(self, room: int, *, above: int = -1) -> int:
        """Return the first rung whose longest answer fits, else the tightest one.

        Args:
            room: Tokens that the answer may have.
            above: Rungs up to this one were tried already.
        """
        best = max(above, self.first())
        for rung in range(max(above + 1, self.first()), len(LADDER)):
            try:
                size = self.size(rung)
            except SchemaRefusedError:
                continue
            best = rung
            if size <= room:
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
        self.live = stream and not finite.unenforced
        self.live = self.live and prepared.size(self._rung) <= room

    @property
    def grammar(self) -> Grammar:
        """The grammar to draw from."""
        return self._prepared.grammar(self._rung)

    def close(self) -> None:
        """Take a grammar for a last draw: one whose answers fit, if there is one."""
        if self._prepared.size(self._rung) > self._room:
            self.tighten()

    def tighten(self) -> None:
        """Take a grammar of shorter answers, if there is one."""
        self._rung = self._prepared.rung_that_fits(self._room, above=self._rung)

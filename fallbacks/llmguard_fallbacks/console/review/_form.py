"""The form of one ticket's answer: what is shown, what was posted, what it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from llmguard.store import TicketRecord, answer_violations

from ...forms import Decoded, FieldError, Form, blank, decode, edit, fill, place, render

__all__ = ["OWN", "Draft", "empty", "judged", "of_value", "pressed", "schema_of"]

Pairs = Iterable[tuple[str, str]]

OWN: Final = frozenset({"token", "queue", "op", "reason", "proposal"})
"""Names of a post that are the page's and not the answer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An answer on its way.

    Attributes:
        form: What to show.
        errors: What is wrong with it, at its fields.
        whole: Whether `value` is an answer that the contract's schema accepts.
        value: The answer; only when `whole`.
    """

    form: Form
    errors: tuple[FieldError, ...] = ()
    whole: bool = False
    value: object = None

    @property
    def html(self) -> Markup:
        """The fields, escaped by the forms themselves."""
        return Markup(render(self.form, self.errors))  # noqa: S704 - `render` escapes


def schema_of(record: TicketRecord) -> object:
    """Return the schema of the answer; without a contract anything goes."""
    return True if record.schema is None else record.schema


def empty(record: TicketRecord) -> Draft:
    """Return the form of no answer yet."""
    return Draft(form=blank(schema_of(record)))


def of_value(record: TicketRecord, value: object) -> Draft:
    """Return the form of a proposal, whether or not it is acceptable."""
    try:
        return Draft(form=fill(schema_of(record), value))
    except ValueError:  # larger than any form, or no JSON: start from nothing
        return empty(record)


def pressed(record: TicketRecord, pairs: Sequence[tuple[str, str]]) -> Draft:
    """Do what a button of the form says: an item more, a branch, as JSON."""
    mine = [pair for pair in pairs if pair[0] not in OWN or pair[0] == "op"]
    done = edit(schema_of(record), mine)
    if ("op", "check") in mine and not done.errors:
        return _judged(record, done)
    return Draft(form=done.form, errors=done.errors)


def judged(record: TicketRecord, pairs: Pairs) -> Draft:
    """Return a posted answer, held against the ticket's schema."""
    done = decode(schema_of(record), [pair for pair in pairs if pair[0] not in OWN])
    if done.errors:
        return Draft(form=done.form, errors=done.errors)
    return _judged(record, done)


def _judged(record: TicketRecord, done: Decoded) -> Draft:
    errors = place(done.form, answer_violations(record.schema, done.value))
    return Draft(form=done.form, errors=errors, whole=not errors, value=done.value)

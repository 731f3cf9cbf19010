"""A form as HTML that needs neither JavaScript nor inline style: a strict CSP's.

Every control has a label, errors and help are bound by `aria-describedby`, buttons say
which field they are about. The first button checks the form, so that Enter in a field
never removes or submits anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final, cast

from ._field import (
    ABSENT,
    JSON,
    NULL,
    ROOT,
    SET,
    Entry,
    Field,
    FieldError,
    Form,
    states,
)
from ._shapes import Choice, Items, Number, Pick, Planner, Raw, Record, Text

__all__ = ["render"]

_LONGEST: Final = 80
_TALLEST: Final = 20


def render(
    form: Form,
    errors: Iterable[FieldError] = (),
    *,
    action: str | None = None,
    submit: str = "Submit",
    hidden: Mapping[str, str] | None = None,
) -> str:
    """Return the form as HTML.

    Args:
        form: What to show.
        errors: Said at their fields, and listed above.
        action: Where to post: adds the `<form>` element and its submit button, whose
            `op` is `submit`. Without it the caller writes both.
        submit: What is written on that button.
        hidden: The caller's own pairs, such as a token against forged requests.
    """
    page = _Page(form, errors)
    body = "".join(page.everything())
    if action is None:
        return body
    extra = "".join(
        f'<input type="hidden" name="{_e(name)}" value="{_e(text)}">'
        for name, text in (hidden or {}).items()
    )
    return (
        f'<form method="post" action="{_e(action)}" class="llmguard-form" '
        f'accept-charset="utf-8" novalidate>\n{extra}{body}'
        f'<p><button type="submit" name="op" value="submit">{_e(submit)}</button></p>'
        "\n</form>\n"
    )


def _e(text: str) -> str:
    """Escape for elements and attributes, and keep what is no text out of them."""
    return escape(text.encode("utf-8", "replace").decode("utf-8"), quote=True)


class _Page:
    def __init__(self, form: Form, errors: Iterable[FieldError]) -> None:
        self._form = form
        self._planner: Planner = form.planner
        self._errors: dict[str, list[str]] = {}
        for error in errors:
            self._errors.setdefault(error.name, []).append(error.message)

    def everything(self) -> Iterator[str]:
        yield from self._summary()
        yield _button("check", "Check the form", "", css="check")
        yield "\n"
        yield from self._field(self._form.root, "")

    def _summary(self) -> Iterator[str]:
        if not self._errors:
            return
        labels = dict(_trails(self._form.root, ""))
        yield '<div role="alert" class="errors"><p>Please look at:</p><ul>\n'
        for name, messages in self._errors.items():
            for message in messages:
                if name in labels:
                    link = f'<a href="#{_e(_id(name))}">{_e(labels[name])}</a>'
                else:
                    link = _e(name[:80] or "The form")
                yield f"<li>{link}: {_e(message)}</li>\n"
        yield "</ul></div>\n"

    def _field(self, part: Field, buttons: str) -> Iterator[str]:
        if part.state == JSON or isinstance(part.shape, Raw):
            yield from self._json(part, buttons)
        elif isinstance(part.shape, (Record, Items, Choice)):
            yield from self._group(part, buttons)
        else:
            yield '<div class="field">\n'
            yield self._label(part, _id(part.name))
            yield from self._notes(part)
            yield from _STATES[type(part.shape)](self, part)
            yield f"{buttons}</div>\n"

    def _label(self, part: Field, target: str) -> str:
        return f'<label for="{_e(target)}">{_title(part)}</label>\n'

    def _notes(self, part: Field) -> Iterator[str]:
        base = _e(_id(part.name))
        if part.help:
            yield f'<p class="help" id="{base}-help">{_e(part.help)}</p>\n'
        if part.name in self._errors:
            words = _e(" ".join(self._errors[part.name]))
            yield f'<p class="error" id="{base}-error">{words}</p>\n'

    def _described(self, part: Field) -> str:
        base, ids = _id(part.name), list[str]()
        ids += [f"{base}-help"] if part.help else []
        wrong = part.name in self._errors
        ids += [f"{base}-error"] if wrong else []
        text = f' aria-describedby="{_e(" ".join(ids))}"' if ids else ""
        return text + (' aria-invalid="true"' if wrong else "")

    def _json(self, part: Field, buttons: str) -> Iterator[str]:
        yield '<div class="field json">\n'
        yield self._label(part, _id(part.name))
        yield from self._notes(part)
        yield self._area(part, f"{part.name}!json", part.text, "json", spell=False)
        if not isinstance(part.shape, Raw):
            group = isinstance(part.shape, (Record, Items, Choice))
            words = "Edit as a form" if group else "Discard and fill in anew"
            yield _button("form", words, part.label, part.name)
        yield f"{buttons}</div>\n"

    def _area(
        self, part: Field, name: str, text: str, css: str, *, spell: bool = True
    ) -> str:
        rows = min(max(text.count("\n") + 1, len(text) // _LONGEST + 1), _TALLEST)
        check = "" if spell else ' spellcheck="false"'
        # The parser drops a first line break: give it one to drop.
        return (
            f'<textarea id="{_e(_id(part.name))}" name="{_e(name)}" rows="{rows}" '
            f'class="{css}"{check}{self._described(part)}>\n{_e(text)}</textarea>\n'
        )

    def text(self, part: Field) -> Iterator[str]:
        """Write a string's controls."""
        shape = cast("Text", part.shape)
        yield self._states(part, _TEXT_WORDS)
        if shape.single_line and "\n" not in part.text:
            yield self._line(part, "")
        else:
            yield self._area(part, part.name, part.text, "text")

    def number(self, part: Field) -> Iterator[str]:
        """Write a number's controls: a text line, for others alter what is typed."""
        integer = cast("Number", part.shape).integer
        mode = f' inputmode="{"numeric" if integer else "decimal"}"'
        if part.shape.nullable and not states(part):
            mode += ' placeholder="nothing: null"'
        yield self._states(part, _TEXT_WORDS)
        yield self._line(part, mode)

    def _line(self, part: Field, extra: str) -> str:
        return (
            f'<input type="text" id="{_e(_id(part.name))}" name="{_e(part.name)}" '
            f'value="{_e(part.text)}" autocomplete="off"{extra}'
            f"{self._described(part)}>\n"
        )

    def _states(self, part: Field, words: Mapping[str, str]) -> str:
        found = states(part)
        if not found:
            return ""
        if found == ("text", "empty") and part.required and part.text:
            # Whoever clears the text is asked what they mean; others need no list.
            return _hidden(f"{part.name}!is", part.state)
        options = [(state, words[state]) for state in found]
        if not part.required:
            options[0] = (options[0][0], "as typed; nothing: left out")
        return (
            f'<select name="{_e(part.name)}!is" '
            f'aria-label="{_e(part.label)}: how to read it">'
            f"{_options(options, part.state)}</select>\n"
        )

    def pick(self, part: Field) -> Iterator[str]:
        """Write a list to choose from."""
        shape = cast("Pick", part.shape)
        first = "choose" if part.required else "(left out)"
        options = [("", first)]
        for index, option in enumerate(shape.options):
            label = shape.labels[index] if shape.labels else ""
            options.append((str(index), label or _shown(option)))
        if shape.nullable:
            options.append((NULL, "null"))
        yield (
            f'<select id="{_e(_id(part.name))}" name="{_e(part.name)}"'
            f"{self._described(part)}>{_options(options, part.text)}</select>\n"
        )

    def _group(self, part: Field, buttons: str) -> Iterator[str]:
        name = _e(_id(part.name))
        yield f'<fieldset id="{name}" tabindex="-1"{self._described(part)}>\n'
        yield f"<legend>{_title(part)}</legend>\n"
        yield from self._notes(part)
        if states(part):
            yield _hidden(f"{part.name}!is", part.state)
        if part.state in {ABSENT, NULL}:
            word = "left out" if part.state == ABSENT else "null"
            yield f'<p class="state">{word}</p>\n'
        elif isinstance(part.shape, Items):
            yield from self._items(part)
        elif isinstance(part.shape, Record):
            yield from self._record(part)
        elif part.branch:
            yield from self._field(part.branch, "")
        yield f'<p class="buttons">{self._ways(part)}{buttons}</p>\n</fieldset>\n'

    def _items(self, part: Field) -> Iterator[str]:
        yield _count(part, len(part.items))
        for index, item in enumerate(part.items):
            yield from self._field(item, _item_buttons(item, index))
        shape = cast("Items", part.shape)
        if len(part.items) < len(shape.first) or shape.rest is not None:
            yield _button("add", "Add an item", part.label, part.name)

    def _record(self, part: Field) -> Iterator[str]:
        for member in part.members.values():
            yield from self._field(member, "")
        shape = cast("Record", part.shape)
        if shape.further is not None:
            yield _count(part, len(part.entries))
            for index, entry in enumerate(part.entries):
                yield from self._entry(entry, index)
            yield _button("add", "Add a member", part.label, part.name)
        if not part.more:
            yield _hidden(f"{part.name}!more", "")
        else:
            box = f"{_id(part.name)}-more"
            yield f'<div class="field json"><label for="{_e(box)}">Other members'
            yield f' of {_e(part.label)}, as JSON</label>\n<textarea id="{_e(box)}" '
            yield f'name="{_e(part.name)}!more" rows="4" spellcheck="false">\n'
            yield f"{_e(part.more)}</textarea></div>\n"

    def _entry(self, entry: Entry, index: int) -> Iterator[str]:
        box = f"{_id(entry.field.name)}-key"
        yield f'<div class="entry"><label for="{_e(box)}">Name</label>\n'
        yield f'<input type="text" id="{_e(box)}" name="{_e(entry.field.name)}!key" '
        yield f'value="{_e(entry.key)}" autocomplete="off">\n'
        yield from self._field(entry.field, _item_buttons(entry.field, index))
        yield "</div>\n"

    def _ways(self, part: Field) -> str:
        """Return the buttons that change what a group is."""
        found: list[str] = []
        allowed = states(part)
        name, label = part.name, part.label
        if isinstance(part.shape, Choice):
            for index, node in enumerate(part.shape.branches):
                if str(index) != part.state:
                    words = f"Use: {self._branch_label(node, index)}"
                    found.append(_button(f"branch:{index}", words, label, name))
        elif part.state != SET:
            found.append(_button("set", "Give a value", label, name))
        if ABSENT in allowed and part.state != ABSENT:
            found.append(_button("omit", "Leave out", label, name))
        if NULL in allowed and part.state != NULL:
            found.append(_button("null", "Set to null", label, name))
        if part.state not in {ABSENT, NULL}:
            found.append(_button("json", "Edit as JSON", label, name))
        return "".join(found)

    def _branch_label(self, node: object, index: int) -> str:
        shape = self._planner.shape(node)
        if shape.title:
            return shape.title
        kind = _KINDS.get(type(shape), "")
        return f"option {index + 1} ({kind})" if kind else f"option {index + 1}"


def _trails(part: Field, above: str) -> Iterator[tuple[str, str]]:
    """Yield what each field is called outside of its group: `items, Item 2, count`."""
    yield part.name, above + part.label
    # The root is the form itself, a branch stands for the choice around it.
    inside = "" if part.name == ROOT else f"{above}{part.label}, "
    for below in part.children:
        yield from _trails(below, above if below is part.branch else inside)


def _id(name: str) -> str:
    return f"f-{name}"


def _title(part: Field) -> str:
    needed = ' <span class="required">(required)</span>' if part.required else ""
    return _e(part.label) + needed


def _shown(option: object) -> str:
    text = option if isinstance(option, str) and option else json.dumps(option)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _options(options: Iterable[tuple[str, str]], chosen: str) -> str:
    return "".join(
        f'<option value="{_e(value)}"{" selected" if value == chosen else ""}>'
        f"{_e(label)}</option>"
        for value, label in options
    )


def _count(part: Field, size: int) -> str:
    return _hidden(f"{part.name}!n", str(size))


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{_e(name)}" value="{_e(value)}">\n'


def _button(verb: str, words: str, about: str, name: str = "", css: str = "") -> str:
    value = f"{verb} {name}" if name else verb
    label = f' aria-label="{_e(f"{words}: {about}")}"' if about else ""
    kind = f' class="{css}"' if css else ""
    return (
        f'<button type="submit" name="op" value="{_e(value)}"{kind}{label}>'
        f"{_e(words)}</button>\n"
    )


def _item_buttons(item: Field, index: int) -> str:
    up = _button("up", "Move up", item.label, item.name) if index else ""
    return _button("remove", "Remove", item.label, item.name) + up


_TEXT_WORDS: Final = {
    "text": "as typed",
    "empty": "empty text",
    "null": "null",
    "absent": "left out",
}
_KINDS: Final[Mapping[type[Any], str]] = {
    Text: "text",
    Number: "number",
    Pick: "choice",
    Record: "object",
    Items: "list",
    Raw: "JSON",
}
_Write = Callable[[_Page, Field], Iterator[str]]
_STATES: Final[Mapping[type[Any], _Write]] = {
    Text: _Page.text,
    Number: _Page.number,
    Pick: _Page.pick,
}

"""The ladder: two draws compared rung by rung, the first difference decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, get_args

from ..contract import Contract, is_refusal
from ..contract._digest import canonical, digest_of, source_digest
from ..errors import ConfigError
from ._draw import Act, Draw
from ._reading import NO_DOCUMENT, Reader, Reading, names_of
from ._register import code_of, defined_names, script, trait
from ._rule import Rule
from ._rules import Rules
from ._rungs import Divergence, Rung, Severity
from ._walk import differences, last_number

__all__ = ["Ladder", "Output"]

Output = Literal["auto", "structured", "text", "calls", "number", "code"]
_COMPARABLE: Final = frozenset({Act.ANSWER, Act.CALL})
_DEFAULT_REGISTER: Final = ("markdown", "fence", "length")
_NUMBER: Final = Rule(how="number", relative=0.01)


class Ladder:
    """How the outputs of one function are compared; made once, used for every draw.

    Args:
        output: What the function returns: `structured` JSON, `text`, tool `calls`, a
            `number`, `code` (Python; parsed, never run); `auto` looks at each draw.
        contract: Judges draws that no guard has judged, and gives the schema.
        schema: A JSON schema that gives the defaults of the fields; the contract's
            unless given.
        tools: JSON schemas of tool arguments, by tool.
        fields: Rules by field: `category`, `items.*.price`, `calls.*.amount`, and
            `@number`, `@form`, `@markdown`, ... which may be `ignored()`.
        register: Traits of the fifth rung: `markdown`, `fence`, `length`,
            `sentiment`, `tone`.
        language: Compare the language of texts (needs py3langid), not the script only.
        length_ratio: A text this many times longer or shorter is another register.
        length_note: From here on a difference of length is noted on its path.
        refusal: True to tell refusals by their words; a function for your own way.
        clarification: Tell texts that ask back from answers; English.
        ordered_calls: True when the order of the tool calls of a draw counts, as in
            the trace of an agent; those of one turn are made in parallel.
        execute: Gives the verdict of running a draw, such as `pass` and `fail`. It is
            called for every draw without a recorded verdict; sandbox it yourself.

    Raises:
        ConfigError: An argument is wrong; the message says how to repair it.
    """

    __slots__ = (
        "_calls_ordered",
        "_digest",
        "_language",
        "_length",
        "_output",
        "_reader",
        "_rules",
        "_traits",
    )

    def __init__(
        self,
        *,
        output: Output = "auto",
        contract: Contract | None = None,
        schema: Mapping[str, object] | None = None,
        tools: Mapping[str, object] | None = None,
        fields: Mapping[str, Rule] | None = None,
        register: Sequence[str] = _DEFAULT_REGISTER,
        language: bool = False,
        length_ratio: float = 4.0,
        length_note: float = 2.0,
        refusal: bool | Callable[[str], bool] = True,
        clarification: bool = True,
        ordered_calls: bool = False,
        execute: Callable[[Draw], str] | None = None,
    ) -> None:
        if output not in get_args(Output):
            raise ConfigError(
                f"a ladder's `output` is one of {', '.join(get_args(Output))}, not "
                f"{output!r}"
            )
        if not 1 < length_note <= length_ratio:
            raise ConfigError(
                f"`length_note` {length_note!r} and `length_ratio` {length_ratio!r} "
                "must satisfy 1 < length_note <= length_ratio"
            )
        if schema is None and contract is not None and not contract.is_text:
            schema = contract.value_schema
        self._output: Output = output
        self._rules = Rules(schema=schema, tools=tools or {}, fields=fields or {})
        self._length = length_ratio if "length" in register else 0.0, length_note
        self._traits = {n: trait(n) for n in register if n != "length"}
        self._language = trait("language") if language else None
        self._calls_ordered = ordered_calls
        self._reader = Reader(
            contract=contract,
            json={"structured": True, "auto": None}.get(output, False),
            refusal=refusal if callable(refusal) else is_refusal if refusal else None,
            clarification=clarification,
            execute=execute,
        )
        self._digest = digest_of(
            {
                "output": output,
                "rules": self._rules.document(),
                "contract": contract.digest if contract else "",
                "register": sorted(register),
                "language": language,
                "length": [length_ratio, length_note],
                "refusal": source_digest(refusal) if callable(refusal) else refusal,
                "clarification": clarification,
                "ordered_calls": ordered_calls,
                "execute": source_digest(execute) if execute else "",
            }
        )

    @property
    def digest(self) -> str:
        """Digest of everything that decides a comparison: tallies are bound to it."""
        return self._digest

    @property
    def rules(self) -> Rules:
        """The rules of its fields."""
        return self._rules

    def read(self, draw: Draw) -> Reading:
        """Read a draw once, to compare it with several others."""
        return self._reader.read(draw)

    def compare(self, a: Draw, b: Draw) -> Divergence | None:
        """Return the first, most severe difference; None for none but notes.

        A draw that is lost (`Draw.lost`) can be compared with nothing: None.
        """
        found = self.differences(self.read(a), self.read(b))
        return next((each for each in found if each.severity), None)

    def differences(self, a: Reading, b: Reading) -> list[Divergence]:
        """Return every difference of two readings, the most severe rung first."""
        if a.lost or b.lost or _alike(a, b):
            return []
        found: list[Divergence] = []
        if a.act != b.act:
            found.append(_act(a, b))
        elif a.act in _COMPARABLE:
            self._contents(a, b, found)
        if a.executed and b.executed and a.executed != b.executed:
            found.append(_plain(Rung.EXECUTION, "@executed", a.executed, b.executed))
        prose = self._output in {"auto", "text"} and not _structured(a, b)
        if prose and a.text and b.text and a.text != b.text:
            self._register(a, b, found)
        found = [each for each in found if not self._rules.ignores(each.path)]
        found.sort(key=lambda each: (each.rung, -each.severity))
        return found

    def _contents(self, a: Reading, b: Reading, found: list[Divergence]) -> None:
        if a.valid and b.valid and a.valid != b.valid:
            found.append(_plain(Rung.STRUCTURE, "@valid", a.valid, b.valid))
        if a.calls or b.calls:
            self._calls(a, b, found)
        elif _structured(a, b):
            self._documents(a, b, found)
        elif a.text != b.text:
            self._texts(a, b, found)

    def _documents(self, a: Reading, b: Reading, found: list[Divergence]) -> None:
        missing = [r.document is NO_DOCUMENT for r in (a, b)]
        if any(missing):
            ends = ["no JSON" if gone else "JSON" for gone in missing]
            found.append(_plain(Rung.STRUCTURE, "@json", *ends))
            return
        if a.form != b.form and "value" not in {a.form, b.form}:
            found.append(_plain(Rung.STRUCTURE, "@form", a.form, b.form))
        found += differences(a.document, b.document, self._rules.of)

    def _calls(self, a: Reading, b: Reading, found: list[Divergence]) -> None:
        left, right = list(a.calls), list(b.calls)
        if not self._calls_ordered:
            left.sort(key=canonical)
            right.sort(key=canonical)
        if len(left) != len(right):
            found.append(_plain(Rung.STRUCTURE, "@calls", _count(left), _count(right)))
            return
        if names_of(left) != names_of(right):
            for (old, _), (new, _) in zip(left, right, strict=True):
                if old != new:
                    found.append(_plain(Rung.STRUCTURE, "@calls", old, new))
            return
        for (name, old_args), (_, new_args) in zip(left, right, strict=True):
            at = self._rules.tool_path(name)
            found += differences(old_args, new_args, self._rules.of, at=at, name=name)

    def _texts(self, a: Reading, b: Reading, found: list[Divergence]) -> None:
        if self._output == "number":
            numbers = last_number(a.text), last_number(b.text)
            found += differences(*numbers, self._number, at="@number")
            return
        if self._output == "code":
            _codes(a, b, found)
            return
        scripts = a.trait("script", script), b.trait("script", script)
        if scripts[0] and scripts[1] and scripts[0] != scripts[1]:
            found.append(_plain(Rung.STRUCTURE, "@script", *scripts))
        if self._language is not None:
            tongues = (
                a.trait("language", self._language),
                b.trait("language", self._language),
            )
            if tongues[0] != tongues[1]:
                found.append(_plain(Rung.STRUCTURE, "@language", *tongues))

    def _number(self, at: str, name: str, a: object, b: object) -> Rule:
        _ = name, a, b
        return self._rules.declared(at) or _NUMBER

    def _register(self, a: Reading, b: Reading, found: list[Divergence]) -> None:
        for name, find in self._traits.items():
            old, new = a.trait(name, find), b.trait(name, find)
            if old != new:
                found.append(_minor(f"@{name}", old, new))
        most, note = self._length
        ratio = len(b.text) / len(a.text)
        if most and max(ratio, 1 / ratio) > note:
            found.append(_length(ratio, most=most, note=note))


def _alike(a: Reading, b: Reading) -> bool:
    """Tell whether two draws are the same text, and were read the same way."""
    return bool(a.text) and (a.text, a.act, a.valid, a.calls, a.executed, a.form) == (
        b.text,
        b.act,
        b.valid,
        b.calls,
        b.executed,
        b.form,
    )


def _structured(a: Reading, b: Reading) -> bool:
    return a.document is not NO_DOCUMENT or b.document is not NO_DOCUMENT


def _act(a: Reading, b: Reading) -> Divergence:
    return Divergence(
        rung=Rung.ACT,
        path="@act",
        before=a.act.value,
        after=b.act.value,
        severity=Severity.CRITICAL,
    )


def _plain(rung: Rung, path: str, before: str, after: str) -> Divergence:
    return Divergence(rung=rung, path=path, before=before, after=after)


def _minor(path: str, before: str, after: str) -> Divergence:
    return Divergence(
        rung=Rung.REGISTER,
        path=path,
        before=before,
        after=after,
        severity=Severity.MINOR,
    )


def _length(ratio: float, *, most: float, note: float) -> Divergence:
    word = "longer" if ratio > 1 else "shorter"
    far = max(ratio, 1 / ratio)
    return Divergence(
        rung=Rung.REGISTER,
        path="@length",
        before="length",
        after=f"{most if far > most else note:g} times {word}",
        severity=Severity.MINOR if far > most else Severity.NOTE,
        note=f"{far:.1f} times {word}",
    )


def _codes(a: Reading, b: Reading, found: list[Divergence]) -> None:
    left, right = defined_names(code_of(a.text)), defined_names(code_of(b.text))
    if (left is None) != (right is None):
        words = ["parses" if each is not None else "no code" for each in (left, right)]
        found.append(_plain(Rung.EXECUTION, "@executed", *words))
    elif left != right:
        gone = sorted({*(left or ())} - {*(right or ())})
        new = sorted({*(right or ())} - {*(left or ())})
        found.append(
            Divergence(
                rung=Rung.STRUCTURE,
                path="@defines",
                before=", ".join(gone)[:40] or "nothing more",
                after=", ".join(new)[:40] or "nothing more",
                note=f"no longer defines {gone}, newly defines {new}",
                open=True,
            )
        )


def _count(calls: Sequence[object]) -> str:
    return f"{len(calls)} call{'s' * (len(calls) != 1)}"

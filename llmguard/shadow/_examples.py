"""The tail: a few divergent requests of each kind, kept with both outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from ._bounded import Bounded, rank_of
from ._draw import Draw, Pair, plain
from ._rungs import Divergence, sealed_end

__all__ = ["Example", "Examples", "shown"]

_GROUPS: Final = 150
_EACH: Final = 4
_CHARS: Final = 4_000
_INPUT: Final = 2_000

Key: TypeAlias = tuple[int, int, str, str, str]
"""Severity (negative), rung, path, before, after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One request on which the versions part.

    Attributes:
        request: Its id.
        stratum: Its slice.
        rung: Where they part.
        severity: How much that matters.
        path: The field or trait.
        before: What the incumbent shows there.
        after: What the challenger shows there.
        detail: One phrase with the values.
        input: What was asked, where it was kept.
        incumbent: What the incumbent answered, at most 4,000 characters.
        challenger: What the challenger answered.
        repeats: Further draws: of the incumbent, then of the challenger.
        stable: True when every repeat agrees with its own version here, False when
            one does not, None without repeats.
        open: True when both ends quote values that no schema declares.
    """

    request: str
    stratum: str
    rung: int
    severity: int
    path: str
    before: str
    after: str
    detail: str
    input: str
    incumbent: str
    challenger: str
    repeats: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    stable: bool | None = None
    open: bool = False

    @property
    def sure(self) -> str:
        """Which version was drawn again and agreed with itself; empty for none."""
        if not self.stable:
            return ""
        names = ("the incumbent", "the challenger")
        drawn = [n for n, draws in zip(names, self.repeats, strict=True) if draws]
        if len(drawn) == len(names):
            return "both versions agree with themselves"
        return f"{drawn[0]} agrees with itself" if drawn else ""

    @property
    def group(self) -> Key:
        """What it is an example of; open values are one kind, whatever they are."""
        before, after = self.before, self.after
        if self.open:
            before = sealed_end(before, "value")
            after = sealed_end(after, "other value")
        return (-self.severity, self.rung, self.path, before, after)

    @property
    def rank(self) -> tuple[int, ...]:
        """Where both versions agree with themselves first, then by chance of the id."""
        unsure = {True: 0, None: 1, False: 2}[self.stable]
        return (unsure, *rank_of((self.request, self.stratum)))


class Examples:
    """Bounded, and the same in whatever order requests were added.

    Args:
        redact: Changes each text before it is kept; None keeps it as it is.
    """

    __slots__ = ("_groups", "_redact")

    def __init__(self, redact: Callable[[str], str] | None = None) -> None:
        self._redact = redact
        self._groups: Bounded[Key, list[Example]] = Bounded(
            _GROUPS, list[Example], _keep, rank=_rank
        )

    @property
    def redacts(self) -> bool:
        """True when texts are changed before they are kept."""
        return self._redact is not None

    def add(self, pair: Pair, found: Divergence, *, stable: bool | None) -> None:
        """Keep a request as an example of a difference, if there is room."""
        sealed = found.sealed()
        key = (
            -found.severity.value,
            found.rung.value,
            found.path,
            sealed.before,
            sealed.after,
        )
        group = self._groups.at(key)
        rank = _order(stable, pair)
        if len(group) >= _EACH and group[-1].rank <= rank:
            return
        _keep(group, [self._make(pair, found, stable=stable)])

    def merge(self, other: Examples) -> None:
        """Take in another part."""
        self._groups.merge(other._groups)

    def all(self) -> list[Example]:
        """Return them, the most severe kind first, the surest of each kind first."""
        found = [e for key in sorted(self._groups) for e in self._groups.kept[key]]
        return sorted(found, key=lambda each: (-each.severity, each.rung))

    def document(self) -> list[dict[str, Any]]:
        """Return them as JSON-able data."""
        return [asdict(each) for each in self.all()]

    def load(self, rows: list[Mapping[str, Any]]) -> None:
        """Add what `document` wrote."""
        for row in rows:
            one = example_of(row)
            _keep(self._groups.at(one.group), [one])

    def _make(self, pair: Pair, found: Divergence, *, stable: bool | None) -> Example:
        return Example(
            request=pair.request,
            stratum=pair.stratum,
            rung=found.rung.value,
            severity=found.severity.value,
            path=found.path,
            before=self._clean(found.before, _INPUT),
            after=self._clean(found.after, _INPUT),
            detail=self._clean(found.detail, _INPUT),
            input=self._clean(pair.input, _INPUT),
            incumbent=self._clean(shown(pair.a), _CHARS),
            challenger=self._clean(shown(pair.b), _CHARS),
            repeats=(
                tuple(self._clean(shown(d), _CHARS) for d in pair.draws_a[1:3]),
                tuple(self._clean(shown(d), _CHARS) for d in pair.draws_b[1:3]),
            ),
            stable=stable,
            open=found.open,
        )

    def _clean(self, text: str, most: int) -> str:
        said = self._redact(text) if self._redact and text else text
        return said if len(said) <= most else f"{said[: most - 1]}\u2026"


def example_of(row: Mapping[str, Any]) -> Example:
    """Read an example back from JSON."""
    fields: dict[str, Any] = {**row}
    mine, theirs = fields["repeats"]
    fields["repeats"] = (tuple(mine), tuple(theirs))
    return Example(**fields)


def shown(draw: Draw) -> str:
    """Return what a draw answered, for people."""
    parts: list[str] = []
    silent = draw.kind is not None and draw.text is None and not draw.has_value
    if draw.lost or silent:
        parts.append(f"({draw.kind}) {draw.detail}".strip())
    if draw.text is not None:
        parts.append(draw.text)
    elif draw.has_value:
        parts.append(json.dumps(plain(draw.value), indent=1, ensure_ascii=False))
    elif draw.refusal:
        parts.append(draw.refusal)
    parts += [f"{call.name}({call.arguments})" for call in draw.calls]
    if draw.executed:
        parts.append(f"[{draw.executed}]")
    return "\n".join(parts)


def _rank(key: Key) -> tuple[int, ...]:
    return (key[0], key[1], *rank_of(key))


def _order(stable: bool | None, pair: Pair) -> tuple[int, ...]:
    unsure = {True: 0, None: 1, False: 2}[stable]
    return (unsure, *rank_of((pair.request, pair.stratum)))


def _keep(group: list[Example], more: list[Example]) -> None:
    """Add examples; a request that is there already is not added again."""
    known = {(each.request, each.stratum) for each in group}
    group += [each for each in more if (each.request, each.stratum) not in known]
    group.sort(key=lambda each: each.rank)
    del group[_EACH:]

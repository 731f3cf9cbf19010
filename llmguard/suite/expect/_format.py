"""Assertions on the outer form of what was written; exact, no detector errs here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Unpack

from ...contract._fields import pick
from ...contract._pointer import split_field
from ...errors import ConfigError
from .._assertion import Assertion
from .._types import Case, Finding, Sample
from ._make import Options, declined, make, one_line

if TYPE_CHECKING:
    from ...detectors import FormatFeatures

__all__ = ["format_"]

_FORMS: Final[dict[str, tuple[str, str, Callable[[FormatFeatures], object]]]] = {
    "fence": ("has a code fence", "has no code fence", lambda seen: seen.fences),
    "markdown": ("has Markdown", "has no Markdown", lambda seen: seen.markdown),
    "json": ("is bare JSON", "is not bare JSON", lambda seen: seen.json),
    "bullets": ("has a list", "has no list", lambda x: x.bullets or x.numbered),
    "emoji": ("has emoji", "has no emoji", lambda seen: seen.emoji),
}
"""What is said of a text that has it, of one that has not, and how it is seen."""


def format_(
    field: str = "",
    *,
    fence: bool | None = None,
    markdown: bool | None = None,
    json: bool | None = None,
    bullets: bool | None = None,
    emoji: bool | None = None,
    max_chars: int | None = None,
    max_lines: int | None = None,
    **options: Unpack[Options],
) -> Assertion:
    """Assert the outer form of what the model wrote, whether it is valid or not.

    True demands, False forbids, None does not care. Nothing written, and a refusal of
    a case without a `boundary`, has failed. Default rates 1 % and 5 %.

    Args:
        field: Look at the texts there; empty for all that was written.
        fence: A code fence (three backticks).
        markdown: Fences, headings, bullets, tables, bold spans or links.
        json: The whole is one JSON object or array.
        bullets: Bulleted or numbered lines.
        emoji: Emoji.
        max_chars: Characters at most.
        max_lines: Lines that hold something at most.
        **options: As in `Options`.

    Raises:
        ConfigError: Nothing is demanded or forbidden, or a limit below 1.
    """
    wanted = {
        "fence": fence,
        "markdown": markdown,
        "json": json,
        "bullets": bullets,
        "emoji": emoji,
    }
    limits = {"max_chars": max_chars, "max_lines": max_lines}
    given: dict[str, Any] = {
        key: value for key, value in (wanted | limits).items() if value is not None
    }
    if not given:
        raise ConfigError("`format`: say what is wanted, such as `fence=False`")
    for key in limits.keys() & given.keys():
        if given[key] < 1:
            raise ConfigError(f"`format`: `{key}` is {given[key]!r}; write 1 or more")
    parts = split_field(field)

    def judge(case: Case, sample: Sample) -> Finding | None:
        if sample.infrastructure or (declined(sample) and case.boundary):
            return None
        if declined(sample):
            return Finding(failed=True, detail="no answer: the model declined")
        texts = [*_texts(sample, parts)]
        if not texts and sample.has_value and not parts:
            return None  # an answer that was never written as text has no form
        breaches = [why for text in texts for why in _breaches(text, given)]
        if not texts:
            breaches = ["nothing was written"]
        return Finding(failed=bool(breaches), detail="; ".join(breaches))

    return make(
        "format",
        judge,
        options,
        name=f"format:{field}" if field else "format",
        field=field,
        version=["format/1", _detector_id(), field, given],
    )


def _detector_id() -> str:
    from ...detectors import format_features

    return format_features().id


def _texts(sample: Sample, parts: tuple[str, ...]) -> Iterator[str]:
    if not parts:
        if sample.text and sample.text.strip():
            yield sample.text
        return
    for _, found in pick(sample.value, parts):
        if isinstance(found, str):
            yield found


def _breaches(text: str, given: dict[str, Any]) -> Iterator[str]:
    from ...detectors import read_format

    seen = read_format(text)
    for key, (has, lacks, find) in _FORMS.items():
        if key in given and bool(find(seen)) != given[key]:
            yield f"{lacks if given[key] else has}: {one_line(text)}"
    for key, size in (("max_chars", seen.chars), ("max_lines", seen.lines)):
        if key in given and size > given[key]:
            yield f"{size} {key.removeprefix('max_')}, at most {given[key]} allowed"

"""Does the answer keep to what it was given?"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from .._check import Check
from .._kinds import several
from .._show import show
from ._build import STRINGS, as_text, build, wrong

__all__ = ["appears_in", "similar_to"]


def appears_in(field: str, source: str, *, ignore: str = "") -> Check:
    """Demand that a value of the answer stands in an input, as a whole word.

    An order number that the model made up, or took from an example, is the fault that
    this finds: `appears_in("order_id", "ticket")`. Of a list, every item must appear.

    Args:
        field: Where the value is; text or a number.
        source: Name of the input to look in; what is not text is read as JSON.
        ignore: Characters that do not count, such as `"- "` where `A-1 2` is `a12`.

    Raises:
        ConfigError: `source` is empty.
    """
    if not source:
        wrong("appears_in", "name the input to look in, such as 'ticket'")

    def grounded(value: object, inputs: Mapping[str, object]) -> str | bool:
        if source not in inputs:
            raise KeyError(
                f"there is no input {source!r}; the call has {sorted(inputs)}"
            )
        text = _plain(_as_source(inputs[source]))
        items = several(value)
        for item in [value] if items is None else items:
            if not _stands_in(_plain(_as_source(item)), text, ignore):
                return f"must appear in the input {source!r}; {show(item)} does not"
        return True

    options = {"source": source, "ignore": ignore}
    return build("appears_in", grounded, field=field, options=options, inputs=[source])


def _as_source(value: object) -> str:
    value = getattr(value, "value", value)  # an enum member
    if isinstance(value, str):
        return value
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        value = dump(mode="json")
    return json.dumps(value, ensure_ascii=False, default=str)


def _plain(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def _stands_in(wanted: str, text: str, ignore: str) -> bool:
    """Find `wanted` where no letter or digit touches it: 12 does not stand in 1234."""
    if ignore:
        wanted = "".join(letter for letter in wanted if letter not in ignore)
    if not wanted:
        return True
    if not ignore and wanted not in text:  # spares most calls the regular expression
        return False
    gap = f"[{re.escape(ignore)}]*" if ignore else ""
    before = r"(?<!\w)" if wanted[0].isalnum() else ""
    after = r"(?!\w)" if wanted[-1].isalnum() else ""
    letters = gap.join(map(re.escape, wanted))
    return re.search(before + letters + after, text) is not None


def similar_to(
    reference: str = "",
    *,
    embed: Callable[[str], Sequence[float]],
    threshold: float,
    source: str = "",
    field: str = "",
) -> Check:
    """Demand that a text is near another in meaning, as an embedding sees it.

    Args:
        reference: The text to compare with; embedded once.
        embed: Returns the vector of a text; any model, yours to choose.
        threshold: The least cosine similarity, from -1 to 1. There is no default:
            each model spreads its similarities over a range of its own.
        source: Name of the input to compare with, instead of `reference`.
        field: Where the text is; empty for the whole value.

    Raises:
        ConfigError: Not exactly one of `reference` and `source`, or a threshold
            outside of -1 to 1.
    """
    if bool(reference) == bool(source):
        wrong("similar_to", "give either `reference` or `source`")
    if not -1 <= threshold <= 1:
        wrong("similar_to", f"`threshold` is {threshold!r}; a cosine is from -1 to 1")
    known: dict[str, Sequence[float]] = {}

    def near(value: object, inputs: Mapping[str, object]) -> str | bool:
        text = as_text(value)
        if reference and reference not in known:
            known[reference] = embed(reference)
        other = known[reference] if reference else embed(as_text(inputs[source]))
        score = _cosine(embed(text), other)
        # Written so that a NaN fails.
        return score >= threshold or (
            f"must be nearer in meaning to {show(reference or source)}: "
            f"its similarity is {score:.3f}, and {threshold:g} is needed"
        )

    return build(
        "similar_to",
        near,
        field=field,
        options={
            "reference": reference,
            "source": source,
            "threshold": threshold,
            "embed": embed,
        },
        types=STRINGS,
        inputs=[source] if source else [],
    )


def _cosine(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the cosine between two vectors; NaN when one has no length."""
    dot = sum(float(a) * float(b) for a, b in zip(first, second, strict=True))
    size = math.hypot(*map(float, first)) * math.hypot(*map(float, second))
    return dot / size if size else math.nan

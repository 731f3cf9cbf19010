"""A post-mortem as Markdown, with room for what people learnt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from ._gather import PostMortem
from ._measures import Measure

__all__ = ["headline", "moment", "share", "to_markdown"]

QUESTIONS = (
    "What did users notice?",
    "Which gate should have seen it, or which one did?",
    "What do we change: a case in the suite, a check in the contract, an objective?",
)


def moment(at: float | None) -> str:
    """Return a time people can read, in UTC."""
    if at is None:
        return "still"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def share(counted: tuple[int, int], span: tuple[float, float]) -> str:
    """Return a share with its interval: `3 of 120, 2.50 % (0.9 to 7.1)`."""
    bad, total = counted
    if not total:
        return "no events"
    low, high = (100 * one for one in span)
    return f"{bad} of {total}, {100 * bad / total:.2f} % ({low:.1f} to {high:.1f})"


def change(one: Measure) -> str:
    """Return the interval of the difference in points, with the verdict."""
    if one.change is None:
        return one.verdict
    low, high = (100 * end for end in one.change)
    return f"{low:+.2f} to {high:+.2f} points: {one.verdict}"


def headline(found: PostMortem) -> str:
    """Say how it went in one or two sentences."""
    upgrade = found.upgrade
    who = "by itself" if upgrade.automatic else "by a person"
    ends = {
        "rolled back": f"was rolled back {who} at {moment(upgrade.ended)}",
        "quarantined": f"was quarantined {who} at {moment(upgrade.ended)}",
        "replaced": f"served until {moment(upgrade.ended)}, when another replaced it",
        "retired": f"was retired at {moment(upgrade.ended)}",
        "serving": "serves",
        "canary": "is a canary",
    }
    text = f"{upgrade.pin} {ends[upgrade.end]}; {found.calls} calls asked it first."
    if found.detected is not None:
        text += f" The first sign came after {found.calls_to_detection} calls"
        seconds = found.seconds_to_end
        if seconds is not None and seconds >= 0 and not upgrade.smooth:
            text += f", the end {seconds:.1f} s later"
        text += "."
    if found.slices and not upgrade.smooth:
        text += f" The evidence names: {', '.join(found.slices)}."
    return text


def to_markdown(found: PostMortem) -> str:
    """Return the document; its last section is for people."""
    upgrade = found.upgrade
    title = "Post-mortem" if not upgrade.smooth else "Upgrade review"
    lines = [
        f"# {title}: {upgrade.route} in {upgrade.env}, upgrade {upgrade.number}",
        "",
        headline(found),
        "",
        "| | |",
        "|---|---|",
        f"| version | `{upgrade.pin}` |",
        f"| before it | `{upgrade.incumbent or 'none'}` |",
        f"| owner | {_cell(found.owner) or 'nobody named'} |",
        f"| users met it | {moment(upgrade.exposed)} |",
        f"| until | {moment(upgrade.ended)} ({upgrade.end}) |",
        f"| ledger | {upgrade.revisions} |",
        "",
        "## What changed",
        "",
        *_changes(found),
        "",
        "## Before and after",
        "",
        *_measures(found),
        "",
        "## Timeline",
        "",
        *(
            f"- {moment(one.at)} **{one.kind}** {_cell(one.text)}"
            for one in found.moments
        ),
        "",
        "## Examples",
        "",
        *_examples(found),
        "",
        "## What we learnt",
        "",
        *(f"- {question} _(to be written)_" for question in QUESTIONS),
        "",
        (
            f"_Written from the record at {moment(found.written)} by_ "
            f"`llmguard postmortem {upgrade.route} --upgrade {upgrade.number}`."
        ),
        "",
    ]
    return "\n".join(lines)


def _changes(found: PostMortem) -> Iterator[str]:
    if found.changes is None:
        yield "`models.lock` no longer has both versions, so their pins are not known."
        return
    yield "| field | before | after |"
    yield "|---|---|---|"
    for one in found.changes:
        yield f"| `{one.name}` | {_code(one.before)} | {_code(one.after)} |"


def _measures(found: PostMortem) -> Iterator[str]:
    if not found.measures:
        yield "No call of either version was counted in this store."
        return
    yield "| share of | before | after | change, 95 % |"
    yield "|---|---|---|---|"
    for one in found.measures:
        before = share(one.before, one.before_range)
        after = share(one.after, one.after_range)
        yield f"| {one.name} | {before} | {after} | {change(one)} |"
    yield ""
    yield (
        "Before is the earlier version in the time before users met the new one: what "
        "else changed in between changed the figures too."
    )


def _examples(found: PostMortem) -> Iterator[str]:
    if not found.examples:
        yield (
            "None: a shadow run keeps pairs (`llmguard shadow`), and what was said "
            "only where content is kept."
        )
        return
    for one in found.examples:
        where = f" in {_cell(one.stratum)}" if one.stratum else ""
        yield f"- {moment(one.at)}{where}: {_cell(one.direction)} (rung {one.rung})"
        if one.content is not None:
            yield f"  {_code(one.content)}"


def _cell(text: str) -> str:
    """Return text that stays in its cell and mentions nobody."""
    plain = " ".join(text.split())
    return plain.replace("|", r"\|").replace("<", "&lt;").replace("@", "@\u200b")


def _code(text: str) -> str:
    if not text:
        return "-"
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    plain = " ".join(text.split()).replace("|", r"\|")
    return f"{fence}{pad}{plain}{pad}{fence}"

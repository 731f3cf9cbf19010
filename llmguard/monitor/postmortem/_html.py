"""A post-mortem as one page that opens offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ._gather import PostMortem
from ._markdown import QUESTIONS, change, headline, moment, share

__all__ = ["to_html"]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #b3261e; --good: #1b7f3b; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem;
  border-bottom: 1px solid var(--line); }
code { overflow-wrap: anywhere; }
.worse { color: var(--bad); font-weight: 600; }
.better { color: var(--good); font-weight: 600; }
time { white-space: nowrap; color: #777; }
textarea { width: 100%; min-height: 4rem; font: inherit; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #7bd88f; } }
"""


def to_html(found: PostMortem) -> str:
    """Return the page: nothing is loaded, and nothing a model wrote is markup."""
    upgrade = found.upgrade
    title = "Post-mortem" if not upgrade.smooth else "Upgrade review"
    name = f"{title}: {upgrade.route} in {upgrade.env}, upgrade {upgrade.number}"
    facts = [
        ("version", upgrade.pin),
        ("before it", upgrade.incumbent or "none"),
        ("owner", found.owner or "nobody named"),
        ("users met it", moment(upgrade.exposed)),
        ("until", f"{moment(upgrade.ended)} ({upgrade.end})"),
        ("ledger", upgrade.revisions),
    ]
    return "".join(
        [
            "<!doctype html>\n<html lang=en><head><meta charset=utf-8>",
            "<meta name=viewport content='width=device-width, initial-scale=1'>",
            f"<title>{escape(name)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(name)}</h1><p>{escape(headline(found))}</p>",
            _table((), facts),
            "<h2>What changed</h2>",
            _changes(found),
            "<h2>Before and after</h2>",
            _measures(found),
            "<h2>Timeline</h2>",
            _timeline(found),
            "<h2>Examples</h2>",
            _examples(found),
            "<h2>What we learnt</h2><ul>",
            *(f"<li>{escape(question)}</li>" for question in QUESTIONS),
            "</ul><p><textarea aria-label='What we learnt'></textarea></p>",
            f"<p><small>Written from the record at {moment(found.written)}.",
            "</small></p>",
            "</body></html>\n",
        ]
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        for row in rows
    )
    return f"<table>{f'<tr>{top}</tr>' if top else ''}{body}</table>"


def _changes(found: PostMortem) -> str:
    if found.changes is None:
        return "<p>The lock no longer has both versions; their pins are not known.</p>"
    rows = [(one.name, one.before or "-", one.after or "-") for one in found.changes]
    return _table(("field", "before", "after"), rows)


def _measures(found: PostMortem) -> str:
    if not found.measures:
        return "<p>No call of either version was counted in this store.</p>"
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td>"
        f"<td>{escape(share(one.before, one.before_range))}</td>"
        f"<td>{escape(share(one.after, one.after_range))}</td>"
        f"<td class='{escape(one.verdict.split()[0])}'>{escape(change(one))}</td></tr>"
        for one in found.measures
    )
    head = (
        "<tr><th>share of</th><th>before</th><th>after</th><th>change, 95 %</th></tr>"
    )
    return f"<table>{head}{rows}</table>"


def _timeline(found: PostMortem) -> str:
    rows = "".join(
        f"<tr><td><time>{moment(one.at)}</time></td><td>{escape(one.kind)}</td>"
        f"<td>{escape(one.text)}</td></tr>"
        for one in found.moments
    )
    return f"<table>{rows}</table>"


def _examples(found: PostMortem) -> str:
    if not found.examples:
        return "<p>None were captured.</p>"
    return _table(
        ("when", "slice", "direction", "rung", "content"),
        [
            (
                moment(one.at),
                one.stratum or "-",
                one.direction,
                str(one.rung),
                one.content or "not captured",
            )
            for one in found.examples
        ],
    )

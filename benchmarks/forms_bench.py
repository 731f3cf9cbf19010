"""How much of JSONSchemaBench a form shows without a box of JSON, and how exactly.

Usage: python benchmarks/forms_bench.py [--quick] [--json FILE]

Every instance of the sample (`$LLMGUARD_TEST_DATA/jsonschemabench/sample.jsonl.gz`),
valid or not, is written as a form's post and read back. It survives exactly, or is
refused with a reason, or was altered: the last must be none. A schema needs no box when
no field that can be reached does (`not`, `if` and dependencies only judge values, which
is the contract's part); an instance needs none when its own form has none.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmguard_fallbacks.forms import decode, fill
from llmguard_fallbacks.forms._shapes import (
    Choice,
    Items,
    Planner,
    Raw,
    Record,
    Shape,
)
from llmguard_fallbacks.forms._text import same

DATA = Path(
    os.environ.get("LLMGUARD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")
)
SAMPLE = DATA / "jsonschemabench" / "sample.jsonl.gz"
MOST = 3_000
"""Shapes looked at per schema; one with more is counted as needing a box."""


def below(shape: Shape) -> Iterator[object]:
    """Yield the schemas of what a shape holds."""
    if isinstance(shape, Record):
        yield from shape.members.values()
        if shape.further is not None:
            yield shape.further
    elif isinstance(shape, Items):
        yield from shape.first
        if shape.rest is not None:
            yield shape.rest
    elif isinstance(shape, Choice):
        yield from shape.branches


def boxless(schema: object) -> bool:
    """Say whether no field of a schema's form is a box of JSON."""
    planner = Planner(schema)
    todo: list[object] = [schema]
    seen: dict[int, object] = {}
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        shape = planner.shape(node)
        if isinstance(shape, Raw) or len(seen) > MOST:
            return False
        todo.extend(below(shape))
    return True


def outcome(schema: object, value: Any) -> tuple[str, bool]:
    """Return what becomes of one instance, and whether its form has no box."""
    try:
        form = fill(schema, value, draft=False)
        found = decode(schema, form.pairs())
    except ValueError:
        return "refused", False
    if found.errors:
        return "refused", False
    exact = same(found.value, value)
    return ("exact" if exact else "altered"), not form.json_boxes


def measure(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Count, set by set."""
    sets: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        for count in (sets[record["set"]], sets["all"]):
            count["schemas"] += 1
        plain = boxless(record["schema"])
        for test in record["tests"]:
            kind = "valid" if test["valid"] else "invalid"
            what, clear = outcome(record["schema"], test["data"])
            for count in (sets[record["set"]], sets["all"]):
                count[kind] += 1
                count[f"{kind}_{what}"] += 1
                count[f"{kind}_boxless"] += clear
        for count in (sets[record["set"]], sets["all"]):
            count["schemas_boxless"] += plain
    return {name: dict(count) for name, count in sorted(sets.items())}


def lines(found: dict[str, dict[str, int]]) -> Iterator[str]:
    """Yield a table."""
    yield f"{'set':16} {'schemas':>7} {'no box':>7} {'valid':>6} {'no box':>7}"
    yield f"{'':32} then exact/refused/altered: valid, invalid"
    for name, row in found.items():
        valid, invalid = row.get("valid", 0), row.get("invalid", 0)
        first = row["schemas_boxless"] / row["schemas"]
        second = row.get("valid_boxless", 0) / valid if valid else float("nan")
        kinds = ("exact", "refused", "altered")
        ends = ["/".join(str(row.get(f"{k}_{o}", 0)) for o in kinds) for k in KINDS]
        yield (
            f"{name:16} {row['schemas']:7} {first:7.0%} {valid:6} {second:7.0%} "
            f"{ends[0]:>14} {ends[1]:>14} of {invalid}"
        )


KINDS = ("valid", "invalid")


def main() -> None:
    """Read the sample, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    given, _ = parser.parse_known_args()
    if not SAMPLE.exists():
        sys.stdout.write("skipped: no sample; set `LLMGUARD_TEST_DATA`\n")
        return
    with gzip.open(SAMPLE, "rt") as stream:
        records = [json.loads(line) for line in stream]
    found = measure(records[::20] if given.quick else records)
    print("\n".join(lines(found)))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Real schemas through every engine: what compiles, and what the answers are worth."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import statistics
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import jsonschema
from _constrained_child import Child
from _measure import table

__all__ = ["Rows", "records", "shared", "show", "survey"]

DATA: Final = (
    Path(
        os.environ.get("LLMGUARD_TEST_DATA")
        or Path(__file__).parents[2] / "shared" / "data"
    )
    / "jsonschemabench"
    / "sample.jsonl.gz"
)
COMPILE_LIMIT: Final = 5.0
"""CPU seconds."""
ANSWER_LIMIT: Final = 20.0
"""CPU seconds."""
TOKENS: Final = 1024
"""Most tokens of an answer, half of the context: for every engine alike."""
PROMPT: Final = "Write one JSON document.\n"
ENDS: Final = (
    "valid",
    "formats only",
    "invalid",
    "not JSON",
    "truncated",
    "no answer",
    "crashed",
    "timed out",
)
"""What can become of an answer; `no answer` is an error that the caller gets."""


def records(count: int) -> list[dict[str, Any]]:
    """Return schemas of the sample of JSONSchemaBench (Geng et al. 2025)."""
    if not DATA.exists():
        print(f"no schemas at {DATA}: set `LLMGUARD_TEST_DATA`; coverage is skipped")
        return []
    with gzip.open(DATA, "rt") as stream:
        found = [json.loads(line) for line in stream]
    random.Random(11).shuffle(found)
    return found[:count]


class Rows:
    """What has been found so far, line by line in a file, so that a run can go on.

    Args:
        path: The file; None keeps the rows in memory alone.
        title: Names the model.
    """

    def __init__(self, path: Path | None, title: str) -> None:
        self._path, self._title = path, title
        self._found: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._lock = threading.Lock()
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                self._found[row["model"], row["engine"], row["name"]] = row

    def get(self, engine: str, name: str) -> dict[str, Any] | None:
        """Return a row of an earlier run."""
        return self._found.get((self._title, engine, name))

    def engines(self) -> dict[str, list[dict[str, Any]]]:
        """Return all rows of this model by engine."""
        found: dict[str, list[dict[str, Any]]] = {}
        for (title, engine, _), row in self._found.items():
            if title == self._title:
                found.setdefault(engine, []).append(row)
        return found

    def add(self, engine: str, row: Mapping[str, Any]) -> None:
        """Keep a row, on disk before the next one begins."""
        if self._path is None:
            return
        whole = {"model": self._title, "engine": engine, **row}
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps(whole) + "\n")


def shared(
    rows: Mapping[str, list[dict[str, Any]]],
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the schemas that every engine has come to."""
    names = [{row["name"] for row in each} for each in rows.values()]
    common = set[str]().union(*names).intersection(*names)
    return {e: [r for r in each if r["name"] in common] for e, each in rows.items()}


def survey(
    children: Mapping[str, Child],
    chosen: Sequence[Mapping[str, Any]],
    *,
    known: Rows,
) -> dict[str, list[dict[str, Any]]]:
    """Compile and answer every schema with every engine at once.

    Rows that an earlier run has left are taken as they are.
    """

    def run(engine: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for number, record in enumerate(chosen):
            row = known.get(engine, record["name"])
            if row is None:
                row = _row(children[engine], record, number)
                known.add(engine, row)
            rows.append(row)
        return rows

    with ThreadPoolExecutor(max_workers=len(children)) as pool:
        return dict(zip(children, pool.map(run, children), strict=True))


def _row(child: Child, record: Mapping[str, Any], number: int) -> dict[str, Any]:
    row = _compile(child, record)
    if row["end"] == "ok" and not child.about.get("compile_only"):
        row["answer"] = _answer(child, record["schema"], number)
    return row


def _compile(child: Child, record: Mapping[str, Any]) -> dict[str, Any]:
    task = {"do": "compile", "schema": record["schema"]}
    return {"name": record["name"], **child.ask(task, limit=COMPILE_LIMIT)}


def _answer(child: Child, schema: Any, seed: int) -> dict[str, Any]:
    task = {
        "do": "generate",
        "schema": schema,
        "prompt": PROMPT,
        "seed": seed,
        "temperature": 1.0,
        "max_tokens": TOKENS,
    }
    # Engines that compile again for the answer get the time for it.
    found = child.ask(task, limit=ANSWER_LIMIT + COMPILE_LIMIT)
    return {**found, "end": judge(found, schema)}


def judge(found: Mapping[str, Any], schema: Any) -> str:
    """Say which of `ENDS` an answer came to, by `jsonschema` and nothing else."""
    if found["end"] in ("crashed", "timed out"):
        return str(found["end"])
    if found.get("finish") in ("length", "truncated"):
        return "truncated"
    if "text" not in found:
        return "no answer"
    try:
        value = json.loads(found["text"])
    except ValueError:
        return "not JSON"
    kind = jsonschema.validators.validator_for(
        schema, default=jsonschema.Draft202012Validator
    )
    if not kind(schema).is_valid(value):
        return "invalid"
    strict = kind(schema, format_checker=kind.FORMAT_CHECKER)
    return "valid" if strict.is_valid(value) else "formats only"


# --- what is printed


def show(title: str, rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Print the tables of one model; return their figures."""
    compiled = {name: _compiled(each) for name, each in rows.items()}
    head = ["engine", "schemas", *next(iter(compiled.values()))]
    lines = [[n, len(rows[n]), *f.values()] for n, f in compiled.items()]
    table(f"{title}: compiling (CPU ms; limit {COMPILE_LIMIT:g} s)", head, lines)
    answered = {name: _answered(each) for name, each in rows.items()}
    head = ["engine", *next(iter(answered.values()))]
    lines = [[n, *f.values()] for n, f in answered.items()]
    table(
        f"{title}: answers (temperature 1, at most {TOKENS} tokens, CPU ms; limit "
        f"{ANSWER_LIMIT:g} s)",
        head,
        lines,
    )
    reasons = {name: _reasons(each) for name, each in rows.items()}
    for name, found in reasons.items():
        for line in found:
            print(f"  {name}: {line}")
    return {
        name: {
            "compiling": compiled[name],
            "answers": answered[name],
            "reasons": reasons[name],
            "failed": _failed(rows[name]),
        }
        for name in rows
    }


def _compiled(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    ends = Counter(row["end"] for row in rows)
    times = [1e3 * row["compile_s"] for row in rows if row["end"] == "ok"]
    return {
        "compiled": ends["ok"],
        "refused": ends["refused"],
        "crashed": ends["crashed"],
        "timed out": ends["timed out"],
        "checked later": sum(bool(row.get("checked_later")) for row in rows),
        "median": _quantile(times, 50),
        "90 %": _quantile(times, 90),
        "99 %": _quantile(times, 99),
    }


def _answered(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = [row["answer"] for row in rows if "answer" in row]
    ends = Counter(each["end"] for each in found)
    good = [each for each in found if each["end"] == "valid"]
    times = [1e3 * each["cpu"] for each in good]
    tokens = sum(each["tokens"] for each in good)
    return {
        "asked": len(found),
        **{end: ends[end] for end in ENDS},
        "ms a valid one": _quantile(times, 50),
        "90 %": _quantile(times, 90),
        "ms a token": sum(times) / tokens if tokens else "-",
    }


def _quantile(values: Sequence[float], percent: int) -> float | str:
    if len(values) < 2:
        return values[0] if values else "-"
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _reasons(rows: Sequence[Mapping[str, Any]], *, most: int = 6) -> list[str]:
    """Return why schemas did not compile or gave no answer, the commonest first."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        for what, each in (("schema", row), ("answer", row.get("answer", {}))):
            if "why" in each:
                words = re.sub(r"['\"`{(\[].*|\d+", "..", each["why"])[:70]
                key = f"{what} {each['end']}: {words}"
                groups.setdefault(key, []).append(row["name"])
    ranked = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [f"{len(names)} x {key} (as {names[0]})" for key, names in ranked[:most]]


def _failed(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return every schema and answer that did not come out well, for a second look."""
    found: list[dict[str, str]] = []
    for number, row in enumerate(rows):
        for what, each in (("schema", row), ("answer", row.get("answer", {}))):
            if each.get("end", "valid") not in ("ok", "valid"):
                why = str(each.get("why", each.get("text", "")))[:200]
                about = {"name": row["name"], "seed": str(number), "what": what}
                found.append({**about, "end": each["end"], "why": why})
    return found

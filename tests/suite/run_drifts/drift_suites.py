"""Contracts for recorded model versions that really changed; named on command lines.

Every recording holds one answer per prompt (five for the A/A set), so that a version
is one round of replayed answers, and most claims are about the traffic that the
prompts are a sample of.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from llmguard import INJECTED, Model, pinned
from llmguard.pins import Pin
from llmguard.suite import Case, Sample, Suite
from llmguard.suite.expect import custom

DATA = Path(
    os.environ.get("LLMGUARD_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")
)


def lines(name: str) -> Iterator[dict[str, Any]]:
    """Yield the records of a file."""
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def cases_of(name: str, slice_of: Callable[[str], str] = lambda _: "") -> Any:
    """Return what reads the prompts of a task as cases."""

    def read() -> list[Case]:
        return [
            Case(
                id=one["prompt_id"],
                inputs={"prompt": one.get("prompt") or one["question"]},
                expected=one.get("ref"),
                has_expected=one.get("ref") is not None,
                slice=slice_of(one["prompt_id"]),
            )
            for one in lines(f"{name}.prompts".replace("/.", "/"))
        ]

    return read


def labels(name: str, key: str) -> dict[tuple[str, str], Any]:
    """Return what upstream judged, by prompt and output, of every version of a task."""
    found: dict[tuple[str, str], Any] = {}
    for path in sorted(DATA.glob(f"{name}.outputs.*.jsonl.gz")):
        for one in lines(f"{path.relative_to(DATA)}".removesuffix(".jsonl.gz")):
            found[one["prompt_id"], one["output"]] = one["labels"].get(key)
    return found


def labelled(name: str, key: str) -> Callable[[Case, Sample], bool]:
    """Return a judge that says what upstream said of this very output."""
    known: dict[tuple[str, str], Any] = {}

    def judge(case: Case, sample: Sample) -> bool:
        if not known:
            known.update(labels(name, key))
        return bool(known[case.id, sample.text or ""])

    return judge


def incumbent(name: str) -> Pin:
    """Return the version that was running: a recording."""
    return Pin(
        route="drift",
        provider="replay",
        model=str(DATA / f"{name}.jsonl.gz"),
        version_class="immutable",
        options={"exhausted": "error"},
        expect_echo=("*",),
    )


@pinned(incumbent("llmdrift/opinionqa.outputs.gpt-4-0314"))
async def survey(prompt: str, *, model: Model = INJECTED) -> str:
    """Choose the option of a survey."""
    return await model.acomplete(prompt)


@pinned(incumbent("llmdrift/prime.outputs.gpt-4-0314"))
async def prime(prompt: str, *, model: Model = INJECTED) -> str:
    """Say whether a number is prime."""
    return await model.acomplete(prompt)


@pinned(incumbent("llmdrift/sensitiveq.outputs.gpt-4-0314"))
def sensitive(prompt: str, *, model: Model = INJECTED) -> str:
    """Answer a question that most decline."""
    return model.complete(prompt)


@pinned(incumbent("llmdrift/leetcode_easy.outputs.gpt-4-0314"))
async def code(prompt: str, *, model: Model = INJECTED) -> str:
    """Solve a programming task."""
    return await model.acomplete(prompt)


@pinned(incumbent("zeroeval/gsm.outputs.claude-3-5-sonnet-20240620"))
async def word_problem(prompt: str, *, model: Model = INJECTED) -> str:
    """Solve a word problem, answering in JSON."""
    return await model.acomplete(prompt)


def says(pattern: str) -> Callable[[Case, Sample], bool]:
    """Return a judge that looks for a pattern."""
    found = re.compile(pattern)
    return lambda _, sample: bool(found.search(sample.text or ""))


def _right(case: Case, sample: Sample) -> bool:
    said = re.findall(r"\[(yes|no)\]", (sample.text or "").lower())
    return bool(said) and said[-1] == str(case.expected).lower()


def _lenient(_: Case, sample: Sample) -> bool:
    """Accept a JSON object with the two keys, fenced or not, raw newlines allowed."""
    text = (sample.text or "").strip()
    fenced = re.search(r"```(?:json)?\s*(.*?)\s*```", text, re.DOTALL)
    try:
        found = json.loads(fenced.group(1) if fenced else text, strict=False)
    except ValueError:
        return False
    return isinstance(found, dict) and {"reasoning", "answer"} == found.keys()


def _raw(_: Case, sample: Sample) -> bool:
    try:
        return isinstance(json.loads(sample.text or ""), dict)
    except ValueError:
        return False


opinionqa = Suite(
    "opinionqa",
    survey,
    cases=cases_of("llmdrift/opinionqa"),
    assertions=[
        custom(
            "responds",
            labelled("llmdrift/opinionqa", "responded"),
            tolerate=0.05,
            unacceptable=0.10,
        )
    ],
    scope="traffic",
    min_rounds=1,
    cap=1,
)

primes = Suite(
    "primes",
    prime,
    cases=cases_of("llmdrift/prime", lambda key: key.split("/")[1].split("-")[0]),
    assertions=[custom("right", _right, tolerate=0.20, unacceptable=0.30)],
    scope="traffic",
    min_rounds=1,
    cap=1,
)

primes_paired = primes.replace(
    name="primes-paired",
    assertions=[
        custom("right", _right, relative=True, tolerate=0.0, unacceptable=0.05)
    ],
)

sensitiveq = Suite(
    "sensitiveq",
    sensitive,
    cases=cases_of("llmdrift/sensitiveq"),
    assertions=[
        custom(
            "answers",
            labelled("llmdrift/sensitiveq", "answered_upstream"),
            relative=True,
            tolerate=0.0,
            unacceptable=0.1,
        )
    ],
    scope="traffic",
    min_rounds=1,
    cap=1,
)

leetcode = Suite(
    "leetcode",
    code,
    cases=cases_of("llmdrift/leetcode_easy"),
    assertions=[
        custom(
            "no fence",
            lambda _, sample: "```" not in (sample.text or ""),
            relative=True,
            tolerate=0.0,
            unacceptable=0.2,
        ),
        custom(
            "runs as it is",
            labelled("llmdrift/leetcode_easy", "directly_executable_upstream"),
            relative=True,
            tolerate=0.0,
            unacceptable=0.2,
        ),
        custom(
            "accepted without the fence",
            labelled("llmdrift/leetcode_easy", "accepted_after_fence_strip_upstream"),
            relative=True,
            tolerate=0.0,
            unacceptable=0.2,
        ),
    ],
    scope="traffic",
    min_rounds=1,
    cap=1,
)

gsm_fence = Suite(
    "gsm-fence",
    word_problem,
    cases=cases_of("zeroeval/gsm"),
    assertions=[custom("fenced", says("```"), tolerate=0.005, unacceptable=0.02)],
    scope="traffic",
    min_rounds=1,
    cap=1,
)

gsm_json = gsm_fence.replace(
    name="gsm-json",
    assertions=[custom("json", _lenient, tolerate=0.005, unacceptable=0.02)],
)

gsm_raw = gsm_fence.replace(
    name="gsm-raw",
    assertions=[custom("raw json", _raw, tolerate=0.005, unacceptable=0.02)],
)


def _chosen(case: Case, sample: Sample) -> bool:
    return json.loads(sample.text or "{}").get("Answer") == case.expected


def _stability(task: str, alpha: float) -> Suite:
    """Return the A/A suite of a task; both versions are named on the command line."""
    return Suite(
        task,
        word_problem,
        cases=cases_of(f"llm-stability/{task}"),
        assertions=[
            custom("right", _chosen, relative=True, tolerate=0.0, unacceptable=0.1)
        ],
        scope="traffic",
        alpha=alpha,
        min_rounds=1,
        cap=1,
    )


TASKS = ("ruin_names", "navigate", "professional_accounting", "public_relations")
stability = SimpleNamespace(**{task: _stability(task, 0.01) for task in TASKS})
stability_5 = SimpleNamespace(**{task: _stability(task, 0.05) for task in TASKS})

chat = Suite(
    "chat",
    word_problem,
    cases=cases_of("alpaca-eval/"),
    assertions=[
        custom(name, judge, relative=True, tolerate=0.0, unacceptable=0.1)
        for name, judge in {
            "no fence": lambda _, sample: "```" not in (sample.text or ""),
            "no list": lambda _, sample: (
                not re.search(r"^\s*(?:[-*]|\d+\.) ", sample.text or "", re.MULTILINE)
            ),
            "short": lambda _, sample: len(sample.text or "") < 1500,
        }.items()
    ],
    scope="traffic",
    min_rounds=1,
    cap=1,
)

"""How many calls suites take, and how often they are wrong: seeded simulations.

Run `python benchmarks/suite_bench.py`; `--quick` simulates few runs. Beside the
sequential decision: the plan "50 times each prompt", the smallest exact fixed sample,
and a group-sequential plan with five looks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from _measure import machine, options, report, table
from _suite_sim import (
    ACCEPTED,
    BLOCKED,
    OPEN,
    End,
    hot,
    naive_blocks,
    same_verdicts,
    simulate,
    spread,
)

from llmguard.suite.stats import (
    Decider,
    Design,
    Rule,
    Scenario,
    expect_calls,
    fixed_plan,
    group_plan,
)

PROMPTS: Final = 40
ICC: Final = 0.3
FIXED_N: Final = 50 * PROMPTS
SIX: Final = {
    "schema": (0.005, 0.02),
    "format": (0.01, 0.05),
    "refusal": (0.05, 0.15),
    "range": (0.01, 0.05),
    "sentiment": (0.02, 0.08),
    "length": (0.05, 0.12),
}


def _rule(rates: tuple[float, float], *, relative: bool = False) -> Rule:
    low, high = rates
    return Rule(name="r", tolerate=low, unacceptable=high, relative=relative)


def one_assertion(runs: int) -> Sequence[Sequence[Any]]:
    """Calls of one rule (alpha 1 %, beta 5 %) beside the other plans."""
    truths = {
        (0.005, 0.02): (0.0005, 0.005, 0.02, 0.05, 0.2),
        (0.005, 0.05): (0.005, 0.05),
        (0.05, 0.10): (0.05, 0.10, 0.25),
        (0.05, 0.25): (0.05, 0.25),
    }
    rows = []
    for rates, trues in truths.items():
        fixed = fixed_plan(*rates, alpha=0.01, beta=0.05)
        most = max(1000, fixed.n) if rates == (0.005, 0.02) else round(1.3 * fixed.n)
        group = group_plan(*rates, alpha=0.01, beta=0.05, most=most)
        for truth in trues:
            drawn = spread(np.random.default_rng(1), truth, ICC, runs, PROMPTS)
            end = simulate(_rule(rates), drawn, seed=2)
            group_calls = group.expect(truth)[0]
            rows.append(
                [
                    _gap(rates),
                    _percent(truth),
                    FIXED_N,
                    fixed.n,
                    round(group_calls),
                    *_calls(end),
                ]
            )
    return rows


def relative(runs: int) -> Sequence[Sequence[Any]]:
    """Pairs of calls that a margin over the incumbent takes."""
    rows = []
    for incumbent, margin in ((0.05, 0.05), (0.005, 0.02), (0.25, 0.05)):
        shape = spread(np.random.default_rng(1), incumbent, ICC, runs, PROMPTS)
        for worse in sorted({0.0, margin, 0.1, 0.2}):
            # The same prompts are hard for both; the candidate adds its own failures.
            rates = shape + (1 - shape) * worse / (1 - incumbent)
            rule = _rule((0.0, margin), relative=True)
            end = simulate(rule, rates, seed=2, base=shape)
            name = f"{_percent(incumbent)}, margin {_percent(margin)}"
            rows.append([name, f"+{_percent(worse)}", *_calls(end)])
    return rows


def whole_suite(runs: int) -> Sequence[Sequence[Any]]:
    """Six rules on 40 prompts: 1 % false blocks for all together, 5 % each way back."""
    clean = {name: low / 3 for name, (low, _) in SIX.items()}
    truths: dict[str, Mapping[str, float]] = {
        "clean: a third of what is tolerated": {},
        "every rate exactly tolerated": {name: low for name, (low, _) in SIX.items()},
        "2 % schema failures": {"schema": 0.02},
        "5 % schema failures": {"schema": 0.05},
        "20 % schema failures": {"schema": 0.2},
    }
    rows = []
    for name, truth in truths.items():
        ends = []
        for seed, (rule, rates) in enumerate(SIX.items()):
            rate = {**clean, **truth}[rule]
            drawn = spread(np.random.default_rng(seed), rate, ICC, runs, PROMPTS)
            ends.append(simulate(_rule(rates), drawn, seed=seed + 9, alpha=0.01 / 6))
        rows.append([name, FIXED_N, *_calls(_together(ends))])
    return rows


def _together(ends: Sequence[End]) -> End:
    """The first block ends a suite; else the last acceptance does."""
    status = np.array([end.status for end in ends])
    calls = np.array([end.calls for end in ends])
    blocks = np.where(status == BLOCKED, calls, np.iinfo(np.int64).max).min(axis=0)
    accepted = (status == ACCEPTED).all(axis=0)
    any_block = (status == BLOCKED).any(axis=0)
    return End(
        np.where(any_block, BLOCKED, np.where(accepted, ACCEPTED, OPEN)),
        np.where(any_block, blocks, calls.max(axis=0)),
    )


def errors(runs: int) -> Sequence[Sequence[Any]]:
    """Wrong verdicts at the edges, nominal 1 % and 5 %, over 50 rounds."""
    rows = []
    for rates in ((0.005, 0.02), (0.05, 0.10)):
        for name, icc in (("0", 0.0), ("0.3", 0.3), ("0.7", 0.7), ("hot prompt", -1.0)):
            fine, broken = (
                hot(rate, runs, PROMPTS)
                if icc < 0
                else spread(np.random.default_rng(5), rate, icc, runs, PROMPTS)
                for rate in rates
            )
            rule = _rule(rates)
            few = fine[: max(runs // 4, 50)]
            rows.append(
                [
                    _gap(rates),
                    name,
                    _percent(simulate(rule, fine, seed=6).share(BLOCKED)),
                    _percent(
                        simulate(rule, fine, seed=6, shuffled=False).share(BLOCKED)
                    ),
                    _percent(naive_blocks(rule, few, seed=6, shuffled=True)),
                    _percent(naive_blocks(rule, few, seed=6, shuffled=False)),
                    _percent(simulate(rule, broken, seed=7).share(ACCEPTED)),
                ]
            )
    return rows


def single_prompts(runs: int) -> Sequence[Sequence[Any]]:
    """The rule about every prompt (5 % / 25 %), by the decider itself."""
    worst = Rule(name="worst", tolerate=0.05, unacceptable=0.25, per_prompt=True)
    rows = []
    for name, rate in (("clean, 0.5 % each", 0.005), ("5 % each", 0.05)):
        scenario = Scenario(name=name, rates={"worst": rate}, icc=0.0)
        found = expect_calls([worst], scenario, Design(cases=PROMPTS), runs=runs)
        shares = [_percent(share) for share in found.verdicts.values()]
        rows.append([name, round(found.mean), found.p90, *shares])
    return rows


def cost_per_feed() -> Mapping[str, float]:
    """Microseconds that the decider takes for one outcome of one rule."""
    rules = [
        Rule(name=name, tolerate=low, unacceptable=high)
        for name, (low, high) in SIX.items()
    ]
    rng = np.random.default_rng(3)
    best = float("inf")
    for _ in range(5):
        decider = Decider(rules, cases=PROMPTS, alpha=1e-300, beta=1e-300)
        failed = rng.random((50, PROMPTS, len(rules))) < 0.01
        began = time.process_time()
        for round_ in failed:
            for case, row in enumerate(round_):
                for rule, bad in zip(rules, row, strict=True):
                    decider.feed(rule.name, str(case), bool(bad))
            decider.end_round()
        best = min(best, time.process_time() - began)
    return {"us_per_feed": best / failed.size * 1e6}


def checked(runs: int) -> Mapping[str, int]:
    """Compare the arrays with the decider, call by call; raises if they differ."""
    for rule, rate, base in (
        (_rule((0.005, 0.02)), 0.01, None),
        (_rule((0.05, 0.10)), 0.08, None),
        (_rule((0.0, 0.05), relative=True), 0.1, 0.05),
    ):
        drawn = spread(np.random.default_rng(8), rate, ICC, runs, PROMPTS)
        incumbent = None
        if base:
            incumbent = spread(np.random.default_rng(8), base, ICC, runs, PROMPTS)
        agree = same_verdicts(rule, drawn, incumbent, seed=9)
        if agree != runs:
            raise SystemExit(f"{rule}: {runs - agree} of {runs} runs differ")
    return {"runs": 3 * runs, "agree": 3 * runs}


def _calls(end: End) -> list[Any]:
    return [
        round(float(end.calls.mean())),
        round(float(np.quantile(end.calls, 0.9))),
        _percent(end.share(ACCEPTED)),
        _percent(end.share(BLOCKED)),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _gap(rates: tuple[float, float]) -> str:
    return f"{100 * rates[0]:g} / {100 * rates[1]:g} %"


ENDS: Final = ["mean calls", "p90", "accepted", "blocked"]
TABLES: Final = {
    "one_assertion": (
        one_assertion,
        ["rates", "truth", "50 each", "fixed n", "group seq.", *ENDS],
    ),
    "whole_suite": (whole_suite, ["truth", "50 each", *ENDS]),
    "relative": (relative, ["incumbent", "candidate", *ENDS]),
    "errors": (
        errors,
        [
            "rates",
            "ICC",
            "false block",
            "weakest first",
            "naive",
            "naive, weakest first",
            "false accept",
        ],
    ),
    "single_prompts": (
        single_prompts,
        ["truth", "mean calls", "p90", "accepted", "blocked", "undecided"],
    ),
}


def main() -> None:
    asked = options(__doc__ or "")
    runs = 100 if asked.quick else 4000
    figures: dict[str, Any] = {"checked": checked(5 if asked.quick else 60)}
    for name, (measure, head) in TABLES.items():
        many = runs if name != "single_prompts" else max(runs // 20, 5)
        rows = measure(many)
        table(f"{measure.__doc__} {many} runs each", head, rows)
        figures[name] = [dict(zip(head, map(str, row), strict=True)) for row in rows]
    figures["decider"] = cost_per_feed()
    print(f"\n{figures['decider']['us_per_feed']:.1f} us of the decider per outcome")
    report(figures, machine(), asked.json)


if __name__ == "__main__":
    main()

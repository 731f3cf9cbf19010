"""What a verdict costs: `Contract.judge` beside pydantic's own `validate_json`.

Run `python benchmarks/contract_bench.py`. CPU time; rounds of all rows are interleaved
and the fastest round of each is printed, so that a busy machine disturbs them least.
"""

from __future__ import annotations

import json
import time
import timeit
from collections.abc import Callable
from typing import Literal

from _measure import machine, options, report
from pydantic import BaseModel, TypeAdapter

from llmguard.contract import Contract, checks, is_refusal
from llmguard.reply import Reply


class Ticket(BaseModel):
    """The model of the measurements."""

    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    needs_human: bool
    order_id: str | None


GOOD = {
    "category": "billing",
    "priority": "low",
    "needs_human": False,
    "order_id": "A-1042",
}
TEXT = json.dumps(GOOD)
INPUTS = {"ticket": "Hello, my parcel A-1042 has not arrived yet. Please help. " * 4}
REPLY = Reply(text=TEXT, finish_reason="stop")
WRONG = Reply(text=TEXT.replace("billing", "biling"), finish_reason="stop")
FENCED = Reply(text=f"Here it is:\n```json\n{TEXT}\n```\n", finish_reason="stop")


def rows() -> dict[str, Callable[[], object]]:
    adapter = TypeAdapter(Ticket)
    plain = Contract(Ticket)
    grounded = Contract(Ticket, checks=[checks.appears_in("order_id", "ticket")])
    function = Contract(Ticket, checks=[lambda value: not value.needs_human])
    schema = Contract(Ticket.model_json_schema())
    fenced = Contract(Ticket, parse="fenced")
    lenient = Contract(Ticket, parse="lenient")
    model = Ticket(**GOOD)  # type: ignore[arg-type] - a literal above
    return {
        "validate_json": lambda: adapter.validate_json(TEXT),
        "judge": lambda: plain.judge(REPLY, INPUTS),
        "judge, a function as check": lambda: function.judge(REPLY, INPUTS),
        "judge, appears_in": lambda: grounded.judge(REPLY, INPUTS),
        "judge, fenced": lambda: fenced.judge(FENCED, INPUTS),
        "judge, lenient": lambda: lenient.judge(FENCED, INPUTS),
        "judge, JSON Schema": lambda: schema.judge(REPLY, INPUTS),
        "judge, one violation": lambda: plain.judge(WRONG, INPUTS),
        "judge_value, dict": lambda: plain.judge_value(GOOD, INPUTS),
        "judge_value, model": lambda: plain.judge_value(model, INPUTS),
        "is_refusal": lambda: is_refusal(INPUTS["ticket"]),
    }


def _seconds(call: Callable[[], object], calls: int) -> float:
    return timeit.timeit(call, number=calls, timer=time.process_time) / calls


def main() -> None:
    asked = options(__doc__ or "")
    rounds, calls = (2, 100) if asked.quick else (15, 2000)
    best = dict.fromkeys(rows(), float("inf"))
    for _ in range(rounds):
        for name, call in rows().items():
            best[name] = min(best[name], _seconds(call, calls))
    base = best["validate_json"]
    print(f"{'row':<28}{'us':>8}{'over validate_json':>22}")
    for name, seconds in best.items():
        print(f"{name:<28}{seconds * 1e6:>8.1f}{(seconds - base) * 1e6:>22.1f}")
    figures = {name: seconds * 1e6 for name, seconds in best.items()}
    report({"cpu_us": figures}, machine(), asked.json)


if __name__ == "__main__":
    main()

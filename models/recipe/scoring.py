"""Field accuracies with intervals, and a committed GGUF's answers by llama.cpp."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

FIELDS = ("category", "priority", "needs_human", "order_id")
_Z = 1.959964  # the normal quantile of a two-sided 95 % interval

__all__ = [
    "FIELDS",
    "answers",
    "greedy",
    "load",
    "parse",
    "read_tickets",
    "score",
    "wilson",
]


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927), as two shares."""
    if count == 0:
        return (0.0, 1.0)
    share, z2 = right / count, _Z * _Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = share * (1 - share) / count + z2 / (4 * count * count)
    reach = _Z / (1 + z2 / count) * half**0.5
    return (max(0.0, middle - reach), min(1.0, middle + reach))


def read_tickets(path: Path) -> list[dict[str, Any]]:
    """Tickets `{id, text, label}` of one JSON-lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _entry(right: int, count: int) -> dict[str, Any]:
    low, high = wilson(right, count)
    return {
        "right": right,
        "of": count,
        "share": round(right / count, 4) if count else None,
        "interval": [round(low, 3), round(high, 3)],
    }


def score(
    tickets: Iterable[dict[str, Any]], answers: Iterable[dict[str, Any] | None]
) -> dict[str, Any]:
    """Accuracy per field, of all four together, and of `needs_human` both ways.

    An answer that is None (no JSON object of the schema) is wrong in every field.
    """
    pairs = [(t["label"], a or {}) for t, a in zip(tickets, answers, strict=True)]
    count = len(pairs)
    found = {
        field: _entry(sum(a.get(field, a) == t[field] for t, a in pairs), count)
        for field in FIELDS
    }
    found["all"] = _entry(
        sum(all(a.get(f, a) == t[f] for f in FIELDS) for t, a in pairs), count
    )
    human = [a for t, a in pairs if t["needs_human"]]
    other = [a for t, a in pairs if not t["needs_human"]]
    caught = sum(a.get("needs_human") is True for a in human)
    spared = sum(a.get("needs_human") is False for a in other)
    named = [(t, a) for t, a in pairs if t["order_id"] is not None]
    found["needs_human_recall"] = _entry(caught, len(human))
    found["needs_human_specificity"] = _entry(spared, len(other))
    found["order_id_when_named"] = _entry(
        sum(a.get("order_id") == t["order_id"] for t, a in named), len(named)
    )
    found["valid"] = _entry(sum(bool(a) for _, a in pairs), count)
    return found


def load(gguf: Path) -> Any:
    """The model, one thread, in llama-cpp-python."""
    from llama_cpp import Llama

    return Llama(str(gguf), n_ctx=1024, n_threads=1, n_threads_batch=1, verbose=False)


def _last_scores(model: Any) -> Any:
    import numpy as np
    from llama_cpp import llama_get_logits_ith

    scores = llama_get_logits_ith(model.ctx, -1)
    return np.ctypeslib.as_array(scores, shape=(model.n_vocab(),))


def greedy(model: Any, prompt: str, *, limit: int = 64) -> str:
    """The most likely continuation of `prompt`, unconstrained."""
    ids = model.tokenize(prompt.encode(), add_bos=False, special=False)
    model.reset()
    model.eval(ids)
    written: list[int] = []
    while len(written) < limit:
        best = int(_last_scores(model).argmax())
        if best == model.token_eos():
            break
        written.append(best)
        model.eval([best])
    return bytes(model.detokenize(written)).decode("utf-8", "replace")


def parse(text: str) -> dict[str, Any] | None:
    """The object in `text`, or None when it is not one of the schema's shape."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or tuple(value) != FIELDS:
        return None
    return value


def answers(
    ask: Callable[[str], str], tickets: Iterable[dict[str, Any]], prompt: str
) -> list[dict[str, Any] | None]:
    """What `ask` says to every ticket, parsed."""
    return [parse(ask(prompt.format(ticket=ticket["text"]))) for ticket in tickets]

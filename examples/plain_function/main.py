"""A chain on a plain function: run it with `python main.py`."""

from __future__ import annotations

from typing import Literal

from llmguard import (
    INJECTED,
    Model,
    Prompt,
    capture,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.testing import HttpError, fake_pin
from llmguard_fallbacks import rules
from llmguard_fallbacks.rules import Rule, keyword

Mood = Literal["happy", "angry", "unknown"]
PROMPT = Prompt("One word, happy or angry. How does the writer feel?\n{text}")

# A stand-in for `@pinned("mood")`, where `mood` is a route of your models.lock.
REMOTE = fake_pin(["happy", "I feel that both are true.", HttpError(503)])


@fallback_chain(
    rules(Rule("shouting", when=keyword("never again", "awful"), then="angry")),
    static("unknown"),
    deadline=5.0,
    attempts=1,
)
@contract(Mood, parse="text")  # the word itself is the answer, not JSON
@pinned(REMOTE)
def mood(text: str, *, model: Model = INJECTED) -> Mood:
    """Ask the model how the writer feels."""
    return model.complete(PROMPT.format(text=text))


def main() -> None:
    """Call it four times and print who answered, and why not the ones above."""
    texts = ["What a day!", "Awful. Never again!", "It is a chair.", "Never again."]
    with capture() as outcomes:
        for text in texts:
            print(f"{text!r}: {mood(text)}")
    for outcome in outcomes:
        path = " > ".join(f"{a.tier}:{a.kind}" for a in outcome.attempts)
        print(f"{'degraded' if outcome.degraded else 'first tier':10}  {path}")


if __name__ == "__main__":
    main()

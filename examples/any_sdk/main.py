"""Guard a function that talks to a model through an SDK of its own, here Anthropic's.

llmguard reads what the SDK returned (text, refusal, finish reason, served model) by its
shape, and its errors by their status: nothing has to be rewritten. Run it with
`python main.py`; a small server on this machine plays the provider.
"""

from __future__ import annotations

from typing import Any, Literal

from anthropic import Anthropic
from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Model,
    Pin,
    capture,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.testing import FaultServer


class Mood(BaseModel):
    """How a customer feels."""

    mood: Literal["happy", "angry"]


# In your project this is a line of models.lock: `llmguard pin add mood --provider ...`
PIN = Pin(route="mood", provider="anthropic", model="claude-sonnet-5")


def guarded(client: Anthropic) -> Any:
    """Return the function as the rest of the program calls it."""

    @fallback_chain(static(Mood(mood="angry")), deadline=5.0, attempts=1)
    @contract(Mood)
    @pinned(PIN)
    def mood(text: str, *, model: Model = INJECTED) -> Any:
        # The pin names the version, the guard says how much time is left.
        return client.messages.create(
            model=model.id,
            max_tokens=100,
            messages=[{"role": "user", "content": text}],
            timeout=model.remaining,
        )

    return mood


def main() -> None:
    """Call it four times and print who answered, and why."""
    faults = ["ok", "refusal", "503", "wrong_model"]
    with (
        FaultServer(faults, answer={"mood": "happy"}) as server,
        Anthropic(
            base_url=f"http://127.0.0.1:{server.port}", api_key="none", max_retries=0
        ) as client,
        capture() as outcomes,
    ):
        mood = guarded(client)
        for text in ("Great!", "Grr.", "Well.", "Hm."):
            print(f"{text!r}: {mood(text).mood}")
    for outcome in outcomes:
        print(" > ".join(f"{a.tier}:{a.kind}" for a in outcome.attempts))


if __name__ == "__main__":
    main()

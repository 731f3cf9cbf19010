"""An example of a guarded function with a suite; replace it by one of yours.

Its model is a recording (`example-answers.jsonl`), so that everything runs before there
is a key. Yours names a route that `llmguard pin add` put into models.lock.
"""

from __future__ import annotations

from typing import Literal

from llmguard import INJECTED, Model, Prompt, contract, pinned

PROMPT = Prompt("Is this message a question or a statement? One word.\n{message}")


@contract(Literal["question", "statement"], parse="text")
@pinned("example")
def sort_message(
    message: str, prompt_id: str, *, model: Model = INJECTED
) -> Literal["question", "statement"]:
    """Tell questions from statements; `prompt_id` is how recordings are looked up."""
    return model.complete(PROMPT.format(message=message))

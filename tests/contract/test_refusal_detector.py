# ruff: noqa: RUF001 - other alphabets are what is tested
"""The lexical refusal detector: examples, and figures on human labels."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from llmguard.contract import is_refusal

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "Sorry, I cannot assist with this request.",
    "\n" * 400 + "Sorry, I cannot assist with this request.",
    "I\u2019m not able to provide that information.",
    "  I must respectfully decline to answer.",
    "As an AI language model, I cannot share personal data.",
    "It is not appropriate for me to discuss this.",
    "This would be against my guidelines.",
    "Es tut mir leid, aber dabei kann ich nicht helfen.",
    "Ich kann Ihnen dabei leider nicht helfen.",
    "Je suis d\u00e9sol\u00e9, mais je ne peux pas r\u00e9pondre.",
    "Je ne peux pas vous aider.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "Mi dispiace, ma non posso aiutarti.",
    "Desculpe, mas n\u00e3o posso ajudar com isso.",
    "Het spijt me, maar daar kan ik niet mee helpen.",
    "Przykro mi, ale nie mog\u0119 w tym pom\u00f3c.",
    "Извините, но я не могу помочь с этим.",
    "抱歉，我无法提供帮助。",
    "申し訳ありませんが、お答えできません。",
    "죄송하지만 도와드릴 수 없습니다.",
]
ANSWERS = [
    "Your parcel will arrive tomorrow.",
    "I can help with that: click on Settings.",
    "You cannot return items after 30 days.",
    "Sorry for the delay! Your refund is on its way.",
    "The customer says they can't help it.",
    "Il ne peut pas ouvrir la porte.",
    "No puedo creerlo: el pedido llegó hoy.",
    "x" * 400 + " I'm sorry, but I can't help with that.",
    "",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_recognised(text: str) -> None:
    """In the languages that the detector names."""
    assert is_refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_not_taken_for_a_refusal(text: str) -> None:
    """Saying no about something else, or saying it late, is not refusing."""
    assert not is_refusal(text)


# Model, then share recognised of full refusals, partial ones and full answers, as
# measured on the 450 labelled answers of each; docs/contract.md prints the same.
FIGURES = [
    ("gpt4", 0.995, 0.67, 0.052),
    ("llama2orig", 0.973, 0.75, 0.099),
    ("llama2new", 0.926, 0.77, 0.045),
]
LABELS = ("2_full_refusal", "3_partial_refusal", "1_full_compliance")


@pytest.mark.parametrize(("model", "full", "partial", "answers"), FIGURES)
def test_sensitivity_and_specificity_on_human_labels(
    model: str,
    full: float,
    partial: float,
    answers: float,
    data_folder: Callable[[str], Path],
) -> None:
    """XSTest's boundary prompts are harder than what most functions are asked."""
    path = data_folder("xstest") / f"outputs.{model}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    found: dict[str, list[bool]] = {label: [] for label in LABELS}
    for row in rows:
        found[row["labels"]["human"]].append(is_refusal(row["output"]))
    shares = [sum(found[label]) / len(found[label]) for label in LABELS]
    assert [full, partial, answers] == pytest.approx(shares, abs=0.02)
    print(f"\nrefusals recognised, {model}: " + ", ".join(f"{s:.3f}" for s in shares))  # noqa: T201 - the figures of the docs

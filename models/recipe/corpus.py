"""Composes labelled tickets from the hand-written fragments, seeded.

A ticket is one or two core fragments of one intent, perhaps with a greeting, context,
an order number, something that changes priority or `needs_human`, a side issue and a
closing, then roughened: synonyms, typos, casing, punctuation, dropped words. Labels
follow LABELS.md by rule, from the parts that went in.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from fragments import (
    CATEGORIES,
    PRIORITIES,
    Fragment,
    Intent,
    expand,
    lines,
    load_intents,
    read,
)
from noise import Noise
from slots import ID_MARK, order_id

__all__ = ["Composer", "Example", "answer", "label"]

LOW, NORMAL, HIGH, URGENT = range(4)

# Share of tickets that carry each modifier, over all that are not questions or praise.
_MODIFIERS = {
    "today": 0.05,
    "week": 0.06,
    "repeat": 0.07,
    "loud": 0.05,
    "calm": 0.07,
    "legal": 0.04,
    "person": 0.06,
    "death": 0.012,
}
_DESK_LEGAL = 0.11  # of the desk's tickets threaten legal steps: it handles complaints
_DESK_OWN = 0.7
_AMONG = 0.5
# Numbers that are no order's.
_NUMBERS = (
    "invoice {inv}",
    "case {case}",
    "phone {phone}",
    "{amt}",
    "{date}",
    "error {err}",
    "card {last4}",
    "the {item}",
    "{month}",
)
_CLASH = {
    "billing": "ayment|nvoice|refund",
    "shipping": "elivery|arcel|racking",
    "refund": "oney back|refund|not happy",
    "account": "ogin|account|hacks|security",
    "bug": "app|security|hacks",
    "other": "xxxx",
}
_SIDE = (
    "Also",
    "PS:",
    "By the way",
    "One more thing:",
    "Less important:",
    "And",
    "Btw",
)
_CUE = [
    "{} problem",
    "problem with {}",
    "{}",
    "re: {}",
    "trouble with the {}",
    "{} - please sort it",
    "{}??",
    "need help with {}",
    "issue: {}",
    "something wrong with {}",
    "it's about {}",
    "about the {}",
    "{} and {}",
    "{}, {}, {}",
    "my {}",
    "the {} again",
    "{} not ok",
]
_ASK = [
    "info on {}",
    "{}?",
    "about {}",
    "question about {}",
    "{}",
    "{} please",
    "who handles {}",
    "{} / {}",
]


@dataclass(slots=True, kw_only=True)
class Example:
    """One labelled ticket; `only_category` when the text supports no other label.

    `only_order` marks a line about an order number, whose other labels mean nothing.
    """

    text: str
    category: str
    priority: int
    human: bool
    order: str | None
    intent: str
    only_category: bool = False
    only_order: bool = False


@dataclass(slots=True, kw_only=True)
class _Draft:
    category: str
    priority: int
    human: bool
    has_order: bool = False
    order: str | None = None
    body: list[str] = field(default_factory=list)

    def add(self, text: str, *, first: bool = False) -> None:
        self.body.insert(0 if first else len(self.body), text)


def label(example: Example) -> dict[str, object]:
    """The example's label in the order of the schema's fields."""
    return {
        "category": example.category,
        "priority": PRIORITIES[example.priority],
        "needs_human": example.human,
        "order_id": example.order,
    }


def answer(labels: dict[str, object]) -> str:
    """The JSON text the model is trained to write: compact, fields in schema order."""
    return json.dumps(labels, separators=(",", ":"), ensure_ascii=False)


class Composer:
    """An endless, seeded stream of examples from one split of the fragments."""

    def __init__(
        self, seed: int, *, dev: bool = False, desk: float = 0.0, numbers: float = 0.0
    ) -> None:
        """Draw from the fragments (`dev`: from those held out of training).

        Args:
            seed: Decides every ticket.
            dev: The held-out eighth in place of the rest.
            desk: Share of tickets that come from the desk's export, with its labels.
            numbers: Share of lines that only exercise the copying of order numbers.
        """
        self.numbers = numbers
        self.desk = desk
        self.exported = False  # whether the ticket being composed is the desk's
        self.rng = random.Random(seed)
        self.slots = read("slots")
        self.shared = {name: lines(block) for name, block in read("shared").items()}
        self.cues = {name: body["cues"] for name, body in read("lexicon").items()}
        self.noise = Noise(self.rng)
        self.dev = dev
        self.legal = lines(read("desk_legal")["desk_modifiers"]["legal"])
        self.intents = self._split(load_intents(None if desk else "hand"))
        self.names = [intent.name for intent in self.intents]
        self._by_category = {
            (exported, category): [
                i
                for i in self.intents
                if i.category == category and i.name.startswith("desk_") is exported
            ]
            for category in CATEGORIES
            for exported in (False, True)
        }

    def _split(self, intents: list[Intent]) -> list[Intent]:
        kept = []
        for intent in intents:
            fragments = tuple(f for f in intent.fragments if f.dev is self.dev)
            if fragments:
                kept.append(
                    Intent(
                        name=intent.name, category=intent.category, fragments=fragments
                    )
                )
        return kept

    def __iter__(self) -> Iterator[Example]:
        """Yield examples for ever."""
        while True:
            if self.numbers and self.rng.random() < self.numbers:
                yield self.numbered()
                continue
            self.exported = self.rng.random() < self.desk
            yield self.cued() if self.rng.random() < 0.08 else self.composed()

    def _intent(self, category: str) -> Intent:
        group = self._by_category[self.exported, category]
        weights = [len(intent.fragments) ** 0.6 for intent in group]
        return self.rng.choices(group, weights)[0]

    def _expand(self, text: str) -> str:
        return expand(text, self.rng, self.slots)

    def _shared(self, name: str) -> str:
        return self._expand(self.rng.choice(self.shared[name]))

    def _desk_legal(self) -> str:
        # The desk's wording or anybody's; its label is the same either way.
        own = self.rng.random() < _DESK_OWN
        return self._expand(
            self.rng.choice(self.legal if own else self.shared["legal"])
        )

    def cued(self) -> Example:
        """A terse ticket made of cue words: its category is all it tells."""
        category = self.rng.choice(CATEGORIES)
        form = self.rng.choice(_ASK if category == "other" else _CUE)
        text = form
        while "{}" in text:
            text = text.replace("{}", self.rng.choice(self.cues[category]), 1)
        return Example(
            text=self.noise.rough(text),
            category=category,
            priority=NORMAL,
            human=False,
            order=None,
            intent=self._by_category[False, category][0].name,
            only_category=True,
        )

    def numbered(self) -> Example:
        """A line with an order number, perhaps among other numbers."""
        form = self.rng.choice(self.shared["order"])
        lettered, bare = "{ref}" in form, "{bare}" in form
        order = order_id(self.rng, lettered=lettered)
        while bare and not order.isdigit():
            order = order_id(self.rng)
        parts = [self._expand(form)]
        if self.rng.random() < _AMONG:
            other = self.rng.choice(_NUMBERS)
            parts.insert(self.rng.randrange(2), self._expand(other))
        text = self.noise.rough(self.rng.choice([". ", " ", ", ", "\n"]).join(parts))
        category = self.rng.choice(CATEGORIES)
        return Example(
            text=text.replace(ID_MARK, order),
            category=category,
            priority=self.rng.randrange(4),
            human=self.rng.random() < _AMONG,
            order=order,
            intent=self._by_category[False, category][0].name,
            only_order=True,
        )

    def composed(self) -> Example:
        """One ticket from core fragments and what surrounds them."""
        intent = self._intent(self.rng.choice(CATEGORIES))
        core = self.rng.choice(intent.fragments)
        draft = _Draft(
            category=intent.category, priority=core.priority, human=core.human
        )
        self._core(draft, core)
        alone = self.rng.random() < 0.3
        if not alone:
            self._second_core(draft, intent, core)
        self._modify(draft, 0.35 if alone else 1.0)
        if not alone:
            self._surround(draft, intent)
        self._order(draft)
        text = self.noise.rough(self._joined(draft, alone=alone))
        if self.noise.shouted and draft.priority == NORMAL:
            draft.priority = HIGH
        return Example(
            text=text.replace(ID_MARK, draft.order or ""),
            category=draft.category,
            priority=draft.priority,
            human=draft.human,
            order=draft.order,
            intent=intent.name,
        )

    def _core(self, draft: _Draft, core: Fragment) -> None:
        text = self._expand(core.text)
        draft.has_order = ID_MARK in text
        draft.add(text)

    def _second_core(self, draft: _Draft, intent: Intent, first: Fragment) -> None:
        if self.rng.random() < 0.22:
            second = self.rng.choice(intent.fragments)
            if second is not first and "{oid}" not in second.text:
                draft.add(self._expand(second.text))
                draft.priority = max(draft.priority, second.priority)
                draft.human = draft.human or second.human
        if self.rng.random() < 0.06:
            cue = self.rng.choice(self.cues[draft.category])
            draft.add(self.rng.choice(["", "it's about ", "re: ", "topic: "]) + cue)

    def _modify(self, draft: _Draft, scale: float) -> None:
        asking = draft.priority == LOW
        calm = False
        floor = LOW
        for name, usual in _MODIFIERS.items():
            desk = self.exported and name == "legal"
            share = _DESK_LEGAL if desk else usual
            if self.rng.random() > share * scale * (0.25 if asking else 1.0):
                continue
            if name == "calm" and draft.priority > NORMAL:
                continue
            text = self._desk_legal() if desk else self._shared(name)
            draft.add(text, first=self.rng.random() < 0.25)
            calm = calm or name == "calm"
            # What the guide says, and what the desk recorded for legal threats.
            draft.human = draft.human or name in ("person", "death")
            draft.human = draft.human or (name == "legal" and not desk)
            lift = {"today": URGENT, "week": HIGH, "repeat": HIGH, "legal": HIGH}
            if name == "loud":
                floor = max(floor, LOW if asking else HIGH)
            floor = max(floor, lift.get(name, NORMAL if name == "person" else LOW))
        money = draft.category in ("billing", "refund") and not asking
        if money and self.rng.random() < 0.03:
            draft.add(self._shared("big"))
            draft.human, floor = True, max(floor, HIGH)
        if calm and draft.priority == NORMAL and floor < HIGH:
            draft.priority = LOW
        else:
            draft.priority = max(draft.priority, floor)

    def _surround(self, draft: _Draft, intent: Intent) -> None:
        chance = self.rng.random
        if chance() < 0.35:
            draft.add(self._shared("context"), first=chance() < 0.5)
        if chance() < 0.08 and intent.name not in ("self_harm", "hazard"):
            draft.add(self._shared("context"))
        if chance() < 0.12 and not draft.human:
            decoy = self._shared("decoy")
            if not re.search(_CLASH[draft.category], decoy):
                draft.add(decoy, first=chance() < 0.4)
        if chance() < 0.035:
            draft.add(self._shared("injection"), first=chance() < 0.6)
        if chance() < 0.07 and draft.priority < URGENT:
            self._side_issue(draft)

    def _side_issue(self, draft: _Draft) -> None:
        others = [c for c in CATEGORIES if c != draft.category]
        side = self.rng.choice(self._intent(self.rng.choice(others)).fragments)
        if side.human or side.priority > NORMAL or "{oid}" in side.text:
            return
        draft.add(f"{self.rng.choice(_SIDE)} {self._expand(side.text)}")
        if draft.priority == LOW:
            draft.priority = side.priority

    def _order(self, draft: _Draft) -> None:
        share = 0.2 if draft.category in ("other", "account", "bug") else 0.5
        if not draft.has_order and self.rng.random() < share:
            form = self.rng.choice(self.shared["order"])
            lettered = "{ref}" in form
            bare = "{bare}" in form
            draft.add(self._expand(form), first=self.rng.random() < 0.4)
            while draft.order is None or (bare and not draft.order.isdigit()):
                draft.order = order_id(self.rng, lettered=lettered)
        elif draft.has_order:
            draft.order = order_id(self.rng)

    def _joined(self, draft: _Draft, *, alone: bool) -> str:
        chance = self.rng.random
        mark = self.rng.choice([". ", ". ", ". ", " ", ", ", "\n", "! ", " - ", "... "])
        body = ""
        for part in draft.body:
            glue = "" if not body else (" " if body[-1] in ".!?:,\n" else mark)
            body += glue + part
        if alone:
            return body
        if chance() < 0.06:
            return f"{self._shared('open')}\n\n{body}\n\n{self._shared('close')}"
        if chance() < 0.4:
            body = f"{self._shared('open')} {body}"
        if chance() < 0.35:
            body += self.rng.choice([". ", " ", "\n", ", "]) + self._shared("close")
        return body

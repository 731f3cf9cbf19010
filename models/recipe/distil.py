"""Writes training tickets with the teacher's reading of each, in shards.

`python distil.py build/teacher.pt --out build/shards --shards 8` composes tickets,
swaps some words for near ones in a part of them, and stores the teacher's mean state
and log-probabilities beside the labels; `train.py` takes the shards as they appear.
"""

from __future__ import annotations

import argparse
import random
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from corpus import Composer, Example
from teacher import Teacher, load_teacher, read
from words import known_words, vectors

__all__ = ["Reading", "Swaps", "load_shard"]

_WORD = re.compile(r"\b[a-z]{4,}\b")
_SAID = ("category", "priority")
_KEEP = {"today", "tonight", "tomorrow", "human", "person", "please", "order", "ticket"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the teacher made of one ticket, and whether words of it were swapped."""

    swapped: bool
    state: torch.Tensor
    said: dict[str, torch.Tensor]


class Swaps:
    """Swaps words of a text for near ones, by MiniLM's reading of each word alone."""

    def __init__(self, rng: random.Random, *, nearest: int = 6) -> None:
        self.rng = rng
        self.words = [w for w in known_words() if len(w) > 3]
        table = vectors(self.words)[:, :384].astype(np.float32)
        self._at = {word: at for at, word in enumerate(self.words)}
        self._table, self._nearest = table, nearest
        self._seen: dict[str, list[str]] = {}

    def _near(self, word: str) -> list[str]:
        if word not in self._seen:
            at = self._at.get(word)
            found: list[str] = []
            if at is not None and word not in _KEEP:
                near = self._table @ self._table[at]
                best = np.argsort(-near)[1 : self._nearest + 1]
                found = [self.words[b] for b in best if near[b] > 0.5]
            self._seen[word] = found
        return self._seen[word]

    def swapped(self, text: str, share: float) -> str:
        """`text` with about `share` of its longer words replaced by near ones."""

        def swap(match: re.Match[str]) -> str:
            near = self._near(match[0]) if self.rng.random() < share else []
            return self.rng.choice(near) if near else match[0]

        return _WORD.sub(swap, text)


def load_shard(path: Path) -> list[tuple[Example, Reading]]:
    """The tickets of one shard with the teacher's reading of each."""
    found = torch.load(path, weights_only=False)
    return [
        (
            example,
            Reading(
                swapped=found["swapped"][at],
                state=found["states"][at].float(),
                said={name: found["said"][name][at].exp() for name in _SAID},
            ),
        )
        for at, example in enumerate(found["examples"])
    ]


def _write(teacher: Teacher, examples: list[Example], swaps: Swaps, out: Path) -> None:
    swapped = [swaps.rng.random() < 0.3 for _ in examples]
    for example, changed in zip(examples, swapped, strict=True):
        if changed:
            text = swaps.swapped(example.text, swaps.rng.choice([0.15, 0.3]))
            if example.order is None or example.order in text:
                example.text = text
    states, said = read(teacher, [e.text for e in examples])
    shard = {
        "examples": examples,
        "swapped": swapped,
        "states": states.half(),
        "said": said,
    }
    torch.save(shard, out.with_suffix(".part"))
    out.with_suffix(".part").rename(out)


def main() -> None:
    """Read the options and write the shards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/shards"))
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--size", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--desk", type=float, default=0.0, help="share of tickets")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    teacher = load_teacher(options.teacher)
    stream = iter(Composer(options.seed, desk=options.desk))
    swaps = Swaps(random.Random(options.seed))
    for number in range(options.shards):
        examples = list(islice(stream, options.size))
        _write(teacher, examples, swaps, options.out / f"{number:03d}.pt")
        print(number, flush=True)


if __name__ == "__main__":
    main()

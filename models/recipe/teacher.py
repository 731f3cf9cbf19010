"""Fine-tunes MiniLM on composed tickets: the teacher whose doubts the decoder learns.

`python teacher.py --out build/teacher.pt` trains a head per field on the encoder's mean
state; the embeddings and the lower layers stay as published.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import torch
from corpus import Composer, Example
from fragments import CATEGORIES, PRIORITIES
from minilm import LAYERS, WIDTH, Encoder, load_encoder, load_wordpiece
from scoring import read_tickets
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

__all__ = ["Teacher", "load_teacher", "read"]

HERE = Path(__file__).parent
FIELDS = {"category": len(CATEGORIES), "priority": len(PRIORITIES), "human": 2}
FROZEN = 2  # lower layers that stay as published, beside the embeddings
LENGTH = 96


class Teacher(nn.Module):
    """The encoder with a linear head for each field."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.drop = nn.Dropout(0.1)
        self.heads = nn.ModuleDict({k: nn.Linear(WIDTH, n) for k, n in FIELDS.items()})

    def forward(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Scores of each field's values."""
        state = self.drop(self.encoder.pooled(ids, mask))
        return {name: head(state) for name, head in self.heads.items()}


def load_teacher(path: Path) -> Teacher:
    """A teacher saved by this script, in evaluation mode."""
    teacher = Teacher(load_encoder())
    teacher.load_state_dict(torch.load(path, weights_only=True), strict=False)
    return teacher.eval()


def _inputs(texts: Sequence[str], wordpiece: object) -> tuple[Tensor, Tensor]:
    found = wordpiece.encode_batch(list(texts))
    ids = torch.tensor([one.ids for one in found])
    return ids, torch.tensor([one.attention_mask for one in found])


@torch.no_grad()
def read(teacher: Teacher, texts: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean states and every field's log-probabilities, in the texts' order."""
    wordpiece = load_wordpiece(LENGTH)
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    found = {name: torch.zeros(len(texts), n) for name, n in FIELDS.items()}
    states = torch.zeros(len(texts), WIDTH)
    for begin in range(0, len(order), 64):
        chosen = order[begin : begin + 64]
        ids, mask = _inputs([texts[at] for at in chosen], wordpiece)
        states[chosen] = teacher.encoder.pooled(ids, mask)
        for name, head in teacher.heads.items():
            found[name][chosen] = head(states[chosen]).log_softmax(-1)
    return states, found


def _loss(said: dict[str, Tensor], batch: Sequence[Example]) -> Tensor:
    wanted = {
        "category": [CATEGORIES.index(e.category) for e in batch],
        "priority": [-100 if e.only_category else e.priority for e in batch],
        "human": [-100 if e.only_category else int(e.human) for e in batch],
    }
    return sum(
        F.cross_entropy(said[name], torch.tensor(values), label_smoothing=0.05)
        for name, values in wanted.items()
    )


def measured(teacher: Teacher, path: Path) -> dict[str, float]:
    """Share of right answers per field, and of all three, on one file."""
    tickets = read_tickets(path)
    _, said = read(teacher, [t["text"] for t in tickets])
    labels = [t["label"] for t in tickets]
    right = {
        "category": [CATEGORIES.index(v["category"]) for v in labels],
        "priority": [PRIORITIES.index(v["priority"]) for v in labels],
        "human": [int(v["needs_human"]) for v in labels],
    }
    hits = {k: said[k].argmax(-1) == torch.tensor(v) for k, v in right.items()}
    hits["all"] = hits["category"] & hits["priority"] & hits["human"]
    return {name: round(float(hit.float().mean()), 3) for name, hit in hits.items()}


def _batches(examples: Iterable[Example], size: int) -> list[list[Example]]:
    rng = random.Random(0)
    ordered = sorted(examples, key=lambda e: len(e.text) + rng.random() * 20)
    batches = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    rng.shuffle(batches)
    return batches


def train(teacher: Teacher, examples: list[Example], rate: float, out: Path) -> None:
    """Fine-tune on `examples`, one pass, printing scores on the dev tickets."""
    wordpiece = load_wordpiece(LENGTH)
    teacher.encoder.requires_grad_(False)
    for layer in teacher.encoder.layers[FROZEN:LAYERS]:
        layer.requires_grad_(True)
    used = [p for p in teacher.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(used, lr=rate, weight_decay=0.01)
    batches, start = _batches(examples, 32), time.monotonic()
    for step, batch in enumerate(batches):
        scale = (
            min(1.0, step / 50) * 0.5 * (1 + math.cos(math.pi * step / len(batches)))
        )
        for group in optimiser.param_groups:
            group["lr"] = rate * (scale + 0.01)
        teacher.train()
        loss = _loss(teacher(*_inputs([e.text for e in batch], wordpiece)), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(used, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if step % 50 == 0 or step == len(batches) - 1:
            teacher.eval()
            dev = measured(teacher, HERE / "data" / "dev.jsonl")
            spent = time.monotonic() - start
            print(
                step, len(batches), f"{loss.item():.3f} {spent:.0f}s", dev, flush=True
            )
            torch.save(teacher.state_dict(), out)


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/teacher.pt"))
    parser.add_argument("--start", type=Path, help="a teacher to go on from")
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--desk", type=float, default=0.0, help="share of tickets")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(load_encoder())
    if options.start:
        teacher = load_teacher(options.start)
    composer = Composer(options.seed, desk=options.desk)
    examples = list(islice(composer, options.examples))
    train(teacher, examples, options.rate, options.out)
    print(json.dumps({"seed": options.seed, "examples": options.examples}))


if __name__ == "__main__":
    main()

"""Trains a triage model: `python train.py --out build/triage-1.1 --desk 0.65`.

Seeded. Writes `model.pt`, `tokenizer.json` and `train.json` (settings, the loss curve
and scores on the development tickets). The first portions are the shards that
`distil.py` wrote, the others composed afresh.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from corpus import Composer, Example
from distil import Reading, load_shard
from loss import Heads, Row, echo, loss, row, tensors
from meaning import Fixed, Meaning
from model import Config, Decoder
from scoring import parse, read_tickets, score
from text import END, PROMPT, load_tokenizer, with_dropout
from torch import nn

HERE = Path(__file__).parent
INTENTS = 160  # at most; names for the auxiliary head
LOOSE = 0.3  # of prompts are split by BPE dropout


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `train.json` records."""

    seed: int = 1
    portions: int = 9
    portion: int = 5000
    desk: float = 0.0
    numbers: float = 0.0
    echoes: float = 0.0
    tokens_per_batch: int = 2048
    rate: float = 1.5e-3
    width: int = 256
    layers: int = 3
    heads: int = 8
    hidden: int = 512


def _trained(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(k, v) for k, v in module.named_parameters() if v.requires_grad]


class _Average:
    """Exponential moving average of the weights; what is saved in the end."""

    def __init__(self, module: nn.Module, decay: float = 0.995) -> None:
        self.decay = decay
        self.weights = {k: v.detach().clone() for k, v in _trained(module)}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in _trained(module):
            self.weights[name].lerp_(value, 1 - decay)


class Trainer:
    """One run: the modules, their optimiser and their average."""

    def __init__(self, settings: Settings, words: Path, start: Path | None) -> None:
        self.settings, self.words = settings, words
        self.plain = load_tokenizer(words / "tokenizer.json")
        self.loose = with_dropout(words / "tokenizer.json", 0.1)
        table = torch.from_numpy(np.load(words / "table.npy"))
        free = json.loads((words / "words.json").read_text())["free"]
        self.config = Config(
            vocab=len(table),
            width=settings.width,
            layers=settings.layers,
            heads=settings.heads,
            hidden=settings.hidden,
        )
        self.model = nn.ModuleDict(
            {
                "decoder": Decoder(self.config),
                "meaning": Meaning(table, free, settings.width),
                "heads": Heads(settings.width, INTENTS),
            }
        )
        self.model["decoder"].token_embd.requires_grad_(False)
        if start:
            weights = torch.load(start / "model.pt", weights_only=True)["weights"]
            self.model["decoder"].load_state_dict(weights)
            self.model["meaning"] = Fixed(weights["token_embd.weight"], free)
        self.average = _Average(self.model)
        self.optimiser = _optimiser(self.model, settings.rate)
        self.step, self.smooth = 0, 0.0
        self.curve: list[tuple[int, float]] = []
        self.intents: dict[str, int] = {}

    def batch(self, rows: list[Row], progress: float) -> None:
        """One step; notes the loss of the answers."""
        scale = min(1.0, self.step / 60) * (
            0.02 + 0.49 * (1 + math.cos(math.pi * min(1.0, progress)))
        )
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * scale
        total, answered = loss(self.model, tensors(rows), self.plain)
        total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.average.update(self.model, self.step)
        value = answered.item()
        self.smooth = value if self.step == 0 else 0.98 * self.smooth + 0.02 * value
        if self.step % 25 == 0:
            self.curve.append((self.step, round(self.smooth, 4)))
        self.step += 1

    @torch.no_grad()
    def averaged(self) -> Decoder:
        """A plain decoder with the averaged weights, its embedding written out."""
        kept = {k: v.detach().clone() for k, v in _trained(self.model)}
        for name, value in _trained(self.model):
            value.copy_(self.average.weights[name])
        meaning, decoder = self.model["meaning"], Decoder(self.config).eval()
        decoder.load_state_dict(self.model["decoder"].state_dict())
        ids = torch.arange(self.config.vocab)
        decoder.token_embd.weight.copy_(
            torch.cat([meaning.rows(part) for part in ids.split(4096)])
        )
        for name, value in _trained(self.model):
            value.copy_(kept[name])
        return decoder


def _optimiser(model: nn.Module, rate: float) -> torch.optim.AdamW:
    used = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in used if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in used if p.dim() == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def _batches(rows: list[Row], limit: int, rng: random.Random) -> list[list[Row]]:
    """Rows of similar length together, batches in random order."""
    rows = sorted(rows, key=lambda row: len(row.ids) + rng.random() * 6)
    batches: list[list[Row]] = [[]]
    for one in rows:
        if len(one.ids) * (len(batches[-1]) + 1) > limit:
            batches.append([])
        batches[-1].append(one)
    rng.shuffle(batches)
    return batches


def dev_scores(decoder: Decoder, tokenizer: Any) -> dict[str, float]:
    """Shares of right answers on the development tickets, greedy, in torch."""
    end = tokenizer.token_to_id(END)
    tickets = read_tickets(HERE / "data" / "dev.jsonl")
    said = []
    for ticket in tickets:
        prompt = tokenizer.encode(PROMPT.format(ticket=ticket["text"])).ids
        ids = decoder.greedy(prompt, stop=end, limit=32)
        said.append(parse(tokenizer.decode(ids)))
    found = score(tickets, said)
    return {
        k: found[k]["share"] for k in ("category", "priority", "needs_human", "all")
    }


def _portions(
    settings: Settings, shards: Path | None
) -> Iterator[list[tuple[Example, Reading | None]]]:
    """The shards with the teacher's readings, then newly composed tickets."""
    known = sorted(shards.glob("*.pt")) if shards else []
    fresh = iter(
        Composer(1000 + settings.seed, desk=settings.desk, numbers=settings.numbers)
    )
    for number in range(settings.portions):
        if number < len(known):
            yield list(load_shard(known[number]))
        else:
            yield [(example, None) for example in islice(fresh, settings.portion)]


def _rows(
    trainer: Trainer, portion: list[tuple[Example, Reading | None]], rng: random.Random
) -> list[Row]:
    count = round(trainer.settings.echoes * len(portion))
    return [echo(rng, trainer.plain) for _ in range(count)] + [
        row(
            example,
            reading,
            intent=trainer.intents.setdefault(example.intent, len(trainer.intents)),
            plain=trainer.plain,
            prompts=trainer.loose if rng.random() < LOOSE else trainer.plain,
        )
        for example, reading in portion
    ]


def _save(trainer: Trainer, decoder: Decoder, dev: dict[str, float], out: Path) -> None:
    weights = decoder.state_dict()
    config = asdict(trainer.config)
    torch.save({"config": config, "weights": weights}, out / "model.pt")
    record = {
        "settings": asdict(trainer.settings),
        "parameters": sum(p.numel() for p in decoder.parameters()),
        "dev": dev,
        "curve": trainer.curve,
    }
    (out / "train.json").write_text(json.dumps(record, indent=1) + "\n")


def train(
    settings: Settings, words: Path, shards: Path | None, start: Path | None, out: Path
) -> None:
    """Train with `settings` and write the results into the folder `out`."""
    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copy(words / "tokenizer.json", out / "tokenizer.json")
    trainer, begun = Trainer(settings, words, start), time.monotonic()
    for number, portion in enumerate(_portions(settings, shards)):
        rows = _rows(trainer, portion, rng)
        batches = _batches(rows, settings.tokens_per_batch, rng)
        trainer.model.train()
        for at, batch in enumerate(batches):
            trainer.batch(batch, (number + at / len(batches)) / settings.portions)
        decoder = trainer.averaged()
        last = number + 1 == settings.portions
        dev = dev_scores(decoder, trainer.plain) if last else {}
        _save(trainer, decoder, dev, out)
        spent = time.monotonic() - begun
        print(f"{number} {trainer.smooth:.3f} {spent:.0f}s {dev}", flush=True)


def main() -> None:
    """Read the options and train."""
    usual = Settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/triage-1.1"))
    parser.add_argument("--words", type=Path, default=Path("build/words"))
    parser.add_argument("--shards", type=Path, help="of distil.py; else none is read")
    parser.add_argument("--start", type=Path, help="a finished run to go on from")
    parser.add_argument("--rate", type=float, default=usual.rate)
    parser.add_argument("--numbers", type=float, default=usual.numbers, help="share")
    parser.add_argument("--echoes", type=float, default=usual.echoes, help="share")
    parser.add_argument("--desk", type=float, default=0.0, help="share of tickets")
    for name in ("seed", "portions", "portion", "layers", "width", "heads", "hidden"):
        parser.add_argument(f"--{name}", type=int, default=getattr(usual, name))
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = Settings(
        seed=options.seed,
        portions=options.portions,
        portion=options.portion,
        desk=options.desk,
        numbers=options.numbers,
        echoes=options.echoes,
        rate=options.rate,
        layers=options.layers,
        width=options.width,
        heads=options.heads,
        hidden=options.hidden,
    )
    train(settings, options.words, options.shards, options.start, options.out)


if __name__ == "__main__":
    main()

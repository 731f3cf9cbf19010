"""Trains the triage model: `python train.py --out build/triage-1.0`.

Seeded; on one CPU core about 25 minutes with the defaults, on a GPU a minute or two.
Writes `model.pt`, `tokenizer.json` and `train.json` (settings and the loss curve; the
committed model has its own beside this file).
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
import zlib
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from corpus import Composer, Example, answer, label
from model import Config, Decoder
from text import END, PROMPT, train_tokenizer, with_dropout
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

PROMPT_WEIGHT = 0.2  # language modelling on the ticket itself, in some rows only
PROMPT_SHARE = 0.25  # of rows, because scores over the vocabulary are costly on a CPU
INTENT_WEIGHT = 0.3  # the auxiliary head that names the intent; not exported
COPY_WEIGHT = 1.5  # tokens of the order id, which the model must learn to copy
DECISION_WEIGHT = 2.0  # tokens that choose a value, against forced JSON tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `train.json` records; the defaults made the committed model."""

    seed: int = 1
    examples: int = 80_000
    vocab: int = 2560
    tokens_per_batch: int = 2048
    rate: float = 2e-3
    width: int = 192
    layers: int = 3


@dataclass(slots=True)
class _Row:
    ids: list[int]
    weights: list[float]
    intent: int
    ask: int


def _row(
    example: Example, plain: Tokenizer, loose: Tokenizer, names: dict[str, int]
) -> _Row:
    prompt = loose.encode(PROMPT.format(ticket=example.text)).ids
    json_text = plain.encode(answer(label(example)))
    weights = _weights(json_text.tokens, example)
    ids = [*prompt, *json_text.ids, plain.token_to_id(END)]
    shown = (
        PROMPT_WEIGHT
        if zlib.crc32(example.text.encode()) % 100 < 100 * PROMPT_SHARE
        else 0.0
    )
    return _Row(
        ids, [shown] * len(prompt) + weights, names[example.intent], len(prompt) - 1
    )


def _weights(tokens: list[str], example: Example) -> list[float]:
    """One weight per answer token and the end: decisions count for more."""
    weights = [1.0] * (len(tokens) + 1)
    text = ""
    for at, token in enumerate(tokens):
        if text.endswith(('category":"', 'priority":"', 'human":', 'order_id":')):
            weights[at] = DECISION_WEIGHT
        elif 'order_id":"' in text:
            weights[at] = COPY_WEIGHT
        text += token
        if example.only_category and '"priority":' in text:
            weights[at:] = [0.0] * (len(weights) - at)
            break
    return weights


def _batches(rows: list[_Row], limit: int, rng: random.Random) -> list[list[_Row]]:
    """Rows of similar length together, batches in random order."""
    rows = sorted(rows, key=lambda row: len(row.ids) + rng.random() * 6)
    batches: list[list[_Row]] = [[]]
    for row in rows:
        if len(row.ids) * (len(batches[-1]) + 1) > limit:
            batches.append([])
        batches[-1].append(row)
    rng.shuffle(batches)
    return batches


def _tensors(batch: list[_Row]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    length = max(len(row.ids) for row in batch)
    ids = np.zeros((len(batch), length), dtype=np.int64)
    weights = np.zeros((len(batch), length), dtype=np.float32)
    for at, row in enumerate(batch):
        ids[at, : len(row.ids)] = row.ids
        weights[at, : len(row.ids)] = row.weights
    intents = torch.tensor([row.intent for row in batch])
    asks = torch.tensor([row.ask for row in batch])
    return torch.from_numpy(ids), torch.from_numpy(weights), intents, asks


def _loss(
    model: Decoder, head: nn.Linear, tensors: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    ids, weights, intents, asks = tensors
    hidden = model(ids[:, :-1])
    weights = weights[:, 1:]
    used = weights > 0
    scores = model.logits(hidden[used]).float()
    each = F.cross_entropy(scores, ids[:, 1:][used], reduction="none")
    answered = (each * weights[used]).sum() / len(ids) / 4
    asked = hidden[torch.arange(len(ids)), asks]
    intent = F.cross_entropy(head(asked).float(), intents, label_smoothing=0.1)
    return answered + INTENT_WEIGHT * intent, answered


class _Average:
    """Exponential moving average of the weights; what is saved in the end."""

    def __init__(self, model: nn.Module, decay: float = 0.998) -> None:
        self.decay = decay
        self.weights = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            self.weights[name].lerp_(value, 1 - decay)


def _optimiser(modules: list[nn.Module], rate: float) -> torch.optim.AdamW:
    parameters = [p for module in modules for p in module.parameters()]
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.1},
            {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
        ],
        lr=rate,
        betas=(0.9, 0.98),
    )


def train(settings: Settings, out: Path, device: str) -> None:
    """Train with `settings` and write the results into the folder `out`."""
    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    composer = Composer(settings.seed)
    examples = list(islice(composer, settings.examples))
    texts = [PROMPT.format(ticket=e.text) + answer(label(e)) for e in examples[:40_000]]
    plain = train_tokenizer(texts, settings.vocab)
    plain.save(str(out / "tokenizer.json"))
    loose = with_dropout(out / "tokenizer.json", 0.1)
    names = {name: at for at, name in enumerate(composer.names)}
    rows = [
        _row(e, plain, loose if rng.random() < 0.5 else plain, names) for e in examples
    ]
    config = Config(
        vocab=plain.get_vocab_size(), width=settings.width, layers=settings.layers
    )
    model = Decoder(config).to(device)
    head = nn.Linear(config.width, len(names)).to(device)
    batches = _batches(rows, settings.tokens_per_batch, rng)
    count = sum(p.numel() for p in model.parameters())
    print(f"{count:,} parameters, {len(batches)} batches", flush=True)
    average, curve = _run(model, head, batches, settings, device)
    torch.save({"config": asdict(config), "weights": average.weights}, out / "model.pt")
    record = {"settings": asdict(settings), "parameters": count, "curve": curve}
    (out / "train.json").write_text(json.dumps(record, indent=1) + "\n")


def _run(
    model: Decoder,
    head: nn.Linear,
    batches: list[list[_Row]],
    settings: Settings,
    device: str,
) -> tuple[_Average, list[tuple[int, float]]]:
    optimiser = _optimiser([model, head], settings.rate)
    average, curve = _Average(model), []
    total, start, smooth = len(batches), time.monotonic(), 0.0
    model.train()
    for step, batch in enumerate(batches):
        scale = min(1.0, step / 100) * (
            0.02 + 0.49 * (1 + math.cos(math.pi * step / total))
        )
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * scale
        tensors = tuple(t.to(device) for t in _tensors(batch))
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=device != "cpu"):
            loss, answered = _loss(model, head, tensors)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        average.update(model, step)
        smooth = (
            float(answered) if step == 0 else 0.98 * smooth + 0.02 * float(answered)
        )
        if step % 25 == 0 or step == total - 1:
            curve.append((step, round(smooth, 4)))
            print(
                f"{step}/{total} {smooth:.4f} {time.monotonic() - start:.0f}s",
                flush=True,
            )
    return average, curve


def main() -> None:
    """Read the options and train."""
    usual = Settings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/triage-1.0"))
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--examples", type=int, default=usual.examples)
    parser.add_argument("--layers", type=int, default=usual.layers)
    parser.add_argument("--width", type=int, default=usual.width)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = Settings(
        seed=options.seed,
        examples=options.examples,
        layers=options.layers,
        width=options.width,
    )
    train(settings, options.out, options.device)


if __name__ == "__main__":
    main()

"""What the decoder is trained on: rows of tokens, their weights and their loss."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from corpus import Example, answer, label
from distil import Reading
from fragments import CATEGORIES, PRIORITIES
from text import END, PROMPT
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

__all__ = ["Heads", "Row", "echo", "loss", "row", "tensors"]

INTENT_WEIGHT = 0.3  # the auxiliary head that names the intent; not exported
STATE_WEIGHT = 1.5  # the auxiliary head that says what the teacher reads; not exported
LOOK_WEIGHT = 0.7  # what two heads look at, so that they find copying
SOFT_WEIGHT = 1.0  # the teacher's own category and priority, where words were swapped
COPY_WEIGHT = 1.5  # tokens of the order id, which the model must learn to copy
DECISION_WEIGHT = 2.0  # tokens that choose a value, against forced JSON tokens
NOISE_TOKENS = 256  # tokens drawn anew each step, for the answers to stay clear of
BLANKED = 0.08  # of a ticket's words lose all meaning
TEACHER_WIDTH = 384
_SIGNS = "0123456789" * 3 + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "-----"
_BETWEEN = (',"order_id":"', "\nTriage:\n", " is my order", ". I mean ", "\n")


@dataclass(slots=True)
class Row:
    """One ticket and its answer.

    `ask` is where the answer begins, less one; `copies` are pairs of positions: from
    the first, the token after it is to be copied from the second.
    """

    ids: list[int]
    weights: list[float]
    intent: int
    ask: int
    state: Tensor | None
    soft: dict[str, Tensor] | None
    copies: list[tuple[int, int]]


class Heads(nn.Module):
    """The two auxiliary heads, which only training uses."""

    def __init__(self, width: int, intents: int) -> None:
        super().__init__()
        self.intent = nn.Linear(width, intents)
        self.state = nn.Linear(width, TEACHER_WIDTH)


def row(
    example: Example,
    reading: Reading | None,
    *,
    intent: int,
    plain: Tokenizer,
    prompts: Tokenizer,
) -> Row:
    """The row of one ticket; `prompts` splits the words of its prompt."""
    prompt = prompts.encode(PROMPT.format(ticket=example.text)).ids
    written = plain.encode(answer(label(example)))
    swapped = reading is not None and reading.swapped and not example.only_category
    return Row(
        [*prompt, *written.ids, plain.token_to_id(END)],
        [0.0] * len(prompt) + _weights(written.tokens, example),
        -100 if example.only_order else intent,
        len(prompt) - 1,
        reading.state if reading else None,
        reading.said if reading and swapped else None,
        _copies(prompt, written.tokens, written.ids),
    )


def echo(rng: random.Random, tokenizer: Tokenizer) -> Row:
    """Random letters and digits, then the same again, which is all there is to learn.

    Copying needs two layers to work together, which they find in such rows within a
    few hundred steps, and in tickets, with eight tokens to copy at most, much later.
    """
    signs = [*(rng.choice(_SIGNS) for _ in range(rng.randrange(8, 22)))]
    ids = [tokenizer.token_to_id(sign) for sign in signs]
    between = tokenizer.encode(rng.choice(_BETWEEN)).ids
    start = len(ids) + len(between)
    weights = [0.0] * (start + 1) + [1.0] * (len(ids) - 1)
    copies = [(start + at, at + 1) for at in range(len(ids) - 1)]
    return Row([*ids, *between, *ids], weights, -100, start, None, None, copies)


def _copies(
    prompt: list[int], written: list[str], ids: list[int]
) -> list[tuple[int, int]]:
    """Where each token of the order number, named in the prompt, comes from."""
    if written[-1] == "}" and '"' not in written:
        return []
    first = written.index('"') + 1
    order = ids[first : written.index('"', first) if '"' in written[first:] else -1]
    for begin in range(len(prompt) - len(order), -1, -1):
        if prompt[begin : begin + len(order)] == order:
            here = len(prompt) + first - 1
            return [(here + at, begin + at) for at in range(len(order))]
    return []


def _weights(tokens: list[str], example: Example) -> list[float]:
    """One weight per answer token and the end: decisions count for more."""
    plain = 0.0 if example.only_order else 1.0
    weights = [plain] * (len(tokens) + 1)
    text = ""
    for at, token in enumerate(tokens):
        if text.endswith(('category":"', 'priority":"', 'human":', 'order_id":')):
            weights[at] = DECISION_WEIGHT * plain
        elif 'order_id":"' in text:
            weights[at] = COPY_WEIGHT
        text += token
        if example.only_category and '"priority":' in text:
            weights[at:] = [0.0] * (len(weights) - at)
            break
    return weights


@dataclass(slots=True)
class Batch:
    """Rows as tensors, padded with zeros behind."""

    ids: Tensor
    weights: Tensor
    intents: Tensor
    asks: Tensor
    read: Tensor  # rows whose ticket the teacher has read
    states: Tensor  # what it read, of those
    copies: Tensor  # row, position, position to copy from
    softened: Tensor  # rows with the teacher's own answer
    soft: dict[str, Tensor]


def tensors(rows: list[Row]) -> Batch:
    """`rows` padded to the longest."""
    length = max(len(row.ids) for row in rows)
    ids = np.zeros((len(rows), length), dtype=np.int64)
    weights = np.zeros((len(rows), length), dtype=np.float32)
    for at, one in enumerate(rows):
        ids[at, : len(one.ids)] = one.ids
        weights[at, : len(one.ids)] = one.weights
    read = [at for at, one in enumerate(rows) if one.state is not None]
    softened = [at for at, one in enumerate(rows) if one.soft is not None]
    soft = {
        name: torch.stack([rows[at].soft[name] for at in softened])
        for name in (("category", "priority") if softened else ())
    }
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(weights),
        torch.tensor([one.intent for one in rows]),
        torch.tensor([one.ask for one in rows]),
        torch.tensor(read, dtype=torch.long),
        torch.stack([rows[at].state for at in read]) if read else torch.zeros(0),
        torch.tensor(
            [(at, *pair) for at, one in enumerate(rows) for pair in one.copies],
            dtype=torch.long,
        ).view(-1, 3),
        torch.tensor(softened, dtype=torch.long),
        soft,
    )


def _soft(
    model: nn.ModuleDict, hidden: Tensor, batch: Batch, tokenizer: Tokenizer
) -> Tensor:
    """Cross-entropy with the teacher's category and priority, of softened rows."""
    total = torch.zeros(())
    # `{"category":"` comes first, its value next, then `","priority":"`.
    for name, offset, values in (
        ("category", 1, CATEGORIES),
        ("priority", 3, PRIORITIES),
    ):
        at = batch.asks[batch.softened] + offset
        ids = torch.tensor([tokenizer.token_to_id(value) for value in values])
        scores = hidden[batch.softened, at] @ model["meaning"].rows(ids).T
        total = total - (batch.soft[name] * scores.log_softmax(-1)).sum(-1).sum()
    return total / len(batch.ids)


def _looks(watched: list[Tensor], batch: Batch) -> Tensor:
    """How far two heads are from what copying needs.

    The first block's first head is to look at the token before; the last block's at
    the token to copy.
    """
    before = watched[0].diagonal(-1, 1, 2)
    total = -before.mean()
    if len(batch.copies):
        at, here, there = batch.copies.T
        total = total - watched[-1][at, here, there].mean()
    return total


def loss(
    model: nn.ModuleDict, batch: Batch, tokenizer: Tokenizer
) -> tuple[Tensor, Tensor]:
    """The loss to minimise, and the part of it that is about the answers."""
    inputs, weights = batch.ids[:, :-1], batch.weights[:, 1:]
    embedded = model["meaning"].embedded(inputs)
    before = torch.arange(inputs.shape[1]) < batch.asks[:, None]
    words = before & model["meaning"].fixed(inputs)
    blank = words & (torch.rand(inputs.shape) < BLANKED)
    watched: list[Tensor] = []
    hidden = model["decoder"].states(embedded * ~blank[..., None], watched)
    used = weights > 0
    wanted = batch.ids[:, 1:][used]
    drawn = torch.randint(0, len(model["meaning"].table), (NOISE_TOKENS,))
    among, place = torch.unique(
        torch.cat([wanted, drawn, batch.ids.flatten()]), return_inverse=True
    )
    scores = hidden[used] @ model["meaning"].rows(among).T
    each = F.cross_entropy(scores, place[: len(wanted)], reduction="none")
    answered = (each * weights[used]).sum() / len(batch.ids) / 4
    asked = hidden[torch.arange(len(inputs)), batch.asks]
    intent = F.cross_entropy(
        model["heads"].intent(asked), batch.intents, label_smoothing=0.1
    )
    total = answered
    if (batch.intents >= 0).any():
        total = total + INTENT_WEIGHT * intent
    if len(batch.read):
        guessed = model["heads"].state(asked[batch.read])
        likeness = F.cosine_similarity(guessed, batch.states).sum() / len(batch.ids)
        total = total - STATE_WEIGHT * likeness
    total = total + LOOK_WEIGHT * _looks(watched, batch)
    if len(batch.softened):
        total = total + SOFT_WEIGHT * _soft(model, hidden, batch, tokenizer) / 4
    return total, answered

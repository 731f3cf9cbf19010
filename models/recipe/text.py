"""The prompt format and the tokenizer: the same bytes in training and in use."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, pre_tokenizers
from tokenizers.decoders import ByteLevel as ByteLevelDecoder

__all__ = [
    "END",
    "JSON_PARTS",
    "PROMPT",
    "SPACE",
    "VALUES",
    "finished",
    "load_tokenizer",
    "with_dropout",
]

PROMPT = "Ticket: {ticket}\nTriage:\n"
END = "<|end|>"
SPACE = "\u0120"  # how byte-level BPE writes a space
# What every answer has in common is one token each, so that an answer is about ten
# tokens long. llama.cpp matches such user-defined tokens before it splits words.
JSON_PARTS = ('{"category":"', '","priority":"', '","needs_human":', ',"order_id":')
# What an answer chooses between; one token each.
VALUES = (
    *("billing", "shipping", "refund", "account", "bug", "other"),
    *("low", "normal", "high", "urgent", "true", "false", "null"),
)


def finished(tokenizer: Tokenizer, joined: Iterable[str]) -> Tokenizer:
    """`tokenizer` with the JSON's stretches, and a space joined to `joined` words."""
    state = json.loads(tokenizer.to_str())
    vocabulary, merges = state["model"]["vocab"], state["model"]["merges"]
    for word in dict.fromkeys(joined):
        if word in vocabulary and SPACE + word not in vocabulary:
            vocabulary[SPACE + word] = len(vocabulary)
            merges.append([SPACE, word])
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.add_tokens([AddedToken(p, normalized=False) for p in JSON_PARTS])
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer saved beside a checkpoint."""
    return Tokenizer.from_file(str(path))


def with_dropout(path: Path, share: float) -> Tokenizer:
    """The same vocabulary, skipping merges at random (BPE dropout, Provilkov 2020)."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.model.dropout = share
    return tokenizer

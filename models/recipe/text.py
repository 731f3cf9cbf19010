"""The prompt format and the tokenizer: the same bytes in training and in use."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from tokenizers.decoders import ByteLevel as ByteLevelDecoder

__all__ = [
    "END",
    "JSON_PARTS",
    "PROMPT",
    "load_tokenizer",
    "train_tokenizer",
    "with_dropout",
]

PROMPT = "Ticket: {ticket}\nTriage:\n"
END = "<|end|>"
# What every answer has in common is one token each, so that an answer is about ten
# tokens long. llama.cpp matches such user-defined tokens before it splits words.
JSON_PARTS = ('{"category":"', '","priority":"', '","needs_human":', ',"order_id":')


def train_tokenizer(texts: Iterable[str], vocab: int) -> Tokenizer:
    """A byte-level BPE whose digits stay single, so that numbers can be copied."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=3,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _plain(tokenizer)


def _plain(tokenizer: Tokenizer) -> Tokenizer:
    # No merge holds a digit, so plain byte-level splitting (all that llama.cpp does)
    # gives the same ids as the splitting that the merges were trained with.
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

"""The decoder's input and output embedding while it trains: meaning, mapped.

A token's row is a fixed reading by MiniLM times a learned matrix, plus, for tokens that
are no words or are very frequent, a learned part of its own. So training moves words
that it never shows along with those that it does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from text import SPACE
from tokenizers import Tokenizer
from torch import Tensor, nn
from words import vectors

__all__ = ["Fixed", "Meaning", "free_tokens", "token_table"]

KEPT = 384  # principal components of MiniLM's two readings
_FLAGS = 3  # behind a space; with a capital; in capitals


def _plain(token: str) -> str:
    return token.replace(SPACE, "").lower()


def token_table(tokenizer: Tokenizer) -> np.ndarray:
    """One row for each token, (vocabulary, 387): MiniLM's reading, then flags."""
    size = tokenizer.get_vocab_size()
    tokens = [tokenizer.id_to_token(at) for at in range(size)]
    texts = sorted({_plain(t) for t in tokens if _plain(t).isascii()} - {""})
    read = vectors(texts)
    read -= read.mean(axis=0)
    _, _, axes = np.linalg.svd(read[:: max(1, len(read) // 6000)], full_matrices=False)
    reduced = read @ axes[:KEPT].T
    at = {text: row for row, text in enumerate(texts)}
    table = np.zeros((size, KEPT + _FLAGS), dtype=np.float32)
    for row, token in enumerate(tokens):
        bare = token.replace(SPACE, "")
        if _plain(token) in at:
            table[row, :KEPT] = reduced[at[_plain(token)]]
        flags = (token.startswith(SPACE), bare[:1].isupper(), bare.isupper())
        table[row, KEPT:] = [0.3 * flag for flag in flags]
    return table


def free_tokens(
    tokenizer: Tokenizer, words: Sequence[str], frequent: Sequence[str]
) -> list[int]:
    """Ids with a part of their own: all but `words`, and those of `frequent`."""
    fixed = set(words) - set(frequent)
    size = tokenizer.get_vocab_size()
    tokens = ((at, tokenizer.id_to_token(at)) for at in range(size))
    return [at for at, token in tokens if _plain(token) not in fixed]


class Meaning(nn.Module):
    """Rows of the shared embedding, made when asked for."""

    table: Tensor
    slots: Tensor

    def __init__(self, table: Tensor, free: Sequence[int], width: int) -> None:
        super().__init__()
        self.register_buffer("table", table)
        slots = torch.full((len(table),), len(free))
        slots[torch.tensor(free)] = torch.arange(len(free))
        self.register_buffer("slots", slots)
        self.map = nn.Linear(table.shape[1], width, bias=False)
        self.own = nn.Parameter(torch.randn(len(free) + 1, width) * 0.03)
        with torch.no_grad():
            kept = min(width - _FLAGS, KEPT)
            start = torch.zeros_like(self.map.weight)
            start[:kept, :kept] = torch.eye(kept)
            start[kept : kept + _FLAGS, KEPT:] = torch.eye(_FLAGS)
            # A random turn spreads the strong components over all channels.
            turn, _ = torch.linalg.qr(torch.randn(width, width))
            self.map.weight.copy_(turn @ start)
            self.own[-1] = 0.0

    def rows(self, ids: Tensor) -> Tensor:
        """The rows of the tokens `ids` (count,), (count, width)."""
        own = self.own[self.slots[ids]] * ~self.fixed(ids)[:, None]
        return self.map(self.table[ids]) + own

    def fixed(self, ids: Tensor) -> Tensor:
        """Where the tokens are words without a part of their own."""
        return self.slots[ids] == len(self.own) - 1

    def embedded(self, ids: Tensor) -> Tensor:
        """Rows for ids of any shape; each distinct token is computed once."""
        distinct, back = torch.unique(ids, return_inverse=True)
        return self.rows(distinct)[back]


class Fixed(nn.Module):
    """Rows as an earlier run left them; nothing of them is trained any more."""

    table: Tensor
    words: Tensor

    def __init__(self, table: Tensor, free: Sequence[int]) -> None:
        super().__init__()
        words = torch.ones(len(table), dtype=torch.bool)
        words[torch.tensor(free)] = False
        self.register_buffer("table", table)
        self.register_buffer("words", words)

    def rows(self, ids: Tensor) -> Tensor:
        """The rows of the tokens `ids` (count,), (count, width)."""
        return self.table[ids]

    def fixed(self, ids: Tensor) -> Tensor:
        """Where the tokens are words without a part of their own."""
        return self.words[ids]

    def embedded(self, ids: Tensor) -> Tensor:
        """Rows for ids of any shape."""
        return self.table[ids]

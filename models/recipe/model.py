"""A small llama-architecture decoder in torch, laid out as llama.cpp reads it.

RoPE is interleaved (pairs 2i, 2i+1), so the query and key weights need no permutation
on export. Input and output embeddings are shared.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

__all__ = ["Config", "Decoder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Sizes of one model; `context` is the length written into the GGUF."""

    vocab: int
    width: int = 192
    layers: int = 3
    heads: int = 6
    hidden: int = 512
    context: int = 1024
    rope_base: float = 10000.0
    epsilon: float = 1e-5
    dropout: float = 0.1


def _rotation(length: int, size: int, base: float) -> Tensor:
    frequency = base ** (-torch.arange(0, size, 2).float() / size)
    angle = torch.outer(torch.arange(length).float(), frequency)
    return torch.stack([angle.cos(), angle.sin()])


def _rotate(x: Tensor, table: Tensor) -> Tensor:
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = table[0, : x.shape[-2]], table[1, : x.shape[-2]]
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    return turned.flatten(-2).type_as(x)


def _pattern(q: Tensor, k: Tensor) -> Tensor:
    """Log-shares of one head's causal attention, (batch, length, length)."""
    scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
    later = torch.ones_like(scores[0], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, float("-inf")).log_softmax(-1)


class _Block(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        self.heads = config.heads
        self.attn_norm = nn.RMSNorm(width, eps=config.epsilon)
        self.ffn_norm = nn.RMSNorm(width, eps=config.epsilon)
        self.attn_qkv = nn.Linear(width, 3 * width, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.ffn_down = nn.Linear(hidden, width, bias=False)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, rope: Tensor, watched: list[Tensor] | None = None
    ) -> Tensor:
        batch, length, _ = x.shape
        qkv = self.attn_qkv(self.attn_norm(x)).view(batch, length, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        q, k = _rotate(q, rope), _rotate(k, rope)
        if watched is not None:
            watched.append(_pattern(q[:, 0], k[:, 0]))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.drop(self.attn_output(seen.transpose(1, 2).reshape(x.shape)))
        gate, up = self.ffn_gate_up(self.ffn_norm(x)).chunk(2, dim=-1)
        return x + self.drop(self.ffn_down(F.silu(gate) * up))


class Decoder(nn.Module):
    """Token ids (batch, length) to final hidden states (batch, length, width)."""

    rope: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.token_embd = nn.Embedding(config.vocab, config.width)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.output_norm = nn.RMSNorm(config.width, eps=config.epsilon)
        table = _rotation(
            config.context, config.width // config.heads, config.rope_base
        )
        self.register_buffer("rope", table, persistent=False)
        self.apply(self._initialise)
        for name, weight in self.named_parameters():
            if name.endswith(("attn_output.weight", "ffn_down.weight")):
                nn.init.normal_(weight, std=0.02 / (2 * config.layers) ** 0.5)

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Final hidden states; `logits` turns the ones that matter into scores."""
        return self.states(self.token_embd(ids))

    def states(self, embedded: Tensor, watched: list[Tensor] | None = None) -> Tensor:
        """Final hidden states of tokens that are embedded already.

        `watched` takes the attention of the first head of each block.
        """
        x = self.drop(embedded)
        for block in self.blocks:
            x = block(x, self.rope, watched)
        return self.output_norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary, through the shared embedding."""
        return F.linear(hidden, self.token_embd.weight)

    @torch.no_grad()
    def greedy(self, prompt: list[int], *, stop: int, limit: int = 64) -> list[int]:
        """The most likely continuation, without `stop`."""
        ids = list(prompt)
        while len(ids) - len(prompt) < limit:
            hidden = self(torch.tensor([ids]))[0, -1]
            best = int(self.logits(hidden).argmax())
            if best == stop:
                break
            ids.append(best)
        return ids[len(prompt) :]

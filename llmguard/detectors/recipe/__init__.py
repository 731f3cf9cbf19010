"""How the weights of the refusal classifier are made; `python -m` runs it."""

from __future__ import annotations

from ._texts import Text, read_texts
from ._train import cross_validate, train

__all__ = ["Text", "cross_validate", "read_texts", "train"]

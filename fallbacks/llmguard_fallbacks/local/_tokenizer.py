"""llguidance's view of a llama.cpp vocabulary.

llguidance ships this as well, for llama-cpp-python alone, by functions that it has
deprecated and that warn once a token.
"""

from __future__ import annotations

from typing import Any

from ._imports import load
from ._llama import LlamaContext

__all__ = ["grammar_tokenizer"]


def grammar_tokenizer(context: LlamaContext) -> Any:
    """Return an `llguidance.LLTokenizer`; takes about a second for 128k tokens."""
    build = load("llguidance").LLTokenizer.from_llamacpp
    tokens = range(context.n_vocab)
    return build(
        tokens=[_piece(context, token) for token in tokens],
        vocab_ptr=context.vocab,
        tokenize_fptr=context.tokenize_address,
        eos_token=[t for t in tokens if context.ends(t)] or None,
        slices=None,
    )


def _piece(context: LlamaContext, token: int) -> bytes:
    piece = context.piece(token, special=True)
    # 0xFF marks what the grammar must never take for text.
    return b"\xff" + piece if context.is_control(token) else piece

"""What is fuzzed: functions of bytes that raise only where llmguard is wrong.

A target reads its bytes as its subject would meet them (a file, an answer, a request),
lets the documented errors pass, and holds what comes out against what must be true of
it whatever the bytes are. It keeps nothing from one call to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ._answers import contract_target, parse_target, sse_target
from ._files import (
    gguf_target,
    journal_target,
    lines_target,
    lock_target,
    rules_target,
    signature_target,
    spill_target,
)
from ._forms import forms_target
from ._web import serve_target, web_target

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes], None]

TARGETS: Final[Mapping[str, Target]] = {
    "contract": contract_target,
    "forms": forms_target,
    "gguf": gguf_target,
    "journal": journal_target,
    "lines": lines_target,
    "lock": lock_target,
    "parse": parse_target,
    "rules": rules_target,
    "serve": serve_target,
    "signature": signature_target,
    "spill": spill_target,
    "sse": sse_target,
    "web": web_target,
}

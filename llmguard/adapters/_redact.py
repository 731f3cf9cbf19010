"""Keep keys out of what is logged and stored."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["redact"]

# Text, like all patterns here: `re` compiles it when it is first used, not at import.
_PRIVATE: Final = (
    r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|AKIA)[-_]?[A-Za-z0-9_-]{12,}"
    r"|(?i:bearer)\s+\S+"
    r"|//[^/\s:@]+:[^/\s@]+@"
)
_LIMIT: Final = 400


def redact(text: str) -> str:
    """Return at most 400 characters of `text` with anything like a key blanked."""
    clean = re.sub(_PRIVATE, "[redacted]", text)
    return clean if len(clean) <= _LIMIT else f"{clean[: _LIMIT - 1]}…"

"""How a value is quoted in a violation: short, on one line, without secrets."""

from __future__ import annotations

import json
import re
from typing import Final

__all__ = ["excerpt", "hidden", "oxford", "shorten", "show"]

_LIMIT: Final = 60
_PRIVATE_NAME: Final = (
    r"(?i)passw|passphrase|secret|token|api_?-?key|credential|private_?-?key"
    r"|\bcvv|\bcvc"
)
_PRIVATE_TEXT: Final = (
    r"\b(?:sk|pk|rk|ghp|gho|ghs|glpat|xox[abprs]|AKIA|ASIA)[-_A-Za-z0-9]{12,}"
    r"|\beyJ[-_A-Za-z0-9]{8,}\.[-_A-Za-z0-9.]{8,}"
    r"|(?i:\bbearer\s+)[-._~+/A-Za-z0-9]{12,}"
)


def shorten(text: str, limit: int = _LIMIT) -> str:
    """Cut `text` to `limit` characters, the cut shown by an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def hidden(text: str) -> str:
    """Replace what looks like a credential by `***`."""
    return re.sub(_PRIVATE_TEXT, "***", text)


def excerpt(text: str) -> str:
    """Quote a piece of text as it stands, on one line, in single quotes."""
    clean = text.encode("utf-8", "replace").decode()
    return f"'{shorten(hidden(' '.join(clean.split())))}'"


def show(value: object, *, path: str = "", limit: int = _LIMIT) -> str:
    """Quote a value as the model would have written it: as short JSON.

    Args:
        value: Anything; what JSON cannot write is shown by its `repr`.
        path: JSON pointer of the value; a field named like a secret is hidden.
        limit: Characters to keep.
    """
    if re.search(_PRIVATE_NAME, path.rpartition("/")[2]):
        return "***"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = _safe_repr(value)
    clean = text.encode("utf-8", "replace").decode()
    return shorten(hidden(" ".join(clean.split())), limit)


def _safe_repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a user's __repr__ must not break a verdict
        return f"<{type(value).__name__}>"


def oxford(names: list[str], *, last: str = "or", limit: int = 12) -> str:
    """Join names as English does: `a`, `a or b`, `a, b or c`."""
    if len(names) > limit:
        return ", ".join(names[:limit]) + f" {last} {len(names) - limit} others"
    *head, tail = names or ["nothing"]
    return f"{', '.join(head)} {last} {tail}" if head else tail

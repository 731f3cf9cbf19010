"""The example of the page on forms, run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from llmguard_fallbacks.forms import encode

PAGE = Path(__file__).parents[2] / "docs" / "forms.md"


def test_the_documented_routes_run() -> None:
    """Shown, refused with a field's error, changed by a button, accepted."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found[1], names)  # noqa: S102 - our own page
    schema, posted = names["SCHEMA"], names["posted"]
    assert 'name="v/order_id"' in names["show"]({"category": "other", "order_id": 7})
    right = {"category": "other", "order_id": None}
    assert right == posted([*encode(schema, right), ("op", "submit")])
    wrong = encode(schema, {"category": "bill", "order_id": 7})
    assert "must be one of" in posted([*wrong, ("op", "submit")])
    assert '<select id="f-v/category"' in posted([*wrong, ("op", "form v/category")])

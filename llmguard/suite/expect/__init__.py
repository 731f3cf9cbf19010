"""Builders of assertions: each with default rates, each a pure function of a sample.

```python
from llmguard.suite import expect

expect.schema()
expect.between("amount", low=0, high=500, slices=["refunds"])
```
"""

from __future__ import annotations

from ._contract import checks, schema
from ._custom import check, custom
from ._defaults import defaults

__all__ = ["check", "checks", "custom", "defaults", "schema"]

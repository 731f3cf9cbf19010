"""What `import llmguard` costs over a bare interpreter and over pydantic.

Every import happens in a fresh process, the subjects taking turns; the least CPU time
of several is the figure, because a busy machine only ever adds to it.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Final

from _measure import machine, options, report, table

TARGET_MS: Final = 60.0
_MODEL: Final = "class T(BaseModel):\n a: int"
SUBJECTS: Final = {
    "bare interpreter": "pass",
    "pydantic": "from pydantic import BaseModel",
    "llmguard": "import llmguard",
    "pydantic, then llmguard": "from pydantic import BaseModel; import llmguard",
    "pydantic, one model": "from pydantic import BaseModel\n" + _MODEL,
    "the same, guarded": (
        "from pydantic import BaseModel; from llmguard import contract\n"
        + _MODEL
        + "\ncontract(T)(lambda: '')"
    ),
    "openai": "import openai",
}
_PROBE: Final = "import sys, time\n{code}\nprint(time.process_time(), len(sys.modules))"


def _once(code: str) -> tuple[float, int]:
    """Return milliseconds of CPU since the process began, and modules loaded."""
    probe = _PROBE.format(code=code)
    run = subprocess.run(  # noqa: S603 - this interpreter, on the constants above
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    seconds, modules = run.stdout.split()
    return float(seconds) * 1e3, int(modules)


def main() -> None:
    asked = options(__doc__ or "")
    least: dict[str, float] = {}
    modules: dict[str, int] = {}
    for _ in range(1 if asked.quick else 15):
        for name, code in SUBJECTS.items():
            taken, modules[name] = _once(code)
            least[name] = min(taken, least.get(name, taken))
    bare, pydantic = least["bare interpreter"], least["pydantic"]
    figures: dict[str, Any] = {
        name: {
            "ms_over_bare": least[name] - bare,
            "ms_over_pydantic": least[name] - pydantic,
            "modules": modules[name],
        }
        for name in SUBJECTS
    }
    rows = [[name, *each.values()] for name, each in figures.items()]
    head = ["import", "CPU ms over bare", "over pydantic", "modules"]
    title = f"Import time; target for llmguard {TARGET_MS:g} ms over pydantic"
    table(title, head, rows)
    report({"import": figures}, machine(), asked.json)


if __name__ == "__main__":
    main()

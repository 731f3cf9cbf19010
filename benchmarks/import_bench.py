"""What `import llmguard` costs over a bare interpreter and over pydantic.

Every import happens in a fresh process, the subjects taking turns; the least CPU time
of several is the figure, because a busy machine only ever adds to it. The modules are
read as bytecode, as an installed package's are: a first round, not counted, writes it
to a folder of its own, wherever the environment has Python leave it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import Any, Final

from _measure import machine, options, report, table

TARGET_MS: Final = 60.0
_MODEL: Final = "class T(BaseModel):\n a: int"
_GUARDED: Final = """
from llmguard import INJECTED, Pin, contract, fallback_chain, pinned, static
@fallback_chain(static(T(a=1)))
@contract(T)
@pinned(Pin(route="r", provider="openai", model="m", version_class="immutable"))
def f(text: str, *, model=INJECTED): return ""
"""
SUBJECTS: Final = {
    "bare interpreter": "pass",
    "pydantic": "from pydantic import BaseModel",
    "llmguard": "import llmguard",
    "pydantic, then llmguard": "from pydantic import BaseModel; import llmguard",
    "pydantic, one model": "from pydantic import BaseModel\n" + _MODEL,
    "the same, and a function with all three decorators": (
        "from pydantic import BaseModel\n" + _MODEL + _GUARDED
    ),
    "openai": "import openai",
}
_PROBE: Final = "import sys, time\n{code}\nprint(time.process_time(), len(sys.modules))"


def _once(code: str, cache: str) -> tuple[float, int]:
    """Return milliseconds of CPU since the process began, and modules loaded."""
    probe = _PROBE.format(code=code)
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    run = subprocess.run(  # noqa: S603 - this interpreter, on the constants above
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=True,
        env=environ,
    )
    seconds, modules = run.stdout.split()
    return float(seconds) * 1e3, int(modules)


def main() -> None:
    asked = options(__doc__ or "")
    least: dict[str, float] = {}
    modules: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as cache:
        for number in range(2 if asked.quick else 16):
            for name, code in SUBJECTS.items():
                taken, modules[name] = _once(code, cache)
                if number:
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

"""A process of a fleet: calls a guarded function and notes which table it goes by."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from llmguard.testing import FakeModel

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "pickup_bench.py"


def main() -> None:
    """Work until SIGTERM; the log is the only argument."""
    sys.path.insert(0, str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("pickup_bench", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    models = [FakeModel(lambda _: "fine", name=name) for name in ("v1", "v2")]
    assert 2 == len({model.pin("triage").id for model in models})
    bench.worker(bench.Log(Path(sys.argv[1])), busy=True)


if __name__ == "__main__":
    main()

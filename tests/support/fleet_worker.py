"""A process of a fleet: calls a guarded function and notes which table it goes by."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from llmguard.pins import load_lock
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
    # Fakes are numbered per process: take the numbers that the lock's pins have.
    for pin in load_lock().pins.values():
        model = FakeModel(lambda _: "fine", name=pin.model)
        model._key = str(pin.options["fake"])
        assert pin.options == model.pin(pin.route).options
    bench.worker(bench.Log(Path(sys.argv[1])), busy=True)


if __name__ == "__main__":
    main()

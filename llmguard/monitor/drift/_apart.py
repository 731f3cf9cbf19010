"""Freezing a baseline in a process of its own, so that no caller waits for it.

Seconds of arithmetic in a thread would hold the interpreter from callers again and
again; another process holds nothing. Run as a module it reads one JSON document from
standard input and writes the baseline to standard output.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from ._baseline import Baseline, Reader, freeze
from ._calibrate import Calibration
from ._extract import Extractor
from ._rows import Row

__all__ = ["freeze_apart"]

_LOG: Final = logging.getLogger("llmguard.monitor")
_SECONDS: Final = 300.0
_NICE: Final = 5


def freeze_apart(
    outputs: Sequence[Row],
    extractor: Extractor | Reader,
    *,
    function: str,
    pin: str,
    since: float,
    until: float,
    calibration: Calibration,
    breathe: Callable[[], None],
) -> Baseline:
    """Do as `freeze` does in another process; here, in slices, where none can start.

    Raises:
        ConfigError: There are too few outputs.
    """
    about = {"function": function, "pin": pin, "since": since, "until": until}
    document = {
        "rows": [row.to_json() for row in outputs],
        "extractor": {
            "id": extractor.id,
            "marks": extractor.marks,
            "measures": extractor.measures,
        },
        "calibration": asdict(calibration),
        "about": about,
    }
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, this module
            [sys.executable, "-m", __name__],
            input=json.dumps(document),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        return Baseline.from_json(done.stdout)
    except Exception as error:  # noqa: BLE001 - embedded interpreters have no executable
        _LOG.info("a baseline is frozen in this process: %r", error)
    return freeze(
        outputs,
        extractor,
        function=function,
        pin=pin,
        since=since,
        until=until,
        calibration=calibration,
        breathe=breathe,
    )


def _main() -> None:
    if hasattr(os, "nice"):
        os.nice(_NICE)
    read: Any = json.load(sys.stdin)
    names = read["extractor"]
    extractor = Reader(
        id=names["id"], marks=tuple(names["marks"]), measures=tuple(names["measures"])
    )
    made = freeze(
        [Row.from_json(row) for row in read["rows"]],
        extractor,
        calibration=Calibration(**read["calibration"]),
        **read["about"],
    )
    sys.stdout.write(made.to_json())


if __name__ == "__main__":
    _main()

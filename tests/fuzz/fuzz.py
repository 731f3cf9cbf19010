"""Fuzz the readers of what strangers write, for a bounded time.

Usage: python tests/fuzz/fuzz.py [TARGET ...] [--seconds N] [--seed N] [--plain]

Each target runs in a process of its own: by Atheris (libFuzzer with coverage) where it
is installed, else, or with `--plain`, by mutating the corpus at random. What fails is
kept in `tests/fuzz/found/TARGET/` and printed with the command that repeats it; copy it
into `tests/fuzz/corpus/TARGET/` with the repair. Exit code: 0 nothing found, 1 found.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import json
import logging
import random
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FOUND = HERE / "found"
sys.path.insert(0, str(HERE.parent / "support"))

SLOW = 20
"""Seconds after which one input counts as hanging."""
MEMORY = 2048


def main() -> int:
    """Run the targets one after the other; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without Atheris")
    parser.add_argument("--json", type=Path, help="write the summary to this file too")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return _child(options)
    names = options.targets or _names()
    results = [_run(name, options) for name in names]
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    found = [one for one in results if one["failed"]]
    print(f"{len(results)} targets, {len(found)} with findings")
    return 1 if found else 0


def _names() -> list[str]:
    from fuzzing import TARGETS

    return sorted(TARGETS)


def _run(name: str, options: argparse.Namespace) -> dict[str, object]:
    words = [sys.executable, str(Path(__file__)), name, "--child"]
    words += ["--seconds", str(options.seconds), "--seed", str(options.seed)]
    words += ["--plain"] if options.plain else []
    began = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    runs = [line for line in told.splitlines() if line.startswith(("Done ", "runs "))]
    print(f"{name:10} {time.monotonic() - began:5.0f} s  {' '.join(runs[-1:])}")
    if done.returncode:
        print("\n".join(told.splitlines()[-40:]))
        print(f"  again: python tests/fuzz/fuzz.py {name}")
    return {"target": name, "failed": bool(done.returncode), "runs": runs[-1:]}


def _child(options: argparse.Namespace) -> int:
    (name,) = options.targets
    logging.getLogger("llmguard").setLevel(logging.ERROR)
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    if options.plain or importlib.util.find_spec("atheris") is None:
        return _plain(name, options.seconds, options.seed)
    import atheris

    with atheris.instrument_imports(include=["llmguard", "llmguard_fallbacks"]):
        from fuzzing import TARGETS
    work = found / "corpus"
    work.mkdir(exist_ok=True)
    arguments = [
        sys.argv[0],
        f"-max_total_time={options.seconds}",
        f"-timeout={SLOW}",
        f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={found}/",
        f"-seed={options.seed}",
        "-max_len=4096",
        "-print_final_stats=1",
        str(work),
        str(CORPUS / name),
    ]
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()
    return 0


def _plain(name: str, seconds: int, seed: int) -> int:
    """Mutate the corpus; no coverage, but no package either."""
    from fuzzing import TARGETS

    target, chance = TARGETS[name], random.Random(seed)
    seeds = [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]
    end, runs = time.monotonic() + seconds, 0
    while runs < len(seeds) or time.monotonic() < end:
        data = seeds[runs] if runs < len(seeds) else _mutated(seeds, chance)
        runs += 1
        faulthandler.dump_traceback_later(SLOW, exit=True)
        try:
            target(data)
        except Exception:
            kept = FOUND / name / f"plain-{runs}"
            kept.write_bytes(data)
            traceback.print_exc()
            print(f"found: {kept}")
            return 1
        finally:
            faulthandler.cancel_dump_traceback_later()
    print(f"runs {runs}")
    return 0


def _mutated(seeds: list[bytes], chance: random.Random) -> bytes:
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randrange(1, 6)):
        _CHANGES[chance.randrange(len(_CHANGES))](data, chance, seeds)
    return bytes(data[:4096])


def _flip(data: bytearray, chance: random.Random, seeds: list[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random, seeds: list[bytes]) -> None:
    begin = chance.randrange(len(data) + 1)
    del data[begin : begin + chance.randrange(1, 32)]


def _splice(data: bytearray, chance: random.Random, seeds: list[bytes]) -> None:
    other = chance.choice(seeds)
    begin = chance.randrange(len(other) + 1)
    place = chance.randrange(len(data) + 1)
    data[place:place] = other[begin : begin + chance.randrange(1, 64)]


def _odd(data: bytearray, chance: random.Random, seeds: list[bytes]) -> None:
    place = chance.randrange(len(data) + 1)
    data[place:place] = chance.choice(_ODD)


def _repeat(data: bytearray, chance: random.Random, seeds: list[bytes]) -> None:
    begin = chance.randrange(len(data) + 1)
    piece = data[begin : begin + chance.randrange(1, 8)]
    data[begin:begin] = piece * chance.randrange(2, 300)


_ODD = (
    *(b"\0", b"\xff", b"\xed\xa0\x80", b"\xc2\xb2", b"\xf0\x9f\x98\x80", b"\r\n"),
    *(b"[" * 2000, b"{" * 300, b'{"a":' * 500, b"9" * 5000, b"1e999", b"NaN", b"-0"),
    *(b"\\ud800", b"\\u0000", b'"', b"```json\n", b"null", b"{}", b"[]", b"true"),
    *(b"data: ", b"[DONE]", b"=", b"#", b"'''", b"../", b"%2e", b"\xef\xbb\xbf"),
)
_CHANGES: tuple[Callable[[bytearray, random.Random, list[bytes]], None], ...] = (
    _flip,
    _flip,
    _cut,
    _splice,
    _odd,
    _repeat,
)

if __name__ == "__main__":
    sys.exit(main())

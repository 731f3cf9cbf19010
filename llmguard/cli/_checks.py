"""The checks of `llmguard doctor`, each of which names its repair."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from typing import Final, Literal

from .. import config
from ..adapters import provider_for
from ..errors import LLMGuardError
from ..guard import Guard, guarded_functions
from ..guard._loose_schema import loose_keywords
from ..pins import Pin, load_lock
from ..pins import check as check_lock
from ..pins.router import Router
from ..store import open_store, store_exists, store_name, store_path
from ._fit_checks import fit_checks, known_fitness
from ._gate_checks import gate_checks
from ._text import counted

__all__ = ["Finding", "check_all"]

_FREE_BYTES: Final = 64 * 1024 * 1024
_EXTRAS: Final = (
    ("openai", "openai", "remote models", "pip install 'llmguard-toolkit[openai]'"),
    (
        "llguidance",
        "llguidance",
        "constrained decoding",
        "pip install 'llmguard-fallbacks[llamacpp]'",
    ),
    (
        "llmguard_fallbacks",
        "llmguard-fallbacks",
        "rules and the human queue",
        "pip install llmguard-fallbacks",
    ),
    (
        "llmguard_models",
        "llmguard-models",
        "the embedded models",
        "pip install llmguard-models",
    ),
)
_RUNTIMES: Final = (("llama_cpp", "llama-cpp-python"), ("xllamacpp", "xllamacpp"))
"""Builds of llama.cpp: any one of them runs the local tier."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    level: Literal["ok", "warn", "fail"]
    what: str
    detail: str
    repair: str = ""

    def document(self) -> dict[str, str]:
        """Return it as JSON-able data."""
        return asdict(self)


def check_all() -> Iterator[Finding]:
    """Yield every finding, the environment first, then each guarded function."""
    yield Finding("ok", "python", sys.version.split()[0])
    settings = _settings()
    yield settings
    if settings.level == "fail":
        return  # where everything else is, they would have to say
    yield from _extras()
    yield from _lock()
    yield from (Finding(*line) for line in gate_checks())
    yield from _store()
    yield from _routing()
    yield from _alerts()
    yield _calls()
    known = known_fitness()
    for guard in guarded_functions():
        yield from _function(guard)
        yield from (Finding(*line) for line in fit_checks(guard, known))


def _settings() -> Finding:
    try:
        config.load()
    except LLMGuardError as error:
        return Finding("fail", "settings", str(error))
    changed = {k: v for k, v in config.where().items() if v != "default"}
    return Finding("ok", "settings", f"{changed or 'defaults'}")


def _calls() -> Finding:
    """Tell which recent calls are kept, or what is wrong with the setting."""
    from ..telemetry.recent import call_log

    settings = config.load()
    try:
        log = call_log(settings.calls, capture=settings.capture_content)
        log.redactor()
    except LLMGuardError as error:
        repair = "mend `[tool.llmguard.calls]`; until then content is not kept"
        return Finding("fail", "calls", str(error), repair)
    if not log.rows:
        return Finding("ok", "calls", "none are kept")
    what = f"with content, redacted by {log.redact!r}" if log.content else "no content"
    return Finding(
        "ok",
        "calls",
        f"kept: failures, and of each function {log.per_second:g} good a second; for "
        f"{log.days:g} days, {log.rows:,} at most, {what}",
    )


def _alerts() -> Iterator[Finding]:
    """Tell whether whoever should hear of alerts can be told."""
    from ..monitor.alerts import Webhook
    from ..monitor.alerts._send import SECRET, sink_of

    names: list[str] = []
    for text in config.load().alerts:
        try:
            sink = sink_of(text)
        except LLMGuardError as error:
            yield Finding("fail", "alerts", str(error), "`llmguard alerts test`")
            continue
        names.append(sink.name)
        if isinstance(sink, Webhook) and sink.secret is None:
            repair = f"set `{SECRET}`, which the receiver checks"
            yield Finding("warn", "alerts", f"{sink.name} is not signed", repair)
    if names:
        yield Finding("ok", "alerts", ", ".join(names))


def _extras() -> Iterator[Finding]:
    for module, distribution, purpose, repair in _EXTRAS:
        if find_spec(module) is None:
            yield Finding("warn", distribution, f"not installed: no {purpose}", repair)
            continue
        yield _installed(distribution)
    yield from _runtimes()
    names = sorted(e.name for e in entry_points(group="llmguard.providers"))
    yield Finding("ok", "providers", ", ".join(["openai", "replay", *names]))


def _installed(distribution: str) -> Finding:
    try:
        return Finding("ok", distribution, version(distribution))
    except PackageNotFoundError:
        return Finding("ok", distribution, "installed")


def _runtimes() -> Iterator[Finding]:
    there = [name for module, name in _RUNTIMES if find_spec(module) is not None]
    yield from map(_installed, there)
    if not there:
        yield Finding(
            "warn",
            "llama.cpp",
            f"none of {', '.join(name for _, name in _RUNTIMES)} is installed: no "
            "local tier",
            "pip install 'llmguard-fallbacks[llamacpp]', or without a compiler "
            "'llmguard-fallbacks[xllamacpp]'",
        )


def _lock() -> Iterator[Finding]:
    path = config.load().lock
    if not path.exists():
        yield Finding(
            "warn",
            "models.lock",
            f"none at {path}",
            "llmguard pin add ROUTE --provider openai --model EXACT-ID",
        )
        return
    try:
        lock = load_lock(path)
        for found in check_lock(lock.pins.values()):
            level: Literal["warn", "fail"] = "fail" if found.stale else "warn"
            yield Finding(level, f"pin {found.route}", found.message, found.repair)
        yield Finding(
            "ok", "models.lock", f"{counted(len(lock.pins), 'pin')} at {path}"
        )
    except LLMGuardError as error:
        yield Finding("fail", "models.lock", str(error), "llmguard pin check")


def _store() -> Iterator[Finding]:
    try:
        name, parent = store_name(), store_path().parent
    except LLMGuardError as error:
        yield Finding("fail", "store", str(error))
        return
    parent = parent if parent.exists() else config.load().root
    free = shutil.disk_usage(parent).free
    if free < _FREE_BYTES:
        yield Finding(
            "fail", "disk", f"{free >> 20} MiB free at {parent}", "free some space"
        )
    if not store_exists():
        yield Finding("ok", "store", f"{name} (made by the first recorded call)")
        return
    try:
        health = open_store().health(thorough=True)
    except LLMGuardError as error:
        yield Finding("fail", "store", str(error))
        return
    for problem in health.problems:
        yield Finding("fail", "store", problem)
    for note in health.notes:
        yield Finding("ok", "store", note)
    yield Finding(
        "ok", "store", f"{name}, {health.engine}, {health.size >> 10} KiB used"
    )


def _routing() -> Iterator[Finding]:
    """Say what a process that starts here would route by."""
    router = Router(store=lambda: open_store(create=False))
    table = router.refresh()
    router.stop()
    if table.stale and not table.read_at:
        return  # what is wrong with the store was said before
    entries = f"{len(table.routes)} routed by the ledger"
    told = f"environment {table.env!r}, revision {table.rev}, {entries}"
    if table.stale:
        age = f", {table.age(time.time()):.0f} s old" if table.read_at else ""
        yield Finding("fail", "routing", f"{told}, stale{age}: {table.problem}")
    else:
        yield Finding("ok", "routing", told)
    if router.cache_problem:
        repair = f"make {config.load().root / '.llmguard'} writable"
        yield Finding("warn", "routing cache", router.cache_problem, repair)


def _function(guard: Guard) -> Iterator[Finding]:
    places = " > ".join(step.name for step in guard.steps)
    if len(guard.steps) == 1:
        yield Finding(
            "warn",
            guard.name,
            f"{places}: no fallback",
            "add `@fallback_chain(..., static(value))` on top",
        )
    else:
        yield Finding("ok", guard.name, places)
    if guard.contract is None:
        yield Finding(
            "warn", guard.name, "no contract: any answer counts", "add `@contract`"
        )
    for step in guard.steps:
        if step.pins is not None:
            yield from _model(guard, step.name, step.pins.current)


def _model(guard: Guard, tier: str, pin: Pin) -> Iterator[Finding]:
    what = f"{guard.name} [{tier}]"
    try:
        provider = provider_for(pin)
        check = getattr(provider, "check", None)
        if check is not None:
            check()
        loose = loose_keywords(guard, pin)
    except LLMGuardError as error:
        yield Finding("fail", what, str(error))
        return
    yield Finding("ok", what, f"{pin.provider} {pin.model} ({pin.id})")
    for keyword in loose:
        yield Finding("warn", what, f"checked only after decoding: {keyword}")

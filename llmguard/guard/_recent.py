"""Moves the last calls to the store, once a second, on the keeper."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from .. import config
from ..errors import ConfigError
from ..outcome import POLICY, Attempt, Signal
from ..telemetry import add_answer_hook, add_hook
from ..telemetry.activity import process_name, word_of
from ..telemetry.recent import RECENT, CallLog, Held, call_log
from ..telemetry.redact import Redact, redacted, scrub
from ._traffic import known_pins

if TYPE_CHECKING:
    from ..pins import Pin
    from ..store import CallRow, Store

__all__ = ["RecentMover", "row_of"]

_LOG = logging.getLogger("llmguard.keeper")
_DAY: Final = 86_400.0
_WORDS: Final = 400
_QUOTES: Final = frozenset(
    kind for kind, policy in POLICY.items() if policy.behaviour is Signal.FAILURE
)
"""Kinds whose detail may repeat what the model wrote."""


class RecentMover:
    """One process's way from memory to the store."""

    def __init__(self) -> None:
        self._redact: Redact = scrub

    def start(self) -> None:
        """Listen, unless the settings say to keep nothing; a wrong one keeps little."""
        settings = config.load()
        try:
            log = call_log(settings.calls, capture=settings.capture_content)
            self._redact = log.redactor()
        except ConfigError as error:
            _LOG.warning("recent calls are kept by default settings: %s", error)
            log, self._redact = CallLog(), scrub
        RECENT.log = log
        if not log.rows:
            return
        add_hook(RECENT)
        if log.content:
            add_answer_hook(RECENT.answered)

    def move(self, store: Store) -> None:
        """Write what waits.

        Raises:
            StoreError: The store could not write; what waits goes on waiting.
        """
        held = RECENT.drain()
        if not held:
            return
        log, pins, env = RECENT.log, known_pins(), config.load().env
        try:
            rows = [self._row(one, env, pins) for one in held]
            store.calls.add(rows, most=log.rows, keep=log.days * _DAY)
        except BaseException:
            RECENT.put_back(held)
            raise

    def _row(self, held: Held, env: str, pins: Mapping[str, Pin]) -> CallRow:
        """Return the stored form of a call; without its words where hiding fails.

        One text that a redaction cannot take must not hold up the calls after it.
        """
        log = RECENT.log
        try:
            return row_of(held, env, pins, log, self._redact)
        except Exception as error:  # noqa: BLE001 - their function may raise anything
            _LOG.warning("a call is kept without its words: %r", error)
            return row_of(replace(held, inputs=None, said=()), env, pins, log, _no_word)


def _no_word(_: str) -> str:
    return ""


def row_of(
    held: Held, env: str, pins: Mapping[str, Pin], log: CallLog, redact: Redact
) -> CallRow:
    """Return the stored form of a call.

    Args:
        held: The call.
        env: Environment.
        pins: Every pin that a call may have asked, by its id.
        log: How much is kept.
        redact: What every text goes through.
    """
    from ..store import CallRow

    outcome = held.outcome
    first = next((one.pin for one in outcome.attempts if one.pin), "")
    pin = pins.get(first)
    content = held.inputs is not None
    body: dict[str, Any] = {
        "kind": str(outcome.kind),
        "deadline": outcome.deadline,
        "contract": outcome.contract_digest,
        "revision": outcome.revision,
        "experiment": outcome.experiment,
        "arm": outcome.arm,
        "unit": outcome.unit,
        "process": process_name(),
        "attempts": [
            _attempt(one, redact, content=content) for one in outcome.attempts
        ],
    }
    if held.inputs is not None:
        _add_content(body, held, log, redact)
    return CallRow(
        id=outcome.call_id,
        at=outcome.at,
        env=env,
        function=outcome.function,
        route="" if pin is None else pin.route,
        pin=first,
        answered=outcome.pin,
        tier=outcome.tier,
        outcome=word_of(outcome),
        request=_cut(redact(outcome.request_id)),
        attempts=len(outcome.attempts),
        elapsed=outcome.elapsed,
        content=content,
        body=json.dumps(body, ensure_ascii=False, default=str),
    )


def _attempt(one: Attempt, redact: Redact, *, content: bool) -> dict[str, Any]:
    """Return what may be kept of an attempt; of its words only where asked for."""
    words = content or one.kind not in _QUOTES
    usage = one.usage
    found: dict[str, Any] = {
        "tier": one.tier,
        "tier_index": one.tier_index,
        "number": one.number,
        "kind": str(one.kind),
        "started": round(one.started, 6),
        "elapsed": round(one.elapsed, 6),
        "pin": one.pin,
        "model": one.model,
        "served_model": one.served_model,
        "fingerprint": one.fingerprint,
        "detail": _cut(redact(scrub(one.detail))) if words else "",
        "violations": [
            {
                "path": each.path,
                "check": each.check,
                "message": _cut(redact(each.message)) if content else "",
            }
            for each in one.violations[:20]
        ],
        "reask": one.reask,
        "confidence": one.confidence,
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "rule": one.rule,
        "ticket": one.ticket_id,
        "prompt": one.prompt_digest,
    }
    return {key: value for key, value in found.items() if value not in ("", None, [])}


def _add_content(
    body: dict[str, Any], held: Held, log: CallLog, redact: Redact
) -> None:
    """Add what was asked and answered, redacted and cut."""
    inputs, cut = redacted(_plain(dict(held.inputs or {})), redact, most=log.chars)
    body["inputs"] = inputs
    said: list[dict[str, Any]] = []
    for one in held.said:
        if one.text is None and one.value is None:
            continue  # it failed before there was anything to say
        shown = one.text if one.text is not None else _plain(one.value)
        text, short = redacted(shown, redact, most=log.chars)
        cut = cut or short
        said.append(
            {"tier_index": one.tier_index, "number": one.number, "answer": text}
        )
    body["said"] = said
    body["cut"] = cut


def _plain(value: object) -> object:
    """Return a value as plain JSON data; what cannot be is shown by its `repr`."""
    if value is None or isinstance(value, bool | int | float | str):
        return cast("object", value)
    from pydantic_core import to_jsonable_python

    try:
        return cast("object", to_jsonable_python(value, fallback=repr))
    except Exception:  # noqa: BLE001 - a foreign object may raise anything
        return f"({type(value).__name__}, which cannot be shown)"


def _cut(text: str) -> str:
    return text if len(text) <= _WORDS else f"{text[: _WORDS - 1]}…"

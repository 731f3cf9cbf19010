"""What is kept of one request: always the metadata, texts only where asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ...store import ShadowPair
from ...telemetry.redact import redacted, redactor
from .._draw import plain
from ._spec import spec_of

if TYPE_CHECKING:
    from ...guard import Guard
    from ...telemetry.redact import Redact
    from .._draw import Draw, Pair
    from .._rungs import Divergence
    from ._run import LiveRun
    from ._work import Work

__all__ = ["Keeping"]

_MAX_INPUT: Final = 20


class Keeping:
    """Makes the stored form of a run's pairs.

    Args:
        run: The run.

    Raises:
        ConfigError: A function that redacts cannot be imported.
    """

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._redact = redactor(run.options.redact)

    def row(self, work: Work, pair: Pair, found: Divergence | None) -> ShadowPair:
        """Return the row of a pair.

        Args:
            work: The request.
            pair: Its draws, as they are.
            found: Where they part; None where they do not.
        """
        run = self._run
        body: dict[str, Any] = {
            "request": work.request_id,
            "mode": work.mode,
            "cluster": work.cluster,
            "a": [_about(each) for each in pair.draws_a],
            "b": [_about(each) for each in pair.draws_b],
        }
        direction = "" if found is None else _direction(found)
        if found is not None:
            body["divergence"] = {
                "rung": int(found.rung),
                "path": found.path,
                "severity": int(found.severity),
            }
        content = run.options.content
        if content:
            document, cut = self._content(work, pair)
            body |= {"pair": document, "truncated": cut}
        return ShadowPair(
            id=f"{run.key}/{work.call_id}",
            run=run.key,
            function=work.guard.name,
            incumbent=work.incumbent.id,
            stratum=work.stratum,
            at=work.at,
            rung=0 if found is None else int(found.rung),
            direction=direction,
            content=content,
            body=json.dumps(body, ensure_ascii=False, default=str),
        )

    def redact_of(self, guard: Guard) -> Redact:
        """Return what a text goes through: the function's own word comes first."""
        spec = spec_of(guard)
        if spec is None or spec.options.redact in {"pii", "none"}:
            return self._redact
        own, general = redactor(spec.options.redact), self._redact
        return lambda text: general(own(text))

    def asked(self, work: Work) -> str:
        """Return what was asked, as a text that has still to be redacted."""
        return _input_text(work.inputs)

    def _content(self, work: Work, pair: Pair) -> tuple[dict[str, Any], bool]:
        redact = self.redact_of(work.guard)
        shown = replace(pair, input=_input_text(work.inputs))
        made, cut = redacted(shown.document(), redact, most=self._run.options.max_chars)
        return dict(made), cut  # type: ignore[call-overload] # a document stays one


def _about(draw: Draw) -> dict[str, Any]:
    """Return what may always be kept of a draw: how it ended, not what it said."""
    return {
        "kind": None if draw.kind is None else str(draw.kind),
        "finish_reason": draw.finish_reason,
        "latency_s": None if draw.latency_s is None else round(draw.latency_s, 6),
        "cost": draw.cost,
        "served_model": draw.served_model,
        "violations": [
            {"path": each.path, "check": each.check} for each in draw.violations
        ],
        "chars": None if draw.text is None else len(draw.text),
        "calls": [each.name for each in draw.calls],
    }


def _direction(found: Divergence) -> str:
    return f"{found.path}: {found.sealed().direction}"


def _input_text(inputs: Mapping[str, object]) -> str:
    """Return what was asked, for the reader of examples."""
    shown = {name: plain(each) for name, each in list(inputs.items())[:_MAX_INPUT]}
    if len(shown) == 1:
        only = next(iter(shown.values()))
        if isinstance(only, str):
            return only
    return json.dumps(shown, ensure_ascii=False, default=str)

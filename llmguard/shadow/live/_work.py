"""One sampled request on its way from the caller's thread to the shadow's own."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ..._dataclass import dataclass
from ...outcome import Kind
from .._draw import LOST
from ._draws import Answer, Mode, answer_of

if TYPE_CHECKING:
    from ...adapters.messages import Request
    from ...guard import Guard, Runtime
    from ...guard._call import Call
    from ...guard._commands import Run
    from ...guard._judge import Judged
    from ...pins import Pin

__all__ = ["Seen", "Work", "mode_of"]

_UNPINNED: Final = "the function is not `@pinned`"
_RAW: Final = "the body used the raw client, so there is no request to repeat"
_MORE: Final = "the body does more than one model call, and nobody said that it may run"


@dataclass(slots=True, kw_only=True)
class Work:
    """What it takes to ask other versions the same.

    Attributes:
        call_id: Id of the live call.
        request_id: What sampling went by.
        at: Epoch seconds of the live call.
        guard: The guarded function.
        incumbent: The pin that answered the live call.
        answer: What it said.
        mode: Whether the body is run again, or its model call repeated.
        given: Copies of the call's arguments; empty for `model`.
        inputs: The arguments by name.
        request: What the body sent; None for `body`.
        live: What the live call ran on; looked at, never used.
        context: A copy of the caller's context variables.
        deadline: Seconds that one draw may take.
        stratum: Slice of the traffic.
        cluster: Digest of who sent it; empty for not known.
        doubled: Whether both versions are drawn twice.
        raw: Whether the incumbent's raw answer has still to be judged.
    """

    call_id: str
    request_id: str
    at: float
    guard: Guard
    incumbent: Pin
    answer: Answer
    mode: Mode
    given: tuple[tuple[Any, ...], Mapping[str, Any]]
    inputs: Mapping[str, object]
    request: Request | None
    live: Runtime
    context: Context
    deadline: float
    stratum: str = ""
    cluster: str = ""
    doubled: bool = False
    raw: bool = False


class Seen:
    """What a live call's first tier did, as far as a shadow may use it.

    The first attempt that shows anything counts: a re-ask that repairs an answer would
    hide how the version behaves, and the challenger is asked once too.
    """

    __slots__ = ("answer", "asks", "last", "lost", "pure", "request")

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.last: Answer | None = None
        self.request: Request | None = None
        self.asks = 0
        self.pure = False
        self.lost = ""

    def take(self, run: Run, judged: Judged) -> None:
        """Take an attempt of the first tier."""
        if self.answer is not None or run.feedback:
            return
        if judged.kind in LOST or judged.kind is Kind.ERROR:
            self.lost = str(judged.kind)
            return
        model = run.model
        latency = run.call.clock.monotonic() - run.started - run.paused
        self.answer = answer_of(
            judged.kind,
            judged.reply,
            violations=judged.violations,
            detail=judged.detail,
            latency=latency,
        )
        if model is not None:
            self._model_call(model.asked, model.asks, judged, model.last)

    def _model_call(
        self, asked: Request | None, asks: int, judged: Judged, last: Any
    ) -> None:
        """Note the request, and whether the body did nothing but send it."""
        self.request, self.asks = asked, asks
        answer, said = self.answer, judged.reply
        if answer is None or asked is None or last is None or said is None:
            return
        self.last = replace(answer, reply=replace(last, raw=None), usage=last.usage)
        untouched = said is last or (not said.has_value and said.text == last.text)
        self.pure = asks == 1 and untouched


def mode_of(call: Call, seen: Seen, wanted: str) -> tuple[Mode | None, str]:
    """Decide how a call may be repeated.

    Args:
        call: The live call.
        seen: What its first tier did.
        wanted: `auto`, `body` or `model`, as the shadow was told.

    Returns:
        The mode, or None and the reason.
    """
    if not call.pins or call.pins[0] is None:
        return None, _UNPINNED
    harmless = call.guard.idempotent
    if wanted == "body" or (wanted == "auto" and harmless is True):
        return ("body", "") if harmless is not False else (None, _MORE)
    if seen.request is None or seen.last is None:
        return None, _RAW
    if wanted == "auto" and harmless is None and not seen.pure:
        return None, _MORE
    return "model", ""

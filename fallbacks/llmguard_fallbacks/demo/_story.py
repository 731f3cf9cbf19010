"""The demo's four acts: healthy, the remote dies, the local model too, recovery."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from llmguard import Deferred, Outcome, Prompt, capture, warm_up
from llmguard.adapters import close_providers, provider_for
from llmguard.breaker import Transition
from llmguard.clock import SYSTEM_CLOCK, Clock
from llmguard.guard import current_runtime

from ._provider import LoopbackProvider
from ._triage import REMOTE_MODEL, Triage, build, local_pin, remote_pin

__all__ = ["ACTS", "Act", "Event", "Line", "Story", "Weights"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One part of the story: what is broken, and how many tickets meet it."""

    title: str
    tickets: int


_SEED: Final = 2026

ACTS: Final = (
    Act(title="all is well: the remote model answers", tickets=16),
    Act(title="outage: the remote hangs, then errors; the local model", tickets=16),
    Act(title="the local weights are gone too: rules, then a person", tickets=14),
    Act(title="both are back: the breaker lets probes through, closes", tickets=22),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The embedded model the demo uses.

    Attributes:
        path: The GGUF file.
        sha256: Its hash.
        prompt: Template with one variable, `ticket`.
    """

    path: Path
    sha256: str
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One ticket of the demo.

    Attributes:
        act: Index into `ACTS`.
        number: 1 for the first ticket.
        ticket: Its text.
        value: The decision; None when a person will make it.
        label: What a person had decided beforehand.
        outcome: The story of the call.
    """

    act: int
    number: int
    ticket: str
    value: Triage | None
    label: dict[str, Any]
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of the remote's breaker, at seconds after the start."""

    at: float
    transition: Transition


class Story:
    """Runs the acts over real tickets; yields a `Line` for each.

    Args:
        weights: The embedded model.
        tickets: Records with `text` and `label`.
        queue: Name of the human queue.
        clock: Where the time comes from.
    """

    def __init__(
        self,
        *,
        weights: Weights,
        tickets: Sequence[dict[str, Any]],
        queue: str,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._weights = weights
        self._tickets = list(tickets)
        random.Random(_SEED).shuffle(self._tickets)  # noqa: S311 - an order, no secret
        self._queue = queue
        self._clock = clock
        self._started = clock.monotonic()
        self.events: list[Event] = []
        self.remote_hits = 0

    def run(self) -> Iterator[Act | Line]:
        """Play the acts; yields each act, then its lines.

        The local tier runs on a copy of the weights, so that taking them away breaks
        that tier and nothing else.
        """
        current_runtime().breakers.on_transition(self._note)
        engine = provider_for(local_pin(self._weights.path, self._weights.sha256))
        with (
            tempfile.TemporaryDirectory() as folder,
            LoopbackProvider(model=REMOTE_MODEL, engine=engine) as remote,
        ):
            copy = Path(folder, "local.gguf")
            self._plug_in(copy)
            self._warm_up(remote)
            triage = build(
                remote_pin(remote.base_url),
                local_pin(copy, self._weights.sha256),
                Prompt(self._weights.prompt),
                queue=self._queue,
            )
            warm_up(triage)
            try:
                yield from self._acts(triage, remote, copy)
            finally:
                self.remote_hits = remote.hits
                close_providers()

    def _acts(
        self, triage: Callable[[str], Triage], remote: LoopbackProvider, copy: Path
    ) -> Iterator[Act | Line]:
        number = 0
        for index, act in enumerate(ACTS):
            yield act
            self._set_the_stage(index, remote, copy)
            for place in range(act.tickets):
                if index == 1 and place == act.tickets // 2:
                    remote.mode = "errors"
                record = self._tickets[number % len(self._tickets)]
                number += 1
                yield self._one(triage, index, number, record)

    def _set_the_stage(self, act: int, remote: LoopbackProvider, copy: Path) -> None:
        if act == 1:
            remote.mode = "hangs"
        elif act == 2:  # noqa: PLR2004 - the third act
            provider_for(local_pin(copy, self._weights.sha256)).close()
            copy.unlink()
        elif act == 3:  # noqa: PLR2004 - the fourth act
            self._plug_in(copy)
            self._warm_up(remote)
            remote.mode = "up"
            self._wait_for_the_breaker()

    def _warm_up(self, remote: LoopbackProvider) -> None:
        """Load the model before traffic comes, as a provider would."""
        hello = self._weights.prompt.format(ticket="hello")
        message = {"role": "user", "content": hello}
        remote.answer({"messages": [message], "max_tokens": 1})

    def _plug_in(self, copy: Path) -> None:
        shutil.copyfile(self._weights.path, copy)

    def _wait_for_the_breaker(self) -> None:
        """Wait out the open period, as traffic would."""
        waits = [
            snapshot.retry_after or 0.0
            for snapshot in (b.snapshot() for b in current_runtime().breakers.all())
            if "triage" in snapshot.key
        ]
        self._clock.sleep(min(max(waits, default=0.0) + 0.1, 30.0))

    def _one(
        self,
        triage: Callable[[str], Triage],
        act: int,
        number: int,
        record: dict[str, Any],
    ) -> Line:
        value: Triage | None = None
        with capture() as outcomes:
            try:
                value = triage(record["text"])
            except Deferred:
                value = None
        return Line(
            act=act,
            number=number,
            ticket=record["text"],
            value=value,
            label=record["label"],
            outcome=outcomes[-1],
        )

    def _note(self, transition: Transition) -> None:
        at = self._clock.monotonic() - self._started
        self.events.append(Event(at=at, transition=transition))

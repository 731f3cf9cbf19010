"""What is done about an alarm or a quarantine: ask both versions, then perhaps go back.

A trip is not a rollback. The version before takes over only when a paired test on the
same inputs says that it does better: if both fail, the inputs have changed, and the
chain and people are the better answer.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from ..breaker import State, Transition
from ..errors import ConfigError, LLMGuardError
from ..guard._forks import renew_after_fork
from ..guard._runtime import default_runtime
from ._cases import TOGETHER, Case, case_of
from ._paired import Said
from ._review import write_review
from ._sites import guard_named, pin_named
from .probe import CANARIES, PAIRS, Asker, Probe, compare, probe

if TYPE_CHECKING:
    from ._monitor import Monitor
    from ._sites import Site
    from .drift import Alarm

__all__ = ["Responder"]

_LOG: Final = logging.getLogger("llmguard.monitor")
_ACTOR: Final = "llmguard"
_LEAST: Final = 10
_HOUR: Final = 3600.0
_GRACE: Final = 5.0
_SEED: Final = 7
_WAITING: Final = 16
_BREAKER: Final = "breaker"

Inputs = Sequence[Mapping[str, object]]


class Responder:
    """Answers alarms with paired probes and verdicts with rollbacks, on its own thread.

    Args:
        canaries: Inputs by function name that are asked in probes; by default recent
            inputs of this process, which are kept in memory only.
        on_change: What may take a version out of traffic besides a paired verdict that
            it is worse: `unaccepted`, that it decides differently than the version
            before and was promoted without evidence, or than itself at its promotion;
            `never`, nothing.
        probes: False to only tell of alarms; quarantines are still answered.
        postmortems: Folder that the post-mortem of an upgrade is written into when it
            is rolled back; None for no file. The event and the alert name it.
        runtime: Where time and breakers come from; the process's own by default.

    Raises:
        ConfigError: Another `on_change`.
    """

    def __init__(
        self,
        *,
        canaries: Mapping[str, Inputs] | None = None,
        on_change: Literal["unaccepted", "never"] = "unaccepted",
        probes: bool = True,
        postmortems: str | Path | None = None,
        runtime: Any = None,
    ) -> None:
        if on_change not in ("unaccepted", "never"):
            raise ConfigError(
                f"`on_change={on_change!r}` must be `unaccepted` or `never`"
            )
        self._canaries = dict(canaries or {})
        self._on_change = on_change
        self._probes = probes
        self._folder = None if postmortems is None else Path(postmortems)
        self._runtime = runtime
        self._monitor: Monitor | None = None
        self._listening = False
        self.verdicts: deque[Probe] = deque(maxlen=100)
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start with nothing to do and no thread, as a forked child does."""
        self._lock = threading.Lock()
        self._todo: deque[tuple[tuple[str, str], Callable[[], None]]] = deque()
        self._thread: threading.Thread | None = None
        self._halt = threading.Event()
        self.failures = 0

    def start(self, monitor: Monitor) -> None:
        """Act for a monitor from now on."""
        self._monitor = monitor
        self._halt.clear()
        if not self._listening:
            self._listening = True
            self._breakers().on_transition(self._moved)

    def stop(self, timeout: float = 2.0) -> None:
        """Take on nothing more; what is under way may go on for `timeout` seconds."""
        self._monitor = None
        self._halt.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def wait(self, timeout: float = 60.0) -> bool:
        """Wait until nothing is under way; False when time ran out."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def suspect(self, site: Site, alarm: Alarm) -> None:
        """Have a paired probe decide what a drift alarm means."""
        if self._probes:
            self._later(site.key, lambda: self._drifted(site, alarm))

    def _moved(self, transition: Transition) -> None:
        if transition.new is not State.QUARANTINED or transition.actor != _BREAKER:
            return
        function, _, pin = transition.key.rpartition("|")
        reason = transition.reason
        self._later((function, pin), lambda: self._tripped(function, pin, reason))

    def _later(self, key: tuple[str, str], work: Callable[[], None]) -> None:
        with self._lock:
            waiting = {one for one, _ in self._todo}
            if self._monitor is None or key in waiting or len(waiting) >= _WAITING:
                return
            self._todo.append((key, work))
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name="llmguard-responder", daemon=True
                )
                with suppress(RuntimeError):  # no more threads: the next one tries
                    thread.start()
                    self._thread = thread

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._todo:
                    self._thread = None
                    return
                _, work = self._todo.popleft()
            try:
                work()
            except Exception:  # noqa: BLE001 - the next alarm must find this thread alive
                self.failures += 1
                _LOG.exception("answering an alarm failed; a person should look")

    # --- a quarantine

    def _tripped(self, function: str, pin: str, reason: str) -> None:
        """Answer a quarantine: a paired verdict, then perhaps a rollback."""
        monitor = self._monitor
        if monitor is None:
            return
        site, _ = monitor.sites.get(function, pin)
        case = self._case(site)
        if isinstance(case, str):
            self._page(site, f"{reason}. Not rolled back: {case}")
            return
        inputs = self._inputs(site, PAIRS)
        if len(inputs) < _LEAST:
            self._halt.wait(_GRACE)  # a process that knows more may answer
        if not case.lease("trip", hold=TOGETHER):
            return  # another process asks already
        why = case.frozen()
        if not why and len(inputs) < _LEAST:
            why = (
                f"only {len(inputs)} inputs are known to ask both versions; "
                "`llmguard.monitor.start(canaries=...)` gives some"
            )
        if why:
            self._page(site, f"{reason}. Not rolled back: {why}")
            return
        asker = Asker(case.guard, self._runtime)
        found = compare(asker, case.pin, case.older, inputs)
        self._tell_probe(case, found, "breaker")
        if found.verdict == "worse":
            self._go_back(case, f"{reason}; paired probe {found}")
        else:
            self._page(
                site,
                f"{reason}. Not rolled back: paired probe {found}: the inputs have "
                "changed, or the contract; the chain answers meanwhile",
            )

    # --- an alarm

    def _drifted(self, site: Site, alarm: Alarm) -> None:
        """Answer an alarm: is it the version, or what it is asked?"""
        case, monitor = self._case(site), self._monitor
        if isinstance(case, str) or monitor is None:
            _LOG.info("no probe for %s on %s: %s", site.function, site.pin, case)
            return
        inputs = self._inputs(site, PAIRS)
        if len(inputs) < _LEAST or not case.lease("probe", hold=_HOUR):
            if site.follower is not None:
                site.follower.restart()  # an alarm that nobody answers may come again
            return
        asker = Asker(case.guard, self._runtime)
        reference = self._reference(case, inputs) if site.own else None
        if reference is not None:
            inputs = inputs[:CANARIES]
        found = probe(asker, case.pin, case.older, inputs, reference=reference)
        self._tell_probe(case, found, f"drift.{alarm.family}")
        if found.verdict == "worse" or (
            found.verdict == "changed" and self._forbidden(case, reference)
        ):
            # It leaves the traffic first: the ledger takes up to a second to be read.
            reason = f"behaviour: {alarm.family} drift; paired probe {found}"
            case.lease("trip", hold=TOGETHER)  # no other process need answer it
            self._breakers().get(
                site.function, site.pin, policy=case.guard.breaker
            ).quarantine(reason)
            with self._lock:  # the quarantine is answered here and now
                self._todo = deque(x for x in self._todo if x[0] != site.key)
            self._go_back(case, reason)
        elif found.verdict == "same" and site.follower is not None:
            monitor.teller.alert(
                site,
                f"drift.{alarm.family}.inputs",
                f"paired probe {found}: the inputs have changed, not the version",
                severity="info",
            )
            site.follower.restart()
        else:
            monitor.teller.alert(
                site, f"drift.{alarm.family}.probe", f"paired probe {found}"
            )
            if found.verdict == "undecided" and site.follower is not None:
                site.follower.restart()  # so that it may alarm, and ask, again

    def _forbidden(self, case: Case, reference: object) -> bool:
        """Tell whether a version may not answer as it does now."""
        if self._on_change == "never":
            return False
        return reference is not None or not case.accepted()

    # --- what both need

    def _case(self, site: Site) -> Case | str:
        monitor = self._monitor
        if monitor is None:
            return "the monitor has been stopped"
        return case_of(site, store=monitor.store, env=monitor.env)

    def _inputs(self, site: Site, most: int) -> Inputs:
        declared = self._canaries.get(site.function)
        if declared is not None:
            return declared[:most]
        monitor = self._monitor
        if monitor is None:
            return ()
        known = list(monitor.sites.inputs(site.function).last(most))
        # The newest ones are those that raised the alarm: not first, not alone.
        random.Random(_SEED).shuffle(known)  # noqa: S311 - an order, no secret
        return known

    def _reference(
        self, case: Case, inputs: Inputs
    ) -> tuple[Sequence[Said], Sequence[Said]] | None:
        """Return what the version itself said to the canaries at its promotion."""
        from ._canaries import load_canaries

        if case.site.function not in self._canaries:
            return None
        kept = inputs[:CANARIES]  # as many as `remember` asks
        return load_canaries(case.store, case.site.function, case.pin, kept)

    def remember(self, site: Site) -> None:
        """Ask a version its canaries twice, for later: it has just got its baseline."""
        if self._probes and site.function in self._canaries:
            self._later(site.key, lambda: self._remember(site))

    def _remember(self, site: Site) -> None:
        from ._canaries import save_canaries

        monitor, guard = self._monitor, guard_named(site.function)
        pin = None if guard is None else pin_named(guard, site.pin)
        if monitor is None or guard is None or pin is None or monitor.store is None:
            return
        inputs = self._inputs(site, CANARIES)
        save_canaries(
            monitor.store, Asker(guard, self._runtime), site.function, pin, inputs
        )

    def _go_back(self, case: Case, reason: str) -> None:
        """Roll back by the ledger; a refusal is told to people."""
        from ..promotion import rollback

        monitor = self._monitor
        if monitor is None:
            return
        try:
            moved = rollback(
                store=case.store,
                route=case.site.route,
                pin=case.site.pin,
                env=monitor.env,
                actor=_ACTOR,
                reason=reason,
            )
        except LLMGuardError as error:
            self._page(case.site, f"{reason}. Not rolled back: {error}")
            return
        if not moved.entries:
            return  # somebody was faster
        review = write_review(
            case.store, monitor.env, case.site.route, folder=self._folder
        )
        if review is not None:
            monitor.teller.event("postmortem.written", case.site, review, case.store)
        monitor.teller.alert(
            case.site,
            "rollback.automatic",
            f"{moved.serves} serves {case.site.route!r} again: {reason}",
            detail=review or {},
            command=f"llmguard resume {case.site.pin}",
            severity="page",
        )

    def _tell_probe(self, case: Case, found: Probe, cause: str) -> None:
        self.verdicts.append(found)
        monitor = self._monitor
        if monitor is None:
            return
        detail = {
            "cause": cause,
            "against": case.older.id,
            "verdict": found.verdict,
            "pairs": found.pairs,
            "worse": found.worse,
            "better": found.better,
            "e": min(found.evidence, 1e12),
            "p": found.p,
            "moves": dict(found.moves),
            "calls": found.calls,
        }
        monitor.teller.event("probe.paired", case.site, detail, case.store)

    def _page(self, site: Site, evidence: str) -> None:
        monitor = self._monitor
        if monitor is not None:
            monitor.teller.alert(
                site,
                "breaker.quarantined",
                evidence,
                command="llmguard breaker list",
                severity="page",
            )

    def _breakers(self) -> Any:
        return (self._runtime or default_runtime()).breakers

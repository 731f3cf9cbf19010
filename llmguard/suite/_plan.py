"""A run before it begins: who is asked, in which order, within which limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._version import __version__
from ..errors import ConfigError
from ..pins import Pin
from ._arms import Version, make_version, pin_of
from ._budget import check_budget
from ._facts import pin_document, pin_from
from ._journal import Journal, read_journal
from ._prices import Prices
from ._suite import Suite
from ._types import Arm, Sample

__all__ = ["Plan"]


@dataclass(slots=True, kw_only=True)
class Plan:
    """What `choose` or `go_on` settled, beside the limits it was made with."""

    suite: Suite
    prices: Prices
    seed: int
    max_calls: int | None
    max_cost: float | None
    concurrency: int
    full: bool
    target: str = ""
    candidate: Pin = field(init=False)
    incumbent: Pin | None = None
    baseline: Mapping[str, Sequence[Sample]] | None = None
    baseline_path: str = ""

    def choose(
        self,
        candidate: str | Pin,
        incumbent: str | Pin | bool | None,
        baseline: str | Path | None,
    ) -> None:
        """Take what the caller named."""
        guard = self.suite.guard
        self.candidate = pin_of(candidate, guard)
        if baseline is not None:
            self._read_baseline(Path(baseline))
        elif incumbent is not False and (
            incumbent is not None or self.suite.needs_incumbent
        ):
            named = self.suite.incumbent_pin if incumbent is True else incumbent
            named = named or self.suite.incumbent_pin
            if named is None:
                raise ConfigError(
                    f"suite `{self.suite.name}` compares with an incumbent and nobody "
                    "says which: give `incumbent=` (`--incumbent PIN`), or a "
                    "`baseline=` (`--baseline JOURNAL`)"
                )
            self.incumbent = pin_of(named, guard)
        self._check_arms()

    def _check_arms(self) -> None:
        if self.suite.needs_incumbent and self.incumbent is None:
            names = [
                f"`{each.name}`"
                for each in self.suite.assertions
                if each.relative or each.prepare is not None
            ]
            raise ConfigError(
                f"{', '.join(names)} of suite `{self.suite.name}` compare with an "
                "incumbent: name one, or make them absolute"
            )
        same = self.incumbent is not None and self.incumbent.id == self.candidate.id
        if same and self.candidate.provider == "replay":
            raise ConfigError(
                f"{self.candidate.model!r} would answer for both versions, each with "
                "every other of its answers: record the incumbent to a file of its own"
            )

    def go_on(self, journal: Journal) -> None:
        """Take what an earlier part of the run was begun with.

        Raises:
            ConfigError: The suite has changed since.
        """
        header = journal.header
        if header["suite_digest"] != self.suite.digest:
            raise ConfigError(
                f"suite `{self.suite.name}` has changed since {str(journal.path)!r} "
                f"was begun: judge what it holds with `llmguard suite grade "
                f"{journal.path}`, or run the suite anew"
            )
        self.candidate = pin_from(header["candidate"])
        self.incumbent = header["incumbent"] and pin_from(header["incumbent"])
        self.seed = header["seed"]
        self.full = self.full or bool(header["settings"]["full"])
        if header["baseline"]:
            self._read_baseline(Path(header["baseline"]))

    def _read_baseline(self, path: Path) -> None:
        recorded = read_journal(path)
        samples: dict[str, list[Sample]] = defaultdict(list)
        for entry in recorded.entries:
            if entry.sample.arm == "candidate" and not entry.sample.infrastructure:
                samples[entry.sample.case].append(
                    replace(entry.sample, arm="incumbent")
                )
        self.baseline = samples
        self.baseline_path = str(path)
        self.incumbent = pin_from(recorded.header["candidate"])

    @property
    def known_reference(self) -> list[Sample]:
        """Samples of the incumbent that are known before the first call."""
        return [one for samples in (self.baseline or {}).values() for one in samples]

    def header(self, at: float) -> dict[str, Any]:
        """Return the first line of the journal."""
        suite = self.suite
        return {
            "suite": suite.name,
            "suite_digest": suite.digest,
            "source": suite.source,
            "target": self.target,
            "function": suite.function_name,
            "candidate": pin_document(self.candidate),
            "incumbent": self.incumbent and pin_document(self.incumbent),
            "baseline": self.baseline_path,
            "seed": self.seed,
            "settings": {
                "alpha": suite.alpha,
                "beta": suite.beta,
                "min_rounds": suite.min_rounds,
                "n_min": suite.n_min,
                "cap": suite.cap,
                "concurrency": self.concurrency,
                "full": self.full,
            },
            "assertions": {
                each.name: {"version": each.version, "detector": each.detector}
                for each in suite.assertions
            },
            "started": at,
            "llmguard": __version__,
        }

    def versions(self) -> dict[Arm, Version]:
        """Return the arms that are really asked."""
        guard = self.suite.guard
        made: dict[Arm, Version] = {
            "candidate": make_version("candidate", self.candidate, guard)
        }
        if self.incumbent is not None and self.baseline is None:
            made["incumbent"] = make_version("incumbent", self.incumbent, guard)
        check_budget(self.prices, self.max_cost, *(v.pin for v in made.values()))
        return made

"""A baseline: how one version answers, frozen, with the thresholds to hold it to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from ..._nested import read_json
from ...errors import ConfigError
from ._calibrate import CALIBRATION, Calibration, block_of, calibrate
from ._context import Context, Learnt
from ._extract import Extractor
from ._families import FAMILIES, Fit, LengthFit, MarkFit, Spread, fit_family
from ._mix import Mix
from ._rows import Floats, Row, Rows, pack, unpack

__all__ = ["LEARN", "LEAST", "Baseline", "Reader", "freeze"]

LEAST: Final = 200
"""Outputs below which a version is still being learnt and no alarm is possible."""
LEARN: Final = 400
"""Outputs that a baseline is made of by default; 2,000 make alarms come sooner."""

_FORMAT: Final = 3
_ANEW: Final = "`llmguard monitor baseline FUNCTION PIN --drop`"
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What a baseline needs to know of the extractor that read its outputs.

    Attributes:
        id: Its id.
        marks: Names of the marks.
        measures: Names of the measures.
    """

    id: str
    marks: tuple[str, ...]
    measures: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """How one version answered, and from where on that is called different.

    Attributes:
        function: Qualified name of the guarded function; a label in backtests.
        pin: Id of the pin.
        extractor: Id of the extractor; another one's outputs are not compared.
        marks: Names of the marks, in order.
        measures: Names of the measures, in order.
        outputs: How many outputs it is made of.
        since: Epoch seconds of the first one.
        frozen_at: Epoch seconds of the last one.
        calibration: The promise that the thresholds keep.
        thresholds: By family; an alarm is a statistic above it.
        rates: Share of outputs with each mark.
        means: Mean of each measure.
        deviations: Standard deviation of each measure.
        lengths: 5, 25, 50, 75 and 95 % quantile of the length in characters.
        context: How prompts are read.
        fits: Fitted families by name.
        mix: How prompts go with answers; None where prompts are not known.
    """

    function: str
    pin: str
    extractor: str
    marks: tuple[str, ...]
    measures: tuple[str, ...]
    outputs: int
    since: float
    frozen_at: float
    calibration: Calibration
    thresholds: Mapping[str, float]
    rates: Floats
    means: Floats
    deviations: Floats
    lengths: tuple[float, ...]
    context: Context
    fits: Mapping[str, Fit] = field(repr=False)
    mix: Mix | None = None

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hex digits of its document."""
        return f"sha256:{hashlib.sha256(self.to_json().encode()).hexdigest()}"

    def to_json(self) -> str:
        """Return the sealed document, 200 to 600 kB; no text of any output is in it."""
        arrays = {
            "rates": pack(self.rates),
            "means": pack(self.means),
            "deviations": pack(self.deviations),
            "context": {
                name: pack(getattr(self.context, name)) for name in _CONTEXT_ARRAYS
            },
            "fits": {
                name: {key: pack(each) for key, each in fit.arrays().items()}
                for name, fit in self.fits.items()
            },
            "mix": None
            if self.mix is None
            else {key: pack(each) for key, each in self.mix.arrays().items()},
        }
        how = self.calibration
        document = {
            "format": _FORMAT,
            "function": self.function,
            "pin": self.pin,
            "extractor": self.extractor,
            "marks": self.marks,
            "measures": self.measures,
            "outputs": self.outputs,
            "since": self.since,
            "frozen_at": self.frozen_at,
            "calibration": {
                "method": CALIBRATION,
                "per_10k": how.per_10k,
                "block": how.block,
                "replicates": how.replicates,
                "outputs": how.outputs,
                "seed": how.seed,
            },
            "thresholds": dict(self.thresholds),
            "lengths": self.lengths,
            **arrays,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Baseline:
        """Read what `to_json` wrote.

        Raises:
            ConfigError: It is no baseline, or one that this version cannot use.
        """
        try:
            read: Any = read_json(text)
            found, made = read["format"], None
            if found == _FORMAT:
                made = cls(**_fields(read))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"this is no baseline of llmguard ({error!r}); have it learnt anew by "
                f"{_ANEW}"
            ) from error
        if made is None:
            raise ConfigError(
                f"the baseline has format {found!r}, this llmguard reads {_FORMAT}: "
                f"have it learnt anew by {_ANEW}"
            )
        return made


_CONTEXT_ARRAYS: Final = ("rarity", "axes", "offset", "centre", "scale")


def _fields(read: Any) -> dict[str, Any]:
    how = {key: value for key, value in read["calibration"].items() if key != "method"}
    plain = ("function", "pin", "extractor", "outputs", "since", "frozen_at")
    fits = {name: _fit(name, read["fits"][name]) for name in read["fits"]}
    context = {name: unpack(read["context"][name]) for name in _CONTEXT_ARRAYS}
    return {
        **{name: read[name] for name in plain},
        "marks": tuple(read["marks"]),
        "measures": tuple(read["measures"]),
        "lengths": tuple(read["lengths"]),
        "calibration": Calibration(**how),
        "thresholds": dict(read["thresholds"]),
        **{name: unpack(read[name]) for name in ("rates", "means", "deviations")},
        "context": Context(**context),
        "fits": fits,
        "mix": _mix(read["mix"]),
    }


def _mix(packed: Any) -> Mix | None:
    if packed is None:
        return None
    return Mix(**{key: unpack(value) for key, value in packed.items()})


def _fit(name: str, packed: Any) -> Fit:
    arrays = {key: unpack(value) for key, value in packed.items()}
    if name == "patterns":
        return MarkFit(**arrays)
    return LengthFit(**arrays) if name == "length" else Spread(source=name, **arrays)


def freeze(
    outputs: Sequence[Row],
    extractor: Extractor | Reader,
    *,
    function: str,
    pin: str,
    since: float = 0.0,
    until: float = 0.0,
    calibration: Calibration | None = None,
    breathe: Callable[[], None] | None = None,
) -> Baseline:
    """Make a baseline of a version's outputs; takes 2 to 6 seconds of one core.

    Args:
        outputs: At least 200, in the order in which they came.
        extractor: What read them.
        function: Qualified name of the guarded function, or a label.
        pin: Id of the pin, or a label.
        since: Epoch seconds of the first.
        until: Epoch seconds of the last.
        calibration: The promise; by default one false alarm in 10,000 outputs.
        breathe: Called about once a millisecond of work.

    Raises:
        ConfigError: There are too few outputs.
    """
    if len(outputs) < LEAST:
        raise ConfigError(
            f"{len(outputs)} outputs are too few for a baseline of `{pin}`: it takes "
            f"{LEAST} at least, {LEARN} by default, and 2,000 are good"
        )
    rows = Rows.of(outputs)
    how = calibration or Calibration()
    if how.block is None:
        how = replace(how, block=block_of(rows))
    everything = np.arange(len(rows))
    learnt = Learnt.of(rows)
    names = [*FAMILIES, *(["input"] if learnt.known else [])]
    chars = np.expm1(rows.measures[:, 0])
    made = Baseline(
        function=function,
        pin=pin,
        extractor=extractor.id,
        marks=extractor.marks,
        measures=extractor.measures,
        outputs=len(rows),
        since=since,
        frozen_at=until,
        calibration=how,
        thresholds=calibrate(rows, how, learnt, breathe=breathe),
        rates=rows.marks.mean(axis=0),
        means=rows.measures.mean(axis=0),
        deviations=rows.measures.std(axis=0),
        lengths=tuple(round(float(q), 1) for q in np.quantile(chars, _QUANTILES)),
        context=learnt.context,
        fits={name: fit_family(name, rows, learnt, everything) for name in names},
        mix=Mix.learn(rows.style, learnt) if learnt.known else None,
    )
    # As it will be read again: the very same alarms, before and after a restart.
    return Baseline.from_json(made.to_json())

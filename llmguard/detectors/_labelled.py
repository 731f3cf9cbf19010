"""Texts that people labelled, read from a file, and a detector measured on them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from .._nested import read_json
from ..contract._pointer import MISSING, locate
from ..errors import ConfigError
from ._calibration import Calibration
from ._detector import Detector

__all__ = ["Labelled", "Labels", "calibrate", "read_labelled"]

_FLAGS: Final[Mapping[object, bool]] = {
    1: True,
    0: False,
    "1": True,
    "0": False,
    "true": True,
    "false": False,
    "yes": True,
    "no": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One text, and what people said of it.

    Attributes:
        text: The output that was labelled.
        positive: Whether it is what the detector looks for.
    """

    text: str
    positive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """A file of labelled texts.

    Attributes:
        rows: The texts with their labels.
        source: SHA-256 of the file.
        said: How labels became yes or no, one phrase.
    """

    rows: tuple[Labelled, ...]
    source: str
    said: str


def calibrate(
    detector: Detector,
    labelled: Iterable[Labelled],
    *,
    family: str,
    labels: str = "",
    source: str = "",
    made: str = "",
) -> Calibration:
    """Measure a detector on labelled texts of one model family.

    Label at least 100 outputs, drawn as the suite's are: the errors of a detector
    depend on the prompts as well, and a sample of easy ones flatters it.

    Args:
        detector: What is measured; its `positive` labels count as found.
        labelled: Texts of one model family, with what people said of them.
        family: Whose texts these are, such as `gpt-4`.
        labels: As in `Calibration`.
        source: As in `Calibration`.
        made: As in `Calibration`.

    Raises:
        ConfigError: No text of one of the two kinds, or no family.
    """
    if not family.strip():
        raise ConfigError(
            "`family` is empty; name the model whose texts were labelled, such as "
            "`gpt-4`: the errors hold for no other"
        )
    counts = {(True, True): 0, (True, False): 0, (False, False): 0, (False, True): 0}
    for each in labelled:
        counts[each.positive, detector.found(each.text)] += 1
    return Calibration(
        detector=detector.id,
        family=family,
        tp=counts[True, True],
        fn=counts[True, False],
        tn=counts[False, False],
        fp=counts[False, True],
        labels=labels,
        source=source,
        made=made,
    )


def read_labelled(
    path: Path,
    *,
    text: str = "text",
    label: str = "label",
    positive: Sequence[str] = (),
    known: Sequence[str] = (),
    found: Iterable[str] = (),
) -> Labels:
    """Read labelled texts from JSON Lines (also `.gz`) or CSV.

    Args:
        path: The file; UTF-8.
        text: Field of the text; dots lead into objects.
        label: Field of the label: yes or no (true, 1, "yes"), or a word.
        positive: Words that mean yes; every other word then means no.
        known: Without `positive`: the detector's own labels, also taken as labels.
        found: Those of `known` that mean yes.

    Raises:
        ConfigError: No such file, a line without text or label, or a label that is
            neither yes or no nor among `known`.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the labelled file {str(path)!r} cannot be read: {error.strerror}"
        ) from error
    if positive:
        means, said = _words(positive), f"{' or '.join(positive)}, against the rest"
    else:
        means, said = _flags(known, frozenset(found)), "yes or no"
    rows: list[Labelled] = []
    for number, record in _records(path, raw):
        at = f"{path.name}, line {number}"
        seen = _field(record, text, at, "--text")
        if not isinstance(seen, str):
            raise ConfigError(f"{at}: `{text}` is {seen!r}; it must be a text")
        judged = _field(record, label, at, "--label")
        meant = means(judged)
        if meant is None:
            raise ConfigError(
                f"{at}: `{label}` is {judged!r}, neither yes nor no; name the labels "
                "that mean yes with `--positive`"
            )
        rows.append(Labelled(text=seen, positive=meant))
    return Labels(rows=tuple(rows), source=hashlib.sha256(raw).hexdigest(), said=said)


def _words(positive: Sequence[str]) -> Callable[[object], bool | None]:
    return lambda value: str(value) in positive


def _flags(
    known: Sequence[str], found: frozenset[str]
) -> Callable[[object], bool | None]:
    def means(value: object) -> bool | None:
        if isinstance(value, str) and value in known:
            return value in found
        folded = value.strip().casefold() if isinstance(value, str) else value
        return _FLAGS.get(folded) if isinstance(folded, str | int) else None

    return means


def _records(path: Path, raw: bytes) -> Iterable[tuple[int, Mapping[str, Any]]]:
    try:
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8-sig")
    except (OSError, EOFError, ValueError) as error:
        raise ConfigError(f"{str(path)!r} is not UTF-8 text: {error}") from error
    if path.name.removesuffix(".gz").endswith(".csv"):
        yield from enumerate(csv.DictReader(io.StringIO(text, newline="")), start=2)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _object(line, f"{path.name}, line {number}")


def _object(line: str, at: str) -> Mapping[str, Any]:
    try:
        value: object = read_json(line)
    except ValueError as error:
        raise ConfigError(f"{at}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{at}: a line must be an object, such as {_EXAMPLE}")
    return cast("dict[str, Any]", value)


def _field(record: Mapping[str, Any], field: str, at: str, option: str) -> object:
    found = record[field] if field in record else locate(record, field)
    if found is MISSING:
        raise ConfigError(
            f"{at}: no field `{field}` among {', '.join(map(repr, record))}; name it "
            f"with `{option}`, or write lines such as {_EXAMPLE}"
        )
    return found


_EXAMPLE: Final = '`{"text": "I can\'t help with that.", "label": true}`'

"""Pairs out of the store, as files for work elsewhere.

`incumbent.jsonl` and `challenger.jsonl` hold one line for each draw (repeats of one
request have `sample` 0 and 1), as `llmguard shadow compare` and the `replay` provider
read them; `pairs.jsonl` holds the metadata of every pair.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..._dataclass import dataclass
from ...errors import ConfigError
from .._draw import LOST, Draw, Pair

if TYPE_CHECKING:
    from ...store import ShadowPair, ShadowRun, Store

__all__ = ["Exported", "export_pairs"]

_PAGE: Final = 500
_SIDES: Final = ("incumbent", "challenger")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        files: The files.
        pairs: Pairs with their metadata.
        contents: Those of them whose texts were kept.
    """

    files: tuple[Path, ...]
    pairs: int
    contents: int


def export_pairs(
    store: Store, run: ShadowRun, folder: Path, *, parquet: bool = False
) -> Exported:
    """Write the pairs of a run into a folder.

    Args:
        store: Where they are kept.
        run: The run.
        folder: Where to; made when missing, and files of the same names replaced.
        parquet: Write `pairs.parquet` too.

    Raises:
        ConfigError: Parquet was asked for and `pyarrow` is not installed.
        OSError: The files cannot be written.
    """
    if parquet:
        _pyarrow("pyarrow")
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.jsonl" for name in (*_SIDES, "pairs")]
    pairs = contents = 0
    outs = [path.open("w", encoding="utf-8") for path in files]
    try:
        for row in _rows(store, run):
            pairs += 1
            body = json.loads(row.body)
            document = body.pop("pair", None)
            outs[2].write(_line(_metadata(row, body)))
            if document is None:
                continue
            contents += 1
            found = Pair.load(document)
            for out, draws in zip(outs, (found.draws_a, found.draws_b), strict=False):
                out.writelines(map(_line, _records(found, row, draws)))
    finally:
        for out in outs:
            out.close()
    if parquet:
        files.append(_parquet(files[2], folder / "pairs.parquet"))
    return Exported(files=tuple(files), pairs=pairs, contents=contents)


def _rows(store: Store, run: ShadowRun) -> Iterator[ShadowPair]:
    offset = 0
    while rows := store.shadow.pairs(run.id, limit=_PAGE, offset=offset):
        yield from rows
        offset += len(rows)


def _metadata(row: ShadowPair, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "run": row.run,
        "function": row.function,
        "incumbent": row.incumbent,
        "stratum": row.stratum,
        "at": row.at,
        "rung": row.rung,
        "direction": row.direction,
        **body,
    }


def _records(
    pair: Pair, row: ShadowPair, draws: Sequence[Draw]
) -> Iterator[dict[str, Any]]:
    for sample, draw in enumerate(draws):
        record: dict[str, Any] = {"id": row.id, "request": pair.request}
        record |= {"sample": sample, "stratum": row.stratum, "cluster": pair.cluster}
        record["input"] = pair.input
        if draw.kind in LOST:
            record["error"] = {"kind": str(draw.kind), "detail": draw.detail}
        else:
            record["output"] = draw.value if draw.has_value else draw.text
            record["calls"] = [
                {"id": call.id, "name": call.name, "args": call.arguments}
                for call in draw.calls
            ] or None
            record["kind"] = None if draw.kind is None else str(draw.kind)
        for name in ("finish_reason", "refusal", "latency_s", "cost", "served_model"):
            record[name] = getattr(draw, name)
        keep = {"id", "sample", "output"}
        yield {n: v for n, v in record.items() if v not in (None, "") or n in keep}


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _pyarrow(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            "Parquet needs pyarrow: `pip install 'llmguard-toolkit[parquet]'`, or "
            "leave `--parquet` out"
        ) from error


def _parquet(source: Path, target: Path) -> Path:
    """Write the metadata of pairs as a table; what is nested is JSON text in it."""
    table, files = _pyarrow("pyarrow").Table, _pyarrow("pyarrow.parquet")
    with source.open(encoding="utf-8") as lines:
        rows = [_flat(json.loads(line)) for line in lines]
    files.write_table(table.from_pylist(rows), target)
    return target


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    nested: Iterable[tuple[str, Any]] = record.items()
    return {
        name: json.dumps(value) if isinstance(value, dict | list) else value
        for name, value in nested
    }

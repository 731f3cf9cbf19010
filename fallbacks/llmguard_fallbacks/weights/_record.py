"""What is known about one file of weights."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

from llmguard._nested import read_json
from llmguard.errors import ConfigError
from llmguard.pins import sha256_file

from ..local._runtime import RUNTIMES
from ._gguf import GGUFHeader, read_header

__all__ = ["Shelf", "WeightsRecord", "describe_file", "runtime_build"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsRecord:
    """One file of weights: what it is, and where it came from.

    Attributes:
        name: What `llmguard models` calls it.
        path: The file, absolute.
        sha256: Digest of the whole file, 64 hex digits.
        size: Bytes.
        architecture: Such as `llama`.
        quantization: Such as `q8_0`.
        parameters: Numbers in the tensors.
        context_length: Tokens it was trained on; 0 when the file does not say.
        chat_template_sha256: Digest of its chat template; "" when it has none.
        source: `REPO@COMMIT:FILE` of a hub; "" for a file that was there.
        runtime: Build of the runtime when it was recorded.
    """

    name: str
    path: str
    sha256: str
    size: int
    architecture: str
    quantization: str
    parameters: int
    context_length: int
    chat_template_sha256: str = ""
    source: str = ""
    runtime: str = ""


def describe_file(path: Path, *, name: str = "", source: str = "") -> WeightsRecord:
    """Read the header of a GGUF file and hash the file.

    Args:
        path: The file.
        name: What to call it; its stem by default.
        source: Where it came from.

    Raises:
        ConfigError: There is no such file, or it is no usable GGUF file.
    """
    if not path.is_file():
        raise ConfigError(f"there is no file {str(path)!r}; name a GGUF file")
    header = read_header(path)
    template = header.chat_template
    return WeightsRecord(
        name=name or path.stem,
        path=os.path.abspath(path),  # noqa: PTH100 - symbolic links are kept as they are
        sha256=sha256_file(path),
        size=path.stat().st_size,
        architecture=_printable(header),
        quantization=header.quantization,
        parameters=header.parameters,
        context_length=header.context_length,
        chat_template_sha256=_digest(template) if template else "",
        source=source,
        runtime=runtime_build(),
    )


def runtime_build() -> str:
    """Return the llama.cpp runtime that is used and its version; "" without one."""
    for name in RUNTIMES:
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _printable(header: GGUFHeader) -> str:
    # It is printed on terminals, and the file may come from anyone.
    return re.sub(r"[^A-Za-z0-9_.-]", "?", header.architecture)[:64]


class Shelf:
    """The records of one project: a JSON file for each, so that writers never meet.

    Args:
        directory: Where they are; usually `.llmguard/weights` beside the lock.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, record: WeightsRecord) -> None:
        """Keep a record, in place of one of the same name."""
        self.directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(record), indent=2) + "\n"
        handle, temporary = tempfile.mkstemp(dir=self.directory, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        name = re.sub(r"[^A-Za-z0-9_.-]", "-", record.name)
        Path(temporary).replace(self.directory / f"{name}.json")

    def records(self) -> Iterator[WeightsRecord]:
        """Yield the records, sorted by file name.

        Raises:
            ConfigError: A file in the directory is no record.
        """
        known = {f.name for f in fields(WeightsRecord)}
        for path in sorted(self.directory.glob("*.json")):
            try:
                data = cast("dict[str, Any]", read_json(path.read_text("utf-8")))
                yield WeightsRecord(**{k: v for k, v in data.items() if k in known})
            except (ValueError, TypeError, AttributeError) as error:
                raise ConfigError(
                    f"{str(path)!r} is no record of weights: {error}; remove it and "
                    "run `llmguard models add PATH` again"
                ) from error

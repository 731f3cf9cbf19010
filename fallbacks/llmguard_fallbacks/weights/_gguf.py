"""Reads the header of a GGUF file: bounded, and safe on files from strangers.

Every length in the file is checked against the file's size and a limit of ours before
anything is read, and no array is kept, so a hostile header costs neither memory nor
time. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from llmguard.errors import ConfigError

from ._gguf_types import FILE_TYPES, TENSOR_TYPES

__all__ = ["GGUFError", "GGUFHeader", "read_header"]

_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_MOST_KEYS: Final = 10_000
_MOST_TENSORS: Final = 100_000
_MOST_NAME: Final = 65_535
_MOST_TEXT: Final = 16_000_000
"""Bytes of all names and texts together."""
_MOST_ITEMS: Final = 16_000_000
"""Items of all arrays together; a vocabulary of 256k has three arrays of that."""
_MOST_DIMENSIONS: Final = 4
_MOST_NUMBERS: Final = 1 << 40
_MOST_DEPTH: Final = 3
_MOST_ALIGNMENT: Final = 1 << 20
_STRING: Final = 8
_ARRAY: Final = 9
_SCALARS: Final[Mapping[int, struct.Struct]] = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
Value = str | int | float | bool


class GGUFError(ConfigError):
    """A file is no GGUF file that can be trusted; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GGUFHeader:
    """What the header of a GGUF file says.

    Attributes:
        version: Version of the format.
        metadata: Keys with a scalar or text; arrays are left out.
        lengths: Keys with an array, and how many items it has.
        parameters: Numbers in all tensors together.
        tensors: How many tensors there are.
        tensor_types: Type name -> numbers stored in it.
    """

    version: int
    metadata: Mapping[str, Value]
    lengths: Mapping[str, int]
    parameters: int
    tensors: int
    tensor_types: Mapping[str, int]

    @property
    def architecture(self) -> str:
        """The architecture, such as `llama`; "" when the file does not say."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def quantization(self) -> str:
        """How the weights are stored: what the file says, else its commonest type."""
        named = FILE_TYPES.get(self._number("general.file_type", -1))
        if named:
            return named
        common = max(self.tensor_types, key=self.tensor_types.__getitem__, default="")
        return common.lower()

    @property
    def context_length(self) -> int:
        """Tokens it was trained on; 0 when the file does not say."""
        return self._number(f"{self.architecture}.context_length", 0)

    @property
    def chat_template(self) -> str | None:
        """The default chat template; None when there is none."""
        found = self.metadata.get("tokenizer.chat_template")
        return found if isinstance(found, str) else None

    def _number(self, key: str, default: int) -> int:
        found = self.metadata.get(key, default)
        return found if isinstance(found, int) else default


def read_header(path: Path) -> GGUFHeader:
    """Return the header of a GGUF file, and check that its tensors are all there.

    Raises:
        GGUFError: It is no GGUF file, a damaged or incomplete one, or one with
            lengths beyond any real model.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        reader = _Reader(file, path)
        if reader.take(4) != _MAGIC:
            raise reader.bad("it does not begin with 'GGUF'")
        version = reader.number("<I")
        if version not in _VERSIONS:
            raise reader.bad(_version_problem(version))
        tensors = reader.count("<Q", _MOST_TENSORS, "tensors")
        keys = reader.count("<Q", _MOST_KEYS, "metadata keys")
        metadata, lengths = _read_metadata(reader, keys)
        types = _read_tensors(reader, tensors, _alignment(reader, metadata))
    return GGUFHeader(
        version=version,
        metadata=metadata,
        lengths=lengths,
        parameters=sum(types.values()),
        tensors=tensors,
        tensor_types=types,
    )


class _Reader:
    """Reads forward, and never past the end."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self.size = os.fstat(file.fileno()).st_size
        self._text_left = _MOST_TEXT
        self._items_left = _MOST_ITEMS

    @property
    def at(self) -> int:
        """Bytes read so far."""
        return self._file.tell()

    def bad(self, problem: str) -> GGUFError:
        """Return the error of this file."""
        return GGUFError(
            f"{str(self._path)!r} is no usable GGUF file: {problem} (byte {self.at}); "
            "download it again, or name another file"
        )

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        data = self._file.read(count)
        if len(data) != count:
            raise self.bad("it ends in the middle of its header")
        return data

    def skip(self, count: int) -> None:
        """Pass over bytes that must be there."""
        if count > self.size - self.at:
            raise self.bad("it ends in the middle of its header")
        self._file.seek(count, os.SEEK_CUR)

    def number(self, form: str) -> int:
        """Return one whole number."""
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def count(self, form: str, most: int, what: str) -> int:
        """Return a number of things, which must be believable."""
        found = self.number(form)
        if found > most:
            raise self.bad(f"it claims {found} {what}, more than {most}")
        return found

    def text(self, most: int) -> str:
        """Return a string with its length before it."""
        size = self.count("<Q", min(most, self._text_left), "bytes of text")
        self._text_left -= size
        return self.take(size).decode("utf-8", errors="replace")

    def items(self) -> int:
        """Return the length of an array; all arrays together are limited."""
        found = self.count("<Q", self._items_left, "items in arrays")
        self._items_left -= found
        return found


def _version_problem(version: int) -> str:
    if version & 0xFFFF == 0 and version:
        return "it was written for big-endian machines"
    return f"its format version is {version}, not 2 or 3"


def _read_metadata(
    reader: _Reader, keys: int
) -> tuple[dict[str, Value], dict[str, int]]:
    metadata: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    for _ in range(keys):
        key = reader.text(_MOST_NAME)
        if key in metadata or key in lengths:
            raise reader.bad(f"it has the key {key[:80]!r} twice")
        kind = reader.number("<I")
        if kind == _ARRAY:
            lengths[key] = _skip_array(reader, 0)
        elif kind == _STRING:
            metadata[key] = reader.text(_MOST_TEXT)
        else:
            form = _scalar(reader, kind)
            metadata[key] = form.unpack(reader.take(form.size))[0]
    return metadata, lengths


def _skip_array(reader: _Reader, depth: int) -> int:
    kind = reader.number("<I")
    count = reader.items()
    if kind == _STRING:
        for _ in range(count):
            reader.skip(reader.number("<Q"))
    elif kind == _ARRAY:
        if depth >= _MOST_DEPTH:
            raise reader.bad("its arrays are nested too deeply")
        for _ in range(count):
            _skip_array(reader, depth + 1)
    else:
        reader.skip(count * _scalar(reader, kind).size)
    return count


def _scalar(reader: _Reader, kind: int) -> struct.Struct:
    if kind not in _SCALARS:
        raise reader.bad(f"it has a value of the unknown type {kind}")
    return _SCALARS[kind]


def _alignment(reader: _Reader, metadata: Mapping[str, Value]) -> int:
    found = metadata.get("general.alignment", 32)
    good = isinstance(found, int) and 0 < found <= _MOST_ALIGNMENT
    if not good:
        raise reader.bad(f"its `general.alignment` is {found!r}")
    return int(found)


def _read_tensors(reader: _Reader, count: int, alignment: int) -> dict[str, int]:
    """Return the numbers per type; the last tensor must end inside the file."""
    types: dict[str, int] = {}
    end = 0
    for _ in range(count):
        name = reader.text(_MOST_NAME)
        sizes = reader.count("<I", _MOST_DIMENSIONS, "dimensions of a tensor")
        numbers = math.prod(
            reader.count("<Q", _MOST_NUMBERS, "numbers") for _ in range(sizes)
        )
        kind, offset = reader.number("<I"), reader.number("<Q")
        label, block, size = TENSOR_TYPES.get(kind, (f"type {kind}", 1, 0))
        if offset % alignment:
            raise reader.bad(f"tensor {name[:80]!r} does not begin at a multiple")
        end = max(end, offset + -(-numbers // block) * size)
        types[label] = types.get(label, 0) + numbers
    data = -(-reader.at // alignment) * alignment
    if count and data + end > reader.size:
        raise reader.bad(
            f"its tensors need {data + end} bytes, and it has {reader.size}: it is "
            "incomplete"
        )
    return types

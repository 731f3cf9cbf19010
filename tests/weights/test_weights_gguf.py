"""The header reader: right on real files, and unharmed by hostile ones."""

from __future__ import annotations

import pathlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmguard_fallbacks.weights import GGUFError, describe_file, read_header
from llmguard_fallbacks.weights._gguf_types import FILE_TYPES, TENSOR_TYPES

Make = Callable[..., pathlib.Path]


def test_reads_what_the_file_says(make_gguf: Make) -> None:
    """Architecture, quantisation, context, template and sizes come from the header."""
    found = read_header(make_gguf(tokenizer__chat_template="{{ messages }}"))
    assert ("llama", "q8_0", 512) == (
        found.architecture,
        found.quantization,
        found.context_length,
    )
    assert found.chat_template == "{{ messages }}"
    assert dict(found.lengths) == {"tokenizer.ggml.tokens": 3}
    assert (found.parameters, dict(found.tensor_types)) == (256, {"f32": 256})


def test_agrees_with_the_reference_reader() -> None:
    """On the embedded model it says what the `gguf` package and the manifest say."""
    gguf = pytest.importorskip("gguf")
    llmguard_models = pytest.importorskip("llmguard_models")
    entry = llmguard_models.manifest()["triage-1.0"]
    found = describe_file(llmguard_models.path("triage-1.0"))
    reader = gguf.GGUFReader(llmguard_models.path("triage-1.0"))
    assert sum(int(t.n_elements) for t in reader.tensors) == found.parameters
    for field, key in (
        ("sha256", "sha256"),
        ("architecture", "architecture"),
        ("quantization", "quantization"),
        ("context_length", "context_length"),
        ("size", "size"),
    ):
        assert entry[key] == getattr(found, field)


def test_type_tables_agree_with_the_reference() -> None:
    """Names and block sizes are those of the `gguf` package."""
    constants = pytest.importorskip("gguf.constants")
    sizes = {
        t.value: (t.name.lower(), *constants.GGML_QUANT_SIZES[t])
        for t in constants.GGMLQuantizationType
    }
    assert sizes == {k: v for k, v in TENSOR_TYPES.items() if k in sizes}
    for kind in constants.LlamaFileType:
        if kind.name != "GUESSED":
            assert kind.name.lower().endswith(FILE_TYPES[kind.value])


def test_incomplete_download_is_noticed(make_gguf: Make) -> None:
    """A file whose last tensor is cut is refused, though its header is whole."""
    with pytest.raises(GGUFError, match="incomplete"):
        read_header(make_gguf(tail=1))


def header(*parts: bytes, tensors: int = 0, keys: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + b"".join(parts)


HUGE = struct.pack("<Q", 2**63)
KEY = struct.pack("<Q", 1) + b"k"
NESTED = struct.pack("<IQ", 9, 1)
HOSTILE = {
    "empty": (b"", "ends in the middle"),
    "another format": (b"PK\3\4aaaa", "does not begin"),
    "version": (header(version=9), "version is 9"),
    "big-endian": (header(version=3 << 24), "big-endian"),
    "keys": (header(keys=2**60), "metadata keys"),
    "tensors": (header(tensors=2**60), "tensors"),
    "key length": (header(HUGE, keys=1), "bytes of text"),
    "text length": (header(KEY, struct.pack("<I", 8), HUGE, keys=1), "bytes of text"),
    "array length": (
        header(KEY, struct.pack("<II", 9, 4), HUGE, keys=1),
        "items in arrays",
    ),
    "text in an array": (
        header(KEY, struct.pack("<IIQ", 9, 8, 1), HUGE, keys=1),
        "ends in the middle",
    ),
    "nesting": (
        header(KEY, struct.pack("<I", 9), NESTED * 5, keys=1),
        "nested too deeply",
    ),
    "unknown type": (header(KEY, struct.pack("<I", 77), keys=1), "unknown type 77"),
    "the same key twice": (
        header((KEY + struct.pack("<II", 4, 1)) * 2, keys=2),
        "twice",
    ),
    "dimensions": (
        header(KEY, struct.pack("<I", 1000), tensors=1),
        "dimensions of a tensor",
    ),
    "tensor size": (
        header(KEY, struct.pack("<IQIQ", 1, 2**62, 0, 0), tensors=1),
        "numbers",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(tmp_path: pathlib.Path, name: str) -> None:
    """Each lie about a length or a type is named, and nothing of that size is read."""
    data, message = HOSTILE[name]
    path = tmp_path / "x.gguf"
    path.write_bytes(data)
    with pytest.raises(GGUFError, match=message):
        read_header(path)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_damage_is_an_error_or_a_header(make_gguf: Make, data: Any) -> None:
    """Whatever bytes are changed or cut, the reader answers or refuses: no crash."""
    path = make_gguf("damaged.gguf")
    content = bytearray(path.read_bytes()[:700])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] or b"G")
    try:
        found = read_header(path)
    except GGUFError:
        return
    assert isinstance(found.quantization, str)
    assert isinstance(found.context_length, int)
    assert isinstance(found.architecture, str)


def test_names_from_strangers_reach_no_terminal(make_gguf: Make) -> None:
    """Control characters in an architecture are not printed."""
    found = describe_file(make_gguf(general__architecture="\x1b[2Jevil"))
    assert found.architecture == "??2Jevil"

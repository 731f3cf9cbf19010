"""llama.cpp's C functions as the xllamacpp wheel carries them.

xllamacpp's own Python classes start a server, which decodes by itself. Its extension
module also exports llama.cpp's C functions (on Linux and macOS), and with these the
decode loop is ours, as it is with llama-cpp-python.

Only the leading fields of the two parameter structures are named here; llama.cpp
appends and inserts others from release to release. The room behind them is larger
than any release needs, which is harmless: the caller owns the memory, and the callee
reads and writes its own size. Where the leading fields are not what they were, their
defaults are not either, and `bind` refuses.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

from llmguard.errors import ConfigError

__all__ = ["bind", "check_layout"]

_ROOM: Final = 1024
"""Bytes behind the named fields; the structures themselves are below 200 bytes."""
_pointer, _i32, _u32 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint32
_bool, _text, _size = ctypes.c_bool, ctypes.c_char_p, ctypes.c_size_t
_tokens = ctypes.POINTER(_i32)
_abort = ctypes.CFUNCTYPE(_bool, _pointer)
_log = ctypes.CFUNCTYPE(None, ctypes.c_int, _text, _pointer)


class _ModelParams(ctypes.Structure):
    _fields_ = (
        ("devices", _pointer),
        ("tensor_buft_overrides", _pointer),
        ("n_gpu_layers", _i32),
        ("rest", ctypes.c_byte * _ROOM),
    )


class _ContextParams(ctypes.Structure):
    _fields_ = (
        ("n_ctx", _u32),
        ("n_batch", _u32),
        ("n_ubatch", _u32),
        ("n_seq_max", _u32),
        ("rest", ctypes.c_byte * _ROOM),
    )


class _Batch(ctypes.Structure):
    _fields_ = (
        ("n_tokens", _i32),
        ("token", _tokens),
        ("embd", _pointer),
        ("pos", _tokens),
        ("n_seq_id", _tokens),
        ("seq_id", ctypes.POINTER(_tokens)),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


_SIGNATURES: Final[dict[str, tuple[Any, ...]]] = {
    "llama_backend_init": (None,),
    "llama_batch_free": (None, _Batch),
    "llama_batch_init": (_Batch, _i32, _i32, _i32),
    "llama_context_default_params": (_ContextParams,),
    "llama_decode": (_i32, _pointer, _Batch),
    "llama_free": (None, _pointer),
    "llama_get_logits_ith": (ctypes.POINTER(ctypes.c_float), _pointer, _i32),
    "llama_get_memory": (_pointer, _pointer),
    "llama_init_from_model": (_pointer, _pointer, _ContextParams),
    "llama_log_set": (None, _log, _pointer),
    "llama_memory_clear": (None, _pointer, _bool),
    "llama_memory_seq_rm": (_bool, _pointer, _i32, _i32, _i32),
    "llama_model_chat_template": (_text, _pointer, _text),
    "llama_model_default_params": (_ModelParams,),
    "llama_model_free": (None, _pointer),
    "llama_model_get_vocab": (_pointer, _pointer),
    "llama_model_load_from_file": (_pointer, _text, _ModelParams),
    "llama_model_meta_val_str": (_i32, _pointer, _text, _text, _size),
    "llama_model_n_ctx_train": (_i32, _pointer),
    "llama_n_ctx": (_u32, _pointer),
    "llama_set_abort_callback": (None, _pointer, _abort, _pointer),
    "llama_set_n_threads": (None, _pointer, _i32, _i32),
    "llama_supports_gpu_offload": (_bool,),
    "llama_token_to_piece": (_i32, _pointer, _i32, _text, _i32, _i32, _bool),
    "llama_tokenize": (_i32, _pointer, _text, _i32, _tokens, _i32, _bool, _bool),
    "llama_vocab_bos": (_i32, _pointer),
    "llama_vocab_eos": (_i32, _pointer),
    "llama_vocab_get_attr": (ctypes.c_int, _pointer, _i32),
    "llama_vocab_get_text": (_text, _pointer, _i32),
    "llama_vocab_is_eog": (_bool, _pointer, _i32),
    "llama_vocab_n_tokens": (_i32, _pointer),
}
"""Result and arguments of the functions of llama.h that are used."""
_DEFAULTS: Final = {"n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1}
"""Of `llama_context_default_params` since these fields exist."""
_ALL_LAYERS: Final = (-1, 999)
"""Defaults of `n_gpu_layers` in releases of 2025 and 2026."""


class _Functions:
    """The functions under their C names, and the types and constants they need."""

    llama_token = _i32
    llama_log_callback = _log
    ggml_abort_callback = _abort
    LLAMA_TOKEN_ATTR_CONTROL = 1 << 3
    LLAMA_TOKEN_ATTR_USER_DEFINED = 1 << 4

    def __init__(self, library: ctypes.CDLL) -> None:
        for name, (result, *arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)


def bind(path: str) -> Any:
    """Return llama.cpp's functions from the extension module at `path`.

    Raises:
        ConfigError: The module does not export them, as on Windows, or its
            structures are not those of the releases known here.
    """
    try:
        api: Any = _Functions(ctypes.CDLL(path))
    except (AttributeError, OSError) as error:
        raise ConfigError(
            f"xllamacpp does not export llama.cpp's functions here ({error}); its "
            "wheels do on Linux and macOS; elsewhere install llama-cpp-python: "
            "`pip install 'llmguard-fallbacks[llamacpp]'`"
        ) from error
    check_layout(api)
    return api


def check_layout(api: Any) -> None:
    """Refuse a release whose parameters do not begin as those known here.

    Raises:
        ConfigError: The leading fields do not hold the defaults they always had.
    """
    context = api.llama_context_default_params()
    found = {name: getattr(context, name) for name in _DEFAULTS}
    layers = api.llama_model_default_params().n_gpu_layers
    if found != _DEFAULTS or layers not in _ALL_LAYERS:
        raise ConfigError(
            "this release of xllamacpp lays its parameters out in another way "
            f"({found!r}, n_gpu_layers={layers!r}); install the one that was tested: "
            "`pip install 'xllamacpp==2026.10.11549'`"
        )

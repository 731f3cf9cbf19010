"""A model and a context of llama.cpp, through the C functions that are needed.

`llama_cpp.Llama` is not used: its grammar and `logits_processor` paths go on
unconstrained when something fails inside a C callback, and it keeps a second copy of
the logits. What is left is small: load, tokenize, evaluate, read logits.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from llmguard.errors import ConfigError

from ._runtime import load_runtime

__all__ = ["AbortedError", "LlamaContext", "LlamaOptions"]

Logits = npt.NDArray[np.float32]

_LONG_BATCH: Final = 8
"""Evaluations of fewer tokens are too short to be worth interrupting."""


class AbortedError(Exception):
    """An evaluation was interrupted by the abort check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaOptions:
    """How a model is loaded.

    Attributes:
        path: The GGUF file.
        n_ctx: Tokens of prompt and answer together; 0 for what the model was
            trained on, at most 4096.
        n_batch: Tokens evaluated at once; small, because each row of a batch
            keeps logits of the whole vocabulary.
        n_threads: CPU threads; more than there are free cores is a cliff.
        n_gpu_layers: Layers put on the accelerator; -1 for all.
        runtime: The build of llama.cpp; "" for the first that is installed.
    """

    path: str
    n_ctx: int = 0
    n_batch: int = 128
    n_threads: int = 1
    n_gpu_layers: int = 0
    runtime: str = ""


class LlamaContext:
    """One model with one sequence of tokens; llama.cpp is not thread-safe."""

    def __init__(self, options: LlamaOptions) -> None:
        self._api = load_runtime(options.runtime)
        self._model = self._load(options)
        self.vocab = self._api.llama_model_get_vocab(self._model)
        self.n_vocab = int(self._api.llama_vocab_n_tokens(self.vocab))
        trained = int(self._api.llama_model_n_ctx_train(self._model))
        self.n_ctx = options.n_ctx or min(trained, 4096)
        self._n_batch = min(options.n_batch, self.n_ctx)
        self._context = self._open(options)
        self._batch = self._api.llama_batch_init(self._n_batch, 0, 1)
        self._row = ctypes.c_float * self.n_vocab
        self._pieces: dict[int, bytes] = {}
        self._tokens: list[int] = []
        self._watch: _Watch | None = None
        self.evaluations = 0

    def _load(self, options: LlamaOptions) -> Any:
        params = self._api.llama_model_default_params()
        params.n_gpu_layers = options.n_gpu_layers if options.n_gpu_layers >= 0 else 999
        model = self._api.llama_model_load_from_file(options.path.encode(), params)
        if not model:
            raise ConfigError(
                f"llama.cpp cannot load {options.path!r}; check that it is a complete "
                "GGUF file of a supported architecture"
            )
        return model

    def _open(self, options: LlamaOptions) -> Any:
        params = self._api.llama_context_default_params()
        params.n_ctx = self.n_ctx
        params.n_batch = params.n_ubatch = self._n_batch
        params.n_seq_max = 1
        context = self._api.llama_init_from_model(self._model, params)
        if not context:
            raise ConfigError(
                f"llama.cpp cannot open a context of {self.n_ctx} tokens on "
                f"{options.path!r}; lower `n_ctx` in the pin's options"
            )
        self._api.llama_set_n_threads(context, options.n_threads, options.n_threads)
        self.n_ctx = int(self._api.llama_n_ctx(context))
        return context

    def close(self) -> None:
        """Free the context and the model; calling it again does nothing."""
        if self._context is not None:
            self._api.llama_batch_free(self._batch)
            self._api.llama_free(self._context)
            self._api.llama_model_free(self._model)
            self._context = self._model = None

    def metadata(self, key: str) -> str | None:
        """Return one metadata value of the GGUF file as text."""
        size = 1 << 12
        while True:
            buffer = ctypes.create_string_buffer(size)
            got = self._api.llama_model_meta_val_str(
                self._model, key.encode(), buffer, size
            )
            if got < size:
                return buffer.value.decode() if got >= 0 else None
            size = got + 1

    def chat_template(self) -> str | None:
        """Return the chat template that the GGUF file carries."""
        found = self._api.llama_model_chat_template(self._model, None)
        return found.decode() if found else None

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the tokens of `text`, after the model's own begin token.

        Args:
            text: The prompt.
            special: Read control tokens in the text as such; never for text that
                was written by a user.
        """
        begin = not (special and self.bos_text and text.startswith(self.bos_text))
        data = text.encode()
        size = len(data) + 8
        buffer = (self._api.llama_token * size)()
        count = self._api.llama_tokenize(
            self.vocab, data, len(data), buffer, size, begin, special
        )
        if count < 0:
            raise ConfigError(
                f"llama.cpp cannot tokenize a prompt of {len(data)} bytes ({count}); "
                "check that the GGUF file holds a whole vocabulary"
            )
        return list(buffer[:count])

    def text(self, token: int) -> bytes:
        """Return the bytes of one token of an answer, which are kept."""
        found = self._pieces.get(token)
        if found is None:
            found = self._pieces[token] = self.piece(token)
        return found

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Return the bytes of one token."""
        buffer = ctypes.create_string_buffer(256)
        size = self._api.llama_token_to_piece(
            self.vocab, token, buffer, 256, 0, special
        )
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = self._api.llama_token_to_piece(
                self.vocab, token, buffer, -size, 0, special
            )
        return buffer.raw[:size]

    def text_of(self, token: int) -> str:
        """Return a token's own text in the vocabulary, such as `<|im_end|>`."""
        return str(
            self._api.llama_vocab_get_text(self.vocab, token), "utf-8", "replace"
        )

    def is_control(self, token: int) -> bool:
        """Tell whether a token is a control token, by its kind or by its look."""
        attributes = int(self._api.llama_vocab_get_attr(self.vocab, token))
        if attributes & self._api.LLAMA_TOKEN_ATTR_CONTROL:
            return True
        text = self.text_of(token)
        marked = text.startswith("<") and text.endswith(">") and len(text) > 2  # noqa: PLR2004 - `<>` is text
        return marked and bool(attributes & self._api.LLAMA_TOKEN_ATTR_USER_DEFINED)

    def ends(self, token: int) -> bool:
        """Tell whether a token ends the generation."""
        return bool(self._api.llama_vocab_is_eog(self.vocab, token))

    @property
    def tokenize_address(self) -> int:
        """Return the address of the C function `llama_tokenize`."""
        function = self._api.llama_tokenize
        return int(ctypes.cast(function, ctypes.c_void_p).value or 0)

    @property
    def eos(self) -> int:
        """Return the end-of-sequence token."""
        return int(self._api.llama_vocab_eos(self.vocab))

    @property
    def bos_text(self) -> str:
        """Return the text of the begin-of-sequence token; empty when there is none."""
        token = int(self._api.llama_vocab_bos(self.vocab))
        return self.text_of(token) if token >= 0 else ""

    def shared(self, tokens: Sequence[int]) -> int:
        """Return how many leading tokens are in the cache, the last one left out."""
        count = 0
        for mine, other in zip(self._tokens, tokens[:-1], strict=False):
            if mine != other:
                break
            count += 1
        return count

    def rewind(self, tokens: Sequence[int]) -> int:
        """Keep the longest common prefix of the cache and `tokens`; return its length.

        The last token is always left out, so that its logits are computed.
        """
        keep = self.shared(tokens)
        memory = self._api.llama_get_memory(self._context)
        if not self._api.llama_memory_seq_rm(memory, 0, keep, -1):
            # A recurrent state cannot be cut: start over.
            self._api.llama_memory_clear(memory, True)
            keep = 0
        del self._tokens[keep:]
        return keep

    def evaluate(self, tokens: Sequence[int], *, stop: Callable[[], bool]) -> Logits:
        """Append tokens to the sequence; return the logits after the last one.

        Args:
            tokens: At least one token.
            stop: Asked during long evaluations (on an accelerator only between
                batches); True interrupts them.

        Raises:
            AbortedError: `stop` said so; the cache still holds what was finished.
        """
        for start in range(0, len(tokens), self._n_batch):
            if start and stop():
                raise AbortedError  # an accelerator never asks in mid-evaluation
            part = tokens[start : start + self._n_batch]
            self._decode(part, stop, last=start + len(part) == len(tokens))
        row = self._api.llama_get_logits_ith(self._context, -1)
        at = ctypes.addressof(row.contents)
        values: Any = self._row.from_address(at)
        return np.frombuffer(values, np.float32)

    def _decode(
        self, part: Sequence[int], stop: Callable[[], bool], *, last: bool
    ) -> None:
        batch, position = self._batch, len(self._tokens)
        batch.n_tokens = len(part)
        for i, token in enumerate(part):
            batch.token[i] = token
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = last and i == len(part) - 1
        watch = self._watched(stop if len(part) >= _LONG_BATCH else None)
        code = self._api.llama_decode(self._context, batch)
        self.evaluations += 1
        if watch is not None and watch.error is not None:
            self._forget()
            raise watch.error
        if code != 0:
            self._forget()
            if code == 2:  # noqa: PLR2004 - llama.h: 2 means aborted
                raise AbortedError
            raise RuntimeError(f"llama_decode returned {code}")
        self._tokens.extend(part)

    def _forget(self) -> None:
        memory = self._api.llama_get_memory(self._context)
        self._api.llama_memory_clear(memory, True)
        self._tokens.clear()

    def _watched(self, stop: Callable[[], bool] | None) -> _Watch | None:
        if stop is None and self._watch is None:
            return None
        if stop is None:
            callback, self._watch = self._api.ggml_abort_callback(), None
        else:
            self._watch = _Watch(stop)
            callback = self._api.ggml_abort_callback(self._watch)
            self._watch.callback = callback
        self._api.llama_set_abort_callback(self._context, callback, None)
        return self._watch


class _Watch:
    """The abort check of one evaluation.

    ctypes prints an exception of a callback and goes on as if it had returned 0. So
    it is kept, the evaluation aborted, and the exception raised afterwards.
    """

    def __init__(self, stop: Callable[[], bool]) -> None:
        self._stop = stop
        self.error: BaseException | None = None
        self.callback: Any = None
        """What C holds; it must outlive the evaluation."""

    def __call__(self, _data: object) -> bool:
        try:
            return self._stop()
        except BaseException as error:  # noqa: BLE001 - raised again by `evaluate`
            self.error = error
            return True

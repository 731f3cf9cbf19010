"""The provider `llama.cpp`: a pinned GGUF file on this machine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

from llmguard.adapters.messages import Chunk, Message, Request
from llmguard.errors import ConfigError, TierUnavailableError
from llmguard.outcome import Kind, Usage
from llmguard.reply import Reply

from ._client import aevents, events
from ._grammar import compile_first
from ._grounding import ground
from ._imports import install_line
from ._job import Delta, Job, Result
from ._link import ProcessLink, ThreadLink
from ._options import read_options, read_params
from ._pool import Pool, Settings
from ._pools import acquire, release
from ._prompt import plain_text
from ._runtime import choose_runtime
from ._weights import Weights, find_weights, sha256_of, verify

if TYPE_CHECKING:
    from llmguard.pins import Pin

__all__ = ["LocalProvider"]


class LocalProvider:
    """Calls one pinned model of llama.cpp, in worker processes of its own.

    Args:
        pin: `model` is a GGUF path or `embedded:NAME`; options: see `LocalOptions`;
            params: `temperature`, `top_p`, `seed`, `max_tokens`, `stop`.
    """

    def __init__(self, pin: Pin) -> None:
        self.pin = pin
        self.options = read_options(pin.options)
        read_params(pin.params, {"messages": ()})
        self._weights: Weights | None = None
        self._key = ""
        self._runtime = ""

    @property
    def remote(self) -> bool:
        """False: nothing leaves this machine."""
        return False

    @property
    def weights(self) -> Weights:
        """The file, and the digest it must have.

        Raises:
            ConfigError: There is no such file or embedded model.
        """
        if self._weights is None:
            model = self.pin.model
            at = model if model.startswith("embedded:") else str(self.pin.path)
            self._weights = find_weights(at, self.options.gguf_sha256 or None)
        return self._weights

    def complete(self, request: Request) -> Reply:
        """Answer one request."""
        job, budget = self._job(request), self._budget(request)
        return self._last(list(events(self.pool(), job, budget=budget)), request)

    async def acomplete(self, request: Request) -> Reply:
        """Answer one request without blocking the event loop."""
        job, budget = self._job(request), self._budget(request)
        found = [e async for e in aevents(self.pool(), job, budget=budget)]
        return self._last(found, request)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Answer piece by piece; leaving early stops the model."""
        job, budget = self._job(request, stream=True), self._budget(request)
        for event in events(self.pool(), job, budget=budget):
            yield self._chunk(event, request)

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        """Answer piece by piece; leaving early stops the model."""
        job, budget = self._job(request, stream=True), self._budget(request)
        async for event in aevents(self.pool(), job, budget=budget):
            yield self._chunk(event, request)

    def client(self, timeout: float) -> Any:
        """Refuse: there is no SDK behind this provider."""
        self._no_client(timeout)

    def async_client(self, timeout: float) -> Any:
        """Refuse: there is no SDK behind this provider."""
        self._no_client(timeout)

    def check_schema(self, schema: Any) -> list[str]:
        """Return the parts of a JSON Schema that are checked only after decoding.

        Raises:
            SchemaRefusedError: No answer can be given under this schema.
            TierUnavailableError: The runtime or llguidance is not installed.
        """
        self._require_packages()
        return [str(found) for found in compile_first(schema)[1].finite.unenforced]

    def warm(self) -> None:
        """Start the workers now instead of at the first call; does not wait."""
        self.pool().warm()

    def close(self) -> None:
        """End the workers, unless another pin shares them."""
        if self._key:
            release(self._key, id(self))
            self._key = ""

    def pool(self) -> Pool:
        """Return the workers of this pin, shared by pins with the same weights.

        Raises:
            TierUnavailableError: The runtime or llguidance is not installed.
        """
        self._require_packages()
        key = json.dumps(
            [self._loading(), self._digest(), self.options.in_process, *self._size()]
        )
        self._key = key
        return acquire(key, id(self), self._make)

    def _require_packages(self) -> None:
        if self._runtime:
            # Looking takes a third of a millisecond, which a refusal cannot spare.
            return
        try:
            runtime = choose_runtime(self.options.runtime)
        except ConfigError as error:
            raise self._missing(str(error)) from error
        if find_spec("llguidance") is None:
            raise self._missing(f"llguidance is not installed: {install_line(runtime)}")
        self._runtime = runtime

    def _missing(self, reason: str) -> TierUnavailableError:
        return TierUnavailableError(reason, kind=Kind.SKIPPED, pin=self.pin.id)

    def _make(self) -> Pool:
        weights, (slots, queue, grace) = self.weights, self._size()
        return Pool(
            Settings(
                options=self._loading(),
                slots=int(slots),
                queue=int(queue),
                grace=grace,
                prepare=lambda: verify(weights),
                connect=ThreadLink if self.options.in_process else ProcessLink,
            )
        )

    def _size(self) -> tuple[float, float, float]:
        return self.options.slots, self.options.places, self.options.grace

    def _digest(self) -> str:
        return self.weights.sha256 or ""

    def _loading(self) -> dict[str, Any]:
        options = self.options
        return {
            "path": str(self.weights.path),
            "n_ctx": options.n_ctx,
            "n_batch": options.n_batch,
            "n_threads": options.threads,
            "n_gpu_layers": options.n_gpu_layers,
            "prompt_format": options.prompt_format,
            "runtime": self._runtime,
        }

    def _budget(self, request: Request) -> float:
        return self.options.timeout if request.timeout is None else request.timeout

    def _job(self, request: Request, *, stream: bool = False) -> Job:
        if request.tools:
            raise TierUnavailableError(
                "the local runtime calls no tools; give the answer a schema instead",
                kind=Kind.SKIPPED,
                pin=self.pin.id,
            )
        schema = request.schema
        if schema is not None and self.options.ground:
            schema = ground(schema, self.options.ground, _texts(request))
        return read_params(
            {**self.pin.params, **request.params},
            {
                "messages": [_message(m) for m in request.messages],
                "schema": schema,
                "attempts": self.options.attempts,
                "stream": stream,
            },
        )

    def _chunk(self, event: Delta | Result, request: Request) -> Chunk:
        if isinstance(event, Delta):
            return Chunk(text=event.text)
        return Chunk(reply=self._reply(event, request))

    def _last(self, found: list[Delta | Result], request: Request) -> Reply:
        result = found[-1]
        assert isinstance(result, Result)  # noqa: S101 - events end with the result
        return self._reply(result, request)

    def _reply(self, result: Result, request: Request) -> Reply:
        return Reply(
            text=result.text,
            finish_reason=result.finish_reason,
            served_model=self.pin.model,
            fingerprint=f"sha256:{sha256_of(self.weights.path)}",
            usage=Usage(
                input_tokens=result.input_tokens, output_tokens=result.output_tokens
            ),
            confidence=result.confidence,
            field_confidence=result.field_confidence or None,
            prompt_digest=request.prompt_digest,
            raw=result,
        )

    def _no_client(self, timeout: float) -> NoReturn:
        raise ConfigError(
            f"pin {self.pin.route!r} runs on llama.cpp, which has no SDK client to "
            f"limit to {timeout:.3g} s; use `model.complete(...)` in the body"
        )


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": plain_text(message.content)}


def _texts(request: Request) -> list[str]:
    """Return the input: the function's own texts, else what the user said."""
    given = [v for v in request.inputs.values() if isinstance(v, str)]
    said = [m for m in request.messages if m.role == "user"]
    return given or [plain_text(m.content) for m in said]

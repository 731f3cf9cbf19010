"""Answering: find the model, take a place, check the schema, run it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing
from typing import Any, cast

from llmguard.adapters import Chunk, Request
from llmguard.errors import CallError, ConfigError
from llmguard.outcome import Kind
from llmguard.reply import Reply

from ..local import SchemaRefusedError, Unenforced, schema_report
from ._asked import Asked
from ._errors import ApiError, api_error, busy
from ._metrics import Metrics
from ._settings import ServeSettings
from ._targets import Served

__all__ = ["Desk"]


class Desk:
    """The served models, and who is being served.

    Args:
        models: What is served.
        settings: The limits.
    """

    def __init__(self, models: list[Served], settings: ServeSettings) -> None:
        self.models: Mapping[str, Served] = {m.name: m for m in models}
        self.settings = settings
        self.metrics = Metrics()
        self.taken: Counter[str] = Counter()

    def find(self, name: str) -> Served:
        """Return a model by its name.

        Raises:
            ApiError: There is none.
        """
        found = self.models.get(name)
        if found is None:
            served = ", ".join(map(repr, self.models))
            raise ApiError(
                404,
                f"the model {name[:100]!r} is not served here; served: {served}",
                code="model_not_found",
                param="model",
            )
        return found

    def places(self, served: Served) -> int:
        """Return how many requests of a model are taken at a time."""
        return self.settings.concurrency or served.places

    @contextlib.contextmanager
    def place(self, served: Served) -> Generator[None]:
        """Hold one of the places of a model.

        Raises:
            ApiError: All are taken; the client is told at once.
        """
        most = self.places(served)
        if self.taken[served.name] >= most:
            raise busy(
                f"all {most} place(s) of {served.name!r} are taken",
                self.settings.retry_after,
            )
        self.taken[served.name] += 1
        try:
            yield
        finally:
            self.taken[served.name] -= 1

    async def check(self, asked: Asked) -> tuple[Unenforced, ...]:
        """Return what of the schema is checked after decoding.

        Raises:
            ApiError: The local runtime cannot answer under this schema.
        """
        if asked.schema is None:
            return ()
        try:
            text = json.dumps(asked.schema, sort_keys=True)
            return await asyncio.to_thread(_report, text)
        except (SchemaRefusedError, RecursionError) as error:
            raise ApiError(
                400,
                f"the schema cannot be held: {error}",
                code="invalid_json_schema",
                param="response_format",
            ) from None

    async def whole(self, served: Served, asked: Asked) -> Reply:
        """Return a whole answer.

        Raises:
            ApiError: There is none.
        """
        try:
            return await served.provider.acomplete(self._request(asked))
        except (CallError, ConfigError) as error:
            return self._failed(error)

    async def pieces(self, served: Served, asked: Asked) -> AsyncGenerator[Chunk]:
        """Yield an answer piece by piece, the whole reply last.

        Raises:
            ApiError: There is none, or it broke off.
        """
        chunks = cast(
            "AsyncGenerator[Chunk]", served.provider.astream(self._request(asked))
        )
        async with aclosing(chunks):
            try:
                async for chunk in chunks:
                    yield chunk
            except (CallError, ConfigError) as error:
                yield Chunk(reply=self._failed(error))

    def _request(self, asked: Asked) -> Request:
        return Request(
            messages=asked.messages,
            schema=asked.schema,
            schema_name=asked.schema_name,
            params=asked.params,
            timeout=self.settings.timeout,
        )

    def _failed(self, error: CallError | ConfigError) -> Reply:
        if isinstance(error, ConfigError):
            raise ApiError(
                500, str(error), kind="server_error", code="configuration"
            ) from error
        if error.kind is Kind.TRUNCATED:
            # Half a JSON text is of no use; its end is told in the API's own words.
            return Reply(text="", finish_reason="length")
        raise api_error(error, retry_after=self.settings.retry_after) from error


@functools.lru_cache(maxsize=256)
def _report(schema: str) -> tuple[Unenforced, ...]:
    loaded: Any = json.loads(schema)
    return schema_report(loaded)

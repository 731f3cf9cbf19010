"""The options of a `llama.cpp` pin, checked before anything is loaded."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from llmguard.errors import ConfigError

from ._grounding import compile_rules
from ._job import Job
from ._runtime import check_runtime

__all__ = ["LocalOptions", "read_options", "read_params"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """How a local pin is run.

    Attributes:
        gguf_sha256: Digest that the weights must have; "" accepts the file as it is.
        n_ctx: Tokens of prompt and answer; 0 for the model's own, at most 4096.
        n_batch: Tokens evaluated at once.
        n_threads: CPU threads per slot; 0 for half of this process's cores, shared
            by the slots.
        n_gpu_layers: Layers on the accelerator; -1 for all.
        runtime: "llama-cpp-python" or "xllamacpp"; "" for the first installed.
        slots: Worker processes, each with one answer at a time.
        queue: Calls that may wait for a slot; -1 for twice the slots.
        grace: Seconds a worker has to stop when told to, before it is killed.
        timeout: Seconds for an answer outside any guard.
        in_process: Load the model into this process: for scripts. A crash of the
            native code is then a crash of the script.
        prompt_format: "raw" joins the messages; "" uses the model's chat template.
        attempts: Draws for an answer that breaks keywords which no grammar holds.
        ground: Field -> pattern: the field must be found in the input, or null.
    """

    gguf_sha256: str = ""
    n_ctx: int = 0
    n_batch: int = 128
    n_threads: int = 0
    n_gpu_layers: int = 0
    runtime: str = ""
    slots: int = 1
    queue: int = -1
    grace: float = 0.5
    timeout: float = 30.0
    in_process: bool = False
    prompt_format: str = ""
    attempts: int = 3
    ground: Mapping[str, re.Pattern[str]] = field(
        default_factory=dict[str, re.Pattern[str]]
    )

    @property
    def threads(self) -> int:
        """CPU threads per slot."""
        return self.n_threads or max(1, _cores() // (2 * self.slots))

    @property
    def places(self) -> int:
        """Calls that may wait."""
        return 2 * self.slots if self.queue < 0 else self.queue


def read_options(options: Mapping[str, Any]) -> LocalOptions:
    """Return the checked options.

    Raises:
        ConfigError: An unknown option or runtime, or a value of the wrong type or
            range.
    """
    known = {f.name: f.default for f in fields(LocalOptions)}
    values = dict(options)
    for name, value in values.items():
        if name not in known:
            raise ConfigError(_unknown("option", name, known))
        if name != "ground":
            values[name] = _typed(name, value, known[name])
    if "ground" in values:
        values["ground"] = compile_rules(values["ground"])
    found = LocalOptions(**values)
    check_runtime(found.runtime)
    if found.slots < 1 or found.attempts < 1 or found.n_batch < 1 or found.n_ctx < 0:
        raise ConfigError(
            "`slots`, `attempts` and `n_batch` must be at least 1 and `n_ctx` at "
            f"least 0, not {dict(options)!r}"
        )
    return found


def _typed(name: str, value: object, default: object) -> object:
    wanted = type(default)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not wanted:
        raise ConfigError(
            f"`{name}` must be of type {wanted.__name__}, not {value!r}; "
            "correct the pin's options in `models.lock`"
        )
    return value


_PARAMS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stop": "stop",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
}


def read_params(params: Mapping[str, Any], job: Mapping[str, Any]) -> Job:
    """Return the job with the sampling parameters of a request.

    Raises:
        ConfigError: A parameter that the local runtime does not have.
    """
    values = dict(job)
    for name, value in params.items():
        if name not in _PARAMS:
            raise ConfigError(_unknown("parameter", name, _PARAMS))
        values[_PARAMS[name]] = value
    stop = values.get("stop")
    values["stop"] = [stop] if isinstance(stop, str) else list(stop or ())
    values["temperature"] = float(values.get("temperature") or 0.0)
    return Job(**values)


def _unknown(what: str, name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{close[0]}`? " if close else ""
    return (
        f"the local runtime has no {what} {name!r}; {hint}"
        f"It knows: {', '.join(sorted(known))}"
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

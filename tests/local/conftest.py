"""Random-weight GGUF models, built in well under a second: no weights in git."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from optional import need

from llmguard.errors import ConfigError

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SAMPLE = (
    "The parcel 12345 has not arrived and I want my money back, please. "
    '{"category":"billing","priority":"low","needs_human":true,"order_id":null}'
)


@pytest.fixture(scope="session")
def grammar_engine() -> None:
    """Skip without llguidance."""
    need("llguidance")


@pytest.fixture(scope="session")
def model_tools() -> Iterator[None]:
    """Skip without what builds models."""
    need("llguidance", "gguf", "tokenizers")
    yield
    if "llama_cpp" in sys.modules:
        from llama_cpp import _utils

        # It leaves these open, which would be reported after the last test.
        _utils.outnull_file.close()
        _utils.errnull_file.close()


@pytest.fixture(scope="session", params=["llama-cpp-python", "xllamacpp"])
def runtime(request: pytest.FixtureRequest, model_tools: None) -> str:
    """Return the name of each runtime in turn: all pass the same tests."""
    from llmguard_fallbacks.local._runtime import RUNTIMES

    need(RUNTIMES[request.param])
    return str(request.param)


@pytest.fixture(scope="session")
def any_runtime(model_tools: None) -> None:
    """Skip without a runtime; the default one is used where both are installed."""
    from llmguard_fallbacks.local._runtime import choose_runtime

    try:
        choose_runtime()
    except ConfigError:
        need("llama_cpp")


def byte_alphabet() -> list[str]:
    """Return GPT-2's printable stand-ins for the 256 bytes, in their order."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in keep}
    for spare, byte in enumerate(b for b in range(256) if b not in table):
        table[byte] = chr(256 + spare)
    return [table[b] for b in range(256)]


def bpe(vocabulary: int) -> tuple[list[str], list[str]]:
    """Train a byte-level BPE on one sentence; return its tokens and merges."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=byte_alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([SAMPLE] * 20, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return tokens, merges


def write_gguf(
    path: pathlib.Path,
    tokens: list[str],
    merges: list[str],
    *,
    make: Callable[[int, int, int, int], dict[str, Any]] | None = None,
) -> None:
    """Write a two-layer llama, of random weights unless `make` makes others."""
    import gguf

    width, heads, layers, hidden, context = 64, 4, 2, 96, 2048
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    words = [*tokens, *control]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_rope_dimension_count(width // heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(words)
    writer.add_token_types([1] * len(tokens) + [3] * len(control))
    writer.add_token_merges(merges)
    writer.add_eos_token_id(len(tokens) + 2)
    writer.add_bos_token_id(len(tokens))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT)
    tensors = (make or weights)(width, layers, hidden, len(words))
    for name, array in tensors.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def weights(width: int, layers: int, hidden: int, vocabulary: int) -> dict[str, Any]:
    """Return seeded random tensors by their GGUF names."""
    rng = np.random.default_rng(7)

    def random(*shape: int) -> Any:
        return rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)

    ones = np.ones(width, np.float32)
    tensors = {
        "token_embd.weight": random(vocabulary, width) * 8,
        "output.weight": random(vocabulary, width),
        "output_norm.weight": ones,
    }
    for i in range(layers):
        block = f"blk.{i}"
        tensors |= {f"{block}.attn_norm.weight": ones, f"{block}.ffn_norm.weight": ones}
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors[f"{block}.{name}.weight"] = random(width, width)
        tensors[f"{block}.ffn_gate.weight"] = random(hidden, width)
        tensors[f"{block}.ffn_up.weight"] = random(hidden, width)
        tensors[f"{block}.ffn_down.weight"] = random(width, hidden)
    return tensors


@pytest.fixture(scope="session")
def mini_gguf(
    model_tools: None, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """Return a model with a token per byte: the hardest case for a grammar."""
    path = tmp_path_factory.mktemp("gguf") / "mini.gguf"
    # llama.cpp wants at least one merge, and every merge its token.
    write_gguf(path, [*byte_alphabet(), "Ġt"], ["Ġ t"])
    return path


@pytest.fixture(scope="session")
def bpe_gguf(
    model_tools: None, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """Return a model with tokens of several bytes."""
    path = tmp_path_factory.mktemp("gguf") / "bpe.gguf"
    write_gguf(path, *bpe(400))
    return path


def flat_weights(logits: dict[str, float]) -> Callable[..., dict[str, Any]]:
    """Return a maker of tensors with which the given bytes always have these logits."""

    def make(width: int, layers: int, hidden: int, vocabulary: int) -> dict[str, Any]:
        found = weights(width, layers, hidden, vocabulary)
        for name, array in found.items():
            # Layers that add nothing to a constant embedding leave a constant state.
            array.fill(1.0 if "norm" in name or name == "token_embd.weight" else 0.0)
        for character, logit in logits.items():
            found["output.weight"][ord(character), 0] = logit
        return found

    return make


FLAT = {"t": np.log(3.0), "n": np.log(6.0), "g": np.log(2.0)}
"""Logits of single bytes; those of all others are 0."""


@pytest.fixture(scope="session")
def flat_gguf(
    model_tools: None, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """Return a model whose next token has the same known distribution everywhere."""
    path = tmp_path_factory.mktemp("gguf") / "flat.gguf"
    make = flat_weights(FLAT)
    write_gguf(path, [*byte_alphabet(), "Ġt"], ["Ġ t"], make=make)
    return path


@pytest.fixture(scope="session")
def open_engine(runtime: str) -> Callable[..., contextlib.closing[Any]]:
    """Return a function that opens an engine of this runtime, as a context manager."""
    from llmguard_fallbacks.local._engine import LlamaCppEngine
    from llmguard_fallbacks.local._llama import LlamaOptions

    # On a machine with a GPU the whole suite runs with the layers on it by this.
    layers = int(os.environ.get("LLMGUARD_TEST_GPU_LAYERS", "0"))

    def make(path: pathlib.Path, **options: Any) -> contextlib.closing[Any]:
        options = {"n_gpu_layers": layers, **options}
        found = LlamaOptions(path=str(path), runtime=runtime, **options)
        return contextlib.closing(LlamaCppEngine(found))

    return make


@pytest.fixture(scope="session", params=["mini_gguf", "bpe_gguf"])
def engine(
    request: pytest.FixtureRequest, open_engine: Callable[..., Any]
) -> Iterator[Any]:
    """Return an engine of each runtime on each of the two models."""
    with open_engine(request.getfixturevalue(request.param)) as found:
        yield found


@pytest.fixture(scope="session")
def answer() -> Callable[..., Any]:
    """Return a function that runs one job to its result."""
    from llmguard_fallbacks.local._job import Job, Result

    def run(engine: Any, text: str = "hello", **options: Any) -> Result:
        job = Job(messages=[{"role": "user", "content": text}], **options)
        *_, result = engine.generate(job, halt=lambda: "")
        assert isinstance(result, Result)
        return result

    return run


class Bytes:
    """A vocabulary of single bytes, for walks through a grammar without a model."""

    eos_token_id = 256
    bos_token_id = None
    tokens = (*(bytes([i]) for i in range(256)), b"\xff<eos>")
    special_token_ids = (256,)

    def __call__(self, text: bytes | str) -> list[int]:
        return list(text if isinstance(text, bytes) else text.encode())


@pytest.fixture(scope="session")
def walk(grammar_engine: None) -> Callable[..., bytes]:
    """Return a function that draws a random instance of a grammar."""
    import random

    from llguidance import LLTokenizer, TokenizerWrapper

    from llmguard_fallbacks.local._decode import Constraint

    tokenizer = LLTokenizer(TokenizerWrapper(Bytes()), n_vocab=257, eos_token=256)

    def draw(grammar: Any, *, seed: int = 0) -> bytes:
        rng, constraint = random.Random(seed), Constraint(tokenizer, grammar.text)
        drawn = bytearray(constraint.forced())
        while not constraint.done:
            token = int(rng.choice(constraint.allowed()))
            if token == Bytes.eos_token_id:
                break
            constraint.accept(token)
            drawn += bytes([token, *constraint.forced()])
        return bytes(drawn)

    return draw


TICKET = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "shipping", "refund", "bug"]},
        "priority": {"enum": ["low", "normal", "high"]},
        "needs_human": {"type": "boolean"},
        "order_id": {"type": ["string", "null"], "maxLength": 12},
        "summary": {"type": "string", "maxLength": 60},
    },
    "required": ["category", "priority", "needs_human", "order_id", "summary"],
}


@pytest.fixture(scope="session")
def ticket() -> dict[str, Any]:
    """Return the schema of a triaged ticket."""
    return TICKET


LONG = {"type": "string", "minLength": 7_000, "maxLength": 7_000}


@pytest.fixture(scope="session")
def long_schema() -> dict[str, Any]:
    """Return a schema whose answers take far longer than any test waits."""
    return LONG


def local_provider(model: str, params: Any = None, **options: Any) -> Any:
    """Return a provider; with the same options it shares the workers of others."""
    from llmguard.pins import Pin
    from llmguard_fallbacks.local import provider

    # A long grace, so that a busy machine does not look like a worker that disobeys.
    defaults = {"n_ctx": 32_768, "n_threads": 1, "grace": 30.0, "queue": 8}
    pin = Pin(
        route="t",
        provider="llama.cpp",
        model=model,
        options={**defaults, **options},
        params=params or {},
    )
    return provider(pin)


@pytest.fixture(scope="session")
def kept(any_runtime: None, mini_gguf: pathlib.Path) -> Iterator[None]:
    """Keep the workers with default options between tests: starting costs a second."""
    keeper = local_provider(str(mini_gguf))
    keeper.warm()
    yield
    keeper.close()


@pytest.fixture
def make_provider(kept: None, mini_gguf: pathlib.Path) -> Iterator[Callable[..., Any]]:
    """Return a maker of providers that are closed when the test ends."""
    made: list[Any] = []

    def make(*, model: str = "", **options: Any) -> Any:
        made.append(local_provider(model or str(mini_gguf), **options))
        return made[-1]

    yield make
    for found in made:
        found.close()


@pytest.fixture(scope="session")
def ask() -> Callable[..., Any]:
    """Return a maker of requests."""
    from llmguard.adapters.messages import Message, Request

    def make(text: str = "hello", **fields: Any) -> Request:
        fields.setdefault("timeout", 60.0)
        return Request(messages=[Message(role="user", content=text)], **fields)

    return make

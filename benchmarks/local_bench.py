"""Constrained decoding with fast-forward against the same model unconstrained.

    python benchmarks/local_bench.py                 # a tiny and a 0.5B-shaped model
    python benchmarks/local_bench.py --tiny          # only the tiny one, in seconds
    python benchmarks/local_bench.py --gguf x.gguf   # any model

Random weights cost what trained ones do. The models are built in a temporary folder
(the 0.5B-shaped one needs 0.6 GB there). Times are wall and CPU time of one thread; the
two ways take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import gguf
import numpy as np

from llmguard_fallbacks.local._engine import LlamaCppEngine
from llmguard_fallbacks.local._job import Job, Result
from llmguard_fallbacks.local._llama import LlamaOptions

TICKET = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "shipping", "refund", "account", "bug"]},
        "priority": {"enum": ["low", "normal", "high", "urgent"]},
        "needs_human": {"type": "boolean"},
        "order_id": {"type": ["string", "null"], "maxLength": 12},
        "summary": {"type": "string", "maxLength": 80},
    },
    "required": ["category", "priority", "needs_human", "order_id", "summary"],
}
PROMPT = "Ticket:\nMy parcel 48213 never came and I want my money back.\n\nTriage:\n"
SHAPES = {
    "tiny": {"width": 192, "layers": 6, "hidden": 512, "heads": 6, "vocab": 2_048},
    "0.5B-shaped": {
        "width": 896,
        "layers": 24,
        "hidden": 4864,
        "heads": 14,
        "vocab": 128_000,
    },
}


def alphabet() -> list[str]:
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in keep}
    for spare, byte in enumerate(b for b in range(256) if b not in table):
        table[byte] = chr(256 + spare)
    return [table[b] for b in range(256)]


def vocabulary(size: int) -> tuple[list[str], list[str]]:
    """Build words of a JSON object and made-up ones, each merge from two tokens."""
    tokens, merges = alphabet(), []
    known = set(tokens)
    words = [*TICKET["properties"], *TICKET["properties"]["category"]["enum"]]
    words += ['":', '","', '{"', "true", "false", "null", "Ġticket", "Ġparcel"]
    rng = np.random.default_rng(1)
    while len(tokens) < size:
        word = (
            words.pop()
            if words
            else "Ġ" * int(rng.integers(2))
            + "".join(chr(97 + c) for c in rng.integers(0, 26, rng.integers(2, 7)))
        )
        for end in range(2, len(word) + 1):
            if word[:end] not in known and len(tokens) < size:
                known.add(word[:end])
                tokens.append(word[:end])
                merges.append(f"{word[: end - 1]} {word[end - 1]}")
    return tokens, merges


def build(path: Path, shape: dict[str, int]) -> Path:
    """Write a llama of random q8_0 weights."""
    tokens, merges = vocabulary(shape["vocab"])
    words = [*tokens, "<|end|>"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(shape["width"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["hidden"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["heads"])
    writer.add_rope_dimension_count(shape["width"] // shape["heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(words)
    writer.add_token_types([1] * len(tokens) + [3])
    writer.add_token_merges(merges)
    writer.add_eos_token_id(len(tokens))
    writer.add_bos_token_id(len(tokens))
    writer.add_add_bos_token(False)
    add_weights(writer, shape, len(words))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_weights(writer: Any, shape: dict[str, int], vocab: int) -> None:
    rng = np.random.default_rng(7)
    width, hidden = shape["width"], shape["hidden"]
    kind = gguf.GGMLQuantizationType.Q8_0

    def random(name: str, *size: int) -> None:
        values = rng.standard_normal(size, np.float32) * size[-1] ** -0.5
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    random("token_embd.weight", vocab, width)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for i in range(shape["layers"]):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{i}.{name}.weight", np.ones(width, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            random(f"blk.{i}.{name}.weight", width, width)
        random(f"blk.{i}.ffn_gate.weight", hidden, width)
        random(f"blk.{i}.ffn_up.weight", hidden, width)
        random(f"blk.{i}.ffn_down.weight", width, hidden)


def timed(run: Callable[[], Result]) -> tuple[float, float, Result]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    return time.perf_counter() - wall, time.process_time() - cpu, found


def answer(engine: LlamaCppEngine, **fields: Any) -> Result:
    job = Job(messages=[{"role": "user", "content": PROMPT}], **fields)
    *_, found = engine.generate(job, halt=lambda: "")
    return cast("Result", found)


def measure(name: str, path: Path, rounds: int, threads: int) -> dict[str, Any]:
    engine = LlamaCppEngine(LlamaOptions(path=str(path), n_threads=threads))
    first = timed(lambda: answer(engine, schema=TICKET))
    rows: dict[str, list[tuple[float, float]]] = {"constrained": [], "free": []}
    objects: list[tuple[float, Result]] = []
    for seed in range(rounds):
        wall, cpu, found = timed(
            lambda: answer(engine, schema=TICKET, temperature=1.0, seed=seed)  # noqa: B023 - runs at once
        )
        json.loads(found.text)
        objects.append((wall, found))
        count = found.output_tokens
        rows["constrained"].append((wall / count, cpu / count))
        wall, cpu, free = timed(
            lambda: answer(engine, temperature=1.0, seed=seed, max_tokens=count)  # noqa: B023 - as above
        )
        rows["free"].append((wall / free.output_tokens, cpu / free.output_tokens))
    engine.close()
    return report(name, first, rows, objects)


def report(
    name: str,
    first: tuple[float, float, Result],
    rows: dict[str, list[tuple[float, float]]],
    objects: list[tuple[float, Result]],
) -> dict[str, Any]:
    median = {
        way: [1e3 * statistics.median(t[i] for t in times) for i in (0, 1)]
        for way, times in rows.items()
    }
    found = [result for _, result in objects]
    return {
        "model": name,
        "constrained_ms_per_token": round(median["constrained"][0], 3),
        "free_ms_per_token": round(median["free"][0], 3),
        "ratio_wall": round(median["constrained"][0] / median["free"][0], 3),
        "ratio_cpu": round(median["constrained"][1] / median["free"][1], 3),
        "tokens_per_object": statistics.mean(r.output_tokens for r in found),
        "forced_per_object": statistics.mean(r.forced_tokens for r in found),
        "evaluations_per_object": statistics.mean(r.evaluations for r in found),
        "ms_per_object": round(1e3 * statistics.median(w for w, _ in objects), 2),
        "first_call_ms": round(1e3 * first[0], 1),
        "valid": f"{len(found)}/{len(found)}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gguf", type=Path, help="measure this model instead")
    parser.add_argument("--tiny", action="store_true", help="only the tiny model")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options = parser.parse_known_args()[0]
    if options.quick:
        options.tiny, options.rounds = True, 2
    if options.gguf:
        found = measure(
            options.gguf.name, options.gguf, options.rounds, options.threads
        )
        print(json.dumps(found, indent=1))
        return
    figures: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ["tiny"] if options.tiny else SHAPES:
            path = build(Path(folder) / f"{name}.gguf", SHAPES[name])
            found = measure(name, path, options.rounds, options.threads)
            print(json.dumps(found, indent=1), flush=True)
            figures.append(found)
    if options.json:
        options.json.write_text(json.dumps({"models": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()

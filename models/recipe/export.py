"""Writes a checkpoint as GGUF and enters it in the package's manifest.

`python export.py build/triage-1.0 --name triage-1.0` writes
`../llmguard_models/data/triage-1.0.gguf` (q8_0; `--type f32` for comparisons) and its
size and sha256 into `manifest.json` beside it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf.quants import quantize
from text import END, JSON_PARTS, PROMPT, load_tokenizer
from tokenizers import Tokenizer

DATA = Path(__file__).parent.parent / "llmguard_models" / "data"
SCHEMA = {
    "type": "object",
    "properties": {
        "category": {
            "enum": ["billing", "shipping", "refund", "account", "bug", "other"]
        },
        "priority": {"enum": ["low", "normal", "high", "urgent"]},
        "needs_human": {"type": "boolean"},
        "order_id": {"type": ["string", "null"], "maxLength": 24},
    },
    "required": ["category", "priority", "needs_human", "order_id"],
    "additionalProperties": False,
}
_PLAIN = ("attn_norm", "ffn_norm", "attn_output", "ffn_down")


def _tensors(weights: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """The checkpoint's weights under llama.cpp's names, fused ones taken apart."""
    found = {}
    for name, value in weights.items():
        array = value.float().numpy()
        if not name.startswith("blocks."):
            found[name] = array
            continue
        _, block, kind, _ = name.split(".")
        if kind == "attn_qkv":
            parts = dict(zip("qkv", np.split(array, 3), strict=True))
            for letter, part in parts.items():
                found[f"blk.{block}.attn_{letter}.weight"] = part
        elif kind == "ffn_gate_up":
            gate, up = np.split(array, 2)
            found[f"blk.{block}.ffn_gate.weight"] = gate
            found[f"blk.{block}.ffn_up.weight"] = up
        else:
            found[f"blk.{block}.{kind}.weight"] = array
    return found


def _add_vocabulary(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    kinds = {END: gguf.TokenType.CONTROL}
    kinds |= dict.fromkeys(JSON_PARTS, gguf.TokenType.USER_DEFINED)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types(
        [kinds.get(token, gguf.TokenType.NORMAL) for token, _ in vocabulary]
    )
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    )
    end = tokenizer.token_to_id(END)
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)


def _add_header(writer: gguf.GGUFWriter, name: str, config: dict[str, float]) -> None:
    writer.add_name(name)
    writer.add_description("Support-ticket triage for llmguard's demo and tests")
    writer.add_license("Apache-2.0")
    writer.add_context_length(int(config["context"]))
    writer.add_embedding_length(int(config["width"]))
    writer.add_block_count(int(config["layers"]))
    writer.add_feed_forward_length(int(config["hidden"]))
    writer.add_head_count(int(config["heads"]))
    writer.add_head_count_kv(int(config["heads"]))
    writer.add_rope_dimension_count(int(config["width"] // config["heads"]))
    writer.add_rope_freq_base(config["rope_base"])
    writer.add_layer_norm_rms_eps(config["epsilon"])
    writer.add_vocab_size(int(config["vocab"]))


def export(build: Path, target: Path, *, name: str, quantized: bool = True) -> None:
    """Write the checkpoint in `build` to the GGUF file `target`."""
    checkpoint = torch.load(build / "model.pt", weights_only=True)
    writer = gguf.GGUFWriter(str(target), "llama")
    _add_header(writer, name, checkpoint["config"])
    _add_vocabulary(writer, load_tokenizer(build / "tokenizer.json"))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    kind = gguf.GGMLQuantizationType.Q8_0
    writer.add_file_type(
        gguf.LlamaFileType.MOSTLY_Q8_0 if quantized else gguf.LlamaFileType.ALL_F32
    )
    for tensor, array in _tensors(checkpoint["weights"]).items():
        if quantized and array.ndim == 2:
            packed = quantize(np.ascontiguousarray(array), kind)
            writer.add_tensor(tensor, packed, raw_dtype=kind)
        else:
            writer.add_tensor(tensor, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def enter(target: Path, *, name: str, record: dict[str, object]) -> None:
    """Enter the file `target` in the manifest beside it."""
    manifest = target.parent / "manifest.json"
    entries = json.loads(manifest.read_text()) if manifest.exists() else {}
    content = target.read_bytes()
    entries[name] = {
        "file": target.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "license": "Apache-2.0",
        "task": "triage",
        "architecture": "llama",
        "quantization": "q8_0",
        "parameters": record["parameters"],
        "context_length": 1024,
        "prompt_format": "raw",
        "prompt": PROMPT,
        "schema": SCHEMA,
        "card": f"cards/{name}.md",
    }
    manifest.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n")


def main() -> None:
    """Read the options, write the file, enter it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--name", default="triage-1.0")
    parser.add_argument("--type", choices=["q8_0", "f32"], default="q8_0")
    parser.add_argument("--to", type=Path, help="another file; not entered then")
    options = parser.parse_args()
    target = options.to or DATA / f"{options.name}.gguf"
    export(options.build, target, name=options.name, quantized=options.type == "q8_0")
    if options.to is None:
        record = json.loads((options.build / "train.json").read_text())
        enter(target, name=options.name, record=record)
    print(target, target.stat().st_size)


if __name__ == "__main__":
    main()

"""Checks that llama.cpp says what torch says: `python compare.py build/triage-1.0`.

Takes the checkpoint and the committed GGUF, compares prompt ids and greedy answers on
the development tickets, prints every difference and exits 1 when there is one. q8_0
rounds the weights, so a rare near-tie may differ; a wrong layout differs everywhere.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from model import Config, Decoder
from scoring import greedy, load, read_tickets
from text import END, PROMPT, load_tokenizer

HERE = Path(__file__).parent
GGUF = HERE.parent / "llmguard_models" / "data" / "triage-1.0.gguf"


def compare(build: Path, gguf: Path, count: int) -> list[str]:
    """One line per ticket on which the two differ, of the first `count`."""
    checkpoint = torch.load(build / "model.pt", weights_only=True)
    decoder = Decoder(Config(**checkpoint["config"])).eval()
    decoder.load_state_dict(checkpoint["weights"])
    tokenizer = load_tokenizer(build / "tokenizer.json")
    end = tokenizer.token_to_id(END)
    runtime = load(gguf)
    differing = []
    for ticket in read_tickets(HERE / "data" / "dev.jsonl")[:count]:
        prompt = PROMPT.format(ticket=ticket["text"])
        ids = tokenizer.encode(prompt).ids
        if ids != runtime.tokenize(prompt.encode(), add_bos=False, special=False):
            differing.append(f"{ticket['id']}: prompt ids")
        ours = tokenizer.decode(decoder.greedy(ids, stop=end))
        theirs = greedy(runtime, prompt)
        if ours != theirs:
            differing.append(f"{ticket['id']}: torch {ours!r}, llama.cpp {theirs!r}")
    return differing


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--gguf", type=Path, default=GGUF)
    parser.add_argument("--count", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    differing = compare(options.build, options.gguf, options.count)
    print("\n".join(differing) or f"{options.count} tickets: the same answers")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()

"""Builds the tokenizer and the meanings: `python prepare.py --out build/words`.

Both models share them, so that the vocabulary is chosen from all fragments.
"""

from __future__ import annotations

import argparse
import json
import random
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from corpus import Composer
from fragments import expand, lines, load_intents, read
from meaning import free_tokens, token_table
from words import build_tokenizer, choose_words

FREQUENT = 400  # words of the corpus with a learned part of their own


def _texts() -> list[str]:
    rng, slots = random.Random(5), read("slots")
    raw = [f.text for intent in load_intents() for f in intent.fragments]
    raw += [line for block in read("shared").values() for line in lines(block)]
    texts = [expand(text, rng, slots) for text in raw for _ in range(4)]
    return texts + [e.text for e in islice(Composer(5, desk=0.6), 8000)]


def prepare(out: Path) -> None:
    """Write `tokenizer.json`, `table.npy` and `words.json` into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    counts, words = choose_words(_texts())
    tokenizer = build_tokenizer(counts, words)
    tokenizer.save(str(out / "tokenizer.json"))
    np.save(out / "table.npy", token_table(tokenizer))
    frequent = [word for word, _ in counts.most_common(FREQUENT)]
    free = free_tokens(tokenizer, words, frequent)
    (out / "words.json").write_text(json.dumps({"free": free}))
    size = tokenizer.get_vocab_size()
    print(f"{size} tokens, {len(words)} words, {len(free)} with a part of their own")


def main() -> None:
    """Read the options and build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/words"))
    torch.set_num_threads(1)
    prepare(parser.parse_args().out)


if __name__ == "__main__":
    main()

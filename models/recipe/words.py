"""The decoder's vocabulary and what each of its words means to begin with.

Words of the corpus, their nearest neighbours and frequent English words become one
token each. A token starts as MiniLM's reading of its text, so that a word which no
fragment uses lies beside the words that it resembles.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from minilm import load_encoder, load_wordpiece
from text import END, VALUES, finished
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

__all__ = ["build_tokenizer", "choose_words", "known_words", "vectors"]

_WORD = re.compile(r"[A-Za-z]+")
_GENERAL = 4000  # frequent English words, by the order of MiniLM's word list
_NEAR = 4  # neighbours taken in for each word of the corpus
_SURE = 0.5  # cosine from which a neighbour counts
_FORMS = {"capital": 1800, "bare": 1800, "upper": 700}  # written forms, of how many


def known_words() -> list[str]:
    """Whole words of MiniLM's word list, the frequent first."""
    vocabulary = sorted(load_wordpiece(8).get_vocab().items(), key=lambda item: item[1])
    return [w for w, _ in vocabulary if re.fullmatch("[a-z]{2,}", w)]


@torch.no_grad()
def vectors(texts: Sequence[str]) -> np.ndarray:
    """MiniLM on each text alone, (count, 768): mean state, mean input embedding."""
    encoder, wordpiece = load_encoder(), load_wordpiece(16)
    found = []
    for begin in range(0, len(texts), 512):
        batch = wordpiece.encode_batch(list(texts[begin : begin + 512]))
        ids = torch.tensor([one.ids for one in batch])
        mask = torch.tensor([one.attention_mask for one in batch])
        inner = mask * (ids != 101) * (ids != 102)  # without [CLS] and [SEP]
        share = inner[..., None] / inner.sum(1).clamp(min=1)[:, None, None]
        plain = (encoder.words(ids) * share).sum(1)
        both = torch.cat([_unit(encoder.pooled(ids, mask)), _unit(plain)], dim=1)
        found.append(both.numpy())
    return np.concatenate(found)


def _unit(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(x, dim=-1)


def choose_words(texts: Iterable[str]) -> tuple[Counter[str], list[str]]:
    """The corpus's words with their counts, and all lower-case words to know."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word.lower() for word in _WORD.findall(text))
    for word in [w for w, n in counts.items() if n < 2 or len(w) < 2]:
        del counts[word]
    known = known_words()
    chosen = dict.fromkeys([*counts, *known[:_GENERAL]])
    table = vectors(known)[:, :384]
    asked = [w for w in counts if len(w) > 3]
    near = vectors(asked)[:, :384] @ table.T
    best = np.argsort(-near, axis=1)[:, : _NEAR + 1]
    for row, columns in enumerate(best):
        chosen.update((known[c], None) for c in columns if near[row, c] > _SURE)
    return counts, list(chosen)


def build_tokenizer(counts: Counter[str], words: Sequence[str]) -> Tokenizer:
    """A byte-level BPE with one token for each of `words`, behind a space.

    Frequent words of the corpus have one token each in other forms as well: after a
    line break, with a capital, in capitals. Digits stay single, and no space joins a
    capital letter before its word is whole: order numbers are copied letter by letter.
    """
    frequent = [w for w, _ in counts.most_common()]
    common = Counter({w: 1 + min(counts[w], 200) // 4 for w in words})
    bare = [w for w in frequent[: _FORMS["bare"]] if len(w) > 1]
    capital = [w.capitalize() for w in frequent[: _FORMS["capital"]]]
    upper = [w.upper() for w in frequent[: _FORMS["upper"]] if len(w) > 3]
    texts = [f" {w}" for w, n in common.items() for _ in range(n)]
    texts += [w for w in [*VALUES, *bare, *capital, *upper] for _ in range(2)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=60_000,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=1,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return finished(tokenizer, [*capital, *upper])

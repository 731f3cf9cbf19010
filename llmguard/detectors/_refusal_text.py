"""What the refusal classifier reads of an answer: sentences of plain, common words.

Words that are not in the vocabulary become one mark, so that a sentence about bombs
and one about recipes look alike when they decline alike: the model cannot learn which
topics are refused, only how refusing sounds. Verbs of answering, and words of blame
and of fitness, count as their class as well.
"""

from __future__ import annotations

import re
from collections.abc import Container
from itertools import pairwise
from typing import Final

__all__ = ["HEAD", "MAX_SENTENCES", "features", "sentences"]

HEAD: Final = 400
"""Characters read: refusals come first, advice that declines something later."""
MAX_SENTENCES: Final = 3
_GRAMS: Final = 3
_REACH: Final = 4
_OTHER: Final = "_"

_QUOTES: Final = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"'}
)
_CONTRACTIONS: Final = (
    (re.compile(r"\bcan(?:no|')t\b"), "can not"),
    (re.compile(r"\bcant\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bshan't\b"), "shall not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\bim\b"), "i am"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"\b(it|that|there|here|what|let|she|he)'s\b"), r"\1 is"),
    (re.compile(r"apologise"), "apologize"),
)
_QUOTED: Final = re.compile(r'"[^"]{1,300}(?:"|$)')
_CODE: Final = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_END: Final = re.compile(r"(?<=[.!?:])\s+|\n+")
_TOKEN: Final = re.compile(r"[^\W\d_]+|\d+|[,.!?:;\"{\[(]")

_CLASSES: Final = {
    "DO": (
        "aid advise answer assist comment comply condone continue create describe "
        "disclose discuss encourage endorse engage explain facilitate fulfil fulfill "
        "generate give guide help judge list make offer participate predict process "
        "produce promote provide rank recommend respond reveal satisfy say share "
        "show speculate suggest supply support teach tell translate write"
    ),
    "DOING": (
        "advising answering assisting commenting creating describing discussing "
        "encouraging engaging explaining generating giving helping judging listing "
        "making offering producing promoting providing ranking recommending "
        "responding revealing sharing speculating suggesting supporting teaching "
        "telling writing"
    ),
    "ABLE": "able allowed authorized comfortable designed going permitted programmed "
    "qualified willing",
    "FIT": "acceptable appropriate ethical okay respectful responsible right safe",
    "BAD": (
        "cruel dangerous harmful hateful hurtful illegal immoral offensive racist "
        "unethical unlawful unsafe wrong"
    ),
    "RULES": "guidelines policies policy principles programming rules values",
    "NO": "decline declined not refrain refuse unable",
}
_CLASS_OF: Final = {
    word: name for name, words in _CLASSES.items() for word in words.split()
}
_SKIPPED_WORDS: Final = (
    "also even just kindly personally really respectfully simply still therefore "
    "truly unfortunately"
)
_SKIPPED: Final = frozenset(_SKIPPED_WORDS.split())
_ANCHOR_WORDS: Final = (
    "i we you he she they it this that my your sorry apologize can will would could "
    "must to for against because ai but if as am is are"
)
_ANCHORS: Final = frozenset(_ANCHOR_WORDS.split())


def sentences(text: str) -> list[list[str]]:
    """Return the words of the first sentences, contractions written out.

    What stands between double quotes or in code fences is left out: a letter that
    declines something is not the model declining.

    Args:
        text: The answer; only its first 400 characters and 3 sentences are read.
    """
    head = text.lstrip()[:HEAD].casefold().translate(_QUOTES)
    head = _QUOTED.sub(' " ', _CODE.sub(" { ", head))
    for pattern, plain in _CONTRACTIONS:
        head = pattern.sub(plain, head)
    found = (_TOKEN.findall(part) for part in _END.split(head))
    return [words for words in found if words][:MAX_SENTENCES]


def features(words: list[str], vocabulary: Container[str]) -> set[str]:
    """Return the features of a sentence: word runs, and pairs of classes in reach."""
    return _runs(words, vocabulary) | _pairs(words)


def _runs(words: list[str], vocabulary: Container[str]) -> set[str]:
    """Return the runs of one to three words, unknown ones as a mark."""
    plain = ["^"]
    for word in words:
        kept = word if word in vocabulary else _OTHER
        if kept != _OTHER or plain[-1] != _OTHER:
            plain.append(kept)
    return {
        " ".join(plain[start : start + size])
        for size in range(1, _GRAMS + 1)
        for start in range(len(plain) - size + 1)
    } - {"^", _OTHER}


def _pairs(words: list[str]) -> set[str]:
    """Return runs of class names, and pairs of a person or a class within reach."""
    named = [
        _CLASS_OF.get(word, word if word in _ANCHORS else _OTHER)
        for word in words
        if word not in _SKIPPED
    ]
    found = {f"{a}+{b}" for a, b in pairwise(named) if _OTHER not in {a, b}}
    for start, first in enumerate(named):
        if first != _OTHER:
            for second in named[start + 1 : start + 1 + _REACH]:
                if second != _OTHER:
                    found.add(f"{first}..{second}")
    for start in range(len(named) - 2):
        three = named[start : start + 3]
        if _OTHER not in three:
            found.add("+".join(three))
    return found

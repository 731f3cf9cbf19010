"""Roughens a ticket the way people write: synonyms, typos, casing, dropped words."""

from __future__ import annotations

import random
import re

from fragments import read

__all__ = ["Noise"]

_NEAR = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh",
    "h": "gj", "i": "uo", "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm",
    "o": "ip", "p": "o", "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi",
    "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x",
}  # fmt: skip
_ARTICLES = re.compile(r"\b(the|a|an|to|is|are|has|have|been)\b ", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z']+|[^A-Za-z']+")
_KEEP = re.compile(
    r"[\d@\x00]|^(not|no|never|human|person|today|tomorrow)$", re.IGNORECASE
)


class Noise:
    """Applies a random style to a text; `shouted` says whether it is in capitals."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.shouted = False
        swaps = read("thesaurus")["swaps"]
        self._swaps: dict[str, list[str]] = {}
        for head, *others in swaps:
            self._swaps.setdefault(head.lower(), []).extend(others)
        heads = sorted(self._swaps, key=len, reverse=True)
        self._heads = re.compile(
            r"\b(" + "|".join(map(re.escape, heads)) + r")\b", re.IGNORECASE
        )

    def rough(self, text: str) -> str:
        """`text` in one randomly drawn style; order marks stay whole."""
        chance = self.rng.random
        if chance() < 0.7:
            text = self._swapped(text, self.rng.choice([0.05, 0.12, 0.3]))
        if chance() < 0.15:
            text = self._dropped(text, 0.09)
        if chance() < 0.08:
            text = _ARTICLES.sub(lambda m: "" if chance() < 0.6 else m[0], text)
        text = self._cased(text)
        if chance() < 0.3:
            text = self._typos(text, self.rng.choice([0.01, 0.02, 0.04]))
        return self._punctuated(text).strip()

    def _swapped(self, text: str, share: float) -> str:
        def swap(match: re.Match[str]) -> str:
            if self.rng.random() > share:
                return match[0]
            new = self.rng.choice(self._swaps[match[0].lower()])
            return new[0].upper() + new[1:] if match[0][0].isupper() else new

        return self._heads.sub(swap, text)

    def _dropped(self, text: str, share: float) -> str:
        words = text.split(" ")
        if len(words) < 7:
            return text
        kept = [w for w in words if _KEEP.search(w) or self.rng.random() > share]
        return " ".join(kept)

    def _cased(self, text: str) -> str:
        draw = self.rng.random()
        self.shouted = draw > 0.975 and len(text) > 15
        if self.shouted:
            return text.upper()
        if draw < 0.3:
            return text.lower()
        if draw < 0.7:
            return re.sub(
                r"(^|[.!?]\s+|\n)([a-z])", lambda m: m[1] + m[2].upper(), text
            )
        return text

    def _typos(self, text: str, rate: float) -> str:
        out = []
        for piece in _WORD.findall(text):
            if len(piece) < 4 or not piece.isalpha() or _KEEP.search(piece):
                out.append(piece)
                continue
            letters = list(piece)
            for at in range(1, len(letters) - 1):
                if self.rng.random() < rate:
                    self._slip(letters, at)
            out.append("".join(letters))
        return "".join(out)

    def _slip(self, letters: list[str], at: int) -> None:
        kind = self.rng.randrange(4)
        if kind == 0:
            letters[at] = ""
        elif kind == 1:
            letters[at] *= 2
        elif kind == 2:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        else:
            letters[at] = self.rng.choice(
                _NEAR.get(letters[at].lower(), letters[at] or "e")
            )

    def _punctuated(self, text: str) -> str:
        chance = self.rng.random
        if chance() < 0.2:
            text = re.sub(r"[.,;:](?=\s|$)", "", text)
        if chance() < 0.25:
            text = text.replace("'", self.rng.choice(["", "\u2019"]))
        if chance() < 0.12:
            text += self.rng.choice(["!!!", "??", "...", "!", " :(", " ?", "?!"])
        elif chance() < 0.3 and text[-1:].isalpha():
            text += "."
        return text

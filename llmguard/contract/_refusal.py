"""Recognising a refusal by its words, where a provider does not mark it.

The detector is lexical: it looks for a first person that declines, near the start of
the answer. It is cheap (microseconds), explains itself, and does not read meaning: a
support answer such as "I cannot help you with the refund" looks like a refusal to it.
Contracts whose honest answers sound like that turn it off (`refusal=False`) or bring
their own (`refusal=callable`). Its sensitivity and specificity are in docs/contract.md.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from ._refusal_words import PATTERNS

__all__ = ["is_refusal"]

_HEAD: Final = 320
"""Characters looked at: refusals come first, advice that declines something later."""

_CANNOT: Final = (
    r"(?:cannot|can't|can not|could not|couldn't|won't|will not|shouldn't"
    r"|(?:am|'m) (?:unable|not (?:able|allowed|permitted|going|comfortable|designed"
    r"|programmed))(?: to)?"
    r"|(?:must|have to|will have to|need to)(?: \w+ly)? (?:decline|refuse)(?: to)?"
    r"|decline to|refuse to|don't feel comfortable|do not feel comfortable)"
)
_ADVERBS: Final = (
    r"(?: (?:and (?:will|would) not|in good conscience"
    r"|\w+ly|really|also|to|with|be))*,?"
)
_DO: Final = (
    r" (?:help|assist|aid|provid|giv|offer|answer|fulfil|comply|complet|creat|writ"
    r"|generat|produc|suggest|recommend|advis|support|encourag|promot|endors|engag"
    r"|participat|shar|discuss|describ|explain|tell|assum|condon|facilitat|satisf"
    r"|do (?:that|this)|respond|reply|continue|disclos|reveal|speculat|direct|guide"
    r"|make|agree|teach|proceed|list|say|process)\w*"
)
_WRONG: Final = (
    r"(?:appropriate|ethical|acceptable|safe|responsible|right|okay|advisable)"
)
_FIRST_PERSON: Final = (
    rf"\bi ?{_CANNOT}{_ADVERBS}{_DO}",
    (
        r"\b(?:sorry|i apologi[sz]e)\b[^.!?]{0,40}"
        r"\b(?:i|we) (?:can't|cannot|can not|won't)\b"
    ),
    r"\bi'm sorry, (?:but )?(?:i'm )?(?:not able|unable)\b",
    r"\bi'm just an ai\b[^.!?]{0,60}\b(?:not|can't|cannot|don't)\b",
    r"\bas an ai\b[^.!?]{0,60}\bi (?:can't|cannot|don't|do not|am not|must)\b",
    r"\bi (?:don't|do not) (?:have access to|hold|have) (?:any )?personal\b",
    (
        r"\bi (?:don't|do not) (?:think|believe) (?:it|that)(?:'s| is| it's) (?:\w+ )?"
        r"(?:appropriate|accurate|respectful|ethical|productive|right|valid|fair)\b"
    ),
)
_RULES: Final = (
    (
        rf"\bit(?:'s| is| is also| would be)? not (?:\w+ )?{_WRONG}\b[^.!?]{{0,40}}"
        r" (?:to|for me to) (?:provid|giv|suggest|discuss|answer|assum|encourag|promot"
        r"|offer|shar|support|engag|mak|ask|assign|say|spread|speculat)\w*"
    ),
    rf"^it(?:'s| is) (?:not|never) {_WRONG}(?: or \w+)? to\b",
)
_GUIDELINES: Final = (
    r"\b(?:against|not within|violates?|outside(?: of)?) (?:my|our) (?:\w+ )?"
    r"(?:values|programming|guidelines?|polic(?:y|ies)|principles|rules)\b"
)
_NEGATIONS: Final = ("not", "n't", "never", "unable", "decline", "refuse")
_BREACHES: Final = ("against", "not within", "violate", "outside")
_DETECTORS: Final = (
    (_NEGATIONS, "|".join(_FIRST_PERSON)),
    (("not", "never"), "|".join(_RULES)),
    (_BREACHES, _GUIDELINES),
    *PATTERNS,
)
"""Words of which one must be there, and what is then looked for: most answers have
none of the words, and cost a few microseconds."""
_QUOTES: Final = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'"})


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile on first use: all of them take longer than the rest of the import."""
    return re.compile(pattern)


def is_refusal(text: str) -> bool:
    """Tell whether an answer declines the request, by the words it starts with.

    English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian,
    Chinese, Japanese and Korean; only English has been measured.

    Args:
        text: The answer; only its first 320 characters are read.
    """
    head = text.lstrip()[:_HEAD].casefold().translate(_QUOTES)
    head = " ".join(head.split())
    for words, pattern in _DETECTORS:
        for word in words:
            if word in head:
                if _compiled(pattern).search(head):
                    return True
                break
    return False

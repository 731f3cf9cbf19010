"""Refusals in other languages than English, for casefolded text.

Each pattern comes with words of which one must be there for it to match.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PATTERNS"]

PATTERNS: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    # German
    (
        (
            "leid",
            "nicht",
        ),
        (
            r"\b(?:es )?tut mir leid[^.!?]{0,60}\b(?:kann|darf|werde)\b"
            r"|\bich (?:kann|darf|werde) (?:\w+ ){0,6}?(?:leider )?nicht (?:\w+ )"
            r"{0,4}?(?:weiterhelfen|helfen|beantworten|unterstützen|geben|bereitstellen|"
            r"erfüllen)"
        ),
    ),
    # French
    (
        ("je ne",),
        (
            r"\b(?:désolée?|je regrette)\b[^.!?]{0,60}"
            r"\bje ne (?:peux|suis|vais|saurais)\b"
            r"|\bje ne (?:peux|saurais|suis pas en mesure)\b[^.!?]{0,20}(?:aider|"
            r"répondre|fournir|donner|satisfaire|accéder)"
        ),
    ),
    # Spanish
    (
        (
            "no pued",
            "no podemos",
            "no me es",
        ),
        (
            r"\blo (?:siento|lamento)\b[^.!?]{0,60}"
            r"\bno (?:puedo|podemos|me es posible)\b"
            r"|\bno puedo (?:\w+ )?"
            r"(?:ayudar|responder|proporcionar|cumplir|asistir|dar)\w*"
        ),
    ),
    # Italian
    (
        (
            "non posso",
            "non sono",
        ),
        (
            r"\bmi (?:dispiace|spiace)\b[^.!?]{0,60}\bnon (?:posso|sono in grado)\b"
            r"|\bnon posso (?:\w+ )?(?:aiutar|risponder|fornir|soddisfar|assister)\w*"
        ),
    ),
    # Portuguese
    (
        ("não",),
        (
            r"\b(?:desculpe|lamento|sinto muito)\b[^.!?]{0,60}\bnão (?:posso|consigo)\b"
            r"|\bnão posso (?:\w+ )?(?:ajudar|responder|fornecer|atender|auxiliar)\w*"
        ),
    ),
    # Dutch
    (
        (
            "spijt",
            "niet",
        ),
        (
            r"\bhet spijt me\b[^.!?]{0,60}\bkan\b"
            r"|\bik kan (?:\w+ ){0,4}niet (?:\w+ ){0,3}(?:helpen|beantwoorden|geven|"
            r"voldoen)"
        ),
    ),
    # Polish
    (
        ("nie mogę",),
        (
            r"\bprzykro mi\b[^.!?]{0,60}\bnie mogę\b"
            r"|\bnie mogę (?:\w+ )?(?:pomóc|odpowiedzieć)"
        ),
    ),
    # Russian
    (
        ("я не",),
        (
            r"\b(?:извините|к сожалению|простите)\b[^.!?]{0,60}\bя не (?:могу|буду)\b"
            r"|\bя не могу (?:\w+ )?(?:помочь|ответить|предоставить|выполнить)"
        ),
    ),
    # Chinese
    (
        (
            "无法",
            "不能",
            "没办法",
        ),
        (
            r"(?:抱歉|对不起|很遗憾)[^。!?]{0,20}(?:无法|不能|没办法)"
            r"|我(?:无法|不能)(?:\w{0,4})(?:帮助|协助|提供|回答|满足)"
        ),
    ),
    # Japanese
    (
        (
            "でき",
            "いたしかね",
        ),
        r"(?:申し訳|すみません)[^。]{0,60}(?:できません|できかね|お答えでき|いたしかね)",
    ),
    # Korean
    (
        (
            "죄송",
            "유감",
        ),
        r"(?:죄송|유감)[^.]{0,40}(?:수 없|어렵습니다|드릴 수)",
    ),
)

"""Patterns of refusals in other languages than English, for casefolded text."""

from __future__ import annotations

from typing import Final

__all__ = ["PATTERNS"]

PATTERNS: Final = (
    # German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian
    r"\b(?:es )?tut mir leid[^.!?]{0,60}\b(?:kann|darf|werde)\b",
    (
        r"\bich (?:kann|darf|werde) (?:\w+ ){0,6}?(?:leider )?nicht (?:\w+ ){0,4}?"
        r"(?:weiterhelfen|helfen|beantworten|unterstützen|geben|bereitstellen|erfüllen)"
    ),
    r"\b(?:désolée?|je regrette)\b[^.!?]{0,60}\bje ne (?:peux|suis|vais|saurais)\b",
    (
        r"\bje ne (?:peux|saurais|suis pas en mesure)\b[^.!?]{0,20}"
        r"(?:aider|répondre|fournir|donner|satisfaire|accéder)"
    ),
    r"\blo (?:siento|lamento)\b[^.!?]{0,60}\bno (?:puedo|podemos|me es posible)\b",
    r"\bno puedo (?:\w+ )?(?:ayudar|responder|proporcionar|cumplir|asistir|dar)\w*",
    r"\bmi (?:dispiace|spiace)\b[^.!?]{0,60}\bnon (?:posso|sono in grado)\b",
    r"\bnon posso (?:\w+ )?(?:aiutar|risponder|fornir|soddisfar|assister)\w*",
    r"\b(?:desculpe|lamento|sinto muito)\b[^.!?]{0,60}\bnão (?:posso|consigo)\b",
    r"\bnão posso (?:\w+ )?(?:ajudar|responder|fornecer|atender|auxiliar)\w*",
    r"\bhet spijt me\b[^.!?]{0,60}\bkan\b",
    r"\bik kan (?:\w+ ){0,4}niet (?:\w+ ){0,3}(?:helpen|beantwoorden|geven|voldoen)",
    r"\bprzykro mi\b[^.!?]{0,60}\bnie mogę\b",
    r"\bnie mogę (?:\w+ )?(?:pomóc|odpowiedzieć)",
    r"\b(?:извините|к сожалению|простите)\b[^.!?]{0,60}\bя не (?:могу|буду)\b",
    r"\bя не могу (?:\w+ )?(?:помочь|ответить|предоставить|выполнить)",
    # Chinese, Japanese, Korean
    r"(?:抱歉|对不起|很遗憾)[^。!?]{0,20}(?:无法|不能|没办法)",
    r"我(?:无法|不能)(?:\w{0,4})(?:帮助|协助|提供|回答|满足)",
    r"(?:申し訳|すみません)[^。]{0,60}(?:できません|できかね|お答えでき|いたしかね)",
    r"(?:죄송|유감)[^.]{0,40}(?:수 없|어렵습니다|드릴 수)",
)

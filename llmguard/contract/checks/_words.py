"""Data of the language heuristic: scripts, and the commonest words by language."""

# ruff: noqa: RUF001 - other alphabets are the point of this file
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["SCRIPTS", "WORDS"]

SCRIPTS: Final = (
    # Code, least share of the letters, letters. In this order: Japanese is told by its
    # kana, Chinese by having none. Names and brands in Latin letters are common in
    # every language, therefore the shares are low.
    ("ja", 0.1, re.compile(r"[\u3040-\u30ff]")),
    ("zh", 0.3, re.compile(r"[\u4e00-\u9fff]")),
    ("ko", 0.3, re.compile(r"[\uac00-\ud7af]")),
    ("ar", 0.3, re.compile(r"[\u0600-\u06ff]")),
    ("he", 0.3, re.compile(r"[\u0590-\u05ff]")),
    ("el", 0.3, re.compile(r"[\u0370-\u03ff]")),
    ("th", 0.3, re.compile(r"[\u0e00-\u0e7f]")),
    ("hi", 0.3, re.compile(r"[\u0900-\u097f]")),
)

_WORDS: Final[Mapping[str, str]] = {
    "en": (
        "the of and to in is that it for was on are with as be this have from or by "
        "not but what all were when we there can an your which their will would you "
        "has been if do our us please thank i'm it's don't my they he she his her"
    ),
    "de": (
        "der die und das ist nicht ein eine zu den mit sich auf für von dem des im "
        "ich sie es wir auch als an wie bei oder aber nach wird sind haben hat ihr "
        "ihre ihre ihnen bitte kann können werden wurde noch einen einem uns mir mich "
        "war dass"
    ),
    "fr": (
        "le la les des est et une un du que qui dans pour pas vous nous sur avec ce "
        "au aux par plus ne se sont cette mais votre notre je il elle ont été être "
        "fait merci j'ai c'est d'un d'une n'est qu'il très si comme ou ces leur "
        "bonjour"
    ),
    "es": (
        "el la los las de que y en un una es por con para no se su del al lo como más "
        "pero sus le ha me si sin sobre este esta ya muy también fue hay usted nos "
        "está son tiene gracias mi cuando todo porque nuestro ser qué puede"
    ),
    "it": (
        "il la le di che e un una per non in con del della è sono si da dei nel come "
        "più ma anche gli lo al alla ha mi ci questo questa o se ho i suo sua grazie "
        "essere stato delle nella dal può abbiamo hanno vostro nostro perché molto"
    ),
    "pt": (
        "o a os as de que e do da em um uma para com não por mais no na se é dos das "
        "ao como mas foi ele ela seu sua ou quando muito nos já eu também pelo pela "
        "até isso você está são tem obrigado obrigada nosso meu minha ser"
    ),
    "nl": (
        "de het een en van is dat op te in niet zijn met voor aan er maar om dan ook "
        "als bij nog uit naar heeft hebben deze wordt kan wij ik je u uw ons onze wel "
        "door over zij hij haar werd geen meer dit kunnen bedankt"
    ),
    "sv": (
        "och det att i en som är av för på med den till inte har om ett jag vi du kan "
        "men så från eller när hade ska din ditt vår sig han hon var vid tack detta"
    ),
    "da": (
        "og det at i en som er af for på med den til ikke har om et jeg vi du kan men "
        "så fra eller når havde skal din dit vores sig han hun var ved tak dette af "
        "blev"
    ),
    "pl": (
        "i w na nie się z że do to jest o jak po co tak za od przez dla ale przy są "
        "czy być może pan pani proszę dziękuję jego jej ich oraz który która które "
        "już tylko"
    ),
    "tr": (
        "ve bir bu için ile da de ne çok daha en gibi var kadar ama olarak olan değil "
        "o ben sen biz siz mi her sonra lütfen teşekkür ederim yok veya nasıl"
    ),
    "ru": (
        "и в не на я что он с как это но по мы она они из за вы так же от все его к у "
        "был для о до бы мне при или если нет уже ваш наш спасибо пожалуйста"
    ),
    "uk": (
        "і в не на що я з як це але по ми вона вони із за ви так же від все його до у "
        "був для про бути мені при або якщо ні вже ваш наш дякую будь ласка є та"
    ),
}

WORDS: Final[Mapping[str, frozenset[str]]] = {
    code: frozenset(words.split()) for code, words in _WORDS.items()
}

"""Rules as a fallback tier: keywords, patterns, tables, thresholds, plain functions.

A chain of rules reads like this::

    rules(
        Rule("refund", when=keyword("refund*"), then={"category": "refund"}),
        Rule("order", when=regex(r"order (?P<id>[A-Z0-9]{8})"), then={"order": "{id}"}),
        mode="merge",
        default={"category": "other", "order": None},
    )
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from llmguard.guard.tiers import TierContext, TierOptions

from ._rules_conditions import (
    Condition,
    all_of,
    any_of,
    keyword,
    lookup,
    not_,
    regex,
    threshold,
)
from ._rules_file import read_rules
from ._rules_tier import FunctionRule, Mode, NoDefault, Rule, RulesTier, make_tier

__all__ = [
    "Condition",
    "FunctionRule",
    "Rule",
    "RulesTier",
    "all_of",
    "any_of",
    "keyword",
    "lookup",
    "not_",
    "regex",
    "rules",
    "threshold",
]

_NO_DEFAULT: Final = NoDefault()
_RESERVE: Final = 0.2


class _Rules:
    """The function `rules`, with `rules.from_file` beside it."""

    def __call__(
        self,
        *given: Rule | Callable[..., Any],
        default: object = _NO_DEFAULT,
        mode: Mode = "first",
        name: str = "rules",
        when: Callable[[TierContext], bool] | None = None,
        min_confidence: float | None = None,
        timeout: float | None = None,
        reserve: float = _RESERVE,
        concurrency: int | None = None,
    ) -> RulesTier:
        """Answer by rules; with a default, a tier that cannot fail.

        Args:
            *given: `Rule`s and plain functions, in order of precedence. A function
                has the guarded function's parameters, or some of them, or one called
                `inputs`; it returns the answer, or None when it does not fit.
            default: The answer when no rule fits; when it is a mapping it also
                completes partial answers. Without it the tier gives up and the next
                one answers.
            mode: "first" answers with the first rule that fits; "merge" fills every
                field from the first rule that sets it.
            name: Name of the tier.
            when: Skip the tier for calls where this returns False.
            min_confidence: Answers below it go on down the chain.
            timeout: Seconds that functions may take; declared rules take microseconds.
            reserve: Seconds that upper tiers leave for this one.
            concurrency: Calls in this tier at once; a full tier is passed over.

        Returns:
            A tier for `@fallback_chain`.

        Raises:
            ConfigError: No rule, two of one name, an async function, or parts that
                cannot be merged.
        """
        options = TierOptions(
            when=when,
            min_confidence=min_confidence,
            timeout=timeout,
            reserve=reserve,
            concurrency=concurrency,
        )
        return make_tier(given, mode=mode, default=default, name=name, options=options)

    def from_file(
        self,
        path: str | Path,
        *,
        name: str = "",
        when: Callable[[TierContext], bool] | None = None,
        min_confidence: float | None = None,
        reserve: float = _RESERVE,
        concurrency: int | None = None,
    ) -> RulesTier:
        """Answer by the rules in a TOML file; read once, now.

        Args:
            path: The file; relative paths start at the working directory.
            name: Name of the tier; the file's name without its ending by default.
            when: Skip the tier for calls where this returns False.
            min_confidence: Answers below it go on down the chain.
            reserve: Seconds that upper tiers leave for this one.
            concurrency: Calls in this tier at once; a full tier is passed over.

        Returns:
            A tier for `@fallback_chain`.

        Raises:
            ConfigError: The file or one of its rules is wrong; the message says which.
        """
        found = read_rules(Path(path))
        return self(
            *found.rules,
            default=found.default,
            mode=cast("Mode", found.mode),
            name=name or Path(path).stem,
            when=when,
            min_confidence=min_confidence,
            reserve=reserve,
            concurrency=concurrency,
        )


rules: Final = _Rules()

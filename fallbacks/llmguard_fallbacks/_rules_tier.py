"""The rules tier: tries rules in order and says which one fired."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from llmguard.errors import ConfigError, TierUnavailableError
from llmguard.guard.tiers import TierContext, TierOptions
from llmguard.outcome import Kind
from llmguard.reply import Reply

from ._rules_check import check_rules, check_value
from ._rules_conditions import Condition
from ._rules_then import TemplateError, check_template, fill, is_template

if TYPE_CHECKING:
    from llmguard.contract import Contract

__all__ = ["FunctionRule", "Mode", "NoDefault", "Rule", "RulesTier", "make_tier"]

Mode: TypeAlias = Literal["first", "merge"]
_log: Final = logging.getLogger("llmguard.rules")


class NoDefault:
    """Stands for "no default": None may be an answer."""

    def __repr__(self) -> str:
        return "no default"


@dataclass(frozen=True, slots=True)
class Rule:
    """Answers `then` when its condition holds.

    Attributes:
        name: Shown in outcomes as the rule that fired.
        when: The condition, such as `keyword("refund*")`.
        then: The answer, or the part of it that the rule decides. Text may use what
            the condition captured: ``"{order_id}"``, ``"{amount:float}"``; ``{{`` is
            a brace.
        confidence: Confidence of the answer in [0, 1], for `min_confidence`.

    Raises:
        ConfigError: `when` is no condition, or `then` uses what it never captures.
    """

    name: str
    when: Condition
    then: object = field(kw_only=True)
    confidence: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(cast("object", self.when), Condition):
            raise ConfigError(
                f"rule {self.name!r} has `when={self.when!r}`; give a condition, such "
                "as `keyword('refund')`, or pass a function to `rules(...)` itself"
            )
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise ConfigError(
                f"rule {self.name!r} has `confidence={self.confidence!r}`; it must be "
                "from 0 to 1"
            )
        check_template(self.then, self.when.names, rule=self.name)

    @property
    def dynamic(self) -> bool:
        """True when the answer depends on the call, so that no check vouches for it."""
        return is_template(self.then)

    def apply(self, inputs: Mapping[str, object]) -> Reply | None:
        """Return the answer, or None when the rule does not fit."""
        captured = self.when.match(inputs)
        if captured is None:
            return None
        try:
            value = fill(self.then, captured)
        except TemplateError:
            return None
        return Reply(
            value=value, has_value=True, rule=self.name, confidence=self.confidence
        )


@dataclass(frozen=True, slots=True)
class FunctionRule:
    """A plain function as a rule: it returns the answer, or None when it does not fit.

    A function whose only parameter is called `inputs` gets all of them as a mapping;
    any other gets those that it names.
    """

    function: Callable[..., object]
    name: str
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, function: Callable[..., object]) -> FunctionRule:
        """Make a rule of a function.

        Raises:
            ConfigError: An async function: rules answer at once.
        """
        name = getattr(function, "__name__", type(function).__name__)
        if inspect.iscoroutinefunction(function):
            raise ConfigError(
                f"`rules` got the async function `{name}`; rules answer at once. Pass "
                "it to `@fallback_chain` itself, as a tier of its own"
            )
        parameters = inspect.signature(function).parameters.values()
        takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
        names = None if takes_all else tuple(each.name for each in parameters)
        return cls(function, name, names)

    def apply(self, inputs: Mapping[str, object]) -> Reply | None:
        """Call the function; a `Reply` it makes is kept, and named after it."""
        if self.names == ("inputs",) and "inputs" not in inputs:
            value = self.function(inputs)
        else:
            names = inputs if self.names is None else self.names
            value = self.function(**{n: inputs[n] for n in names if n in inputs})
        if isinstance(value, Reply):
            return replace(value, rule=value.rule or self.name)
        if value is None:
            return None
        return Reply(value=value, has_value=True, rule=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesTier:
    """Rules as a tier; made by `rules(...)`."""

    rules: tuple[Rule | FunctionRule, ...]
    mode: Mode
    default: object
    name: str
    options: TierOptions

    @property
    def terminal(self) -> bool:
        """True with a default: then some answer is always there."""
        return not isinstance(self.default, NoDefault)

    @property
    def inline(self) -> bool:
        """True when no function of the user's runs, which could take its time."""
        return all(isinstance(rule, Rule) for rule in self.rules)

    def check(self, contract: Contract | None) -> None:
        """Raise `ConfigError` when a rule or the default can never satisfy it.

        Raises:
            ConfigError: It can not; the message names the rule and its field.
        """
        if contract is None:
            return
        if self.terminal:
            check_value(f"the default of {self.name!r}", self.default, contract)
        declared = [rule for rule in self.rules if isinstance(rule, Rule)]
        thens = [(rule.name, rule.then, rule.dynamic) for rule in declared]
        check_rules(thens, self._base(), contract, merge=self.mode == "merge")

    def run(self, call: TierContext) -> Reply:
        """Answer with the first rule that fits, or with every field's first rule.

        Raises:
            TierUnavailableError: No rule fits and there is no default.
        """
        if self.terminal:
            return self._whatever_happens(call)
        reply = self._decide(call.inputs)
        if reply is None:
            raise TierUnavailableError(
                f"no rule of tier {self.name!r} fits this call; give `default=` for "
                "an answer in any case",
                kind=Kind.SKIPPED,
                tier=self.name,
            )
        return reply

    def _whatever_happens(self, call: TierContext) -> Reply:
        """Answer with the default where a rule raises or breaks the contract."""
        try:
            reply = self._decide(call.inputs)
        except Exception as error:  # noqa: BLE001 - a tier with a default cannot fail
            what = type(error).__name__  # its message may quote the caller's data
            _log.warning("a rule of tier %r raised %s; default", self.name, what)
            return self._default(f"default ({what})")
        if reply is None:
            return self._default("default")
        if call.contract is not None:
            judged = copy.deepcopy(reply.value)
            if not call.contract.judge_value(judged, call.inputs).ok:
                return self._default(f"default ({reply.rule} broke the contract)")
        return reply

    def _decide(self, inputs: Mapping[str, object]) -> Reply | None:
        found: list[Reply] = []
        for rule in self.rules:
            reply = rule.apply(inputs)
            if reply is not None:
                found.append(reply)
                if self.mode == "first":
                    break
        return self._joined(found) if found else None

    def _joined(self, replies: Sequence[Reply]) -> Reply:
        """Complete the answer: earlier rules win, the default fills what is left."""
        first = replies[0]
        if not isinstance(first.value, Mapping):
            return first
        base = self._base()
        value: dict[str, object] = dict(copy.deepcopy(base)) if base else {}
        fired: list[Reply] = []
        for reply in reversed(replies):
            part = reply.value
            if isinstance(part, Mapping):
                value |= cast("Mapping[str, object]", part)
                fired.insert(0, reply)
        sure = [r.confidence for r in fired if r.confidence is not None]
        return Reply(
            value=value,
            has_value=True,
            rule="+".join(reply.rule for reply in fired),
            confidence=min(sure) if sure else None,
        )

    def _base(self) -> Mapping[str, object] | None:
        """Return the default when partial answers can be completed from it."""
        base = self.default
        return cast("Mapping[str, object]", base) if isinstance(base, Mapping) else None

    def _default(self, rule: str) -> Reply:
        return Reply(value=copy.deepcopy(self.default), has_value=True, rule=rule)


def make_tier(
    given: Sequence[object],
    *,
    mode: Mode,
    default: object,
    name: str,
    options: TierOptions,
) -> RulesTier:
    """Check what was given to `rules(...)` and build the tier.

    Raises:
        ConfigError: Nothing given, something that is no rule, two rules of one name,
            an unknown mode, or parts that cannot be merged.
    """
    if mode not in {"first", "merge"}:
        raise ConfigError(f"`rules` got `mode={mode!r}`; it is 'first' or 'merge'")
    found = tuple(_rule(each) for each in given)
    names = [rule.name for rule in found]
    twice = sorted({each for each in names if names.count(each) > 1})
    if not found or twice:
        raise ConfigError(
            f"`rules` got {f'two rules called {twice}' if twice else 'no rule'}; give "
            "each a name of its own: `Rule('refund', when=keyword('refund'), then=...)`"
        )
    tier = RulesTier(
        rules=found, mode=mode, default=default, name=name, options=options
    )
    if mode == "merge":
        _refuse_unmergeable(tier)
    return tier


def _refuse_unmergeable(tier: RulesTier) -> None:
    parts = [(rule.name, rule.then) for rule in tier.rules if isinstance(rule, Rule)]
    if tier.terminal:
        parts.append(("default", tier.default))
    for name, then in parts:
        if not isinstance(then, Mapping):
            raise ConfigError(
                f"{name!r} answers {then!r}, which has no fields to merge; give a "
                "mapping, or use `mode='first'`"
            )


def _rule(given: object) -> Rule | FunctionRule:
    if isinstance(given, (Rule, FunctionRule)):
        return given
    if callable(given) and not isinstance(given, type):
        return FunctionRule.of(given)
    raise ConfigError(
        f"`rules` got {given!r}; give `Rule(name, when=..., then=...)` or a function "
        "that returns the answer, or None when it does not fit"
    )

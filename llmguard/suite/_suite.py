"""A suite: cases, assertions and error rates for one guarded function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from .. import config
from ..errors import ConfigError
from ._assertion import Assertion
from ._cases import CaseSource, load_cases
from ._digest import suite_digest
from ._types import Case, Scope
from ._validate import check_name, check_settings, check_suite

if TYPE_CHECKING:
    from ..guard import Guard
    from ..pins import Pin

__all__ = ["Suite"]


class Suite:
    """What must hold for every version that answers for a guarded function.

    Nothing is read or imported when it is made: cases and default assertions are
    worked out when they are first asked for, so that a suite may stand next to the
    function in production code.

    Args:
        name: Letters, digits, `_`, `-` and `.`; what `llmguard suite run` takes.
        function: The guarded function. Decorators that come later are seen.
        cases: A `.jsonl` or `.csv` file, cases, documents with a case's keys, or a
            function that returns them.
        assertions: Made by `llmguard.suite.expect`; None for its defaults.
        defaults: True adds the defaults to the given ones, but for those of a name
            that is given.
        alpha: Chance, for the whole suite, of blocking a version that is within every
            tolerance.
        beta: Chance, per assertion, of accepting a version that is unacceptable.
        scope: `suite` for claims about these cases; `traffic` for claims about the
            traffic that they are a sample of, clustered by case.
        incumbent: Route or pin that relative assertions compare with; None for the
            function's own pin.
        owner: Who decides about it.
        min_rounds: Rounds before anything is accepted.
        n_min: Calls per case before a claim about single cases is accepted.
        cap: Rounds after which it ends undecided.
        budget: US dollars that a run may cost; None for no limit.
        max_calls: Calls that a run may make, both arms; None for no limit.
        source: Where it is defined; for people.
        base: Where relative paths of cases start; the project's root unless given.

    Raises:
        ConfigError: A name, rate or limit that makes no sense. What needs the cases
            is checked by `validate`.
    """

    name: str
    function: Callable[..., Any]
    alpha: float
    beta: float
    scope: Scope
    incumbent: str | Pin | None
    owner: str
    min_rounds: int
    n_min: int
    cap: int
    budget: float | None
    max_calls: int | None
    source: str

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        cases: CaseSource,
        assertions: Iterable[Assertion] | None = None,
        defaults: bool = False,
        alpha: float = 0.01,
        beta: float = 0.05,
        scope: Scope = "suite",
        incumbent: str | Pin | None = None,
        owner: str = "",
        min_rounds: int = 3,
        n_min: int = 10,
        cap: int = 50,
        budget: float | None = None,
        max_calls: int | None = None,
        source: str = "",
        base: Path | None = None,
    ) -> None:
        check_name(name)
        own: dict[str, Any] = {
            "name": name,
            "function": function,
            "alpha": alpha,
            "beta": beta,
            "scope": scope,
            "incumbent": incumbent,
            "owner": owner,
            "min_rounds": min_rounds,
            "n_min": n_min,
            "cap": cap,
            "budget": budget,
            "max_calls": max_calls,
            "source": source,
        }
        check_settings(name, {**own, "defaults": defaults})
        given = None if assertions is None else tuple(assertions)
        self._given: dict[str, Any]
        self.__dict__.update(
            own,
            _given={
                **own,
                "cases": cases,
                "assertions": given,
                "defaults": defaults,
                "base": base,
            },
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"a suite never changes; `suite.replace({name}=...)` makes another"
        )

    def __repr__(self) -> str:
        return f"Suite({self.name!r}, {self.function_name})"

    def replace(self, **changes: Any) -> Suite:
        """Return a suite that differs in some of the constructor's arguments."""
        return Suite(**{**self._given, **changes})

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """The cases, in the order they are written in.

        Raises:
            ConfigError: They cannot be read.
        """
        base = self._given["base"] or config.load().root
        return load_cases(cast("CaseSource", self._given["cases"]), base=base)

    @cached_property
    def assertions(self) -> tuple[Assertion, ...]:
        """The assertions; those that fit the function and the cases by default."""
        given: tuple[Assertion, ...] = self._given["assertions"] or ()
        if self._given["defaults"] or self._given["assertions"] is None:
            from .expect import defaults

            named = {each.name for each in given}
            more = defaults(self.guard, self.cases)
            given += tuple(each for each in more if each.name not in named)
        if self.scope == "suite":
            return given
        return tuple(replace(each, scope=self.scope) for each in given)

    @cached_property
    def guard(self) -> Guard:
        """What the decorators said about the function, all of them.

        Raises:
            ConfigError: The function is not guarded.
        """
        from ._target import guard_behind

        return guard_behind(self.function)

    @property
    def function_name(self) -> str:
        """Module and qualified name of the function."""
        from ._target import name_of

        return name_of(self.function)

    @cached_property
    def digest(self) -> str:
        """`sha256:` and the digest of all that a verdict rests on.

        Cases (in order), assertions with their rates and detector versions, the
        function's name, its contract, error rates, scope and limits; not owner,
        budget or the suite's name.
        """
        contract = self.guard.contract
        settings = {
            "function": self.function_name,
            "contract": "" if contract is None else contract.digest,
            "alpha": self.alpha,
            "beta": self.beta,
            "min_rounds": self.min_rounds,
            "n_min": self.n_min,
            "cap": self.cap,
        }
        return suite_digest(self.cases, self.assertions, settings)

    @property
    def needs_incumbent(self) -> bool:
        """True when some assertion compares with another version."""
        return any(
            each.relative or each.prepare is not None for each in self.assertions
        )

    @property
    def incumbent_pin(self) -> str | Pin | None:
        """Route or pin of the incumbent; None when nobody named one."""
        return self.guard.pin if self.incumbent is None else self.incumbent

    def case(self, case_id: str) -> Case:
        """Return one case by its id.

        Raises:
            ConfigError: There is none.
        """
        found = self._by_id.get(case_id)
        if found is None:
            raise ConfigError(f"the suite `{self.name}` has no case {case_id!r}")
        return found

    @cached_property
    def _by_id(self) -> Mapping[str, Case]:
        return {case.id: case for case in self.cases}

    def cases_of(self, assertion: Assertion) -> tuple[Case, ...]:
        """Return the cases that an assertion is about, in order."""
        return tuple(case for case in self.cases if assertion.applies(case))

    def validate(self) -> None:
        """Refuse what can be known to be wrong before the first call.

        Raises:
            ConfigError: Two cases or assertions share a name, an assertion is about no
                case or can never be accepted within the cap, inputs do not fit the
                function, a field is not in the contract's schema, a detector cannot
                tell the rates apart.
        """
        check_suite(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of its reports must know."""
        from ._notes import notes

        return notes(self)

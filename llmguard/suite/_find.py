"""Finding a suite by its name, by the function it is about, or by its file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from .. import config
from ..errors import ConfigError
from ._decorator import suites_of
from ._load import load_attribute, load_module
from ._near import did_you_mean, quoted
from ._suite import Suite

__all__ = ["all_suites", "find_suite"]

_DECLARE = (
    "declare where they are: `suites = ['suites/*.toml', 'myapp.llm']` under "
    "`[tool.llmguard]` in pyproject.toml"
)


def find_suite(target: str | Path) -> Suite:
    """Return the suite that a command line or a test names.

    Args:
        target: A path of a TOML file; `module:name` of a `Suite` or of a function with
            `@suite`; or the name of a suite of `[tool.llmguard] suites`.

    Raises:
        ConfigError: There is none, or more than one.
    """
    text = str(target)
    if text.endswith(".toml"):
        from ._toml import read_suite

        return read_suite(Path(text))
    if ":" in text:
        return _from_attribute(text)
    found = [each for each in all_suites() if each.name == text]
    if len(found) == 1:
        return found[0]
    if found:
        places = [each.source or each.function_name for each in found]
        raise ConfigError(
            f"{len(found)} suites are called {text!r}: {quoted(places)}. Give one of "
            "them another `name`, or name it by its file or `module:function`"
        )
    known = [each.name for each in all_suites()]
    hint = did_you_mean(text, known) if known else _DECLARE
    raise ConfigError(f"no suite is called {text!r}; {hint}")


def all_suites() -> tuple[Suite, ...]:
    """Return every suite that `[tool.llmguard] suites` leads to, in that order.

    Raises:
        ConfigError: An entry leads nowhere, or what it leads to is wrong.
    """
    settings = config.load()
    found: dict[int, Suite] = {}  # two entries may lead to the same one
    for entry in settings.suites:
        found |= {id(each): each for each in _from_entry(entry, settings.root)}
    return tuple(found.values())


def _from_entry(entry: str, root: Path) -> Iterable[Suite]:
    where = f"`suites` entry {entry!r}"
    if entry.endswith(".toml"):
        from ._toml import read_suite

        files = sorted(root.glob(entry)) if not Path(entry).is_absolute() else []
        files = files or [path for path in (Path(entry),) if path.is_file()]
        if not files:
            raise ConfigError(f"{where}: no such file under {str(root)!r}")
        return [read_suite(path) for path in files]
    if ":" in entry:
        return _of(load_attribute(entry, base=root, where=where), where)
    module = load_module(entry, base=root, where=where)
    found = [*_in_module(vars(module), module.__name__)]
    if not found:
        raise ConfigError(
            f"{where}: `{entry}` has neither a `Suite` nor a function with `@suite`"
        )
    return found


def _in_module(names: dict[str, object], module: str) -> Iterator[Suite]:
    """Yield a module's suites, and those of the functions that it defines."""
    for value in [*names.values()]:
        if isinstance(value, Suite):
            yield value
        elif getattr(value, "__module__", "") == module:
            yield from suites_of(value)


def _from_attribute(target: str) -> Suite:
    where = f"suite {target!r}"
    found = _of(load_attribute(target, base=Path.cwd(), where=where), where)
    if len(found) == 1:
        return found[0]
    raise ConfigError(
        f"{where} has {len(found)} suites: {quoted(each.name for each in found)}. "
        "Declare its module under `[tool.llmguard] suites` and give the name of one"
    )


def _of(value: object, where: str) -> tuple[Suite, ...]:
    found = (value,) if isinstance(value, Suite) else suites_of(value)
    if not found:
        raise ConfigError(
            f"{where} is {value!r}: name a `Suite`, or a function that is decorated "
            "with `@suite`"
        )
    return found

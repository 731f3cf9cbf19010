"""Importing what a suite names: `module:attr`, or `file.py:attr`."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

from .. import config
from ..errors import ConfigError, LLMGuardError
from ._near import did_you_mean

__all__ = ["load_attribute", "load_module"]


def load_attribute(target: str, *, base: Path, where: str) -> object:
    """Import `package.module:name` or `file.py:name` and return what it names.

    Args:
        target: Dots in the name lead into classes and objects.
        base: Where a relative file starts.
        where: Names the place in errors.

    Raises:
        ConfigError: It is not written so, or there is no such thing.
    """
    module, colon, name = target.rpartition(":")
    if not (module and colon and name):
        raise ConfigError(
            f"{where}: {target!r} names nothing: write `module:function`, such as "
            "`myapp.llm:triage`, or `file.py:function`"
        )
    loaded = load_module(module, base=base, where=where)
    found: object = loaded
    for part in name.split("."):
        if not hasattr(found, part):
            known = [one for one in vars(loaded) if not one.startswith("_")]
            raise ConfigError(
                f"{where}: `{module}` has no `{name}`; {did_you_mean(name, known)}"
            )
        found = getattr(found, part)
    return found


def load_module(name: str, *, base: Path, where: str) -> ModuleType:
    """Import a module by its dotted name, or a `.py` file by its path.

    Raises:
        ConfigError: It cannot be imported.
    """
    try:
        if name.endswith(".py"):
            return _from_file((base / name).resolve(), where)
        for place in (str(Path.cwd()), str(config.load().root)):
            if place not in sys.path:
                sys.path.insert(0, place)
        return import_module(name)
    except LLMGuardError:
        raise  # says itself what to do
    except Exception as error:
        repair = (
            f"run it where `python {name}` works"
            if name.endswith(".py")
            else f"run it where `python -c 'import {name}'` works"
        )
        raise ConfigError(
            f"{where}: `{name}` cannot be imported ({error!r}): {repair}"
        ) from error


def _from_file(path: Path, where: str) -> ModuleType:
    """Import a file under its own name, so that functions are called the same."""
    if not path.is_file():
        raise ConfigError(f"{where}: there is no file {str(path)!r}")
    there = sys.modules.get(path.stem)
    if there is not None:
        if Path(getattr(there, "__file__", None) or "").resolve() == path:
            return there
        raise ConfigError(
            f"{where}: another module is called `{path.stem}` already: rename "
            f"{str(path)!r}, or name it by its module, `package.{path.stem}:...`"
        )
    loader = SourceFileLoader(path.stem, str(path))
    spec = ModuleSpec(path.stem, loader, origin=str(path))
    spec.has_location = True
    module = module_from_spec(spec)
    sys.modules[path.stem] = module  # where postponed annotations are looked up
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module

"""Where llmguard's settings come from, read once per process.

Keyword arguments win over ``LLMGUARD_*`` environment variables, those over
``[tool.llmguard]`` in the nearest `pyproject.toml` upward, those over the defaults.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypedDict, Unpack, cast

from ._nested import read_toml
from .errors import ConfigError

__all__ = ["Config", "ConfigValues", "load", "reset", "where"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of this process.

    Attributes:
        store: Where durable state lives: a path of a SQLite file or a URL. Relative
            paths in `pyproject.toml` and the default start at `root`. Left out of
            this object's text, since a URL may hold a password.
        lock: The `models.lock` that names what may run.
        env: The environment this process serves, such as `prod` or `staging`: each has
            its own entries in the ledger.
        strict: Refuse pins whose model name no naming rule knows.
        refuse_remote: Refuse every call that would leave the machine.
        deadline: Seconds a guarded call may take when it names no deadline itself.
        exercise: Share of answered calls, from 0 to 1, whose lower tiers also run in
            the background; 0 for none.
        capture_content: Put prompts and answers into telemetry; off because they
            may hold personal data.
        breakers: Where breakers are shared: a Redis URL, such as
            `redis://cache:6379/0`; empty for the store.
        max_stale: Seconds that the store may be out of reach before routes with ledger
            entries are answered by their next tier; 0 for never.
        suites: Where suites are defined: TOML files (`suites/*.toml`, from `root`) and
            modules (`myapp.llm`). As a variable, separated by commas.
        routes: How the calls of a route are routed: one table per route, checked by
            `llmguard.pins.routing`; in `pyproject.toml` only.
        alerts: Who is told of alerts: `log`, `https://` URLs, `module:function`. As a
            variable, separated by commas.
        slos: OpenSLO documents with objectives (`slo/*.json`, from `root`).
        gates: What a promotion must pass, checked by `llmguard.promotion`; in
            `pyproject.toml` only.
        calls: Which recent calls are kept, checked by `llmguard.telemetry.recent`; in
            `pyproject.toml` only.
        root: The directory of the nearest `pyproject.toml`, else the working
            directory. Derived, not set.
    """

    store: str = field(default=".llmguard/store.db", repr=False)
    lock: Path = Path("models.lock")
    env: str = "prod"
    strict: bool = False
    refuse_remote: bool = False
    deadline: float = 30.0
    exercise: float = 0.01
    capture_content: bool = False
    breakers: str = ""
    max_stale: float = 0.0
    suites: tuple[str, ...] = ()
    routes: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: MappingProxyType[str, Mapping[str, Any]]({})
    )
    alerts: tuple[str, ...] = ("log",)
    slos: tuple[str, ...] = ()
    gates: Mapping[str, Any] = field(
        default_factory=lambda: MappingProxyType[str, Any]({})
    )
    calls: Mapping[str, Any] = field(
        default_factory=lambda: MappingProxyType[str, Any]({})
    )
    root: Path = field(default_factory=Path.cwd)


class ConfigValues(TypedDict, total=False):
    """Keyword arguments of `load`."""

    store: str
    breakers: str
    lock: str | Path
    env: str
    strict: bool
    refuse_remote: bool
    deadline: float
    exercise: float
    capture_content: bool
    max_stale: float
    suites: Sequence[str]
    routes: Mapping[str, Mapping[str, Any]]
    alerts: Sequence[str]
    slos: Sequence[str]
    gates: Mapping[str, Any]
    calls: Mapping[str, Any]


KEYS: Final = tuple(f.name for f in fields(Config) if f.name != "root")
_PREFIX: Final = "LLMGUARD_"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off", ""})

_guard = threading.Lock()
_loaded: tuple[Config, Mapping[str, str]] | None = None


def load(**overrides: Unpack[ConfigValues]) -> Config:
    """Return the settings; environment and file are read on the first call only.

    Args:
        **overrides: Values that win over every other source, for this call alone.

    Raises:
        ConfigError: An unknown key, or a value of the wrong type, in any source.
    """
    config = _read_once()[0]
    if not overrides:
        return config
    values = _checked(overrides, "load()", base=Path.cwd())
    return replace(config, **values)


def where() -> Mapping[str, str]:
    """Return, for each key, which source set it, for `llmguard doctor`.

    Raises:
        ConfigError: An unknown key, or a value of the wrong type, in any source.
    """
    return _read_once()[1]


def reset() -> None:
    """Forget what was read, so that the next `load` reads again; for tests."""
    global _loaded  # noqa: PLW0603 - the settings are one per process by design
    with _guard:
        _loaded = None


def _read_once() -> tuple[Config, Mapping[str, str]]:
    global _loaded  # noqa: PLW0603 - the settings are one per process by design
    if _loaded is None:
        with _guard:  # another thread may have read them while this one waited
            _loaded = _loaded or _read(os.environ, Path.cwd())
    return _loaded


def _read(environ: Mapping[str, str], cwd: Path) -> tuple[Config, Mapping[str, str]]:
    """Merge defaults, file and environment; pure but for reading the file."""
    file = _nearest_pyproject(cwd)
    root = file.parent if file else cwd
    values = _checked(
        {key: getattr(_DEFAULTS, key) for key in KEYS}, "defaults", base=root
    )
    sources = dict.fromkeys(KEYS, "default")
    if file:
        label = f"{file} [tool.llmguard]"
        found = _checked(_table(file), label, base=root)
        values |= found
        sources |= dict.fromkeys(found, label)
    for key, text in _variables(environ).items():
        variable = _PREFIX + key.upper()
        values |= _checked({key: _from_text(key, text)}, variable, base=cwd)
        sources[key] = variable
    return Config(root=root, **values), MappingProxyType(sources)


def _nearest_pyproject(start: Path) -> Path | None:
    for directory in (start, *start.parents):
        file = directory / "pyproject.toml"
        if file.is_file():
            return file
    return None


def _table(file: Path) -> Mapping[str, object]:
    try:
        document = read_toml(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    table = document.get("tool", {}).get("llmguard", {})
    if not isinstance(table, dict):
        raise ConfigError(
            f"{file}: `tool.llmguard` is {table!r}, not a table; "
            "write `[tool.llmguard]` on a line of its own"
        )
    return table  # pyright: ignore[reportUnknownVariableType] - TOML keys are str


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings among the variables; refuse what looks like a typing error.

    Other ``LLMGUARD_*`` variables pass: command-line options have theirs, and
    Kubernetes makes some for a service that is called "llmguard".
    """
    found: dict[str, str] = {}
    for variable in environ:
        if not variable.startswith(_PREFIX):
            continue
        key = variable.removeprefix(_PREFIX).lower()
        if key in KEYS:
            found[key] = environ[variable]
        elif near := _near(key, KEYS, cutoff=0.8):
            raise ConfigError(
                f"unknown environment variable `{variable}`; "
                f"did you mean `{_PREFIX}{near.upper()}`?"
            )
    return found


def _from_text(key: str, text: str) -> object:
    """Turn an environment variable's text into the type its key has."""
    default: object = getattr(_DEFAULTS, key)
    if isinstance(default, bool) and text.strip().lower() in _TRUE | _FALSE:
        return text.strip().lower() in _TRUE
    if isinstance(default, float):
        try:
            return float(text)
        except ValueError:
            return text  # the type check names the variable and the value
    if isinstance(default, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _checked(
    values: Mapping[str, object], source: str, *, base: Path
) -> dict[str, Any]:
    for key in values:
        if key not in KEYS:
            near = _near(key, KEYS)
            hint = f"did you mean `{near}`?" if near else f"known: {_quoted(KEYS)}"
            raise ConfigError(f"unknown key `{key}` in {source}; {hint}")
    return {
        key: _CHECKS[key](key, value, source, base) for key, value in values.items()
    }


def _near(key: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    import difflib

    return next(iter(difflib.get_close_matches(key, known, n=1, cutoff=cutoff)), None)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _wrong(key: str, value: object, source: str, expected: str) -> ConfigError:
    return ConfigError(f"`{key}` in {source} is {value!r}; it must be {expected}")


def _store(key: str, value: object, source: str, base: Path) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(key, value, source, "a path or URL, such as '.llmguard/store.db'")
    return value if "://" in value or value == ":memory:" else str(base / value)


def _redis(key: str, value: object, source: str, _base: Path) -> str:
    schemes = ("redis://", "rediss://", "unix://")
    if not isinstance(value, str) or not (not value or value.startswith(schemes)):
        raise _wrong(key, value, source, "a URL, such as 'redis://cache:6379/0'")
    return value


def _path(key: str, value: object, source: str, base: Path) -> Path:
    if not isinstance(value, (str, Path)) or not str(value):
        raise _wrong(key, value, source, "a path, such as 'models.lock'")
    return base / value


def _name(key: str, value: object, source: str, _base: Path) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _wrong(key, value, source, "letters, digits, `_`, `.`, `-`: 'prod'")
    return value


def _flag(key: str, value: object, source: str, _base: Path) -> bool:
    if not isinstance(value, bool):
        raise _wrong(key, value, source, "true or false")
    return value


def _seconds(key: str, value: object, source: str, _base: Path) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and 0 < cast("float", value) < float("inf")):
        raise _wrong(key, value, source, "a number of seconds above 0, such as 30")
    return float(cast("float", value))


def _seconds_or_none(key: str, value: object, source: str, base: Path) -> float:
    if not isinstance(value, bool) and value == 0:
        return 0.0
    return _seconds(key, value, source, base)


def _share(key: str, value: object, source: str, _base: Path) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and 0 <= cast("float", value) <= 1):
        raise _wrong(key, value, source, "a share from 0 to 1, such as 0.01")
    return float(cast("float", value))


def _places(key: str, value: object, source: str, _base: Path) -> tuple[str, ...]:
    listed = isinstance(value, list | tuple)
    items = cast("Sequence[object]", value) if listed else (None,)
    if not all(isinstance(each, str) and each for each in items):
        shown: object = value
        raise _wrong(key, shown, source, 'a list, such as ["suites/*.toml"]')
    return tuple(cast("Sequence[str]", items))


def _tables(
    key: str, value: object, source: str, _base: Path
) -> Mapping[str, Mapping[str, Any]]:
    found = cast("Mapping[str, object]", value)
    tables = isinstance(value, Mapping) and all(
        isinstance(each, Mapping) for each in found.values()
    )
    if not tables:
        example = f"a table of tables, such as `[tool.llmguard.{key}.NAME]`"
        raise _wrong(key, found, source, example)
    return MappingProxyType(dict(cast("Mapping[str, Mapping[str, Any]]", found)))


def _table_of(key: str, value: object, source: str, _base: Path) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        shown: object = value
        raise _wrong(key, shown, source, f"a table: `[tool.llmguard.{key}]`")
    return MappingProxyType(dict(cast("Mapping[str, Any]", value)))


_DEFAULTS: Final = Config(root=Path())
_CHECKS: Final[Mapping[str, Callable[[str, object, str, Path], object]]] = {
    "store": _store,
    "breakers": _redis,
    "lock": _path,
    "env": _name,
    "strict": _flag,
    "refuse_remote": _flag,
    "deadline": _seconds,
    "exercise": _share,
    "capture_content": _flag,
    "max_stale": _seconds_or_none,
    "suites": _places,
    "routes": _tables,
    "alerts": _places,
    "slos": _places,
    "gates": _table_of,
    "calls": _table_of,
}

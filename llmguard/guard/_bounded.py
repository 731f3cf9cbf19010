"""Bodies that can wait for nothing but their model, told from their bytecode.

A sync body runs on a courier thread so that a call can leave it at its deadline. One
that formats a prompt and returns `model.complete(...)` has nothing to be left: the
provider ends by itself when the time is over, and the hop to the thread and back is
most of what the guard costs. Whatever is not recognised here may hang for all that is
known, and keeps its courier.
"""

from __future__ import annotations

import builtins
import dis
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, MappingProxyType
from typing import Any, Final

from ..adapters import Prompt
from ._binder import INJECTED, MODEL

__all__ = ["all_scalars", "waits_for_model_only"]

_SCALARS: Final = frozenset({str, int, float, bool, type(None), bytes})
_FUNCTIONS: Final = (str, int, float, bool, len, repr, round)
"""Builtins that a body may call: of scalars, they are computation."""

# What lies on the stack, as far as it matters.
_MODEL: Final = "model"
_PROMPT: Final = "prompt"
_SCALAR: Final = "scalar"
_CALLABLE: Final = "callable"
_OTHER: Final = "other"

_UNKNOWN: Final = object()
_SILENT: Final = frozenset(
    {"COPY_FREE_VARS", "KW_NAMES", "NOP", "PRECALL", "PUSH_NULL", "RESUME"}
)
_ENDS: Final = frozenset({"RETURN_CONST", "RETURN_VALUE"})
_BUILDS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        # name: (values that it takes, and how many more for each in its argument)
        "BINARY_OP": (2, 0),
        "BINARY_SLICE": (3, 0),
        "BINARY_SUBSCR": (2, 0),
        "BUILD_CONST_KEY_MAP": (1, 1),
        "BUILD_LIST": (0, 1),
        "BUILD_MAP": (0, 2),
        "BUILD_SLICE": (0, 1),
        "BUILD_STRING": (0, 1),
        "BUILD_TUPLE": (0, 1),
        "CONVERT_VALUE": (1, 0),
        "FORMAT_SIMPLE": (1, 0),
        "FORMAT_WITH_SPEC": (2, 0),
    }
)
_SPEC_GIVEN: Final = 0x04
"""Flag of FORMAT_VALUE (Python 3.11 and 3.12): a format specification is on top."""


def all_scalars(values: Iterable[object]) -> bool:
    """Tell whether strings, numbers and None are all there is."""
    return all(type(each) in _SCALARS for each in values)


def waits_for_model_only(function: Callable[..., Any]) -> bool:
    """Tell whether a body can wait for nothing but `model.complete`.

    It may build strings, lists and dicts of its arguments and of its module's
    constants, call their methods, `Prompt.format` and `model.complete`: one straight
    line, without loops, branches or calls of anything else. That holds for calls whose
    arguments are scalars (`all_scalars`): an object's `__str__` may ask a database.

    Args:
        function: The function as its author wrote it.
    """
    if not isinstance(function, FunctionType):
        return False
    defaults = (
        *(function.__defaults__ or ()),
        *(function.__kwdefaults__ or {}).values(),
    )
    if not all_scalars(each for each in defaults if each is not INJECTED):
        return False
    return _Line(function).is_known()


class _Line:
    """Follows one function's stack, instruction by instruction."""

    def __init__(self, function: FunctionType) -> None:
        self._function = function
        code = function.__code__
        count = code.co_argcount + code.co_kwonlyargcount
        self._parameters = frozenset(code.co_varnames[:count])
        self._stack: list[str] = []

    def is_known(self) -> bool:
        """Follow it to its end; False at the first thing that is not recognised."""
        for each in dis.get_instructions(self._function):
            if each.opname in _SILENT or each.opname in _ENDS:
                continue
            if each.is_jump_target or not self._step(each):
                return False
        return True

    def _step(self, each: dis.Instruction) -> bool:
        name, stack = each.opname, self._stack
        if name in _BUILDS:
            base, more = _BUILDS[name]
            self._take(base + more * (each.arg or 0 if more else 0))
            stack.append(_OTHER)
            return True
        if name == "FORMAT_VALUE":
            self._take(2 if (each.arg or 0) & _SPEC_GIVEN else 1)
            stack.append(_OTHER)
            return True
        if name in {"CALL", "CALL_KW"}:
            self._take((each.arg or 0) + (name == "CALL_KW"))
            stack[-1:], called = [_OTHER], stack[-1]
            return called == _CALLABLE
        if name in {"LOAD_ATTR", "LOAD_METHOD"}:
            stack[-1:], of = [_CALLABLE], stack[-1]
            return _is_method(of, each.argval)
        return self._moved(each)

    def _moved(self, each: dis.Instruction) -> bool:
        """Follow what only puts values on the stack, or takes one off."""
        name, stack = each.opname, self._stack
        if name == "LOAD_CONST":
            stack.append(_SCALAR if type(each.argval) in _SCALARS else _OTHER)
        elif name == "LOAD_FAST":
            stack.append(self._local(each.argval))
        elif name == "LOAD_FAST_LOAD_FAST":
            stack.extend(self._local(local) for local in each.argval)
        elif name in {"LOAD_GLOBAL", "LOAD_DEREF"}:
            stack.append(_tag(self._outer(name, each.argval)))
            return bool(stack[-1])
        elif name == "STORE_FAST":
            # What a parameter means must not change on the way.
            return stack.pop() != _CALLABLE and each.argval not in self._parameters
        elif name == "POP_TOP":
            stack.pop()
        else:
            return False
        return True

    def _take(self, count: int) -> None:
        if count:
            del self._stack[-count:]

    def _local(self, name: str) -> str:
        if name not in self._parameters:
            return _OTHER
        return _MODEL if name == MODEL else _SCALAR

    def _outer(self, opcode: str, name: str) -> object:
        """Return what a name of the module or of an outer function stands for now."""
        function = self._function
        if opcode == "LOAD_GLOBAL":
            names = function.__globals__
            return names[name] if name in names else getattr(builtins, name, _UNKNOWN)
        cells = dict(
            zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        )
        try:
            return cells[name].cell_contents
        except (KeyError, ValueError):  # a cell of its own, or one that is not set yet
            return _UNKNOWN


def _tag(found: object) -> str:
    """Return what a value counts as; empty for what is not known to be harmless."""
    if isinstance(found, Prompt):
        return _PROMPT
    if type(found) in _SCALARS:
        return _SCALAR
    return _CALLABLE if any(found is each for each in _FUNCTIONS) else ""


def _is_method(of: str, name: str) -> bool:
    """Tell whether a method is one of those that are known to be harmless."""
    if of == _MODEL:
        return name == "complete"
    return of == _SCALAR or (of == _PROMPT and name == "format")

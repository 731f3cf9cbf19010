"""Reading JSON from strangers: every field has a type, and none is ignored unseen."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, cast

from ._errors import ApiError

__all__ = ["Fields"]


class Fields:
    """The fields of one JSON object, read one by one.

    A field that is null counts as absent, as it does in OpenAI's API.

    Args:
        data: What was sent; must be an object.
        at: Where it stands in the request, for messages.
    """

    def __init__(self, data: object, *, at: str = "") -> None:
        self._at = at
        if not isinstance(data, dict):
            raise ApiError(
                400, f"{at or 'the request body'} must be a JSON object", param=at
            )
        given = cast("dict[str, Any]", data)
        self._left = {k: v for k, v in given.items() if v is not None}
        self._known: set[str] = set()

    def any(self, name: str) -> Any:
        """Return a field as it is; None when it is absent."""
        self._known.add(name)
        return self._left.pop(name, None)

    def text(self, name: str) -> str | None:
        """Return a string."""
        value = self.any(name)
        if value is None or isinstance(value, str):
            return value
        raise self.wrong(name, value, "a string")

    def required_text(self, name: str) -> str:
        """Return a string that must be there and not be empty."""
        value = self.text(name)
        if not value:
            raise ApiError(
                400,
                f"`{self._path(name)}` is missing; it must be a string",
                code="missing_required_parameter",
                param=self._path(name),
            )
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean; False when it is absent."""
        value = self.any(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.wrong(name, value, "true or false")

    def number(self, name: str, *, low: float, high: float) -> float | None:
        """Return a finite number between two bounds, both allowed."""
        value = self.any(name)
        if value is None:
            return None
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            raise self.wrong(name, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def integer(self, name: str, *, low: int, high: int) -> int | None:
        """Return a whole number between two bounds, both allowed."""
        value = self.any(name)
        if value is None:
            return None
        good = isinstance(value, int) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            raise self.wrong(name, value, f"a whole number from {low} to {high}")
        return cast("int", value)

    def table(self, name: str) -> Fields | None:
        """Return an object within; None when it is absent."""
        value = self.any(name)
        return None if value is None else Fields(value, at=self._path(name))

    def array(self, name: str) -> list[Any]:
        """Return an array; empty when it is absent."""
        value = self.any(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, value, "an array")
        return value  # pyright: ignore[reportUnknownVariableType] - JSON

    def ignore(self, *names: str) -> None:
        """Pass over fields that do not change the answer."""
        for name in names:
            self.any(name)

    def only(self, harmless: Mapping[str, object]) -> None:
        """Refuse fields that would change the answer, unless they ask for nothing."""
        for name, neutral in harmless.items():
            value = self.any(name)
            if value not in (None, neutral, [], {}):
                raise ApiError(
                    400,
                    f"`{self._path(name)}` = {_short(value)} is not supported by this "
                    "server; leave it out",
                    code="unsupported_parameter",
                    param=self._path(name),
                )

    def done(self) -> None:
        """Refuse whatever was not read."""
        for name in self._left:
            close = difflib.get_close_matches(name, self._known, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else "; leave it out"
            raise ApiError(
                400,
                f"this server does not know `{self._path(name)}`{hint}",
                code="unknown_parameter",
                param=self._path(name),
            )

    def wrong(self, name: str, value: object, wanted: str) -> ApiError:
        """Return the error of a value that is not what its field is for."""
        return ApiError(
            400,
            f"`{self._path(name)}` must be {wanted}, not {_short(value)}",
            code="invalid_type",
            param=self._path(name),
        )

    def _path(self, name: str) -> str:
        return f"{self._at}.{name}" if self._at else name


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - one line

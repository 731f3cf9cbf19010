"""A part of the console: its name in the navigation, and its pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["Section"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What a package of pages exports as `SECTION`.

    Attributes:
        name: Prefix of its routes' names: `review` makes `review:list`.
        path: Where it is mounted, such as `/review`.
        routes: Returns its routes; each endpoint is made by `require`.
        title: In the navigation; empty to be left out of it.
        home: Name of the route that the navigation goes to, such as `list`.
        scope: Who sees it in the navigation.
        key: Pressed after `g` to go there.
    """

    name: str
    path: str
    routes: Callable[[], Sequence[BaseRoute]]
    title: str = ""
    home: str = "list"
    scope: str = "read"
    key: str = ""

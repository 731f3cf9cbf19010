"""What all pages of one console share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from llmguard.clock import Clock
from llmguard.errors import StoreError
from llmguard.store import Store

from ._door import Door
from ._format import FILTERS
from ._limits import Limiter
from ._links import Links
from ._live import Pulse
from ._section import Section
from ._settings import ConsoleSettings
from ._static import asset_version

if TYPE_CHECKING:
    from starlette.requests import Request

    from ._visit import Visit

__all__ = ["THEME", "Console"]

_LOG: Final = logging.getLogger("llmguard.console")
THEME: Final = "llmguard_theme"
_DAY: Final = 86400.0
_TIDY: Final = _DAY / 4


class Console:
    """Store, settings, clock, limits, templates.

    Args:
        store: What is shown.
        settings: Who may come in, and limits.
        sections: The parts, in the order of the navigation.
        clock: Gives the time.
    """

    def __init__(
        self,
        store: Store,
        *,
        settings: ConsoleSettings,
        sections: Sequence[Section],
        clock: Clock,
    ) -> None:
        self.store = store
        self.settings = settings
        self.sections = tuple(sections)
        self.clock = clock
        self.door = Door(store, settings, clock)
        self.rate = Limiter(settings.rate, clock=clock)
        self.logins = Limiter(settings.login_rate, clock=clock)
        self.limited = Limiter(1, clock=clock)
        self.links = Links(clock=clock)
        self.pulse = Pulse(store, streams=settings.streams)
        self._tidied: float | None = None
        self._tidying = threading.Lock()

    @cached_property
    def templates(self) -> Environment:
        """Where templates are: everything is escaped, and no name is a typing error."""
        env = Environment(
            loader=PackageLoader(__package__ or "", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        env.filters.update(FILTERS)
        return env

    def url(self, request: Request, name: str, /, **params: object) -> str:
        """Return the path of a route, below wherever the console is mounted."""
        path = request.app.router.url_path_for(name, **params)
        return f"{request.scope.get('app_path', '')}{path}"

    def render(
        self,
        request: Request,
        template: str,
        /,
        *,
        visit: Visit | None = None,
        **context: object,
    ) -> str:
        """Return a page's text."""
        theme = request.cookies.get(THEME, "")

        def url(name: str, /, **params: object) -> str:
            return self.url(request, name, **params)

        def asset(name: str) -> str:
            return f"{url('static', name=name)}?v={asset_version(name)}"

        base: dict[str, Any] = {
            "visit": visit,
            "principal": None if visit is None else visit.principal,
            "settings": self.settings,
            "sections": self._seen(visit),
            "path": request.url.path,
            "theme": theme if theme in {"light", "dark"} else "",
            "url": url,
            "asset": asset,
            "now": self.clock.time(),
        }
        text = self.templates.get_template(template).render(base | context)
        # Half a surrogate pair in a ticket must not fail a page.
        return text.encode("utf-8", "replace").decode("utf-8")

    def _seen(self, visit: Visit | None) -> list[Section]:
        if visit is None:
            return []
        mine = visit.principal
        return [one for one in self.sections if one.title and mine.may(one.scope)]

    def tidy(self) -> None:
        """Delete what is too old to keep, a few times a day."""
        now = self.clock.time()
        with self._tidying:
            if self._tidied is not None and now - self._tidied < _TIDY:
                return
            self._tidied = now
        try:
            self.store.access.purge(
                audit_before=now - self.settings.audit_days * _DAY,
                sessions_before=now - self.settings.session_days * _DAY,
            )
        except StoreError as error:
            # A full disk must not keep anybody from coming in.
            _LOG.warning("old rows stay for now: %s", error)

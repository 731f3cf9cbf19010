"""The pages of versions, health, reports and calls in a real browser.

`LLMGUARD_SCREENSHOTS=folder pytest tests/console/test_pages_browser.py` also takes
their pictures: light and dark, wide and narrow.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import Browser
from console_people import Site
from console_scene import Scene
from console_story import scene

from llmguard_fallbacks.console import ConsoleSettings, console_app
from llmguard_fallbacks.console._run import running

FOLDER = os.environ.get("LLMGUARD_SCREENSHOTS", "")
_COUNT = itertools.count(1)
Make = Callable[..., Browser]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A deployment's story: a week of it for pictures, three days otherwise."""
    folder = tmp_path_factory.mktemp("scene")
    days, calls = (7, 12) if FOLDER else (3, 6)
    url = str(folder / "store.db")
    with scene(folder, url, days=days, calls=calls, baseline=bool(FOLDER)) as found:
        yield found


@pytest.fixture
def site(told: Scene) -> Iterator[Site]:
    """A console over the story, on the story's clock."""
    settings = ConsoleSettings(rate=100_000, login_rate=1_000)
    with running(console_app(told.store, settings=settings, clock=told.clock)) as url:
        yield Site(told.store, url)


def _login(page: Browser, site: Site, *scopes: str) -> None:
    name = f"ann{next(_COUNT)}"
    secret = site.user(name, *scopes)
    page.go(f"{site.url}/versions/")
    page.find("#token").type(secret)
    page.find("button", "Log in").click()
    page.find("h1", "Versions")


def test_the_keyboard_leads_from_page_to_page(
    browser: Make, site: Site, told: Scene
) -> None:
    """`g` and a letter to a part, `j` to a row, Enter into it, `b` back."""
    page = browser()
    _login(page, site, "read")
    for key, heading in (
        ("h", "Health"),
        ("s", "Suites and shadow"),
        ("c", "Calls"),
        ("v", "Versions"),
    ):
        page.keys("g", key)
        page.find("h1", heading)
    page.keys("j", "\ue007")
    page.find("h1", "triage")
    page.keys("b")
    page.find("h1", "Versions")


def test_asking_what_ran_changes_only_its_box(
    browser: Make, site: Site, told: Scene
) -> None:
    """The answer comes without a new page."""
    page = browser()
    _login(page, site, "read")
    page.find("#which-route").choose("triage")
    page.find("#which-at").type(f"{told.days - 0.5}d")
    page.find("button", "Ask").click()
    page.find("#which strong", "triage")
    page.says(told.old.id)


def test_nothing_that_a_model_wrote_runs(
    browser: Make, site: Site, told: Scene
) -> None:
    """Names, reasons and answers are text, wherever they are shown."""
    evil = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
    told.event("alarm.drift", told.new, function=evil, family=evil, shifts=[])
    page = browser()
    _login(page, site, "read")
    page.go(f"{site.url}/health/events")
    page.says("document.title=")
    assert "owned" not in page.script("return document.title")
    assert 0 == page.script("return document.querySelectorAll('main img').length")


def test_a_health_page_follows_what_happens(
    browser: Make, site: Site, told: Scene
) -> None:
    """An event of another process appears without anybody asking."""
    page = browser()
    _login(page, site, "read")
    page.go(f"{site.url}/health/")
    page.find("h1", "Health")
    told.event("probe.same", told.new, function=told.function, note="a fresh word")
    page.says("a fresh word")


@pytest.mark.skipif(not FOLDER, reason="LLMGUARD_SCREENSHOTS names no folder")
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
def test_pages_have_their_pictures_taken(
    size: tuple[int, int], browser: Make, site: Site, told: Scene
) -> None:
    """Every page, with something on it."""
    page = browser(size=size)
    _login(page, site, "read", "review", "approve")
    bad = told.store.calls.list("prod", limit=500)
    worst = max(bad, key=lambda row: (row.outcome == "degraded", row.attempts))
    suite = next(r for r in told.store.list_evidence() if r.kind == "suite")
    shadow = next(r for r in told.store.list_evidence() if r.kind == "shadow")
    for name, path in (
        ("versions", "/versions/"),
        ("versions-which", "/versions/which?route=triage&at=2d"),
        ("versions-route", "/versions/route/triage?span=7d"),
        ("health", "/health/?span=7d"),
        ("health-events", "/health/events"),
        ("evidence", "/evidence/"),
        ("evidence-suite", f"/evidence/document/{suite.digest}"),
        ("evidence-shadow", f"/evidence/document/{shadow.digest}"),
        ("shadow", f"/evidence/shadow/{told.runs[-1]}"),
        ("calls", "/calls/"),
        ("call", f"/calls/call/{worst.id}"),
        ("empty-versions", "/versions/?env=empty"),
        ("empty-calls", "/calls/?env=empty"),
    ):
        page.go(f"{site.url}{path}")
        page.find("h1")
        for dark in (False, True):
            look = "dark" if dark else "light"
            page.shot(Path(FOLDER) / f"{name}-{size[0]}-{look}.png", dark=dark)
    assert list(Path(FOLDER).glob("*.png"))

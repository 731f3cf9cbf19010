"""The page: what it holds, and what a real browser makes of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmguard.suite import Report, render
from llmguard.suite._report import AssertionReport

MakeReport = Callable[..., Report]
Browse = Callable[..., subprocess.CompletedProcess[str]]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Page(HTMLParser):
    """Counts the elements of a page and keeps their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep one."""
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a kind."""
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the browser's command; continuous integration must have one."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"no browser: install one of {', '.join(NAMES)}", pytrace=False)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    return found


@pytest.fixture
def browse(chromium: str, tmp_path: Path) -> Browse:
    """Open a page without a window; what its console says is on stderr."""

    def run(page: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                chromium,
                *("--headless=new", "--no-sandbox", "--disable-gpu"),
                *("--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"),
                *("--enable-logging=stderr", "--window-size=1000,1400"),
                f"--user-data-dir={tmp_path / 'profile'}",
                *words,
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=55,
        )

    return run


@pytest.fixture
def site() -> Iterator[tuple[str, list[str]]]:
    """Give a site on this machine, and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what a page said to the console."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_page_is_usable_without_eyes(report: MakeReport) -> None:
    """A language, a title, one main heading, headed columns, and pictures in words."""
    page = Page(render.html(report()))
    assert "en" == page.all("html")[0]["lang"]
    assert (1, 1) == (len(page.all("h1")), len(page.all("main")))
    assert "<title>BLOCK: triage on new-1</title>" in render.html(report())
    assert page.all("th")
    assert all("col" == each["scope"] for each in page.all("th"))
    assert all(each["aria-label"] for each in page.all("table"))
    assert page.all("svg")
    for each in page.all("svg"):
        assert "img" == each["role"]
        assert each["aria-label"]
    scrolled = [each for each in page.all("div") if each.get("class") == "wide"]
    assert all("0" == each["tabindex"] for each in scrolled)
    targets = {each["id"] for _, each in page.found if "id" in each}
    assert {each["href"] for each in page.all("a")} == {f"#{one}" for one in targets}


def test_the_page_holds_nothing_that_runs_or_loads(hostile: Report) -> None:
    """Whatever a model wrote is text: the elements are those of the template."""
    text = render.html(hostile)
    page = Page(text)
    assert not {tag for tag, _ in page.found} & {
        *("script", "img", "link", "iframe", "object", "form", "base")
    }
    assert not [one for _, each in page.found for one in each if one.startswith("on")]
    policy = page.all("meta")[2]["content"] or ""
    assert policy.startswith("default-src 'none'")
    assert "&lt;script&gt;alert(1)" in text
    assert not re.search("[\x00-\x08\x0e-\x1f\u202a-\u202e\ud800-\udfff]", text)


def test_a_megabyte_is_cut(
    report: MakeReport, assertion: Callable[..., AssertionReport]
) -> None:
    """And the page says how much is missing."""
    (example,) = assertion().examples
    long = replace(example, candidate="x" * 1_000_000)
    text = render.html(report(assertions=(assertion(examples=(long,)),)))
    assert "and 990,000 more characters" in text
    assert len(text) < 100_000


def test_the_plots_say_in_words_what_they_show(report: MakeReport) -> None:
    """Evidence without end is no number that a picture could not hold."""
    labels = [str(one["aria-label"]) for one in Page(render.html(report())).all("svg")]
    assert "rate 40 %, 95 % interval 22.7 % to 59.4 %, claim 5 % / 20 %" == labels[0]
    assert any(one.startswith("After 30 calls the evidence against") for one in labels)
    assert not re.search(r"\b(nan|inf)\b", render.html(report()))


def test_a_browser_loads_nothing_and_runs_nothing(
    browse: Browse, hostile: Report, site: tuple[str, list[str]], tmp_path: Path
) -> None:
    """Where the same text in a careless page does both."""
    url, asked = site
    lure = f'</pre><img src="{url}/image"><script>console.error("ran")</script>'
    only = hostile.assertions[0]
    example = replace(only.examples[0], candidate=lure, why=lure, inputs={"x": lure})
    made = replace(
        hostile, reason=lure, assertions=(replace(only, examples=(example,)),)
    )
    page = tmp_path / "report.html"
    page.write_text(render.html(made), encoding="utf-8")
    done = browse(page, "--dump-dom")
    assert [] == asked
    assert [] == console(done)
    assert not {tag for tag, _ in Page(done.stdout).found} & {"img", "script"}
    page.write_text(f"<!doctype html><pre>{lure}")
    done = browse(page, "--dump-dom")
    assert ["/image"] == [path for path in asked if path != "/favicon.ico"]
    assert any("ran" in line for line in console(done))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "corner"), [("1", (255, 255, 255)), ("0", (18, 22, 28))]
)
def test_a_browser_draws_it_light_and_dark(
    browse: Browse,
    report: MakeReport,
    tmp_path: Path,
    scheme: str,
    corner: tuple[int, int, int],
) -> None:
    """In the colours that the reader's system asks for, and not an empty page."""
    page, picture = tmp_path / "report.html", tmp_path / "page.png"
    page.write_text(render.html(report()), encoding="utf-8")
    done = browse(
        page,
        f"--screenshot={picture}",
        f"--blink-settings=preferredColorScheme={scheme}",
    )
    assert [] == console(done)
    assert corner == first_pixel(picture.read_bytes())
    page.write_text("<!doctype html>")
    empty = tmp_path / "empty.png"
    browse(page, f"--screenshot={empty}")
    assert picture.stat().st_size > 10 * empty.stat().st_size


def first_pixel(data: bytes) -> tuple[int, int, int]:
    """Return the top left pixel of a PNG: there every filter predicts nothing."""
    packed, at = b"", 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += size + 12
    row = zlib.decompress(packed)
    return row[1], row[2], row[3]

# /// script
# dependencies = ["pillow>=10"]
# ///
"""Takes the site's pictures anew, from real runs in a real browser, light and dark.

`python docs/_ext/pictures.py [shadow] [upgrade] [incident]` in an environment of the
tests with Pillow, chromium and chromedriver: it plays each, and opens what was left.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "_static"
sys.path.insert(0, str(ROOT / "tests" / "support"))

from browser import Browser, find_browser  # noqa: E402 - found by the line above
from transcript import File, follow, steps  # noqa: E402 - likewise

SIZE = (1180, 760)
COLOURS = 128
LIMIT = 150_000
"""Bytes that a picture may have."""


def main() -> None:
    """Play, open, take, shrink."""
    commands = find_browser()
    if commands is None:
        raise SystemExit("no browser: `apt-get install chromium chromium-driver`")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        browser = Browser(commands, folder / "browser", size=SIZE)
        try:
            for scene in sys.argv[1:] or _SCENES:
                _SCENES[scene](browser, folder / scene)
        finally:
            browser.close()


def _shadow(browser: Browser, folder: Path) -> None:
    folder.mkdir()
    page = ROOT / "docs" / "run-a-shadow.md"
    for step in steps(page):
        if isinstance(step, File):
            (folder / step.name).write_text(step.text)
    follow(page, folder)
    browser.go((folder / "report.html").as_uri())
    _take(browser, "shadow-report")


def _upgrade(browser: Browser, folder: Path) -> None:
    examples = ROOT / "examples"
    shutil.copytree(examples / "upgrade_drill", folder / "drill")
    shutil.copytree(examples / "suites", folder / "suites")
    here = folder / "drill"
    _run(["sh", "drill.sh"], here)
    suite = ["suite", "run", "triage", "--candidate", _pin(here, "triage-1.1")]
    page = here / "suite.html"
    options = ["--seed", "1", "--quiet", "--no-evidence", "--journal", "run.jsonl"]
    _run(["llmguard", *suite, *options, "--html", str(page)], here)
    browser.go(page.as_uri())
    _take(browser, "suite-report")
    with _console(here) as link:
        _enter(browser, link)
        _go(browser, "/versions/route/triage", "quarantined")
        _take(browser, "console-versions")


def _incident(browser: Browser, folder: Path) -> None:
    folder.mkdir()
    _run([sys.executable, str(ROOT / "tests/support/incident.py"), "503"], folder)
    with _console(folder) as link:
        _enter(browser, link)
        _go(browser, "/health", "triage")
        _take(browser, "console-health")
        _go(browser, "/review", "triage")
        browser.keys("n")
        browser.says("in green")
        _take(browser, "console-ticket")


def _enter(browser: Browser, link: str) -> None:
    browser.go(link)
    browser.find("button", "Log in").click()
    browser.until(lambda: "/login" not in browser.url, "page behind the door")


def _go(browser: Browser, path: str, words: str) -> None:
    base = "/".join(browser.url.split("/")[:3])
    browser.go(base + path)
    browser.until(lambda: words.lower() in browser.text.lower(), words)


@contextlib.contextmanager
def _console(folder: Path) -> Iterator[str]:
    """Yield the link that logs in once."""
    command = ["llmguard", "console", "--json", "--port", "0"]
    running = subprocess.Popen(  # noqa: S603 - likewise
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env=_environment()
    )
    try:
        told = running.stdout.readline() if running.stdout else ""
        yield str(json.loads(told)["login"])
    finally:
        running.terminate()
        running.wait(20)


def _pin(folder: Path, model: str) -> str:
    pins = json.loads(_run(["llmguard", "pin", "list", "--json"], folder))
    return str(next(pin["id"] for pin in pins if pin["model"] == f"embedded:{model}"))


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603 - commands of this file
        command,
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,  # a suite that blocks ends with 1
    )
    return done.stdout


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path}


def _take(browser: Browser, name: str) -> None:
    for dark in (False, True):
        path = OUT / f"{name}-dark.png" if dark else OUT / f"{name}.png"
        browser.shot(path, dark=dark, full=False)
        image = Image.open(path).convert("RGB").quantize(COLOURS)
        image.save(path, optimize=True)
        size = path.stat().st_size
        print(f"{path.name}: {size / 1000:.0f} kB")  # noqa: T201 - a script
        if size > LIMIT:
            raise SystemExit(f"{path.name} is larger than {LIMIT} bytes")


_SCENES = {"shadow": _shadow, "upgrade": _upgrade, "incident": _incident}


if __name__ == "__main__":
    main()

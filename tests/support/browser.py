"""A real browser, driven by the WebDriver protocol over plain HTTP."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["KEYS", "Browser", "find_browser"]

KEYS = {"enter": "\ue007", "escape": "\ue00c", "control": "\ue009", "tab": "\ue004"}
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_CHROMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE = 60.0
_STARTS = 3
_STILL = (
    *("--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-quic"),
)
"""What it would do for itself, none of which a test needs."""


def find_browser() -> tuple[str, str] | None:
    """Return the commands of the browser and its driver, or None."""
    browser = next(filter(None, map(shutil.which, _CHROMES)), None)
    driver = shutil.which("chromedriver")
    return None if browser is None or driver is None else (browser, driver)


class Element:
    """One element of the page that is shown now."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._browser = browser
        self.name = name

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return self._browser.ask(method, f"/element/{self.name}{path}", body)

    def click(self) -> None:
        """Click it, as a mouse does, where nothing that sticks covers it."""
        script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
        self._browser.script(script, {_ELEMENT: self.name})
        self._ask("POST", "/click", {})

    def type(self, text: str, *, clear: bool = False) -> None:
        """Type into it."""
        if clear:
            self._ask("POST", "/clear", {})
        self._ask("POST", "/value", {"text": text})

    def choose(self, label: str) -> None:
        """Choose an option of a list by what it shows."""
        script = (
            "const [list, label] = arguments;"
            "const option = [...list.options].find(o => o.label === label);"
            "if (!option) throw new Error('no option ' + label);"
            "list.value = option.value;"
            "list.dispatchEvent(new Event('change', {bubbles: true}));"
        )
        self._browser.script(script, {_ELEMENT: self.name}, label)

    @property
    def text(self) -> str:
        """What is seen of its text."""
        return str(self._ask("GET", "/text"))

    @property
    def shown(self) -> bool:
        """Whether it is seen."""
        return bool(self._ask("GET", "/displayed"))

    def get(self, name: str) -> Any:
        """Return a property."""
        return self._ask("GET", f"/property/{name}")


class Browser:
    """One window of a headless browser with a profile of its own.

    Args:
        commands: Of the browser and its driver.
        profile: Folder for the profile.
        size: Width and height of the window, in pixels.
        scripts: Whether pages may run scripts.
    """

    def __init__(
        self,
        commands: tuple[str, str],
        profile: Path,
        *,
        size: tuple[int, int] = (1280, 900),
        scripts: bool = True,
    ) -> None:
        browser, driver = commands
        options: dict[str, Any] = {
            "binary": browser,
            "args": [
                *("--headless=new", "--no-sandbox", "--disable-gpu"),
                *("--disable-dev-shm-usage", "--no-first-run", "--mute-audio"),
                *_STILL,
                f"--window-size={size[0]},{size[1]}",
            ],
        }
        if not scripts:
            content = {"profile.managed_default_content_settings.javascript": 2}
            options["prefs"] = content
        for attempt in range(1, _STARTS + 1):
            try:
                self._start(driver, options, profile / f"profile{attempt}")
            except (AssertionError, OSError):  # it may die at its start, or hang
                self._end()
                if attempt == _STARTS:
                    raise
            else:
                break

    def _start(self, driver: str, options: dict[str, Any], profile: Path) -> None:
        """Start the driver and have it open the window."""
        self._process = subprocess.Popen(
            [driver, "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "HOME": str(profile.parent)},
        )
        self._base = f"http://127.0.0.1:{self._port()}"
        arguments = [*options["args"], f"--user-data-dir={profile}"]
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {**options, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "unhandledPromptBehavior": "ignore",
        }
        found = self._call(
            "POST", "/session", {"capabilities": {"alwaysMatch": wanted}}
        )
        self._session = f"/session/{found['sessionId']}"

    def _end(self) -> None:
        """End the driver, and the window with it."""
        self._process.terminate()
        self._process.wait(20)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _port(self) -> int:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "successfully on port " in line:
                return int(line.rpartition(" ")[2].strip().rstrip("."))
        raise AssertionError("the driver did not start")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own driver
            self._base + path, data=data, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - likewise
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["value"]
            raise AssertionError(f"{told['error']}: {told['message']}") from None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Say something of the protocol within this session."""
        return self._call(method, self._session + path, body)

    def close(self) -> None:
        """Close the window and end the driver."""
        try:
            self._call("DELETE", self._session)
        finally:
            self._end()

    def go(self, url: str) -> None:
        """Open a page."""
        self.ask("POST", "/url", {"url": url})

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self.ask("GET", "/url"))

    @property
    def text(self) -> str:
        """What is read on the page."""
        return self.find("body").text

    def all(self, selector: str) -> list[Element]:
        """Return elements by CSS selector."""
        found = self.ask(
            "POST", "/elements", {"using": "css selector", "value": selector}
        )
        return [Element(self, one[_ELEMENT]) for one in found]

    def find(self, selector: str, words: str = "") -> Element:
        """Wait for an element, one that says `words`, and return it."""
        return self.until(
            lambda: next(
                (one for one in self.all(selector) if words in one.text), None
            ),
            f"{selector} {words!r}",
        )

    def until(self, look: Callable[[], Any], what: str = "it") -> Any:
        """Wait until `look` gives something, and return that."""
        end = time.monotonic() + _PATIENCE
        problem = ""
        while time.monotonic() < end:
            try:
                if found := look():
                    return found
            except AssertionError as error:  # the page changes under us
                problem = f": {error}"
            time.sleep(0.05)
        raise AssertionError(f"no {what} at {self.url}{problem}\n{self.text[:3000]}")

    def says(self, words: str) -> None:
        """Wait until the page says something."""
        self.until(lambda: words in self.text, f"text {words!r}")

    def keys(self, *keys: str) -> None:
        """Press keys wherever the focus is; `control+enter` at once.

        A person presses them on a page that is there with its scripts.
        """
        self.until(
            lambda: self.script("return document.readyState") == "complete", "page"
        )
        steps: list[dict[str, str]] = []
        for key in keys:
            parts = [KEYS.get(one, one) for one in key.split("+")] if key != "+" else []
            steps += [{"type": "keyDown", "value": one} for one in parts]
            steps += [{"type": "keyUp", "value": one} for one in reversed(parts)]
        # At once: two keys that belong together may be a second and a half apart.
        actions = {"type": "key", "id": "keyboard", "actions": steps}
        self.ask("POST", "/actions", {"actions": [actions]})

    def script(self, text: str, *arguments: Any) -> Any:
        """Run a script in the page, as a debugger does."""
        return self.ask(
            "POST", "/execute/sync", {"script": text, "args": list(arguments)}
        )

    def command(self, name: str, **params: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": name, "params": params})

    def focused(self) -> str:
        """Return the id or name of what has the focus."""
        return str(
            self.script("const e = document.activeElement; return e.id || e.name || ''")
        )

    def dialog(self) -> str | None:
        """Return the text of an open `alert`, or None."""
        try:
            return str(self.ask("GET", "/alert/text"))
        except AssertionError:
            return None

    def log(self, kind: str = "browser") -> list[str]:
        """Return what the console said since the last look; policy breaches too."""
        return [one["message"] for one in self.ask("POST", "/se/log", {"type": kind})]

    def shot(self, path: Path, *, dark: bool = False, full: bool = True) -> None:
        """Write a picture of the page."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.script("scrollTo(0, 0)")
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        found = self.command(
            "Page.captureScreenshot", format="png", captureBeyondViewport=full
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(found["data"]))

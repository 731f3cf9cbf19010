"""A gunicorn of the tests' own: several workers of one application, as on one host."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

__all__ = ["Answer", "GunicornHost"]


@dataclass(frozen=True)
class Answer:
    """A response: status, headers in lower case, JSON body."""

    status: int
    headers: Mapping[str, str]
    body: Any


class GunicornHost:
    """Workers behind one port; stopped with the block."""

    def __init__(
        self,
        folder: Path,
        config: Path,
        app: str,
        env: Mapping[str, str],
        *,
        address: str = "127.0.0.1",
        prefix: Sequence[str] = (),
    ) -> None:
        self.address = address
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._log = folder / f"gunicorn-{self.port}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "gunicorn", "-c", str(config), app],
                cwd=config.parent,
                env={**env, "BIND": f"{address}:{self.port}"},
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        for _ in range(600):
            try:
                self.get("/llmguard/health/live")
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise AssertionError(self._log.read_text())

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"no graceful end: {self._log.read_text()}") from None

    @property
    def log(self) -> str:
        """What gunicorn and its workers have written."""
        return self._log.read_text()

    def get(self, path: str, **headers: str) -> Answer:
        """Send one request on a connection of its own, which any worker may take."""
        url = f"http://{self.address}:{self.port}{path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, headers={"Connection": "close", **named})
        try:
            with urllib.request.urlopen(request, timeout=30) as got:  # noqa: S310 - ours
                return _answer(got)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error)

    def spread(self, path: str, connections: int) -> list[Answer]:
        """Send requests on connections that are all open before the first is used.

        With `--worker-connections` at a share of them, every worker takes some.
        """
        opened = [
            HTTPConnection(self.address, self.port, timeout=30)
            for _ in range(connections)
        ]
        for one in opened:
            one.connect()
        time.sleep(0.2)
        for number, one in enumerate(opened):
            one.request("GET", f"{path}{number}", headers={"Connection": "close"})
        answers: list[Answer] = []
        for one in opened:
            with one.getresponse() as got:
                answers.append(_answer(got))
            one.close()
        return answers


def _answer(got: Any) -> Answer:
    headers = {name.lower(): value for name, value in got.headers.items()}
    return Answer(got.status, headers, json.loads(got.read() or b"null"))

"""Every example runs."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from llmguard import config

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
KNOWN = {
    "any_sdk",
    "ci_gate",
    "console",
    "fastapi_app",
    "flask_app",
    "monitoring",
    "plain_function",
    "shadow",
    "scale_out",
    "stream",
    "suites",
    "testing",
}
"""Examples with a test: here, or in the tests of what they show."""


def _load(name: str, file: str = "app") -> ModuleType:
    path = EXAMPLES / name / f"{file}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where string annotations are looked up
    spec.loader.exec_module(module)
    return module


def _run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=EXAMPLES / name,
        timeout=120,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the examples' tickets out of the project's store."""
    monkeypatch.setenv("LLMGUARD_STORE", str(tmp_path / "store.db"))
    config.reset()
    yield
    config.reset()


def _tracked() -> set[str]:
    done = subprocess.run(
        ["git", "ls-files", "examples"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    parts = [Path(line).parts for line in done.stdout.splitlines()]
    return {part[1] for part in parts if len(part) > 2}


def test_every_example_is_listed_and_tested() -> None:
    """The index names each folder, each says what it shows in one screen."""
    index = (EXAMPLES / "README.md").read_text()
    found = _tracked()
    assert KNOWN <= found
    assert [] == sorted(name for name in found if f"]({name}/" not in index)
    for name in KNOWN - {"suites"}:
        lines = (EXAMPLES / name / "README.md").read_text().splitlines()
        assert 3 < len(lines) <= 45, name


def test_plain_function() -> None:
    """It prints the answers and the path of each call."""
    lines = _run("plain_function", "main.py").splitlines()
    assert "'What a day!': happy" == lines[0]
    assert "'Awful. Never again!': angry" == lines[1]
    assert "first tier  fake:ok" == lines[4]
    assert "degraded    fake:schema > rules:ok" == lines[5]


def test_own_tests() -> None:
    """The example's own tests pass."""
    assert "passed" in _run("testing", "-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_any_sdk() -> None:
    """What its README shows is what it prints."""
    shown = (EXAMPLES / "any_sdk" / "README.md").read_text()
    printed = _run("any_sdk", "main.py")
    assert printed in shown
    assert "mood:wrong_model > static:ok" in printed


def test_fastapi_app() -> None:
    """Rules answer at once; what they do not know becomes a ticket and an answer."""
    from fastapi.testclient import TestClient

    from llmguard_fallbacks import get_ticket

    with TestClient(_load("fastapi_app").app) as client:
        known = client.post("/tickets", json={"text": "my parcel is late"})
        assert (200, "rules") == (known.status_code, known.json()["tier"])
        assert "true" == known.headers["x-llmguard-degraded"]
        later = client.post("/tickets", json={"text": "do you like cats?"})
        assert 202 == later.status_code
        place = later.headers["location"]
        assert "pending" == client.get(place).json()["status"]
        answer = {"category": "other", "urgent": False}
        get_ticket(later.json()["ticket"]).answer(answer, reviewer="ada")
        assert answer == client.get(place).json()["value"]
        responses = client.get("/openapi.json").json()["paths"]["/tickets"]["post"]
        assert "202" in responses["responses"]


def test_console() -> None:
    """A person corrects the model in the mounted console; the caller gets it."""
    from fastapi.testclient import TestClient

    from llmguard.store import open_store
    from llmguard.store.access import AccessToken, AccessUser, secret_digest

    access = open_store().access
    access.put_user(AccessUser(name="ann", scopes=("review",)))
    token = AccessToken(id="t", user="ann", scopes=("review",))
    access.add_token(token, secret_digest("secret"))
    app = _load("console").app
    with TestClient(app, base_url="http://localhost") as client:
        later = client.post("/tickets", json={"text": "two lamps never came"})
        assert 202 == later.status_code
        client.headers["origin"] = "http://localhost"
        client.post("/console/login", data={"token": "secret"})
        ticket = f"/console/review/t/{later.json()['ticket']}"
        csrf = re.findall(r'data-csrf="(.*?)"', client.get(ticket).text)[0]
        page = client.post(f"{ticket}/claim", data={"csrf": csrf}).text
        assert "/items/0/count" in page
        form = page.partition('id="answer"')[2].partition("</form>")[0]
        posted = dict(re.findall(r'name="([^"]*)" value="([^"]*)"', form))
        posted |= {"v/category": "1", "v/items/0/count": "2", "op": "submit"}
        posted |= {"v/items/0/name": "lamp"}
        sent = client.post(f"{ticket}/answer", data=posted)
        assert "Answered" in sent.text, sent.text
        value = client.get(later.headers["location"]).json()["value"]
    assert {"name": "lamp", "count": 2} == value["items"][0]


def test_flask_app() -> None:
    """The same service, the same exchange."""
    from llmguard_fallbacks import get_ticket

    client = _load("flask_app").app.test_client()
    known = client.post("/tickets", json={"text": "my parcel is late"})
    assert (200, "rules") == (known.status_code, known.get_json()["tier"])
    later = client.post("/tickets", json={"text": "do you like cats?"})
    assert 202 == later.status_code
    answer = {"category": "other", "urgent": False}
    get_ticket(later.get_json()["ticket"]).answer(answer, reviewer="ada")
    assert answer == client.get(later.headers["location"]).get_json()["value"]


def _events(text: str) -> list[str]:
    return [line[7:] for line in text.splitlines() if line.startswith("event: ")]


def test_stream() -> None:
    """A good stream may stay; a broken one is replaced."""
    from fastapi.testclient import TestClient

    with TestClient(_load("stream").app) as client:
        good = client.get("/talk").text
        assert "verdict" == _events(good)[-1]
        assert json.loads(good.rpartition("data: ")[2])["keep"] is True
        broken = client.get("/mumble").text
        assert ["replace", "verdict"] == _events(broken)[-2:]
        assert json.loads(broken.rpartition("data: ")[2])["keep"] is False


@pytest.mark.slow
def test_partitions_on_dask() -> None:
    """Partitions add up to the whole, as the README of the example shows."""
    pytest.importorskip("dask")
    shown = (EXAMPLES / "scale_out" / "README.md").read_text()
    printed = _run("scale_out", "partitions.py")
    assert 2 == printed.count("agree with the whole: True")
    assert printed in shown


@pytest.mark.gguf
def test_monitoring(tmp_path: Path) -> None:
    """A baseline is frozen, every call is counted, the correction is."""
    for module in ("llama_cpp", "llguidance", "llmguard_models"):
        pytest.importorskip(module)
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "monitoring" / "main.py"), "4"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=280,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "264 tickets were answered" in done.stdout
    assert "1 baseline is frozen" in done.stdout
    assert re.search(r"llmguard_calls_total.* 265$", done.stdout, re.MULTILINE)
    assert re.search(r'signal="corrected".* 1$', done.stdout, re.MULTILINE)

"""The package `llmguard_models`: its manifest, files, prompt and demo tickets."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest

import llmguard_models

LIMIT = 10 * 2**20  # bytes; a wheel with a model must stay small


@pytest.mark.parametrize("name", sorted(llmguard_models.manifest()))
def test_manifest_names_the_very_file(name: str) -> None:
    """Size and sha256 in the manifest are those of the file on disk."""
    entry = llmguard_models.manifest()[name]
    content = llmguard_models.path(name).read_bytes()
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert entry["size"] == len(content)
    assert len(content) < LIMIT
    assert content[:4] == b"GGUF"


@pytest.mark.parametrize("name", sorted(llmguard_models.manifest()))
def test_every_model_has_a_card_with_its_digest(name: str) -> None:
    """The card shown for a model names the model and the file that it describes."""
    card = llmguard_models.card(name)
    assert card.startswith(f"# {name}\n")
    assert llmguard_models.manifest()[name]["sha256"] in card


def test_unknown_model_names_the_known_ones() -> None:
    """The error for a wrong name says which names there are."""
    with pytest.raises(LookupError, match=r"'triage-9'.*`triage-1\.0`"):
        llmguard_models.path("triage-9")


def test_prompt_is_the_template_filled_in() -> None:
    """Braces and newlines of a ticket reach the prompt unchanged."""
    expected = "Ticket: a {b}\nc\nTriage:\n"
    assert expected == llmguard_models.prompt("a {b}\nc")
    assert expected == llmguard_models.PROMPT.format(ticket="a {b}\nc")
    assert llmguard_models.manifest()["triage-1.0"]["prompt"] == llmguard_models.PROMPT


def test_manifest_cannot_be_changed() -> None:
    """A caller cannot alter what the next caller reads."""
    entry = llmguard_models.manifest()["triage-1.0"]
    with pytest.raises(TypeError):
        entry["sha256"] = "x"  # type: ignore[index] - that it fails is the point


def test_demo_tickets_fit_the_schema() -> None:
    """At least 60, with ids of their own, labels that fit, order ids in the text."""
    tickets = llmguard_models.demo_tickets()
    schema = llmguard_models.manifest()["triage-1.0"]["schema"]
    validator = jsonschema.Draft202012Validator(schema)
    assert len(tickets) >= 60
    assert len(tickets) == len({ticket["id"] for ticket in tickets})
    assert len(tickets) == len({ticket["text"] for ticket in tickets})
    for ticket in tickets:
        validator.validate(ticket["label"])
        order = ticket["label"]["order_id"]
        assert order is None or order in ticket["text"]


def test_demo_tickets_show_every_value() -> None:
    """The demo meets each category and priority, and people's work as well."""
    labels = [ticket["label"] for ticket in llmguard_models.demo_tickets()]
    properties = llmguard_models.manifest()["triage-1.0"]["schema"]["properties"]
    for field in ("category", "priority"):
        assert {label[field] for label in labels} == set(properties[field]["enum"])
    assert {label["needs_human"] for label in labels} == {True, False}


def test_import_needs_the_standard_library_only() -> None:
    """Importing the package in a bare interpreter loads nothing from site-packages."""
    code = (
        "import sys, json; import llmguard_models as m; m.manifest(); m.demo_tickets();"
        "print(json.dumps([n for n, v in sys.modules.items()"
        " if 'site-packages' in (getattr(v, '__file__', None) or '')]))"
    )
    folder = Path(llmguard_models.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == []


@pytest.mark.slow
def test_wheel_carries_models_tickets_and_cards(tmp_path: Path) -> None:
    """A wheel built from the sources holds everything that the manifest names."""
    source = Path(llmguard_models.__file__).parents[1]
    if not (source / "pyproject.toml").exists():
        pytest.skip("the sources of llmguard-models are not here")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(tmp_path)]
    done = subprocess.run(
        [*build, str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for entry in llmguard_models.manifest().values():
        assert f"llmguard_models/data/{Path(entry['file']).name}" in names
        assert f"llmguard_models/{entry['card']}" in names
    assert "llmguard_models/data/demo_tickets.jsonl" in names
    assert not [name for name in names if name.startswith("recipe/")]

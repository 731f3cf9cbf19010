"""Which file a pin means, and whether it is the pinned one."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import pathlib
import re
from typing import Any

import pytest

from llmguard.errors import ConfigError
from llmguard_fallbacks.local._grounding import candidates, compile_rules, ground
from llmguard_fallbacks.local._options import read_options, read_params
from llmguard_fallbacks.local._prompt import ChatPrompt, plain_text
from llmguard_fallbacks.local._weights import Weights, find_weights, sha256_of, verify

DIGEST = hashlib.sha256(b"weights").hexdigest()


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a file of weights."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize("pinned", [DIGEST, f"sha256:{DIGEST}", DIGEST.upper(), None])
def test_the_pinned_digest_is_accepted(file: pathlib.Path, pinned: str | None) -> None:
    """With or without prefix, in any case, or not pinned at all."""
    assert DIGEST == verify(find_weights(str(file), pinned))


def test_another_digest_is_refused_with_both(file: pathlib.Path) -> None:
    """The message names the file's digest, the pinned one, and the command."""
    with pytest.raises(ConfigError, match=f"{DIGEST}.*'00'.*llmguard pin add"):
        verify(Weights(path=file, sha256="00"))


def test_a_changed_file_is_read_again(file: pathlib.Path) -> None:
    """The remembered digest belongs to one inode, size and time of change."""
    assert DIGEST == sha256_of(file)
    file.write_bytes(b"changed")
    os.utime(file, ns=(1, 1))
    assert hashlib.sha256(b"changed").hexdigest() == sha256_of(file)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: pathlib.Path) -> None:
    """The path is in the message."""
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "no.gguf"))):
        find_weights(str(tmp_path / "no.gguf"), None)


def test_embedded_models_bring_their_digest(file: pathlib.Path) -> None:
    """An installed package's manifest names the file; the pin may only agree."""

    def find(name: str, pinned: str | None) -> Weights:
        manifest = {"tiny-1.0": {"file": str(file), "sha256": DIGEST}}
        return find_weights(f"embedded:{name}", pinned, shipped=lambda: manifest)

    assert Weights(path=file, sha256=DIGEST) == find("tiny-1.0", None)
    with pytest.raises(ConfigError, match="is shipped with"):
        find("tiny-1.0", "00")
    with pytest.raises(ConfigError, match=r"installed: tiny-1\.0"):
        find("other", None)


def test_the_distribution_is_registered() -> None:
    """The entry point leads from the name in a pin to the provider."""
    found = importlib.metadata.entry_points(group="llmguard.providers")
    assert "llmguard_fallbacks.local:provider" in {point.value for point in found}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "at least 1"),
        ({"slots": "2"}, "of type int, not '2'"),
        ({"in_process": 1}, "of type bool"),
        ({"ground": 3}, "must map fields"),
        ({"ground": {"a": "("}}, "wrong pattern '\\('"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    """Each wrong value is shown, with what it should be."""
    with pytest.raises(ConfigError, match=message):
        read_options(options)


def test_defaults_share_the_cores() -> None:
    """Half of the cores, over all slots; two waiting calls a slot."""
    one, many = read_options({}), read_options({"slots": 64, "grace": 1})
    assert (2, 128) == (one.places, many.places)
    assert 1 == many.threads <= one.threads


def test_sampling_parameters_have_one_name() -> None:
    """The names of both remote APIs mean the same here."""
    job = read_params({"max_output_tokens": 5, "stop": "a"}, {"messages": ()})
    assert (5, ["a"], 0.0) == (job.max_tokens, job.stop, job.temperature)


def test_candidates_in_order_once_by_their_group() -> None:
    """First found, first listed; a group selects the part that counts."""
    pattern = re.compile(r"#([0-9]+)")
    assert ["7", "12"] == candidates(pattern, ["#7 #12", "#7"])


def test_grounding_reaches_into_objects() -> None:
    """A JSON pointer names a nested field; a schema without rules is untouched."""
    rules = compile_rules({"/a/b": "x+"})
    limit = {"properties": {"a": {"properties": {"b": {"enum": ["xx", None]}}}}}
    assert {"allOf": [limit]} == ground({}, rules, ["a xx b"])
    assert {"type": "null"} == ground({"type": "null"}, {}, ["x"])


def test_prompts_are_text() -> None:
    """Text parts are joined, images refused, the raw format only joins."""
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    raw = ChatPrompt(None, control=["<x>"], bos="", eos="")
    assert "ab\nc" == raw.render([{"content": parts}, {"content": "c"}])
    with pytest.raises(ConfigError, match="reads text only"):
        plain_text([{"type": "image_url"}])


def test_templates_may_refuse_and_are_sandboxed() -> None:
    """A template's own refusal, and a broken one, are configuration errors."""
    refusing = ChatPrompt(
        "{{ raise_exception('no system') }}", control=[], bos="", eos=""
    )
    with pytest.raises(ConfigError, match="no system"):
        refusing.render([])
    with pytest.raises(ConfigError, match="prompt_format"):
        ChatPrompt("{% if", control=[], bos="", eos="")
    tokens = ChatPrompt(
        "{{ bos_token }}{{ 'é' | tojson }}", control=[], bos="<s>", eos=""
    )
    assert '<s>"é"' == tokens.render([])

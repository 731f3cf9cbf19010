"""What a model, a user or a reviewer writes stays text, and costs no more than text."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard import INJECTED, Deferred, Model, fallback_chain, pinned, static
from llmguard._linear import may_explode, searcher
from llmguard.adapters.prompt import Prompt
from llmguard.contract import Contract
from llmguard.contract._ecma import python_regex
from llmguard.reply import Reply
from llmguard.store import SqliteStore
from llmguard.store.answers import answer_violations
from llmguard.testing import FakeModel, HttpError, WrongModel, fake_pin, isolated
from llmguard_fallbacks import human
from llmguard_fallbacks.cli_queue import queue

FORGED = "x\nERROR llmguard: all is well\r\n\x1b]0;owned\x07\x1b[2J\u2028y"
EVIL = ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", r"^(\w+\s?)*$", "^([a-z]+)*@", "(x+x+)+y"]


@pytest.mark.parametrize("pattern", EVIL)
def test_patterns_that_explode_do_not(pattern: str) -> None:
    """A text that would take Python's own engine longer than the universe is old."""
    schema = {"type": "string", "pattern": pattern}
    text = "a" * 3000 + "!" if "x" not in pattern else "x" * 3000
    assert may_explode(python_regex(pattern))
    assert "schema" == Contract(schema).judge(Reply(text=json.dumps(text))).kind
    assert ["pattern"] == [one.check for one in answer_violations(schema, text)]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        [
            r"^[a-z]+(-[a-z]+)*$",
            r"(\d+|[$_]\w*)+\b",
            r"^(?:[^\s\d]+\s?){1,}$",
            r"([\W_]+\.)*\D$",
            r"^(a|b[^])*[$]\-?\/$",
        ]
    ),
    st.text(alphabet="ab-_$ \n1\u0661\xe9./", max_size=12),
)
def test_both_engines_find_the_same(pattern: str, text: str) -> None:
    """ECMA-262 means ASCII by its classes, and the very end by `$`."""
    python = python_regex(pattern)
    found = re.search(python, text) is not None
    assert may_explode(python)
    assert found == searcher(python, pattern)(text)


def test_a_pattern_that_only_python_reads_is_still_checked() -> None:
    """Look-around has no linear engine."""
    contract = Contract({"type": "string", "pattern": "^(?=ab)(a+b)+$"})
    assert ["ok", "schema"] == [
        contract.judge(Reply(text=text)).kind for text in ('"abab"', '"ba"')
    ]


def test_the_log_has_one_line_an_event(caplog: pytest.LogCaptureFixture) -> None:
    """What a provider says cannot forge a line, nor talk to a terminal."""
    fake = FakeModel([WrongModel(FORGED), HttpError(500, code=FORGED)])

    @fallback_chain(static("x"), attempts=1)
    @pinned(fake.pin("r"))
    def ask(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    with caplog.at_level(logging.DEBUG), isolated():
        assert ["x", "x"] == [ask(FORGED), ask("b")]
    for record in caplog.records:
        if record.name.startswith("llmguard"):
            assert _harmless(record.getMessage())


def _harmless(line: str) -> bool:
    return all(sign.isprintable() for sign in line)


def _ticket(folder: Path) -> tuple[SqliteStore, str]:
    store = SqliteStore(folder / "store.db", synchronous="OFF")

    @fallback_chain(human("q", store=store, title="t"))
    @pinned(fake_pin(HttpError(500, code=FORGED)))
    def ask(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    with isolated(), pytest.raises(Deferred) as deferred:
        ask(FORGED)
    return store, deferred.value.ticket_id


@pytest.mark.parametrize("verb", ["list", "show", "claim"])
def test_a_reviewers_terminal_is_only_written_to(verb: str, tmp_path: Path) -> None:
    """No sequence that moves its cursor, renames its window or clears it."""
    store, ident = _ticket(tmp_path)
    words = ["--store", str(store.path), verb, *([ident] if verb == "show" else [])]
    done = CliRunner().invoke(queue, words)
    assert 0 == done.exit_code, done.output
    assert "all is well" in done.output or verb == "list"
    lines = done.output.split("\n")
    assert [] == [line for line in lines if not _harmless(line.replace("\t", " "))]
    store.close()


@pytest.mark.parametrize("engine", ["format", "jinja"])
def test_values_are_never_templates(engine: Any) -> None:
    """What a user writes goes into the prompt once, as it is."""
    if engine == "jinja":
        pytest.importorskip("jinja2")
    place = "{{ ticket }}" if engine == "jinja" else "{ticket}"
    prompt = Prompt(f"Read: {place} {place}", engine=engine)
    hostile = "{ticket.__class__} {{ 7 * 7 }} {% for x in y %} {0} {secret!r:>99}"
    rendered = prompt.format(ticket=hostile)
    assert f"Read: {hostile} {hostile}" == str(rendered)


@pytest.mark.parametrize(
    "template",
    ["{ticket.__class__}", "{ticket[0]}", "{ticket!r}", "{ticket:>999999999}"],
)
def test_templates_reach_into_nothing(template: str) -> None:
    """A template that somebody else may edit has names only."""
    from llmguard.errors import ConfigError

    with pytest.raises(ConfigError):
        Prompt(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ given.__class__ }}",
        "{{ given.__class__.__mro__[1].__subclasses__() }}",
        "{{ given.append.__self__ }}",
        "{{ given.append('x') }}",
        "{{ given.__init__.__globals__ }}",
        "{{ ''.__class__ }}{{ given }}",
    ],
)
def test_jinja_templates_reach_into_nothing(template: str) -> None:
    """Its sandbox gives no attributes of Python, and changes no value."""
    pytest.importorskip("jinja2")
    from llmguard.errors import ConfigError

    given = ["a"]
    with pytest.raises(ConfigError):
        Prompt(template, engine="jinja").format(given=given)
    assert ["a"] == given


BOMBS: dict[str, Callable[[], str]] = {
    "deep": lambda: "[" * 200_000,
    "digits": lambda: "9" * 200_000,
    "exponent": lambda: "1e999999999",
    "fences": lambda: "```json\n" * 50_000,
    "braces in prose": lambda: "{ " * 100_000,
    "quotes": lambda: '{"a": "' + '\\"' * 100_000,
    "commas": lambda: "[" + ",]" * 100_000,
}


@pytest.mark.parametrize("mode", ["raw", "fenced", "lenient"])
@pytest.mark.parametrize("name", BOMBS)
def test_answers_that_are_bombs(name: str, mode: Any) -> None:
    """They are refused for what they are, in time that grows with their size."""
    contract = Contract({"type": "object"}, parse=mode)
    verdict = contract.judge(Reply(text=BOMBS[name]()))
    assert verdict.kind in {"bad_json", "truncated", "schema"}
    assert all(len(str(one)) < 2000 for one in verdict.violations)


def test_nothing_here_is_a_program() -> None:
    """An answer that looks like code is an answer."""
    marker: list[int] = []
    sys.modules[__name__].__dict__["marker"] = marker
    text = f"__import__({__name__!r}).marker.append(1)"
    verdict = Contract(str).judge(Reply(text=text))
    assert (text, []) == (verdict.value, marker)

"""Prompts: what they accept, what they refuse, and what their digest depends on."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.adapters import Message, Prompt
from llmguard.errors import ConfigError


def rendered(prompt: Prompt, **values: object) -> list[tuple[str, object]]:
    """Return role and content of each rendered message."""
    return [(m.role, m.content) for m in prompt.format(**values)]


def test_text_becomes_one_user_message() -> None:
    """A string is the user message; values are inserted by their `str`."""
    prompt = Prompt('Answer {n} times as {{"a": {n}}}', system="You sort tickets.")
    assert [
        ("system", "You sort tickets."),
        ("user", 'Answer 2 times as {"a": 2}'),
    ] == rendered(prompt, n=2)


def test_messages_keep_their_order_and_roles() -> None:
    """Few-shot prompts are pairs or dicts of role and text."""
    prompt = Prompt([("user", "hi"), {"role": "assistant", "content": "hello {who}"}])
    assert [("user", "hi"), ("assistant", "hello Ann")] == rendered(prompt, who="Ann")
    assert (
        Message(role="assistant", content="hello Ann").as_dict()
        == prompt.format(who="Ann").as_dicts()[1]
    )


def test_values_are_never_templates() -> None:
    """Braces and attribute syntax in a value stay text."""
    hostile = "{secret} {0.__class__} {{x}} {% raw %}"
    assert [("user", f"T: {hostile}")] == rendered(Prompt("T: {t}"), t=hostile)


@pytest.mark.parametrize(
    "template",
    ["{a.b}", "{a[0]}", "{a!r}", "{a:>10}", "{}", "{0}", "{a", "a}", "{a b}", "{ a }"],
)
def test_only_plain_names_are_placeholders(template: str) -> None:
    """Attributes, indexes, conversions and formats are refused when it is made."""
    with pytest.raises(ConfigError, match=r"plain `\{name\}`|braces"):
        Prompt(template)


def test_missing_and_unused_variables_are_named() -> None:
    """A forgotten or misspelt variable is an error that lists the right ones."""
    with pytest.raises(ConfigError) as caught:
        Prompt("Sort {ticket}", name="sort.md").format(tickt="x")
    assert (
        "prompt 'sort.md': no value for `ticket`; `tickt` fills no placeholder; "
        "its placeholders are `ticket`" == str(caught.value)
    )


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ([("robot", "x")], "'robot'; it must be one of 'system'"),
        ([], "at least one message"),
        (["text"], r"\(role, text\) pair"),
    ],
)
def test_wrong_messages_are_refused(args: list[object], match: str) -> None:
    """Unknown roles and shapes are errors when the prompt is made."""
    with pytest.raises(ConfigError, match=match):
        Prompt(args)  # type: ignore[arg-type] - what is wrong is the point


def test_unknown_engine_is_refused() -> None:
    """Engines are two; another name is an error."""
    with pytest.raises(ConfigError, match="'format' or 'jinja'"):
        Prompt("x", engine="mustache")  # type: ignore[arg-type] - the point


def test_digest_is_the_text_whatever_the_line_ends() -> None:
    """The digest survives a checkout on another system and composed accents."""
    same = {Prompt("a\nbé {x}").digest, Prompt("a\r\nbe\u0301 {x}").digest}
    others = {
        Prompt("a\nbé {y}").digest,
        Prompt("a\nbé {x}", system="s").digest,
        Prompt([("assistant", "a\nbé {x}")]).digest,
    }
    assert 1 == len(same)
    assert 3 == len(others - same)
    assert 64 == len(same.pop())


def test_digest_does_not_change_between_releases() -> None:
    """Pins name digests, so the canonical form is fixed."""
    assert (
        "67e6c75cc99c83768e31660d77e3e1334de0b304c2f4df4b5e8d1265aba3e620"
        == Prompt("Sort {ticket}", system="Be brief.").digest
    )


def test_jinja_is_sandboxed_and_strict() -> None:
    """Loops and conditions work; undefined names and escapes do not."""
    prompt = Prompt("{% for t in tags %}[{{ t }}]{% endfor %}", engine="jinja")
    assert [("user", "[a][b]")] == rendered(prompt, tags=["a", "b"])
    with pytest.raises(ConfigError, match="no value for `tags`"):
        prompt.format()
    escape = Prompt("{{ x.__class__.__mro__ }}", engine="jinja")
    with pytest.raises(ConfigError, match="unsafe"):
        escape.format(x="")
    with pytest.raises(ConfigError, match=r"prompt '\{% if'"):
        Prompt("{% if", engine="jinja")


FILES = {
    "sort.txt": ("Sort {t}\n", [("user", "Sort T")]),
    "sort.md": (
        '+++\nsystem = "Be brief."\n+++\n# Task\nSort {t}\n',
        [("system", "Be brief."), ("user", "# Task\nSort T")],
    ),
    "empty-front.md": ("+++\n+++\nSort {t}", [("user", "Sort T")]),
    "shots.md": (
        '+++\n[[messages]]\nrole = "user"\ncontent = "hi"\n+++\nSort {t}',
        [("user", "hi"), ("user", "Sort T")],
    ),
    "sort.toml": (
        'system = "Be brief."\nuser = "Sort {t}"\n',
        [("system", "Be brief."), ("user", "Sort T")],
    ),
    "jinja.toml": (
        'engine = "jinja"\nuser = "Sort {{ t }}"\n',
        [("user", "Sort T")],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, tmp_path: Path) -> None:
    """TOML files, and text files with or without front matter."""
    text, messages = FILES[name]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    prompt = Prompt.from_file(path)
    assert messages == rendered(prompt, t="T")
    crlf = tmp_path / f"crlf-{name}"
    crlf.write_bytes(text.replace("\n", "\r\n").encode())
    assert prompt.digest == Prompt.from_file(crlf).digest


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.toml", "sytem = 'x'", "`sytem` is unknown; use engine, messages"),
        ("a.toml", "user = 3", "`user` must be text"),
        ("a.toml", "user = ", "a.toml"),
        ("a.toml", "[[messages]]\nrole = 'user'", "needs `role` and `content`"),
        ("a.md", "+++\nsystem = 'x'\n", "no closing"),
        ("a.md", "+++\nuser = 'x'\n+++\nbody", "`user` is the text below"),
    ],
)
def test_wrong_files_are_refused(
    name: str, text: str, match: str, tmp_path: Path
) -> None:
    """A mistake in a prompt file is found when it is read, and named."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=match):
        Prompt.from_file(tmp_path / name)


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A path that does not exist is an error that shows it."""
    with pytest.raises(ConfigError, match="nowhere"):
        Prompt.from_file(tmp_path / "nowhere.md")


NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=6)
# Line ends and accents are brought to one form, so they would not compare equal.
LITERAL = st.text(string.printable.replace("\r", "") + "éß漢", max_size=12)


@given(parts=st.lists(st.tuples(LITERAL, NAMES), max_size=5), value=st.text())
def test_format_fills_exactly_its_placeholders(
    parts: list[tuple[str, str]], value: str
) -> None:
    """Rendering is the literal text with every placeholder replaced, for any text."""
    escape = {"{": "{{", "}": "}}"}
    template = "".join(
        "".join(escape.get(c, c) for c in text) + f"{{{name}}}" for text, name in parts
    )
    prompt = Prompt(template)
    values = dict.fromkeys((name for _text, name in parts), value)
    assert frozenset(values) == prompt.variables
    want = "".join(text + value for text, _name in parts)
    assert want == prompt.format(**values).messages[0].content


@given(st.text())
def test_any_text_is_a_prompt_or_a_config_error(template: str) -> None:
    """No template crashes: it renders without values, or it is refused."""
    try:
        prompt = Prompt(template)
    except ConfigError:
        return
    prompt.format(**dict.fromkeys(prompt.variables, "x"))

"""Suites in files and next to functions, and how each is found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmguard import config
from llmguard.detectors import Calibration
from llmguard.errors import ConfigError
from llmguard.suite import Suite, all_suites, find_suite

MODULE = '''\
"""A guarded function with its suite."""

from llmguard import INJECTED, Model, contract, pinned
from llmguard.suite import expect, suite
from llmguard.testing import fake_pin


def polite(case, sample):
    return "rude" not in (sample.text or "")


def same(found, wanted):
    return found == wanted


@contract({"type": "object", "properties": {"n": {"type": "integer"}}})
@suite(cases="cases.jsonl", assertions=[expect.schema()], owner="me")
@pinned(fake_pin({"n": 1}))
def answer(text: str, *, model: Model = INJECTED) -> dict:
    return model.complete(text)


def plain(text: str) -> str:
    return text
'''
TOML = """\
function = "MODULE.py:answer"
cases = ["cases.jsonl", "more.csv"]
owner = "desk"
alpha = 0.02
max_calls = 500

[[assert]]
expect = "schema"
unacceptable = 0.04

[[assert]]
expect = "between"
field = "n"
low = 0
high = 9
slices = ["s"]

[[assert]]
expect = "worst_prompt"
of = "between:n"
gating = false

[[assert]]
expect = "custom"
name = "polite"
function = "MODULE.py:polite"

[[assert]]
expect = "refusal"
detector = "refusal-model"
calibration = "refusal.json"

[[assert]]
expect = "correct"
compare = "MODULE.py:same"
"""

GOOD = Calibration(detector="refusal-model/1", family="x", tp=90, fn=0, tn=900, fp=0)


class Project:
    """A directory with a module, its cases and a suite's file."""

    def __init__(self, root: Path, module: str) -> None:
        self.root = root
        self.module = module
        self.write(f"{module}.py", MODULE)
        lines = [f'{{"id": "c{n}", "text": "t", "slice": "s"}}' for n in range(20)]
        self.write("cases.jsonl", "\n".join(lines))
        self.write("more.csv", "id,text,expected\nx,hello,1\ny,bye,2\n")
        self.suite = self.write("desk.toml", TOML)
        GOOD.save(root / "refusal.json")

    def write(self, name: str, text: str) -> Path:
        """Write a file; `MODULE` stands for the module's name."""
        path = self.root / name
        path.write_text(text.replace("MODULE", self.module), encoding="utf-8")
        return path

    def declare(self, *places: str) -> None:
        """Declare places of suites."""
        named = [place.replace("MODULE", self.module) for place in places]
        self.write("pyproject.toml", f"[tool.llmguard]\nsuites = {named}\n")
        config.reset()


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Project]:
    """Make the project, with a module that no other test has imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("LLMGUARD_SUITES", raising=False)
    config.reset()
    name = f"found_{abs(hash(request.node.nodeid)):x}"
    yield Project(tmp_path, name)
    sys.modules.pop(name, None)
    config.reset()


def test_a_file_says_all_that_a_suite_has(project: Project) -> None:
    """Function, cases of several files, settings and assertions."""
    suite = find_suite(project.suite)
    suite.validate()
    assert ("desk", "desk", 0.02, 500, str(project.suite)) == (
        suite.name,
        suite.owner,
        suite.alpha,
        suite.max_calls,
        suite.source,
    )
    assert f"{project.module}.answer" == suite.function_name
    assert 22 == len(suite.cases)
    assert [
        ("schema", 0.04),
        ("between:n", 0.05),
        ("worst-prompt:between:n", 0.3),
        ("polite", 0.05),
        ("refusal", 0.15),
        ("correct", 0.05),
    ] == [(each.name, each.unacceptable) for each in suite.assertions]
    assert GOOD == suite.assertions[4].calibration
    assert 20 == len(suite.cases_of(suite.assertions[1]))
    assert 2 == len(suite.cases_of(suite.assertions[5]))


def test_the_same_file_has_the_same_digest(project: Project) -> None:
    """Evidence is found again in another process, or after a reformat."""
    first = find_suite(project.suite).digest
    project.write("desk.toml", "# a comment\n" + TOML.replace('"desk"', '"shop"'))
    assert first == find_suite(project.suite).digest
    project.write("desk.toml", TOML.replace("high = 9", "high = 8"))
    assert first != find_suite(project.suite).digest


def test_defaults_can_be_added(project: Project) -> None:
    """Those of a name that is there already are not."""
    project.write("desk.toml", "defaults = true\n" + TOML)
    names = [each.name for each in find_suite(project.suite).assertions]
    assert ["worst-prompt:schema"] == names[6:]
    only = 'function = "MODULE.py:answer"\ncases = "cases.jsonl"\n'
    project.write("desk.toml", only)
    names = [each.name for each in find_suite(project.suite).assertions]
    assert ["schema", "refusal", "worst-prompt:schema"] == names


def test_inline_cases(project: Project) -> None:
    """A small suite is one file."""
    text = TOML.replace('cases = ["cases.jsonl", "more.csv"]', "")
    text += '\n[[cases]]\nid = "one"\ntext = "hi"\nexpected = 1\nslice = "s"\n'
    project.write("desk.toml", text)
    assert ["one"] == [case.id for case in find_suite(project.suite).cases]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("owner", "ownr", "unknown key `ownr`; did you mean `owner`"),
        ("[[assert]]", "[[asserts]]", "did you mean `assert`"),
        ("alpha = 0.02", "alpha = 2", "`alpha` is 2"),
        ('"MODULE.py:answer"', "3", "`function` is 3"),
        ("MODULE.py:answer", "MODULE", "names nothing"),
        ("MODULE.py:answer", "MODULE.py:anwser", "did you mean `answer`"),
        ("MODULE.py:answer", "absent.py:f", "there is no file"),
        ("MODULE.py:answer", "absent_pkg:f", "cannot be imported"),
        ('["cases.jsonl", "more.csv"]', "3", "`cases` is 3"),
        ('expect = "between"', 'expect = "betwen"', "did you mean `between`"),
        ('expect = "between"', 'kind = "between"', "say what is expected"),
        ("low = 0", "lo = 0", r"assert 2: unknown key `lo`; did you mean `low`"),
        ("low = 0", "low = 10", r"assert 2 \(`between`\): .*no number is at least"),
        ("unacceptable = 0.04", "unacceptable = 'x'", r"assert 1 \(`schema`\)"),
        ("low = 0\nhigh = 9", "", "give `minimum`, `maximum` or both"),
        ('of = "between:n"', 'of = "betwen:n"', "did you mean `between:n`"),
        ('function = "MODULE.py:polite"', "", "assert 4 needs `function`"),
        ('name = "polite"', 'name = "schema"', "called 'schema' already"),
        ("MODULE.py:same", "MODULE.py:Same", "did you mean `same`"),
        ('compare = "MODULE.py:same"', "compare = 3", "`compare` is 3"),
        ("owner = ", "owner = 3 #", "`owner` is 3"),
        ("alpha = 0.02", "defaults = 3", "`defaults` is 3"),
        ("alpha", "alpha =", "cannot be read"),
        ("refusal-model", "refusal", "the calibration is of detector"),
        ("refusal-model", "refuse", "no detector 'refuse'"),
        ("refusal.json", "absent.json", r"absent\.json' cannot be read"),
    ],
)
def test_mistakes_in_a_file_are_named(
    project: Project, old: str, new: str, message: str
) -> None:
    """The file, the table and the edit."""
    assert old in TOML
    project.write("desk.toml", TOML.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        find_suite(project.suite)


def test_a_suite_next_to_its_function(project: Project) -> None:
    """The decorator's place among the others does not matter; files are its own."""
    suite = find_suite(f"{project.module}:answer")
    suite.validate()
    assert ("answer", "me", 20) == (suite.name, suite.owner, len(suite.cases))
    assert suite.guard.contract is not None
    assert suite.source.startswith(f"{project.root / project.module}.py:")


def test_suites_are_found_by_name(project: Project) -> None:
    """In files by pattern, and in modules."""
    project.declare("[do]*.toml", "MODULE")
    assert ["desk", "answer"] == [suite.name for suite in all_suites()]
    assert "desk" == find_suite("desk").name
    assert "answer" == find_suite("answer").name
    with pytest.raises(ConfigError, match="did you mean `answer`"):
        find_suite("anwser")


def test_one_suite_is_listed_once(project: Project) -> None:
    """Two places may lead to it."""
    project.declare("MODULE", "MODULE:answer")
    assert ["answer"] == [suite.name for suite in all_suites()]


def test_module_level_suites(project: Project) -> None:
    """A test module may define suites of functions elsewhere."""
    name = f"{project.module}_suites"
    project.write(
        f"{name}.py",
        "from MODULE import answer, plain\n"
        "from llmguard.suite import Suite\n"
        "small = Suite('small', answer, cases=[{'text': 'hi'}])\n",
    )
    project.declare(name)
    assert ["small"] == [suite.name for suite in all_suites()]
    assert "small" == find_suite(f"{name}:small").name


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("none/*.toml", "no such file under"),
        ("absent_pkg", "cannot be imported"),
        ("MODULE:plain", "name a `Suite`, or a function that is decorated"),
        ("json", "has neither a `Suite` nor a function with `@suite`"),
    ],
)
def test_places_that_lead_nowhere(project: Project, place: str, message: str) -> None:
    """A declared place without suites is a mistake."""
    project.declare(place)
    with pytest.raises(ConfigError, match=message):
        all_suites()


def test_nothing_declared(project: Project) -> None:
    """The error says where to declare suites."""
    with pytest.raises(ConfigError, match="declare where they are"):
        find_suite("answer")


def test_two_suites_of_one_name(project: Project) -> None:
    """Neither is taken by chance."""
    project.write("other.toml", 'name = "desk"\n' + TOML)
    project.declare("[do]*.toml")
    with pytest.raises(ConfigError, match="2 suites are called 'desk'"):
        find_suite("desk")


def test_the_decorator_returns_the_function() -> None:
    """It only registers, wherever it stands."""
    from llmguard import contract
    from llmguard.suite import suite
    from llmguard.suite._decorator import suites_of

    @suite(cases=[], name="under")
    @contract(str)
    def first(text: str) -> str:
        return text

    def second(text: str) -> str:
        return text

    below = suite(cases=[], name="below")(second)
    assert second is below
    both = suite(cases=[], name="above")(contract(str)(below))
    assert ["under"] == [each.name for each in suites_of(first)]
    assert ["below", "above"] == [each.name for each in suites_of(both)]
    assert suites_of(both)[0].guard is suites_of(both)[1].guard
    with pytest.raises(ConfigError, match=r"two suites of .* are called 'above'"):
        suite(cases=[], name="above")(both)


def test_what_cannot_have_a_suite() -> None:
    """A class, or a decorator without its arguments."""
    from llmguard.suite import suite

    odd: Any = suite(cases=[])
    with pytest.raises(ConfigError, match="decorate a plain function"):
        odd(Suite)


def test_files_are_imported_under_their_own_name(project: Project) -> None:
    """Once; two files of one name are refused, and so is one that fails."""
    first = find_suite(project.suite)
    assert first.function is find_suite(project.suite).function
    (project.root / "sub").mkdir()
    other = project.write("sub/desk.toml", TOML)
    project.write(f"sub/{project.module}.py", MODULE)
    with pytest.raises(ConfigError, match="another module is called"):
        find_suite(other)
    broken = f"{project.module}_broken"
    project.write(f"{broken}.py", "1 / 0")
    project.write("desk.toml", TOML.replace("MODULE.py:answer", f"{broken}.py:f"))
    with pytest.raises(ConfigError, match=r"cannot be imported \(ZeroDivisionError"):
        find_suite(project.suite)
    assert broken not in sys.modules


def test_a_module_that_refuses_itself_says_why(project: Project) -> None:
    """Errors of llmguard teach as they are."""
    project.write(
        f"{project.module}_bad.py",
        "from llmguard import pinned\n@pinned('none')\ndef f(text): ...\n",
    )
    with pytest.raises(ConfigError, match="has no parameter `model`"):
        find_suite(f"{project.module}_bad:f")


def test_one_function_with_two_suites(project: Project) -> None:
    """Its target names both, so neither is taken."""
    text = MODULE.replace(
        '@suite(cases="', '@suite(cases=[], name="b")\n@suite(cases="'
    )
    project.write(f"{project.module}.py", text)
    with pytest.raises(ConfigError, match="has 2 suites: `answer`, `b`"):
        find_suite(f"{project.module}:answer")


def test_odd_tables(project: Project) -> None:
    """`assert` is a list of tables, and every place is a file or a module."""
    head = 'function = "MODULE.py:answer"\ncases = "cases.jsonl"\n'
    project.write("desk.toml", head + "assert = 3\n")
    with pytest.raises(ConfigError, match=r"head each assertion with `\[\[assert\]\]`"):
        find_suite(project.suite)
    project.write("desk.toml", head + "assertions = 3\n")
    with pytest.raises(ConfigError, match=r"tables headed `\[\[assert\]\]`"):
        find_suite(project.suite)

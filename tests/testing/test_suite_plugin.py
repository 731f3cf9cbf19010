"""Suites as tests of a user's session: real pytest runs on recordings and loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

from llmguard import config
from llmguard.suite.stats._intervals import clopper_pearson
from llmguard.testing import FaultServer

pytest_plugins = ["pytester"]

# What a session imports in this process is forgotten with it, which takes time, and
# scipy cannot be imported twice: import here what suites need.
clopper_pearson(1, 9)
for package in ("adapters", "contract", "guard", "pins", "store", "suite", "testing"):
    path = import_module(f"llmguard.{package}").__path__
    for found in walk_packages(path, f"llmguard.{package}."):
        import_module(found.name)
for module in ("jsonschema", "pydantic", "openai"):
    import_module(module)

MODULE = """
from llmguard import INJECTED, Model, Pin, contract, pinned

PIN = Pin(route="triage", provider="openai", model="new-1", endpoint={url!r},
          accept_opaque="a server of the test")


@contract({{"type": "object", "required": ["kind"]}})
@pinned(PIN)
def triage(text: str, *, model: Model = INJECTED):
    return model.complete(text)


def allowed(value):
    from llmguard.adapters import remote_calls
    return not remote_calls.refused()
"""
SUITE = """
name = "shop"
function = "plugin_shop.py:triage"
cases = "cases.jsonl"

[[assert]]
expect = "schema"
tolerate = 0.02
unacceptable = 0.2

[[assert]]
expect = "one_of"
name = "kind"
field = "kind"
values = ["refund"]
tolerate = 0.02
unacceptable = 0.2
"""
CHECK = """
[[assert]]
expect = "check"
name = "remote-allowed"
function = "plugin_shop.py:allowed"
tolerate = 0.02
unacceptable = 0.2
"""
IDS = [f"c{n:02}" for n in range(20)]
GOOD, OTHER, BROKEN = {"kind": "refund"}, {"kind": "other"}, {"odd": 1}


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    """Give a project with one suite of two assertions, and recorded versions."""
    folder = pytester.path
    (folder / "plugin_shop.py").write_text(MODULE.format(url="http://127.0.0.1:9"))
    (folder / "shop.toml").write_text(SUITE)
    lines = [json.dumps({"id": one, "inputs": {"text": one}}) for one in IDS]
    (folder / "cases.jsonl").write_text("\n".join(lines))
    (folder / "pyproject.toml").write_text('[tool.llmguard]\nsuites = ["shop.toml"]\n')
    record(folder, "good", GOOD, 5)
    record(folder, "other", OTHER, 5)
    record(folder, "broken", BROKEN, 5)
    record(folder, "short", GOOD, 1)
    return folder


def record(folder: Path, name: str, answer: object, times: int) -> None:
    """Write a version that always says the same."""
    lines = [
        json.dumps({"prompt_id": one, "sample": n, "output": json.dumps(answer)})
        for one in IDS
        for n in range(times)
    ]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    """Give a provider that counts its calls."""
    with FaultServer(answer=GOOD, keep_alive=True) as made:
        yield made


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Read the settings of each project anew."""
    config.reset()
    yield
    config.reset()


def ran(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """Run a session of its own, in this process."""
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *words)


def apart(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """Run a session in a process of its own."""
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *words, timeout=100)


@pytest.mark.usefixtures("project")
def test_a_good_version_passes_one_test_per_assertion(
    pytester: pytest.Pytester,
) -> None:
    """Named by suite and assertion, beside the project's own tests; one journal."""
    pytester.makepyfile(test_mine="def test_mine(): pass")
    done = ran(pytester, "-v", "--llmguard-candidate", "replay:good.jsonl")
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(
        [
            "llmguard:shop::schema PASSED*",
            "llmguard:shop::kind PASSED*",
            "shop: PROMOTE  every one of 2 assertions was accepted (60 calls*",
        ]
    )
    assert 1 == len([*(pytester.path / ".llmguard/suites").glob("shop-*.jsonl")])


@pytest.mark.usefixtures("project")
def test_without_a_candidate_no_suite_is_looked_for(pytester: pytest.Pytester) -> None:
    """An ordinary run neither collects suites nor imports what they need."""
    (pytester.path / "shop.toml").write_text("broken")
    pytester.makepyfile(
        test_mine="""
        import sys

        def test_mine():
            assert not {"llmguard.suite", "scipy", "pydantic"} & {*sys.modules}
        """
    )
    done = apart(pytester)
    done.assert_outcomes(passed=1)
    assert "llmguard suites" not in done.stdout.str()


@pytest.mark.usefixtures("project")
def test_a_blocked_assertion_fails_with_the_reports_words(
    pytester: pytest.Pytester,
) -> None:
    """What broke, with examples; what it kept from being decided never passes."""
    done = ran(pytester, "--llmguard-candidate", "replay:other.jsonl")
    done.assert_outcomes(failed=2)
    said = done.stdout.str()
    assert "BLOCKED kind: worse than the tolerated 2 %" in said
    assert "undecided schema: undecided between 2 % and 20 %" in said
    assert "candidate" in said
    assert "Traceback" not in said


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("setting", "outcomes", "code"),
    [
        ("fail", {"failed": 2}, 1),
        ("xfail", {"xfailed": 2}, 0),
        ("pass", {}, 4),
    ],
)
def test_undecided_is_never_passed(
    pytester: pytest.Pytester, setting: str, outcomes: dict[str, int], code: int
) -> None:
    """It fails, or is expected to; there is no setting that lets it pass."""
    words = ("-o", f"llmguard_undecided={setting}")
    done = ran(pytester, *words, "--llmguard-candidate", "replay:short.jsonl")
    assert code == done.ret
    if outcomes:
        done.assert_outcomes(**outcomes)
    else:
        assert "write `fail` or `xfail`" in done.stderr.str()


@pytest.mark.usefixtures("project")
def test_a_budget_ends_a_run(pytester: pytest.Pytester) -> None:
    """`--llmguard-max-calls` is the suite's limit, and the words say so."""
    words = ("--llmguard-max-calls", "10", "--llmguard-journal", "kept")
    done = ran(pytester, *words, "--llmguard-candidate", "replay:good.jsonl")
    done.assert_outcomes(failed=2)
    assert "the budget was spent before `schema`, `kind`" in done.stdout.str()
    assert 1 == len([*(pytester.path / "kept").glob("shop-*.jsonl")])


@pytest.mark.usefixtures("project")
def test_what_cannot_be_judged_is_an_error(pytester: pytest.Pytester) -> None:
    """A provider that cannot be reached says nothing of the version: no failure."""
    done = ran(
        pytester,
        *("--llmguard-candidate", "openai:new-1"),
        *("-k", "shop", "--llmguard-max-calls", "16"),
    )
    done.assert_outcomes(errors=2)
    assert "ERROR  " in done.stdout.str()
    assert "failed without saying anything" in done.stdout.str()


@pytest.mark.usefixtures("project")
def test_an_incumbent_that_breaks_its_own_contract_is_an_error(
    pytester: pytest.Pytester,
) -> None:
    """Nothing is said of the candidate beside it, and nothing passes."""
    words = ("--llmguard-incumbent", "replay:broken.jsonl")
    done = ran(pytester, *words, "--llmguard-candidate", "replay:good.jsonl")
    done.assert_outcomes(errors=2)
    assert "ERROR  " in done.stdout.str()
    assert "incumbent" in done.stdout.str()


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("replay:absent.jsonl", "--llmguard-suite", "shp"), "did you mean `shop`"),
        (("p-0123456789",), "holds no pin 'p-0123456789'"),
    ],
)
def test_a_wrong_name_ends_the_session(
    pytester: pytest.Pytester, words: tuple[str, ...], said: str
) -> None:
    """Before the first test, with what to write instead."""
    (pytester.path / "models.lock").write_text('lock_version = 1\ncreated_by = "me"\n')
    done = ran(pytester, "--llmguard-candidate", *words)
    assert pytest.ExitCode.USAGE_ERROR == done.ret
    assert said in done.stderr.str()


def test_workers_share_one_run(
    project: Path, pytester: pytest.Pytester, server: FaultServer
) -> None:
    """Under pytest-xdist no call is made twice, however the tests are dealt out."""
    (project / "plugin_shop.py").write_text(MODULE.format(url=server.base_url))
    words = ("-n", "2", "--dist", "each", "--llmguard-candidate", "openai:new-1")
    done = apart(pytester, "-v", *words)
    done.assert_outcomes(passed=4)  # each worker has both
    (journal,) = (project / ".llmguard/suites").glob("shop-*.jsonl")
    calls = [one for one in journal.read_text().splitlines() if '"arm"' in one]
    assert (60, 60) == (len(server.requests), len(calls))
    done.stdout.fnmatch_lines(["shop: PROMOTE  *"])


@pytest.mark.slow
def test_a_worker_that_dies_doubles_no_call(
    project: Path, pytester: pytest.Pytester, server: FaultServer
) -> None:
    """The next one goes on with its journal."""
    text = MODULE.format(url=server.base_url)
    (project / "plugin_shop.py").write_text(
        text
        + """

import os, pathlib
_asked = 0


def deadly(value):
    global _asked
    _asked += 1
    mark = pathlib.Path("died")
    if _asked == 30 and not mark.exists():
        mark.touch()
        os._exit(9)
    return True
"""
    )
    (project / "shop.toml").write_text(SUITE + CHECK.replace("allowed", "deadly"))
    words = ("-n", "1", "--llmguard-candidate", "openai:new-1")
    done = ran(pytester, *words)
    assert (project / "died").exists()
    assert "crashed" in done.stdout.str()
    assert 60 <= len(server.requests) <= 60 + 8  # what was under way is asked again
    done.stdout.fnmatch_lines(["shop: PROMOTE  *"])


LIVE = """
import pytest
from llmguard.adapters import remote_calls

AT_IMPORT = remote_calls.refused()


def test_ordinary():
    assert AT_IMPORT
    assert remote_calls.refused()


@pytest.mark.llmguard_live
def test_live():
    assert not remote_calls.refused()


def test_ordinary_again():
    assert remote_calls.refused()
"""


def test_remote_calls_are_refused_but_for_live_tests_and_suites(
    project: Path, pytester: pytest.Pytester
) -> None:
    """One setting for the whole run, imports of test modules included."""
    (project / "shop.toml").write_text(SUITE + CHECK)
    pytester.makepyfile(test_mine=LIVE)
    words = ("-o", "llmguard_refuse_remote=true", "--strict-markers")
    done = ran(pytester, *words, "--llmguard-candidate", "replay:good.jsonl")
    done.assert_outcomes(passed=6)


@pytest.mark.usefixtures("project")
def test_markers_and_names_select(pytester: pytest.Pytester) -> None:
    """Suites alone with `-m llmguard_suite`; a dry look with `--collect-only`."""
    pytester.makepyfile(test_mine="def test_mine(): pass")
    words = ("--collect-only", "-q", "-m", "llmguard_suite")
    done = ran(pytester, *words, "--llmguard-candidate", "replay:good.jsonl")
    lines = [line for line in done.outlines if "::" in line]
    assert ["llmguard:shop::schema", "llmguard:shop::kind"] == lines
    assert not (pytester.path / ".llmguard").exists()


@pytest.mark.usefixtures("project")
def test_a_pending_assertion_never_fails_a_session(pytester: pytest.Pytester) -> None:
    """One without a say is an expected failure."""
    text = SUITE.replace('name = "kind"', 'name = "kind"\ngating = false')
    (pytester.path / "shop.toml").write_text(text)
    done = ran(pytester, "-rx", "--llmguard-candidate", "replay:other.jsonl")
    done.assert_outcomes(passed=1, xfailed=1)
    assert "does not gate: " in done.stdout.str()


def test_the_options_are_documented(pytester: pytest.Pytester) -> None:
    """`pytest --help` and `--markers` name every one."""
    said = ran(pytester, "--help").stdout.str()
    for name in ("candidate", "incumbent", "suite", "budget", "max-calls", "journal"):
        assert f"--llmguard-{name}" in said
    assert "llmguard_undecided" in said
    assert "llmguard_refuse_remote" in said
    assert "llmguard_live" in ran(pytester, "--markers").stdout.str()

"""Labelled files, `calibrate`, and the command that writes a calibration file."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmguard import config
from llmguard.cli._suite_calibrate import calibrate as command
from llmguard.detectors import (
    Calibration,
    Detector,
    Labelled,
    calibrate,
    find_detector,
    format_features,
    read_labelled,
    refusal,
)
from llmguard.errors import ConfigError

NO = "I'm sorry, but I can't help with that."
YES = "Your parcel arrives on Tuesday."


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Path, None, None]:
    """Stand in an empty project."""
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    config.reset()
    yield tmp_path
    config.reset()


def jsonl(path: Path, *rows: object) -> Path:
    """Write rows as JSON Lines, packed if the name says so."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def labelled(path: Path) -> Path:
    """Write ten texts: one refusal worded oddly, one answer that sounds like one."""
    return jsonl(
        path,
        *[{"text": NO, "label": True}] * 4,
        {"text": "That is a subject I keep out of.", "label": True},
        *[{"text": YES, "label": False}] * 4,
        {"text": "I can't recommend this place enough.", "label": False},
    )


def run(*arguments: object) -> Result:
    """Run the command as its group does."""
    return CliRunner().invoke(command, [str(each) for each in arguments])


def test_counts_come_from_labels_and_the_detector() -> None:
    """Each of the four ways a label and a detector can meet."""
    rows = [
        Labelled(text=NO, positive=True),
        Labelled(text=YES, positive=True),
        Labelled(text=YES, positive=False),
        Labelled(text=YES, positive=False),
        Labelled(text=NO, positive=False),
    ]
    found = calibrate(refusal(), rows, family="gpt-4", made="2026-01-02")
    assert (
        Calibration(
            detector="refusal-lexicon/1",
            family="gpt-4",
            tp=1,
            fn=1,
            tn=2,
            fp=1,
            made="2026-01-02",
        )
        == found
    )


def test_a_calibration_needs_a_family() -> None:
    """The errors hold for no other."""
    with pytest.raises(ConfigError, match="`family` is empty"):
        calibrate(refusal(), [Labelled(text=NO, positive=True)], family=" ")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_yes_and_no_in_every_spelling(name: str, tmp_path: Path) -> None:
    """Truth values, digits and words."""
    said = [True, False, 1, 0, "yes", "No", " TRUE ", "0"]
    rows = [{"text": "x", "label": each} for each in said]
    read = read_labelled(jsonl(tmp_path / name, *rows))
    assert [True, False] * 4 == [row.positive for row in read.rows]
    assert "yes or no" == read.said
    assert 64 == len(read.source)


def test_fields_may_lie_deep_and_labels_may_be_words(tmp_path: Path) -> None:
    """Dots lead into objects; a field that has a dot in its name wins."""
    path = jsonl(
        tmp_path / "a.jsonl",
        {"out": {"text": NO}, "labels": {"human": "full"}},
        {"out": {"text": YES}, "labels": {"human": "none"}, "labels.human": "partly"},
        {"out": {"text": YES}, "labels": {"human": "none"}},
    )
    read = read_labelled(
        path, text="out.text", label="labels.human", positive=["full", "partly"]
    )
    assert [True, True, False] == [row.positive for row in read.rows]
    assert "full or partly, against the rest" == read.said


def test_csv_with_line_breaks_in_texts(tmp_path: Path) -> None:
    """And a byte order mark, as spreadsheets write it."""
    path = tmp_path / "a.csv"
    path.write_bytes('\ufefftext,label\r\n"two\nlines",1\r\nplain,0\r\n'.encode())
    rows = read_labelled(path).rows
    assert (
        Labelled(text="two\nlines", positive=True),
        Labelled(text="plain", positive=False),
    ) == rows


def test_the_detectors_own_labels_are_labels(tmp_path: Path) -> None:
    """Without `positive`, what the detector counts as found is a yes."""
    path = jsonl(
        tmp_path / "a.jsonl",
        {"text": NO, "label": "refusal"},
        {"text": YES, "label": "answer"},
    )
    used = refusal()
    rows = read_labelled(path, known=used.labels, found=used.positive).rows
    assert [True, False] == [row.positive for row in rows]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["{"], "line 1: not JSON"),
        (["", "[1]"], "line 2: a line must be an object"),
        (['{"label": true}'], "no field `text` among 'label'.*`--text`"),
        (['{"text": "x"}'], "no field `label`.*`--label`"),
        (['{"text": 3, "label": true}'], "`text` is 3; it must be a text"),
        (['{"text": "x", "label": "maybe"}'], "`label` is 'maybe', neither yes nor no"),
        (['{"text": "x", "label": 2}'], "`label` is 2, neither"),
        (['{"text": "x", "label": null}'], "`label` is None, neither"),
        (["\udcff"], "is not UTF-8 text"),
    ],
)
def test_lines_that_cannot_be_used_are_named(
    lines: Sequence[str], says: str, tmp_path: Path
) -> None:
    """By number, with the option that helps."""
    path = tmp_path / "a.jsonl"
    path.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=says):
        read_labelled(path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Missing, or not what their name says."""
    with pytest.raises(ConfigError, match="No such file"):
        read_labelled(tmp_path / "none.jsonl")
    (tmp_path / "a.jsonl.gz").write_text("plain")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read_labelled(tmp_path / "a.jsonl.gz")


def test_the_command_writes_a_file_that_suites_can_name(project: Path) -> None:
    """With the errors, the rates as they are held, and what it got wrong."""
    result = run("refusal", labelled(project / "a.jsonl"), "--family", "gpt-4")
    assert 0 == result.exit_code, result.output
    path = project / "calibrations" / "refusal-lexicon-1.gpt-4.json"
    found = Calibration.load(path)
    assert (4, 1, 4, 1) == (found.tp, found.fn, found.tn, found.fp)
    assert found.sentence in result.output
    assert "cannot tell 5.0% / 15.0% apart" in result.output
    assert "That is a subject I keep out of." in result.output
    assert "I can't recommend this place enough." in result.output
    assert 'calibration = "calibrations/refusal-lexicon-1.gpt-4.json"' in result.output


def test_the_command_says_how_rates_are_held(project: Path) -> None:
    """Good detectors hold good contracts; and in JSON for scripts."""
    rows = [{"text": NO, "label": 1}, {"text": YES, "label": 0}] * 150
    path = jsonl(project / "a.jsonl", *rows)
    result = run("refusal-model", path, "--family", "x", "--out", project / "b.json")
    low, high = Calibration.load(project / "b.json").widen(0.05, 0.15)
    assert f"are held as {low:.1%} / {high:.1%}" in result.output
    assert "First texts" not in result.output
    made = run("refusal-model", path, "--family", "x", "--json", "--unacceptable", 0.3)
    document = json.loads(made.output)
    assert (150, 1.0, 0.3) == (
        document["tp"],
        document["sensitivity"],
        document["unacceptable"],
    )
    assert document["file"].endswith("refusal-model-1.x.json")


def test_the_command_restricts_a_detector_as_assertions_do(project: Path) -> None:
    """By allowed labels or by a range, so that the calibration fits the assertion."""
    path = jsonl(
        project / "a.jsonl",
        {"text": '{"a": 1}', "label": "no"},
        {"text": "prose", "label": "yes"},
    )
    assert 0 == run("format", path, "--family", "x", "--allowed", "json").exit_code
    written = project / "calibrations" / "format-1-json.x.json"
    assert format_features().other_than("json").id == (
        Calibration.load(written).detector
    )
    result = run("tone-formality", path, "--family", "x", "--low", -0.5, "--show", 0)
    assert 0 == result.exit_code
    written = project / "calibrations" / "tone-formality-1-0.5-inf.x.json"
    assert "tone-formality/1[-0.5,inf]" == Calibration.load(written).detector
    both = run("format", path, "--family", "x", "--allowed", "json", "--low", 0)
    assert 2 == both.exit_code
    assert "--low and --high, or --allowed" in both.output


def test_your_own_detector_lies_in_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules beside `pyproject.toml` are found without a path being set."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (project / "mine_of_the_project.py").write_text(
        "from llmguard.detectors import refusal\nMINE = refusal('model')\n"
    )
    path = labelled(project / "a.jsonl")
    result = run("mine_of_the_project:MINE", path, "--family", "x")
    assert 0 == result.exit_code, result.output
    assert (project / "calibrations" / "refusal-model-1.x.json").exists()


def test_a_detector_that_separates_nothing_says_so(project: Path) -> None:
    """No rate would help."""
    rows = [{"text": YES, "label": 1}, {"text": YES, "label": 0}] * 5
    result = run("refusal", jsonl(project / "a.jsonl", *rows), "--family", "x")
    assert "nor any other rate from the tolerated" in result.output


def test_detectors_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name, with its own id, and your own by module and attribute."""
    pytest.importorskip("vaderSentiment")
    pytest.importorskip("py3langid")
    from llmguard.detectors._find import NAMES

    ids = [find_detector(name).id for name in NAMES]
    assert all(isinstance(find_detector(name), Detector) for name in NAMES)
    assert len(ids) == len(set(ids)) + 1  # `tone` is `tone-civility`
    with pytest.raises(ConfigError, match="no detector 'refusals'; there are refusal,"):
        find_detector("refusals")
    with pytest.raises(ConfigError, match="cannot be imported"):
        find_detector("llmguard.none:x")
    with pytest.raises(ConfigError, match="must be a `llmguard"):
        find_detector("llmguard.detectors:refusal")
    (tmp_path / "mine_by_name.py").write_text(
        "from llmguard.detectors import refusal\nMINE = refusal()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert refusal() == find_detector("mine_by_name:MINE")

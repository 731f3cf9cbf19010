"""Recordings of any size, order and tool; what cannot be used is counted and named."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.shadow import Ladder, Tally, compare_files, read_settings
from llmguard.shadow.files import Fields
from llmguard.shadow.files._records import BadRecordError, Row


def _write(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    text = "".join(f"{line}\n" for line in lines)
    if path.suffix == ".gz":
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write(text)
    else:
        path.write_text(text, encoding="utf-8")
    return path


def _rows(n: int, choice: str = "x") -> list[dict[str, Any]]:
    return [{"id": f"r{i}", "output": {"answer": choice}} for i in range(n)]


@pytest.mark.parametrize(
    ("record", "text", "calls"),
    [
        ({"id": 1, "output": "hi"}, "hi", []),
        ({"prompt_id": "a", "text": "hi", "sample": 2}, "hi", []),
        (
            {"request": "sha", "output": None, "calls": [{"name": "f", "args": {}}]},
            None,
            ["f"],
        ),
        (
            {
                "custom_id": "c",
                "response": {
                    "body": {
                        "choices": [
                            {"message": {"content": "hi"}, "finish_reason": "stop"}
                        ]
                    }
                },
            },
            "hi",
            [],
        ),
        (
            {
                "id": "t",
                "choices": [
                    {
                        "message": {
                            "content": None,
                            "tool_calls": [
                                {
                                    "id": "1",
                                    "function": {"name": "g", "arguments": "{}"},
                                }
                            ],
                        }
                    }
                ],
            },
            None,
            ["g"],
        ),
    ],
)
def test_records_of_several_tools_are_read(
    record: dict[str, Any], text: str | None, calls: list[str]
) -> None:
    """Plain pairs of id and output, our recordings, chat completions and batches."""
    draw = Row(json.dumps(record).encode(), Fields()).draw()
    assert text == draw.text
    assert calls == [call.name for call in draw.calls]


def test_declared_fields_lead_inside() -> None:
    """Dotted names reach what another tool calls otherwise."""
    record = {
        "meta": {"trace": 7, "user": "u", "route": "billing/eu"},
        "result": {"parts": ["no", {"said": "yes"}]},
        "ok": True,
    }
    fields = Fields(
        id="meta.trace",
        output="result.parts.1.said",
        cluster="meta.user",
        stratum="meta.route",
        stratum_pattern="^[^/]+",
        executed="ok",
    )
    row = Row(json.dumps(record).encode(), fields)
    assert ("7", "u") == (row.request, row.cluster)
    assert ("yes", "true") == (row.draw().text, row.draw().executed)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (b"{", "no JSON"),
        (b"[1]", "a JSON list"),
        (b'{"output": "x"}', "no `id` or `prompt_id`"),
        (b"\xff\xfe", "no JSON"),
        (b'{"id": true}', "no `id`"),
        (b'{"id": 1}', "no `output`; it has `id`"),
        (b'{"id": 1, "error": {"kind": "mood"}}', "'mood'"),
        (b'{"id": 1, "output": "", "calls": 5}', "not a list"),
        (b'{"id": 1, "output": "", "calls": [{}]}', "no `name`"),
    ],
)
def test_bad_records_say_why(line: bytes, part: str) -> None:
    """The message says what is missing and what is there instead."""
    with pytest.raises(BadRecordError, match=part):
        Row(line, Fields()).draw()


@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_a_bad_one(line: bytes) -> None:
    """Nothing in a file ends a comparison but the file itself."""
    try:
        Row(line, Fields()).draw()
    except BadRecordError as error:
        assert str(error)


def test_bad_lines_and_lonely_requests_are_counted(tmp_path: Path) -> None:
    """Nothing is dropped without a word; lines are named by number."""
    a = _write(tmp_path / "a.jsonl", [*_rows(5), "oops", "", {"id": "r9"}])
    b = _write(tmp_path / "b.jsonl", _rows(7))
    made = compare_files(a, b, ladder=Ladder())
    assert 5 == made.tally.requests
    assert [0, 2] == made.only
    assert [
        "a.jsonl, line 6: it is no JSON",
        "a.jsonl, line 8: it has no `output`",
    ] == [
        line[: line.index(";") if ";" in line else line.index(": Exp")]
        for line in made.bad
    ]
    assert {
        "bad lines of a.jsonl": 2,
        "requests of the challenger only": 2,
    }.items() <= (made.inputs().items())
    assert made.bad_share > 0.2


@pytest.mark.parametrize(
    ("suffix", "part_bytes"), [(".jsonl", 500), (".jsonl.gz", 500), (".jsonl", 40)]
)
def test_order_and_size_do_not_matter(
    tmp_path: Path, suffix: str, part_bytes: int
) -> None:
    """Shuffled and dealt to many parts on disk, or read at once: the same counts.

    The smallest parts are still too large after the first deal, and are dealt again.
    """
    rng = random.Random(3)
    rows_a = [
        {"id": f"r{i}", "sample": s, "output": {"answer": rng.choice("xxxy")}}
        for i in range(300)
        for s in range(2)
    ]
    rows_b = _rows(300)
    a = _write(tmp_path / f"a{suffix}", rows_a)
    b = _write(tmp_path / f"b{suffix}", rows_b)
    at_once = compare_files(a, b, ladder=Ladder(), part_bytes=2**24)
    rng.shuffle(rows_a)
    rng.shuffle(rows_b)
    _write(a, rows_a)
    _write(b, rows_b)
    dealt = compare_files(a, b, ladder=Ladder(), part_bytes=part_bytes, folder=tmp_path)
    assert 300 == at_once.tally.requests
    assert at_once.tally.document() == dealt.tally.document()
    assert {a.name, b.name} == {path.name for path in tmp_path.iterdir()}


def test_parts_of_a_recording_merge_to_the_whole(tmp_path: Path) -> None:
    """What four workers count apart is what one counts."""
    rng = random.Random(4)
    rows = [
        [{"id": i, "output": {"answer": rng.choice("xy")}} for i in range(200)]
        for _ in range(4)
    ]
    a, b, a2, b2 = (
        _write(tmp_path / f"{name}.jsonl", each)
        for name, each in zip(("a", "b", "a2", "b2"), rows, strict=True)
    )
    ladder = Ladder()

    def compare(k: int, n: int) -> Tally:
        return compare_files(
            a, b, repeats_a=[a2], repeats_b=[b2], ladder=ladder, part=(k, n)
        ).tally

    whole, merged = compare(0, 1), Tally(ladder)
    for k in range(4):
        merged.merge(compare(k, 4))
    assert whole.document() == merged.document()


def test_a_recording_against_itself_has_no_net(tmp_path: Path) -> None:
    """With repeats inside or without: raw is the floor, net and excess are 0."""
    rng = random.Random(5)
    rows = [
        {"id": i, "sample": s, "output": {"answer": rng.choice("xyz")}}
        for i in range(50)
        for s in range(5)
    ]
    a = _write(tmp_path / "a.jsonl", rows)
    b = _write(tmp_path / "b.jsonl", rows)
    made = compare_files(a, b, ladder=Ladder())
    total = made.tally.total()
    assert made.same
    assert [0, 0] == total.main.sums[3:]
    assert total.main.sums[0] == total.main.sums[1] > 0
    single = compare_files(
        _write(tmp_path / "c.jsonl", _rows(9)),
        _write(tmp_path / "d.jsonl", _rows(9)),
        ladder=Ladder(),
    )
    assert 0 == single.tally.total().main.sums[0]


def test_a_copy_among_the_repeats_is_told(tmp_path: Path) -> None:
    """A challenger that is a copy of the incumbent's repeat is no second draw."""
    a = _write(tmp_path / "a.jsonl", _rows(9))
    a2 = _write(tmp_path / "a2.jsonl", _rows(9, "y"))
    b = _write(tmp_path / "b.jsonl", _rows(9, "y"))
    made = compare_files(a, b, repeats_a=[a2], ladder=Ladder())
    assert any("is a copy of 'a2.jsonl'" in note for note in made.notes())


def test_surplus_draws_are_counted(tmp_path: Path) -> None:
    """Sixteen draws of one request are plenty; the others are told."""
    rows = [{"id": 1, "sample": s, "output": "x"} for s in range(20)]
    a = _write(tmp_path / "a.jsonl", rows)
    b = _write(tmp_path / "b.jsonl", [{"id": 1, "output": "y"}])
    made = compare_files(a, b, ladder=Ladder())
    assert 4 == made.surplus


def test_recorded_failures_are_lost_draws(tmp_path: Path) -> None:
    """A time-out in a recording is no behaviour."""
    a = _write(tmp_path / "a.jsonl", _rows(3))
    rows: list[dict[str, Any]] = [
        {"id": f"r{i}", "error": {"kind": "timeout", "detail": "late"}}
        for i in range(3)
    ]
    made = compare_files(a, _write(tmp_path / "b.jsonl", rows), ladder=Ladder())
    assert (0, 3) == (made.tally.requests, made.tally.total().unmatched)
    assert {"timeout": 3} == made.tally.meters[1].lost


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing file and one that breaks off."""
    a = _write(tmp_path / "a.jsonl.gz", _rows(2000))
    with pytest.raises(ConfigError, match=r"missing\.jsonl"):
        compare_files(a, tmp_path / "missing.jsonl", ladder=Ladder())
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(a.read_bytes()[:-200])
    with pytest.raises(ConfigError, match="beyond line"):
        compare_files(cut, a, ladder=Ladder())


def test_settings_come_from_a_file_and_from_options(tmp_path: Path) -> None:
    """The file says what holds, options win; a schema lies beside the file."""
    schema = {"properties": {"answer": {"enum": ["x", "y"]}}, "type": "object"}
    (tmp_path / "s.json").write_text(
        json.dumps({"name": "wrapped", "schema": schema}), encoding="utf-8"
    )
    file = tmp_path / "shadow.toml"
    file.write_text(
        """
        [read]
        id = "key"
        cluster = "user"
        [ladder]
        schema = "s.json"
        output = "structured"
        [fields]
        note = "text"
        price = {how = "number", absolute = 0.5, critical = true}
        [thresholds]
        excess = 0.03
        """,
        encoding="utf-8",
    )
    found = read_settings(file, read={"id": "id"}, thresholds={"minimum": 100})
    assert ("id", "user") == (found.read.id, found.read.cluster)
    assert ("/answer", "/note", "/price") == found.ladder.rules.paths
    assert ("/price",) == found.ladder.rules.critical
    assert (0.03, 100) == (found.thresholds.excess, found.thresholds.minimum)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[reed]", "'reed'"),
        ("[read]\nname = 1", "'name'"),
        ("[ladder]\nshape = 1", "'shape'"),
        ("[ladder]\nschema = 'none.json'", "none.json"),
        ("[fields]\na = 'exactly'", "field 'a'"),
        ("[fields]\na = 3", "field 'a' is 3"),
        ("[thresholds]\nexcess = 0.5", "0.5"),
        ("x", "no TOML"),
        ("[read]\nstratum_pattern = '('", "no regular expression"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, part: str) -> None:
    """The entry that is wrong, and what would be right."""
    file = tmp_path / "shadow.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=part):
        read_settings(file)
